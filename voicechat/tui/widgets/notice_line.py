"""The notice line: the latest notice, for a few seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from voicechat.core.effects import Level
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import QUIET

NOTICE_S = 5.0
"""Seconds for which a notice is shown."""
MAX_SHOWN = 8
"""Most notices that wait below the shown one; the oldest are dropped."""
_HIDDEN_S = 1.0
"""Time in seconds between two checks while something covers the line."""
_LEAST_S = 0.05
_SIGNS = {
    Level.INFO: ("", "$foreground"),
    Level.WARNING: ("▲ ", "bold $warning"),
    Level.ERROR: ("✗ ", "bold $error"),
}
"""A sign that shows the level without color, and its style."""
_RANKS = {level: rank for rank, level in enumerate(_SIGNS)}


@dataclass(slots=True)
class ShownNotice:
    """A notice on the line. Equal notices are one, with a count."""

    text: str
    level: Level
    until: float
    """End of its time, in seconds on the clock."""
    count: int = 1
    is_reply: bool = False
    """True if it replies to a key or a command of the user."""


class NoticeLine(Static):
    """One line for notices above the floor line, without a row of its own while there are none.

    A notice covers less important ones, and older ones of the same level. A reply to the user
    covers every older notice, and replaces the reply before. Covered notices return when the
    notice ends, if their time is not over. The time pauses while a screen covers the line.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, classes: str = "") -> None:
        super().__init__("", markup=False, id="notice", classes=classes)
        self.display = False
        self._clock = clock
        self._notices: list[ShownNotice] = []
        self._timer: Timer | None = None

    @property
    def notices(self) -> tuple[ShownNotice, ...]:
        """The notices whose time is not over; the last one is shown."""
        return tuple(self._notices)

    def show(
        self,
        text: str,
        level: Level = Level.INFO,
        seconds: float = NOTICE_S,
        *,
        is_reply: bool = False,
        ends: str = "",
    ) -> None:
        """Show a notice for some seconds, or count it if it is there already.

        `ends` is how the notice begins that this one takes back.
        """
        text, ends = _one_line(text), _one_line(ends)
        if ends:
            self._notices = [each for each in self._notices if not each.text.startswith(ends)]
        if not text:
            return
        notice = ShownNotice(text, level, self._clock() + seconds, is_reply=is_reply)
        for each in self._notices:
            if (each.text, each.level) == (text, level):
                notice.count = each.count + 1
        kept = [each for each in self._notices if (each.text, each.level) != (text, level)]
        if is_reply:
            kept = [each for each in kept if not each.is_reply]
        at = len(kept)
        while not is_reply and at and _RANKS[kept[at - 1].level] > _RANKS[level]:
            at -= 1
        self._notices = [*kept[:at], notice, *kept[at:]][-MAX_SHOWN:]
        self._draw()

    def end_reply(self) -> None:
        """Remove the reply to the last key or command, because the user has gone on."""
        if any(each.is_reply for each in self._notices):
            self._notices = [each for each in self._notices if not each.is_reply]
            self._draw()

    @property
    def _is_uncovered(self) -> bool:
        return self.app.screen is self.screen

    def expire(self) -> None:
        """Remove the notices whose time is over, unless a screen covers the line."""
        if self._is_uncovered:
            now = self._clock()
            self._notices = [each for each in self._notices if each.until > now]
        self._draw()

    def _draw(self) -> None:
        self.display = bool(self._notices)
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if not self._notices:
            return
        notice = self._notices[-1]
        sign, style = _SIGNS[notice.level]
        count = f"  ×{notice.count}" if notice.count > 1 else ""
        self.update(Content.assemble((sign, style), plain(notice.text), (count, QUIET)))
        delay = min(each.until for each in self._notices) - self._clock()
        self._timer = self.set_timer(
            max(delay, _LEAST_S if self._is_uncovered else _HIDDEN_S), self.expire
        )


def _one_line(text: str) -> str:
    return " ".join(plain(text).plain.split())
