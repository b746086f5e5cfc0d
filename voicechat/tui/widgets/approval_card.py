"""The approval card: a tool call or a question that waits for the user, and the keys to decide.

The card shows one call or question at a time. It gets the focus only if the user selects it after
this one appeared, so text being typed and keys pressed earlier decide nothing. On the card, an
arrow or a letter selects a choice, and Enter confirms the selected choice after it was drawn. Any
other character starts a message and goes to the composer. A call longer than the card must be
scrolled to its end before it can be allowed.
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
from textual.screen import Screen
from textual.widgets import Static

from voicechat.core.inputs import Decision
from voicechat.core.items import ToolCall
from voicechat.line_mode.approval_view import (
    ApprovalView,
    Question,
    Waiting,
    approval_view,
    question_view,
)
from voicechat.tui.keys import key_of
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import QUIET

if TYPE_CHECKING:
    from voicechat.session.session import Session

_CHOICES: tuple[tuple[str, str, Decision | None], ...] = (
    ("o", "once", Decision.ONCE),
    ("s", "session", Decision.SESSION),
    ("a", "always", Decision.ALWAYS),
    ("d", "deny", Decision.DENY),
    ("w", "deny with reason", None),
)
"""Key, label and decision of each choice; None if the user types a reason first."""

_QUESTION_CHOICES: tuple[tuple[str, str, Decision | None], ...] = (
    ("a", "answer", Decision.ONCE),
    ("d", "decline", Decision.DENY),
)


_UNSELECTED = (" ", QUIET, "bold")


class ApprovalCard(Vertical, can_focus=True):
    """A card with the call to decide on; posts one of its messages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", show=False),
        Binding("right", "move(1)", show=False),
        Binding("enter", "confirm", show=False),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("home", "scroll_to(False)", show=False),
        Binding("end", "scroll_to(True)", show=False),
    ]

    @dataclass
    class Decided(Message):
        """The user decided on the call with this id and the arguments shown."""

        call_id: str
        arguments: str
        decision: Decision

    @dataclass
    class CommandStarted(Message):
        """The user decides with a command of which this is the beginning."""

        text: str

    @dataclass
    class Answered(Message):
        """The user accepted a question without fields, or declined to answer it."""

        number: int
        accepts: bool

        def settle(self, session: Session) -> None:
            """Answer the question, if it still waits."""
            if self.number in {each.number for each in session.questions}:
                if self.accepts:
                    session.answer_question(self.number, "")
                else:
                    session.decline_question(self.number)

    @dataclass
    class Typed(Message):
        """The user started a message with this typed or pasted text."""

        text: str
        pasted: bool = False

    def __init__(self) -> None:
        super().__init__(id="card")
        self.display = False
        self._call_id = ""
        self._arguments = ""
        self._number = 0
        self._question: Question | None = None
        self._waiting_count = 0
        self._choices = _CHOICES
        self._pattern = ""
        self._selected, self._typed = "d", ""
        self._armed = self._selection_drawn = self._has_focus_keys = False
        self._hint = ""

    def compose(self) -> ComposeResult:
        """Yield the title, the call and the choices."""
        yield Static("", markup=False, id="card-title")
        yield VerticalScroll(id="card-body", can_focus=False)
        yield Static("", markup=False, id="card-choices")

    async def show(self, waiting: tuple[Waiting, ...], losses: str = "") -> bool:
        """Show the first of these calls and questions, or hide the card if there is none.

        losses: sentence about what the end of the session loses, for a call that ends it.
        Returns True if the call on the card changed. The caller must then move the focus away, so
        that a key meant for the previous call does not decide on this one.
        """
        first = waiting[0] if waiting else None
        key = _key(first)
        if key == (self._call_id, self._arguments):
            if self._waiting_count != len(waiting) and first is not None:
                self._waiting_count = len(waiting)
                self._draw_title(_view(first, losses))
            return False
        self._call_id, self._arguments = key
        self._armed, self._hint, self._typed = False, "", ""
        self.display = first is not None
        if first is not None:
            self._question = None if isinstance(first, ToolCall) else first
            self._number, self._waiting_count = first.number, len(waiting)
            await self._fill(_view(first, losses))
            self.call_after_refresh(self._set_armed, key)
        return True

    def _set_armed(self, key: tuple[str, str]) -> None:
        """Allow decisions if this call is still on the card after it was drawn."""
        self._armed = key == (self._call_id, self._arguments)

    async def _fill(self, shown: ApprovalView) -> None:
        lasting = {Decision.SESSION: shown.allows_session, Decision.ALWAYS: shown.allows_always}
        self._pattern = shown.pattern
        self._choices = tuple(
            ("a", "always…", each[2]) if self._pattern and each[2] is Decision.ALWAYS else each
            for each in (_QUESTION_CHOICES if self._question else _CHOICES)
            if each[2] is None or lasting.get(each[2], True)
        )
        self._draw_title(shown)
        self._select("d")
        body = self.query_one("#card-body", VerticalScroll)
        await body.remove_children()
        await body.mount_all(_body(shown, "" if self._question else "no arguments"))
        body.scroll_home(animate=False)

    def _draw_title(self, shown: ApprovalView) -> None:
        more = self._waiting_count - 1
        queued = f"  {more} more {'waits' if more == 1 else 'wait'}" if more else ""
        source = plain(f"  {_one_line(shown.source)}", QUIET) if shown.source else Content("")
        title = Content.assemble(
            ("? Asks you: " if self._question else "? Allow to run: ", "bold $warning"),
            plain(_one_line(shown.name), "bold"),
            source,
            (queued, QUIET),
        )
        self.query_one("#card-title", Static).update(title)

    def _draw_choices(self) -> None:
        self.query_one("#card-choices", Static).update(self._choice_line())

    def _choice_line(self) -> Content:
        if not self._has_focus_keys:
            return Content.assemble(
                (key_of("decide"), "bold"),
                (" to decide  ", QUIET),
                (key_of("interrupt"), "bold"),
                (" to deny", QUIET),
            )
        parts = []
        for key, label, _ in self._choices:
            selected = key == self._selected
            mark, style, of_key = ("›", "reverse", "bold reverse") if selected else _UNSELECTED
            parts.append(Content.assemble(mark, (key, of_key), (f" {label}", style)))
        parts.append(Content.assemble("· ", ("Enter", "bold"), (" confirms", QUIET)))
        line = Content(" ").join(parts)
        return Content.assemble((f"{self._hint}\n", "$warning"), line) if self._hint else line

    def _select(self, key: str) -> None:
        """Select a choice; it can be confirmed after it is drawn."""
        self._selected, self._selection_drawn, self._hint = key, False, ""
        self._draw_choices()
        self.call_after_refresh(self._on_selection_drawn, key)

    def _on_selection_drawn(self, key: str) -> None:
        self._selection_drawn = key == self._selected

    def on_focus(self) -> None:
        """Show the choices, with "deny" selected."""
        self._has_focus_keys, self._typed = True, ""
        self._select("d")

    def on_blur(self) -> None:
        """Hide the choices."""
        self._has_focus_keys, self._hint = False, ""
        self._draw_choices()

    # ---------------------------------------------------------------- keys

    def on_key(self, event: events.Key) -> None:
        """Select the choice with this letter; any other character starts a message."""
        if not event.is_printable or event.character is None:
            return
        event.stop()
        event.prevent_default()
        self._typed += event.character
        if event.character in {key for key, _, _ in self._choices}:
            self._select(event.character)
        else:
            self._post_typed()

    def on_paste(self, event: events.Paste) -> None:
        """Start a message with the pasted text."""
        event.stop()
        self._post_typed(event.text)

    def _post_typed(self, pasted: str = "") -> None:
        """Post a message with the letters typed since the card got the focus, and pasted text."""
        text, self._typed = self._typed + pasted, ""
        self.post_message(self.Typed(text, pasted=bool(pasted)))

    def action_confirm(self) -> None:
        """Confirm the selected choice; allowing requires that the whole call was visible."""
        if not (self._armed and self._selection_drawn):
            return
        decision = next(each[2] for each in self._choices if each[0] == self._selected)
        if decision is None:
            self.post_message(self.CommandStarted(f"/deny {self._number} "))
        elif decision is not Decision.DENY and (hint := self._unread_hint()):
            self._hint = hint
            self._draw_choices()
        elif decision is Decision.ALWAYS and self._pattern:
            # The user can widen the pattern before Enter.
            self.post_message(self.CommandStarted(f"/always {self._number} {self._pattern}"))
        else:
            self._armed = self._question is not None
            self.post_message(self._decision_message(decision))

    def _decision_message(self, decision: Decision) -> Message:
        accepts = decision is not Decision.DENY
        if self._question is None:
            return self.Decided(self._call_id, self._arguments, decision)
        if accepts and self._question.fields:
            return self.CommandStarted(self._question.template)
        return self.Answered(self._number, accepts)

    def _unread_hint(self) -> str:
        """Return what to do before the call can be allowed; empty if it was read to its end."""
        body = self.query_one("#card-body", VerticalScroll)
        visible = self.screen.find_widget(body).visible_region.height
        if visible < max(1, body.outer_size.height):
            return "The window is too small to show the call: make it larger, or deny."
        if body.scroll_y < body.max_scroll_y:
            return "Read to the end first: Page Down or End."
        return ""

    def action_move(self, by: int) -> None:
        """Select the choice `by` places to the right, or to the left if negative."""
        keys = [each[0] for each in self._choices]
        at = keys.index(self._selected) + by
        self._typed = ""
        self._select(keys[max(0, min(at, len(keys) - 1))])

    def action_scroll(self, lines: int) -> None:
        """Scroll the call by a number of lines."""
        self.query_one("#card-body", VerticalScroll).scroll_relative(y=lines, animate=False)

    def page(self, pages: int) -> None:
        """Scroll the call by a number of pages."""
        body = self.query_one("#card-body", VerticalScroll)
        body.scroll_relative(y=pages * max(1, body.size.height - 1), animate=False)

    def action_scroll_to(self, end: bool) -> None:
        """Scroll the call to its end or its start."""
        body = self.query_one("#card-body", VerticalScroll)
        if end:
            body.scroll_end(animate=False, immediate=True)
        else:
            body.scroll_home(animate=False)


