"""The card of a tool call that waits: what would run, whole, and the keys that decide.

One call at a time is on the card. It has the focus only when the user went there since this call
appeared: what is being typed, and what was pressed before the card came, decides nothing. There an
arrow or a letter marks a choice, and Enter takes the one that is marked, once it is to be seen. Any
other character is the beginning of a message and goes to the line one types in. What is longer than
the card must be read to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from voicechat.core.inputs import Decision
from voicechat.line_mode.approval_view import ApprovalView, approval_view
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import QUIET

if TYPE_CHECKING:
    from voicechat.core.items import ToolCall

_CHOICES: tuple[tuple[str, str, Decision | None], ...] = (
    ("o", "once", Decision.ONCE),
    ("s", "session", Decision.SESSION),
    ("a", "always", Decision.ALWAYS),
    ("d", "deny", Decision.DENY),
    ("w", "deny with a reason", None),
)
"""Key, word, and what Enter then decides; nothing where words are to be typed first."""


class ApprovalCard(Vertical, can_focus=True):
    """Shows the call to decide on; posts `Decided`, `WithWords` or `Typed`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", show=False),
        Binding("right", "move(1)", show=False),
        Binding("enter", "take", show=False),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("home", "scroll_to(False)", show=False),
        Binding("end", "scroll_to(True)", show=False),
    ]

    @dataclass
    class Decided(Message):
        """The user decided on the call with this id, having seen these arguments."""

        call_id: str
        arguments: str
        decision: Decision

    @dataclass
    class WithWords(Message):
        """The user denies the call with this number and wants to say why."""

        number: int

    @dataclass
    class Typed(Message):
        """The user types or pastes a message; this is its beginning."""

        text: str
        pasted: bool = False

    def __init__(self) -> None:
        super().__init__(id="card")
        self.display = False
        self._call_id = ""
        self._arguments = ""
        self._number = 0
        self._waiting = 0
        self._choices = _CHOICES
        self._chosen, self._letters = "d", ""
        self._armed = self._seen = self._at_hand = False
        self._hint = ""

    def compose(self) -> ComposeResult:
        """Who asks, what would run, and the choices."""
        yield Static("", markup=False, id="card-title")
        yield VerticalScroll(id="card-body", can_focus=False)
        yield Static("", markup=False, id="card-choices")

    async def show(self, calls: tuple[ToolCall, ...]) -> bool:
        """Put the first of these calls on the card, or put the card away.

        True when another call is on it than before: what had the focus must not decide on it.
        """
        call = calls[0] if calls else None
        key = (call.call_id, call.arguments) if call is not None else ("", "")
        if key == (self._call_id, self._arguments):
            if self._waiting != len(calls) and call is not None:
                self._waiting = len(calls)
                self._draw_title(approval_view(call))
            return False
        self._call_id, self._arguments = key
        self._armed, self._hint, self._letters = False, "", ""
        self.display = call is not None
        if call is not None:
            self._number, self._waiting = call.number, len(calls)
            await self._fill(approval_view(call))
            self.call_after_refresh(self._arm, key)
        return True

    def _arm(self, key: tuple[str, str]) -> None:
        self._armed = key == (self._call_id, self._arguments)

    async def _fill(self, shown: ApprovalView) -> None:
        lasting = {Decision.SESSION: shown.allows_session, Decision.ALWAYS: shown.allows_always}
        self._choices = tuple(
            each for each in _CHOICES if each[2] is None or lasting.get(each[2], True)
        )
        self._draw_title(shown)
        self._mark("d")
        body = self.query_one("#card-body", VerticalScroll)
        await body.remove_children()
        await body.mount_all(_body(shown))
        body.scroll_home(animate=False)

    def _draw_title(self, shown: ApprovalView) -> None:
        more = self._waiting - 1
        behind = f"  {more} more {'waits' if more == 1 else 'wait'}" if more else ""
        source = plain(f"  {_flat(shown.source)}", QUIET) if shown.source else Content("")
        title = Content.assemble(
            ("? Allow to run: ", "bold $warning"),
            plain(_flat(shown.name), "bold"),
            source,
            (behind, QUIET),
        )
        self.query_one("#card-title", Static).update(title)

    def _draw_choices(self) -> None:
        self.query_one("#card-choices", Static).update(self._choice_line())

    def _choice_line(self) -> Content:
        if not self._at_hand:
            return Content.assemble(
                ("F8", "bold"), (" to decide  ", QUIET), ("Esc", "bold"), (" denies", QUIET)
            )
        parts = []
        for key, word, _ in self._choices:
            here = key == self._chosen
            style = "reverse" if here else QUIET
            parts.append(Content.assemble("›" if here else " ", (key, "bold"), (f" {word}", style)))
        parts.append(Content.assemble("· ", ("Enter", "bold"), (" decides", QUIET)))
        line = Content(" ").join(parts)
        return Content.assemble((f"{self._hint}\n", "$warning"), line) if self._hint else line

    def _mark(self, key: str) -> None:
        """Mark a choice; it can be taken when it was drawn."""
        self._chosen, self._seen, self._hint = key, False, ""
        self._draw_choices()
        self.call_after_refresh(self._drawn, key)

    def _drawn(self, key: str) -> None:
        self._seen = key == self._chosen

    def on_focus(self) -> None:
        """The keys are shown when they work, and what is marked is to deny."""
        self._at_hand, self._letters = True, ""
        self._mark("d")

    def on_blur(self) -> None:
        """And not any more when they do not."""
        self._at_hand, self._hint = False, ""
        self._draw_choices()

    # ---------------------------------------------------------------- keys

    def on_key(self, event: events.Key) -> None:
        """A letter of a choice marks it; any other begins a message, with the letters before it."""
        if not event.is_printable or event.character is None:
            return
        event.stop()
        event.prevent_default()
        self._letters += event.character
        if event.character in {key for key, _, _ in self._choices}:
            self._mark(event.character)
        else:
            self._hand_over("")

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted is a message, whatever it says."""
        event.stop()
        self._hand_over(event.text)

    def _hand_over(self, pasted: str) -> None:
        text, self._letters = self._letters + pasted, ""
        self.post_message(self.Typed(text, pasted=bool(pasted)))

    def action_take(self) -> None:
        """Take the choice that is marked, if all of it was to be seen."""
        if not (self._armed and self._seen):
            return
        decision = next(each[2] for each in self._choices if each[0] == self._chosen)
        if decision is None:
            self.post_message(self.WithWords(self._number))
        elif decision is not Decision.DENY and (hint := self._unread()):
            self._hint = hint
            self._draw_choices()
        else:
            self._armed = False
            self.post_message(self.Decided(self._call_id, self._arguments, decision))

    def _unread(self) -> str:
        """What is to be done before everything was to be seen; empty when it was."""
        body = self.query_one("#card-body", VerticalScroll)
        seen = self.screen.find_widget(body).visible_region.height
        if seen < max(1, body.outer_size.height):
            return "The window is too small to read it: make it larger, or deny."
        if body.scroll_y < body.max_scroll_y:
            return "Read to the end first: Page Down or End."
        return ""

    def action_move(self, by: int) -> None:
        """Mark the next choice to the left or right."""
        keys = [each[0] for each in self._choices]
        at = keys.index(self._chosen) + by
        self._letters = ""
        self._mark(keys[max(0, min(at, len(keys) - 1))])

    def action_scroll(self, lines: int) -> None:
        """Some lines on or back."""
        self.query_one("#card-body", VerticalScroll).scroll_relative(y=lines, animate=False)

    def page(self, pages: int) -> None:
        """A page on or back."""
        body = self.query_one("#card-body", VerticalScroll)
        body.scroll_relative(y=pages * max(1, body.size.height - 1), animate=False)

    def action_scroll_to(self, end: bool) -> None:
        """To the end, or the beginning."""
        body = self.query_one("#card-body", VerticalScroll)
        if end:
            body.scroll_end(animate=False, immediate=True)
        else:
            body.scroll_home(animate=False)


def _body(shown: ApprovalView) -> list[Static]:
    """What would run. A bar is drawn next to every line of a value, also of a wrapped one."""
    found = [Static(_remark(remark), markup=False) for remark in shown.remarks]
    fields = shown.fields
    if not fields:
        found.append(Static(Content("without arguments").stylize(QUIET), markup=False))
    for name, text in fields:
        if name:
            found.append(Static(plain(_flat(name), "bold"), markup=False, classes="name"))
        found.append(Static(plain(text), markup=False, classes="value"))
    return found


def _remark(remark: str) -> Content:
    return Content.assemble(("▲ ", "bold $warning"), plain(remark, "$warning"))


def _flat(name: str) -> str:
    return " ".join(name.split())
