"""Where one types: several lines if need be, sent with Enter."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from time import monotonic

from textual import events
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea

from voicechat.core.text import clean

FIRST_REPEAT = 0.7
"""Seconds in which a second press is the keyboard repeating, not the user."""
NEXT_REPEAT = 0.2
"""Seconds between presses of a key that is held."""
RELEASED = 0.4
"""Seconds without a repeat after which a held key counts as released."""
AFTER_PASTE = 0.25
"""Seconds after a paste in which Enter is still part of what was pasted."""
REMEMBERED = 50
"""Sent messages that can be recalled."""


class HeldKey:
    """Tells a tap from a hold, though a terminal never says that a key went up.

    A held key repeats: first after half a second, then quickly. Times are seconds.
    """

    def __init__(self) -> None:
        self._last = float("-inf")
        self._repeats = 0

    def press(self, now: float) -> bool:
        """The key came; says whether it is a tap of its own and no repeat."""
        gap, self._last = now - self._last, now
        if gap >= FIRST_REPEAT:
            self._repeats = 0
            return True
        self._repeats += gap < NEXT_REPEAT
        return False

    @property
    def held(self) -> bool:
        """True if the key repeats as only a held one does."""
        return self._repeats >= 2


class Composer(TextArea):
    """The line (or lines) being typed."""

    NEW_LINE = frozenset({"ctrl+j", "shift+enter", "alt+enter"})

    @dataclass
    class Sent(Message):
        """The user sent a text; it is not empty."""

        text: str

    @dataclass
    class TalkKey(Message):
        """Space came with nothing typed: a tap, or (`released`) the end of a hold."""

        released: bool = False

    def __init__(self) -> None:
        super().__init__(
            id="composer",
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            compact=True,
        )
        self.cursor_blink = False
        self.space_talks = False
        """True if Space with nothing typed is the talk key."""
        self._space = HeldKey()
        self._release: Timer | None = None
        self._pasted_at = float("-inf")
        self._sent: deque[str] = deque(maxlen=REMEMBERED)
        self._recalled = 0
        """How many messages back the shown one is; 0 for what is being typed."""

    # Textual calls the handlers of every base class itself, unless the default is prevented.

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "space" and self.space_talks and not self.text:
            event.stop()
            event.prevent_default()
            self._talk()
        elif event.key in self.NEW_LINE or (event.key == "enter" and self._pasting):
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key == "enter":
            event.stop()
            event.prevent_default()
            self.send()

    async def _on_paste(self, event: events.Paste) -> None:
        self._pasted_at = monotonic()

    @property
    def _pasting(self) -> bool:
        return monotonic() - self._pasted_at < AFTER_PASTE

    def send(self) -> None:
        """Hand over what is typed, cleaned, if it is more than blanks; begin again."""
        text = clean(self.text).strip()
        if not text:
            return
        self._sent.append(text)
        self._recalled = 0
        self.clear()
        self.post_message(self.Sent(text))

    def begin(self, text: str) -> None:
        """Let the user go on behind this text; what they had typed can be recalled."""
        if self.text.strip():
            self._sent.append(self.text)
        self._recalled = 0
        self.load_text(text)
        self.move_cursor(self.document.end)

    def take(self, text: str, *, pasted: bool) -> None:
        """Go on with what was typed or pasted elsewhere, as if it had been here.

        An Enter that was pasted with it sends nothing.
        """
        if text == " " and self.space_talks and not self.text:
            self._talk()
            return
        if pasted:
            self._pasted_at = monotonic()
        self.insert(text)

    # ---------------------------------------------------------------- talking

    def _talk(self) -> None:
        if self._space.press(monotonic()):
            self.post_message(self.TalkKey())
        elif self._space.held:
            if self._release is not None:
                self._release.stop()
            self._release = self.set_timer(RELEASED, self._let_go)

    def _let_go(self) -> None:
        self._release = None
        self.post_message(self.TalkKey(released=True))

    # ---------------------------------------------------------------- earlier messages

    def action_cursor_up(self, select: bool = False) -> None:
        """Up: an earlier message while nothing else is typed, else the line above."""
        if select or not self._recall(self._recalled + 1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down: a later message while one is recalled, else the line below."""
        if select or not self._recalled or not self._recall(self._recalled - 1):
            super().action_cursor_down(select)

    def _recall(self, back: int) -> bool:
        shown = self._sent[-self._recalled] if self._recalled else ""
        if self.text != shown or not 0 <= back <= len(self._sent):
            return False
        self._recalled = back
        self.load_text(self._sent[-back] if back else "")
        self.move_cursor(self.document.end)
        return True
