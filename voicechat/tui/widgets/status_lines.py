"""Two lines of state: on top who one talks with and how fast, below who has the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from voicechat.core.effects import Floor
from voicechat.core.items import Usage
from voicechat.core.usage_meter import left
from voicechat.session.updates import LevelsChanged, Link
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import QUIET, duration

if TYPE_CHECKING:
    from voicechat.session.session import Session

QUIETEST = -60.0
"""dBFS at the left end of a meter; the right end is 0."""

_LINKS = {
    Link.CONNECTING: ("◌", "connecting", "$warning"),
    Link.ONLINE: ("●", "online", "$success"),
    Link.RECONNECTING: ("↻", "reconnecting", "$warning"),
    Link.OFFLINE: ("○", "offline", "$error"),
}

_FLOORS = {
    Floor.IDLE: ("○", "ready", QUIET),
    Floor.LISTENING: ("●", "listening", "$success"),
    Floor.HEARING: ("◉", "hearing you", "bold $accent"),
    Floor.THINKING: ("◔", "thinking", "$secondary"),
    Floor.SPEAKING: ("▶", "speaking", "bold $primary"),
    Floor.WORKING: ("◆", "working", "$secondary"),
}
_OPENING = ("◌", "opening the microphone", QUIET)
_ASKING = ("?", "a tool waits for you", "bold $warning")


def spread(left: Content, right: Content, width: int) -> Content:
    """One line: `left` at the left, `right` at the right if it fits."""
    gap = width - left.cell_length - right.cell_length
    if gap < 1:
        return left.truncate(max(1, width), ellipsis=True)
    return Content.assemble(left, " " * gap, right)


def joined(parts: list[tuple[int, Content]], room: int) -> Content:
    """The parts with dots between them. Where there is no room the highest numbers are left out."""
    chosen: list[int] = []
    for place in sorted(range(len(parts)), key=lambda place: parts[place][0]):
        line = _dotted([parts[each][1] for each in sorted([*chosen, place])])
        if line.cell_length <= room:
            chosen.append(place)
    return _dotted([parts[each][1] for each in sorted(chosen)])


def _dotted(parts: list[Content]) -> Content:
    return Content(" · ").stylize(QUIET).join(parts)


def meter(level: float, cells: int, style: str, peak: float = QUIETEST) -> Content:
    """A level in dBFS as a line of `cells` cells, filled in half cells; a bar at its peak."""
    halves = round(_share(level) * cells * 2)
    full, half = divmod(halves, 2)
    rest = cells - full - half
    filled = ("━" * full + "╸" * half, style)
    ahead = min(round(_share(peak) * cells), cells) - (cells - rest)
    if ahead <= 0:
        return Content.assemble(filled, ("─" * rest, "$foreground 22%"))
    before, after = "─" * (ahead - 1), "─" * (rest - ahead)
    quiet = "$foreground 22%"
    return Content.assemble(filled, (before, quiet), ("│", style), (after, quiet))


def _share(level: float) -> float:
    """Of a whole meter, 0.0 to 1.0."""
    return min(1.0, max(0.0, 1 - level / QUIETEST))


def _word(word: str, cells: int, style: str) -> Content:
    """A word in the place of a meter; a short meter makes room for it."""
    return Content(f"{word:<{cells}}").stylize(style)


def floor_line(session: Session, link_text: str = "") -> Content:
    """Who has the floor, as glyph and word; with it why no one has, and whether one is muted."""
    if session.link is not Link.ONLINE:
        glyph, word, style = _LINKS[session.link]
        text = plain(f"  {link_text}", QUIET) if link_text else Content("")
        return Content.assemble((f"{glyph} {word}", style), text)
    glyph, word, style = _FLOORS[session.floor]
    if session.floor is Floor.WORKING and session.asking:
        glyph, word, style = _ASKING
    if session.floor is Floor.LISTENING and session.with_sound and session.microphone is None:
        glyph, word, style = _OPENING
    if session.muted and session.with_sound:
        if session.floor in {Floor.LISTENING, Floor.IDLE}:
            return Content.assemble(("⊘ muted", "bold $warning"), ("  F3 opens the mic", QUIET))
        return Content.assemble((f"{glyph} {word}", style), (" · ⊘ muted", "bold $warning"))
    hint = _hint(session)
    return Content.assemble((f"{glyph} {word}", style), (f"  {hint}" if hint else "", QUIET))


def _hint(session: Session) -> str:
    if session.floor is Floor.SPEAKING:
        return "Esc stops"
    if session.asking:
        return "F8 to decide"
    if session.floor is Floor.IDLE and can_talk(session):
        return "Space or F2 to talk"
    if session.floor is Floor.HEARING and session.talking:
        return "Space or F2 to send"
    return ""


def can_talk(session: Session) -> bool:
    """True if the talk key does something: push-to-talk, and a microphone is there."""
    return session.with_sound and session.microphone is not None and not session.hands_free


class TopLine(Static):
    """Model, voice, link, latency of the last turn."""

    def __init__(self, session: Session) -> None:
        super().__init__("", markup=False, id="top")
        self._session = session
        self._drawn: Content | None = None

    def show(self) -> None:
        """Draw the line again if the session's state looks different."""
        if self._drawn is None or not self._line().is_same(self._drawn):
            self.refresh()

    def render(self) -> Content:
        """The line for the width there is; what matters least is left out first."""
        self._drawn = self._line()
        return self._drawn

    def _line(self) -> Content:
        session = self._session
        width = self.content_size.width
        name = Content("voicechat").stylize("bold $primary")
        glyph, word, style = _LINKS[session.link]
        room = width - name.cell_length - 2
        parts = [(0, Content(f"{glyph} {word}").stylize(style))]
        if session.recording:
            parts.append((1, Content("◉ recording").stylize("$error")))
        if limit := session.near_limit:
            parts.append((1, plain(f"▲ {left(limit)} % of {limit.name} left", "$warning")))
        if session.model:
            model = plain(session.model).truncate(max(16, room * 3 // 5), ellipsis=True)
            parts.append((2, model))
        if session.latency_ms is not None:
            waited = f"answered in {duration(session.latency_ms)}"
            parts.append((3, Content(waited).stylize(QUIET)))
        if not session.with_sound:
            parts.append((4, Content("text only").stylize(QUIET)))
        elif session.voice:
            parts.append((7, plain(f"voice {session.voice}", QUIET)))
        if used := spent(session.usage):
            parts.append((6, Content(used).stylize(QUIET)))
        if session.shown_cost:
            parts.append((5, Content(f"≈ {session.shown_cost}").stylize(QUIET)))
        return spread(name, joined(parts, room), width)


def spent(usage: Usage) -> str:
    """What was used, in one short word: tokens, or seconds where those are billed."""
    if tokens := usage.total_tokens or usage.input_tokens + usage.output_tokens:
        return f"{tokens:,} tokens"
    return f"{usage.seconds:,.0f} s billed" if usage.seconds else ""


class FloorLine(Static):
    """Who has the floor, and what the microphone and the speaker do just now."""

    def __init__(self, session: Session) -> None:
        super().__init__("", markup=False, id="floor")
        self._session = session
        self._levels = LevelsChanged(QUIETEST, QUIETEST)
        self._link_text = ""
        self._drawn: Content | None = None

    def show(self, levels: LevelsChanged, link_text: str) -> None:
        """Draw the line again if these levels or the session's state look different."""
        self._levels, self._link_text = levels, link_text
        line = self._line()
        if self._drawn is None or not line.is_same(self._drawn):
            self.refresh()

    def render(self) -> Content:
        """The line for the width there is."""
        self._drawn = self._line()
        return self._drawn

    def _line(self) -> Content:
        session = self._session
        width = self.content_size.width
        left = floor_line(session, self._link_text)
        if not session.with_sound or width < 36:
            return spread(left, Content(""), width)
        right = self._meters(12 if width >= 100 else 8 if width >= 70 else 4)
        if left.cell_length + right.cell_length + 2 > width:
            right = self._meters(3)
        return spread(left, right, width)

    def _meters(self, cells: int) -> Content:
        session = self._session
        levels = self._levels
        speaker = meter(levels.speaker, cells, "$primary", levels.speaker_peak)
        if session.speaker is None:
            speaker = _word("none", cells, QUIET)
        mic = self._microphone(cells)
        return Content.assemble(("mic ", QUIET), mic, ("  speaker ", QUIET), speaker)

    def _microphone(self, cells: int) -> Content:
        session = self._session
        if session.microphone is None:
            return _word("none", cells, QUIET)
        if session.muted:
            return _word("muted", cells, "$warning")
        if not session.hands_free and not session.talking:
            return _word("closed", cells, QUIET)
        return meter(self._levels.mic, cells, "$success", self._levels.mic_peak)
