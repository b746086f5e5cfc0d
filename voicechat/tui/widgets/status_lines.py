"""The status lines: model, link and latency at the top; floor and levels at the bottom."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from voicechat.core.effects import Floor
from voicechat.core.items import Usage
from voicechat.core.usage_meter import left
from voicechat.session.updates import LevelsChanged, Link
from voicechat.tui.keys import key_of, names_of
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import QUIET, duration

if TYPE_CHECKING:
    from voicechat.session.session import Session

MIN_LEVEL_DB = -60.0
"""Level in dBFS at the left end of a meter; the right end is 0 dBFS."""

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
_RESTING = {Floor.IDLE, Floor.LISTENING}
_OVER_BUDGET = ("▲", "budget used up", "bold $warning")
_OPENING = ("◌", "opening the microphone", QUIET)
_ASKING = ("?", "a tool needs your approval", "bold $warning")
_QUESTION = ("?", "a tool needs your answer", "bold $warning")


def left_and_right(left: Content, right: Content, width: int) -> Content:
    """Return one line with `left` at the left, and `right` at the right if it fits."""
    gap = width - left.cell_length - right.cell_length
    if gap < 1:
        return left.truncate(max(1, width), ellipsis=True)
    return Content.assemble(left, " " * gap, right)


def join_by_priority(parts: list[tuple[int, Content]], width: int) -> Content:
    """Join the parts with dots; if they exceed `width`, omit those with the highest numbers."""
    included: list[int] = []
    for index in sorted(range(len(parts)), key=lambda i: parts[i][0]):
        line = _join_with_dots([parts[i][1] for i in sorted([*included, index])])
        if line.cell_length <= width:
            included.append(index)
    return _join_with_dots([parts[i][1] for i in sorted(included)])


def _join_with_dots(parts: list[Content]) -> Content:
    return Content(" · ").stylize(QUIET).join(parts)


def meter(level: float, cells: int, style: str, peak: float = MIN_LEVEL_DB) -> Content:
    """Draw a level in dBFS as `cells` cells in half-cell steps, with a bar at the peak."""
    half_cells = round(_fraction(level) * cells * 2)
    full, half = divmod(half_cells, 2)
    rest = cells - full - half
    filled = ("━" * full + "╸" * half, style)
    peak_distance = min(round(_fraction(peak) * cells), cells) - (cells - rest)
    if peak_distance <= 0:
        return Content.assemble(filled, ("─" * rest, "$foreground 22%"))
    before, after = "─" * (peak_distance - 1), "─" * (rest - peak_distance)
    quiet = "$foreground 22%"
    return Content.assemble(filled, (before, quiet), ("│", style), (after, quiet))


def _fraction(level: float) -> float:
    """Return the filled fraction of a meter, 0.0 to 1.0."""
    return min(1.0, max(0.0, 1 - level / MIN_LEVEL_DB))


def _padded(word: str, cells: int, style: str) -> Content:
    """Return a word padded to the width of a meter; a longer word is not shortened."""
    return Content(f"{word:<{cells}}").stylize(style)


def state_of(session: Session) -> tuple[str, str, str]:
    """Return the state of the conversation: glyph, word and style."""
    if session.budget_used_up and session.floor in _RESTING:
        return _OVER_BUDGET
    if session.link is not Link.ONLINE:
        return _LINKS[session.link]
    glyph, word, style = _FLOORS[session.floor]
    if session.floor is Floor.SPEAKING and not session.with_sound:
        word = "speaking" if session.joins_call else "answering"
    if session.floor is Floor.HEARING and session.joins_call:
        word = "hearing the caller"
    if session.floor is Floor.WORKING and session.asking:
        return _ASKING
    if session.floor is Floor.WORKING and session.questions:
        return _QUESTION
    if session.with_sound and _is_opening(session):
        return _OPENING
    return glyph, word, style


def _is_opening(session: Session) -> bool:
    """Return True if the user may talk, but the microphone delivers nothing yet."""
    if session.microphone is None:
        return session.floor is Floor.LISTENING
    listens = session.floor is Floor.LISTENING or session.talking
    return listens and not session.loudness.hears


def floor_line(
    session: Session, link_text: str = "", *, on_card: bool = False, can_stop: bool = True
) -> Content:
    """Return the floor as glyph and word, or the link if it is not online, and the mute state.

    on_card: the approval card has the focus. can_stop: the key that stops speech does so now.
    """
    state = glyph, word, style = state_of(session)
    if state == _OVER_BUDGET:
        hint = f"  {key_of('decide')} allows more"
        return Content.assemble((f"{glyph} {word}", style), (hint, QUIET))
    if session.link is not Link.ONLINE:
        text = plain(f"  {link_text}", QUIET) if link_text else Content("")
        return Content.assemble((f"{glyph} {word}", style), text)
    if session.floor is Floor.SPEAKING and session.half_duplex and not session.muted:
        mode = (" · ◑ speak up to interrupt", "$warning")
        return Content.assemble((f"{glyph} {word}", style), mode, (_stop_hint(can_stop), QUIET))
    if session.muted and session.with_sound:
        if session.floor in {Floor.LISTENING, Floor.IDLE}:
            return Content.assemble(
                ("⊘ muted", "bold $warning"), (f"  {key_of('mute')} unmutes", QUIET)
            )
        return Content.assemble((f"{glyph} {word}", style), (" · ⊘ muted", "bold $warning"))
    if session.floor is Floor.LISTENING and session.microphone_is_silent:
        silent = ("  no sound from the microphone", "bold $warning")
        return Content.assemble((f"{glyph} {word}", style), silent)
    if session.floor is Floor.SPEAKING:
        return Content.assemble((f"{glyph} {word}", style), (_stop_hint(can_stop), QUIET))
    hint = _hint(session, on_card)
    return Content.assemble((f"{glyph} {word}", style), (f"  {hint}" if hint else "", QUIET))


def _stop_hint(can_stop: bool) -> str:
    return f"  {key_of('interrupt')} stops" if can_stop else ""


def _hint(session: Session, on_card: bool) -> str:
    if session.asking or session.questions:
        return "a letter chooses, Enter confirms" if on_card else f"{key_of('decide')} to decide"
    if session.floor is Floor.IDLE and can_talk(session):
        return f"Space or {key_of('talk')} to talk"
    if session.floor is Floor.HEARING and session.talking:
        return f"Space or {key_of('talk')} to send"
    return ""


def can_talk(session: Session) -> bool:
    """Return True if the talk key works: push-to-talk mode with a microphone."""
    return session.with_sound and session.microphone is not None and not session.hands_free


class StatusLine(Static):
    """One line about a session, drawn again only if it looks different."""

    def __init__(self, session: Session, name: str) -> None:
        super().__init__("", markup=False, id=name)
        self._session = session
        self._drawn: Content | None = None

    def redraw(self) -> None:
        """Redraw if the line looks different."""
        if self._drawn is None or not self._line().is_same(self._drawn):
            self.refresh()

    def render(self) -> Content:
        """Return the line for the current width."""
        self._drawn = self._line()
        return self._drawn

    @abstractmethod
    def _line(self) -> Content:
        """Return the line for the current width."""


class TopLine(StatusLine):
    """The top line: link, model, latency of the last turn, cost, usage and voice.

    The least important parts are omitted first.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session, "top")

    def _line(self) -> Content:
        session = self._session
        width = self.content_size.width
        name = Content("voicechat").stylize("bold $primary")
        glyph, word, style = _LINKS[session.link]
        available = width - name.cell_length - 2
        parts = [(0, Content(f"{glyph} {word}").stylize(style))]
        if session.recording:
            parts.append((1, Content("◉ recording").stylize("$error")))
        if limit := session.near_limit:
            parts.append((1, plain(f"▲ {left(limit)}% of {limit.name} left", "$warning")))
        if session.model:
            model = plain(session.model).truncate(max(16, available * 3 // 5), ellipsis=True)
            parts.append((2, model))
        if session.latency_ms is not None:
            latency = f"answered in {duration(session.latency_ms)}"
            parts.append((3, Content(latency).stylize(QUIET)))
        if session.latency_parts:
            parts.append((8, Content(session.latency_parts).stylize(QUIET)))
        if not session.with_sound:
            rank, kind = (1, "phone call") if session.joins_call else (4, "text only")
            parts.append((rank, Content(kind).stylize(QUIET)))
        elif session.voice:
            parts.append((7, plain(f"voice {session.voice}", QUIET)))
        is_metered = session.shown_cost or session.limits
        if is_metered and (used := usage_text(session.usage)):
            parts.append((6, Content(used).stylize(QUIET)))
        if session.shown_cost:
            parts.append((5, Content(f"≈ {session.shown_cost}").stylize(QUIET)))
        return left_and_right(name, join_by_priority(parts, available), width)


def usage_text(usage: Usage) -> str:
    """Return the usage in tokens, or in billed seconds if no tokens were reported."""
    if tokens := usage.total_tokens or usage.input_tokens + usage.output_tokens:
        return f"{tokens:,} tokens"
    return f"{usage.seconds:,.0f} s billed" if usage.seconds else ""


class FloorLine(StatusLine):
    """The floor line: floor or link, and the levels of microphone and speaker."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, "floor")
        self._levels = LevelsChanged(MIN_LEVEL_DB, MIN_LEVEL_DB)
        self._link_text = ""
        self._on_card = False
        self._can_stop: bool | None = None
        """True if the focused widget and the screen leave the key that stops speech to the session;
        None if the bindings have changed since."""

    def on_mount(self) -> None:
        """Look for the key again at the next redraw after the bindings have changed."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _screen: Screen[object]) -> None:
        self._can_stop = None

    def show(self, levels: LevelsChanged, link_text: str, *, on_card: bool = False) -> None:
        """Redraw if these levels or the state of the session look different.

        on_card: the approval card has the focus.
        """
        self._levels, self._link_text, self._on_card = levels, link_text, on_card
        self.redraw()

    def _line(self) -> Content:
        session = self._session
        width = self.content_size.width
        can_stop = session.floor is not Floor.SPEAKING or self._stops_speech()
        left = floor_line(session, self._link_text, on_card=self._on_card, can_stop=can_stop)
        if not session.with_sound or width < 36:
            return left_and_right(left, Content(""), width)
        right = self._meters(12 if width >= 100 else 8 if width >= 70 else 4)
        if left.cell_length + right.cell_length + 2 > width:
            right = self._meters(3)
        return left_and_right(left, right, width)

    def _stops_speech(self) -> bool:
        if self._can_stop is None:
            key = next(names_of(lambda key: key.action == "interrupt"))
            active = self.screen.active_bindings.get(key)
            self._can_stop = active is not None and active.binding.action == "interrupt"
        return self._can_stop

    def _meters(self, cells: int) -> Content:
        session = self._session
        levels = self._levels
        speaker = meter(levels.speaker, cells, "$primary", levels.speaker_peak)
        if session.speaker is None:
            speaker = _padded("none", cells, QUIET)
        mic = self._microphone(cells)
        return Content.assemble(("mic ", QUIET), mic, ("  speaker ", QUIET), speaker)

    def _microphone(self, cells: int) -> Content:
        session = self._session
        if session.microphone is None:
            return _padded("none", cells, QUIET)
        if session.muted:
            return _padded("muted", cells, "$warning")
        if not session.hands_free and not session.talking:
            return _padded("closed", cells, QUIET)
        return meter(self._levels.mic, cells, "$success", self._levels.mic_peak)