def _key(waiting: Waiting | None) -> tuple[str, str]:
    """Return the id and the text that the user decides on."""
    if waiting is None:
        return "", ""
    if isinstance(waiting, ToolCall):
        return waiting.call_id, waiting.arguments
    return f"question {waiting.number}", waiting.shown


def cards_of(screen: Screen[None]) -> list[ApprovalCard]:
    """Return the approval card of a screen; none while the screen closes. Cheaper than a query."""
    return [child for child in screen.children if isinstance(child, ApprovalCard)]


def _view(waiting: Waiting, losses: str) -> ApprovalView:
    if isinstance(waiting, ToolCall):
        return approval_view(waiting, losses)
    return question_view(waiting)


def _body(shown: ApprovalView, empty: str) -> list[Static]:
    """Return the remarks and arguments of a call. The CSS draws a bar next to each value line."""
    widgets = [Static(_remark(remark), markup=False) for remark in shown.remarks]
    fields = shown.fields
    if not fields and empty:
        widgets.append(Static(Content(empty).stylize(QUIET), markup=False))
    for name, text in fields:
        if name:
            widgets.append(Static(plain(_one_line(name), "bold"), markup=False, classes="name"))
        widgets.append(Static(plain(text), markup=False, classes="value"))
    return widgets


def _remark(remark: str) -> Content:
    return Content.assemble(("▲ ", "bold $warning"), plain(remark, "$warning"))


def _one_line(name: str) -> str:
    return " ".join(name.split())
