"""The history screen: search past conversations, read them, continue, fork and edit them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from voicechat.errors import VoicechatError
from voicechat.history import history_calls
from voicechat.history.history_export import local_time
from voicechat.history.history_reader import FoundConversation
from voicechat.history.history_rows import TOOL, ConversationRow, ItemRow
from voicechat.history.stored_conversation import StoredConversation
from voicechat.system.daemon_call import call_with_deadline
from voicechat.tui.safe_text import plain
from voicechat.tui.screens.line_sheet import LineSheet
from voicechat.tui.screens.screen_with_workers import ScreenWithWorkers
from voicechat.tui.widgets.entry_text import QUIET
from voicechat.tui.widgets.text_columns import WidthText, fitting

if TYPE_CHECKING:
    from voicechat.session.session import Session

DEADLINE_S = 10.0
"""Seconds that the disk may take."""

MOST_LISTED = 200
"""Conversations in the list: the last ones."""

_LINES = 2
"""Lines of most conversations in the list."""

_MORE = "These are the last {}. Type more words to find others."

MOST_SHOWN = 300
"""Items of a conversation in the preview: the last ones."""

_EMPTY = "The history is empty. Each conversation is kept here from its first message on."
PREVIEW_CHARACTERS = 400
"""Characters of an item in the preview."""

_CLOSE = ("Esc", "closes")
_UNDO = ("F9", "undoes")
_KEYS = (
    ("Enter", "continues"),
    ("Tab", "turns"),
    ("F2", "renames"),
    ("F8", "deletes"),
    ("F4", "exports"),
)
_LABELS = {"user": "you", "assistant": "voice"}
_TURN_KEYS = (("Enter", "forks from this turn"), ("Tab", "conversations"))

T = TypeVar("T")


class TurnList(OptionList):
    """The turns of a conversation, which can be paged through once they have room."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return False for paging in a list without lines; that raises `KeyError`."""
        if action in ("page_up", "page_down") and not self.scrollable_content_region:
            return False
        return super().check_action(action, parameters)


class HistoryScreen(ScreenWithWorkers):
    """The conversations that match the typed words, and a preview of the selected one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f7", "close", "Close"),
        Binding("up", "move(-1)", "Up"),
        Binding("down", "move(1)", "Down"),
        Binding("pageup", "page(-1)", "Page up"),
        Binding("pagedown", "page(1)", "Page down"),
        Binding("tab,shift+tab", "switch", "Turns"),
        Binding("f2", "rename", "Rename"),
        Binding("f4", "export", "Export"),
        Binding("f8", "delete", "Delete"),
        Binding("f9", "undo", "Undo"),
    ]
    AUTO_FOCUS = "#history-search"

    def __init__(self, session: Session, words: str = "") -> None:
        super().__init__()
        self._session = session
        self._words = words
        self._found: list[FoundConversation] = []
        self._failed = False
        """True while the note is about a failure."""
        self._searched: str | None = None
        """The words that `_found` contains; None before the first search."""
        self._stored: StoredConversation | None = None
        self._deleted: list[ConversationRow] = []
        """Deleted conversations, the last one at the end; gone when the screen closes."""

    def compose(self) -> ComposeResult:
        """Yield the search, the list, the preview and the keys."""
        yield Input(
            self._words, placeholder="Search the history", id="history-search", compact=True
        )
        with Horizontal(id="history-panes"):
            yield OptionList(id="history-list", markup=False)
            yield TurnList(id="history-turns", markup=False)
        yield Static("", markup=False, id="history-note")
        yield Static("", markup=False, id="history-keys")

    def on_mount(self) -> None:
        """Show the last conversations, or those with the words of the command."""
        self._show_line("Looking …")
        self._search()

    # ---------------------------------------------------------------- searching

    @on(Input.Changed, "#history-search")
    def _typed(self) -> None:
        self._search()

    @work(group="search", exclusive=True)
    async def _search(self, selected: str = "") -> None:
        await self._show_found(selected)

    async def _show_found(self, selected: str = "") -> None:
        if not self._is_shown:
            return
        words = self.query_one("#history-search", Input).value
        log = self._session.history if self._session.conversation_id else None
        if log is not None:
            log.flush()

        def work() -> list[FoundConversation]:
            if log is not None:
                log.wait_saved()
            return history_calls.find(words, MOST_LISTED + 1)

        found = await self._run(work)
        if not self._is_shown:
            return
        if found is None:
            self.query_one("#history-list", OptionList).clear_options()
            self._show_line("Type to try again.")
            return
        self._note_failure("")
        has_more = len(found) > MOST_LISTED
        del found[MOST_LISTED:]
        self._found, self._searched = found, words
        shown = self.query_one("#history-list", OptionList)
        shown.clear_options()
        now = time.time()
        current = self._session.conversation_id
        shown.add_options(_option(each, now, current) for each in found)
        if has_more:
            self._show_line(_MORE.format(MOST_LISTED))
        if found:
            ids = [each.conversation.id for each in found]
            shown.highlighted = ids.index(selected) if selected in ids else 0
        else:
            self._clear_preview()
            self._show_line("Nothing was found." if words.strip() else _EMPTY)
        self._show_keys()

    def _show_line(self, text: str) -> None:
        """Add a line that cannot be chosen to the list."""
        line = Option(plain(text, QUIET), disabled=True)
        self.query_one("#history-list", OptionList).add_option(line)

    async def _run(self, work: Callable[[], T]) -> T | None:
        """Run a request to the history on a thread; report its failure and return None."""
        try:
            return await call_with_deadline(work, DEADLINE_S)
        except TimeoutError:
            self._note_failure("The history does not answer: the disk is too slow.")
        except VoicechatError as error:
            self._note_failure(str(error))
        return None

    def _note_failure(self, text: str) -> None:
        """Show a failure; an empty text removes the last one."""
        if text or self._failed:
            self._note(text)
        self._failed = bool(text)

    @property
    def _is_shown(self) -> bool:
        """False before the screen has its widgets, and when a worker outlives them."""
        return bool(self.query("#history-keys"))

    def _note(self, text: str) -> None:
        if not self._is_shown:
            return
        note = self.query_one("#history-note", Static)
        note.update(plain(text))
        note.display = bool(text)

    # ---------------------------------------------------------------- the preview

    @on(OptionList.OptionHighlighted, "#history-list")
    def _highlighted(self) -> None:
        self._preview()

    @work(group="preview", exclusive=True)
    async def _preview(self) -> None:
        row = self._selected
        if row is None:
            return
        stored = await self._run(lambda: history_calls.load(row.id))
        if stored is None or not self._is_shown or row is not self._selected:
            return
        self._stored = stored
        turns = self.query_one("#history-turns", OptionList)
        turns.clear_options()
        numbered = list(enumerate(stored.items))[-MOST_SHOWN:]
        shown = [(number, item) for number, item in numbered if not item.hidden]
        turns.add_options(Option(_turn(item), id=str(number)) for number, item in shown)
        words = self.query_one("#history-search", Input).value.lower().split()
        matching = (at for at, (_, item) in enumerate(shown) if _has_all(item, words))
        turns.highlighted = next(matching, None) if words else None
        if not words:
            turns.scroll_home(animate=False)

    def _clear_preview(self) -> None:
        self._stored = None
        self.query_one("#history-turns", OptionList).clear_options()

    @property
    def _selected(self) -> ConversationRow | None:
        if not self._is_shown:
            return None
        at = self.query_one("#history-list", OptionList).highlighted
        return self._found[at].conversation if at is not None and at < len(self._found) else None

    # ---------------------------------------------------------------- keys

    @property
    def _in_turns(self) -> bool:
        return self.focused is not None and self.focused.id == "history-turns"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return False for keys that are pressed before the screen has its widgets."""
        return action == "close" or self._is_shown

    def action_move(self, by: int) -> None:
        """Select the next or the previous conversation, or turn."""
        shown = self.query_one("#history-turns" if self._in_turns else "#history-list", OptionList)
        if by > 0:
            shown.action_cursor_down()
        else:
            shown.action_cursor_up()

    def action_page(self, by: int) -> None:
        """Select a conversation a page away; the turns have these keys themselves."""
        shown = self.query_one("#history-list", OptionList)
        if shown.highlighted is not None:
            wanted = shown.highlighted + by * max(1, shown.size.height // _LINES)
            shown.highlighted = min(max(0, wanted), len(self._found) - 1)

    def action_switch(self) -> None:
        """Move between the search and the turns of the selected conversation."""
        is_inside = self._in_turns
        turns = self.query_one("#history-turns", OptionList)
        if not is_inside and not turns.option_count:
            return
        if not is_inside and turns.highlighted is None:
            turns.highlighted = turns.option_count - 1
        (self.query_one("#history-search") if is_inside else turns).focus()

    @on(events.DescendantFocus)
    def _show_keys(self) -> None:
        """Show the keys that have an effect now."""
        if not self._is_shown:
            return
        keys = [_UNDO] if self._deleted else []
        if self._in_turns:
            keys = list(_TURN_KEYS)
        elif self._found:
            keys = [*_KEYS[:4], *keys, *_KEYS[4:]]
        parts = [
            Content.assemble((key, "bold"), (f" {what}", QUIET)) for key, what in (*keys, _CLOSE)
        ]
        line = WidthText(lambda width: fitting(parts, "  ", width))
        self.query_one("#history-keys", Static).update(line)

    @on(OptionList.OptionSelected, "#history-list")
    def _picked(self) -> None:
        """Continue the conversation of the preview; the first click on another one shows it."""
        row, stored = self._selected, self._stored
        if row is not None and stored is not None and stored.row.id == row.id:
            self._continue(stored)

    @on(Input.Submitted, "#history-search")
    @work(group="open", exclusive=True)
    async def _submitted(self) -> None:
        """Continue the selected conversation, found with all words that were typed before."""
        if not self._is_shown:
            return
        if self.query_one("#history-search", Input).value != self._searched:
            self.workers.cancel_group(self, "search")
            await self._show_found()
        row, stored = self._selected, self._stored
        if row is not None and (stored is None or stored.row.id != row.id):
            stored = await self._run(lambda: history_calls.load(row.id))
        if row is not None and stored is not None and self._is_shown:
            self._continue(stored)

    def _continue(self, stored: StoredConversation) -> None:
        if stored.row.id != self._session.conversation_id:
            self._session.continue_conversation(stored)
        self.action_close()

    @on(OptionList.OptionSelected, "#history-turns")
    def _fork(self, message: OptionList.OptionSelected) -> None:
        if self._stored is not None and message.option_id is not None:
            self._session.continue_conversation(self._stored.until(int(message.option_id)))
            self.action_close()

    def action_rename(self) -> None:
        """Ask for another title."""
        row = self._selected
        if row is None:
            return

        def accept(title: str | None) -> None:
            self._rename(row, title or "")

        self.app.push_screen(LineSheet("Rename the conversation", row.title), accept)

    @work(group="edit")
    async def _rename(self, row: ConversationRow, title: str) -> None:
        if title and title != row.title:
            await self._run(lambda: history_calls.rename(row.id, title))
            self._search(row.id)

    def action_export(self) -> None:
        """Ask for the file to write."""
        row = self._selected
        if row is None:
            return

        def accept(path: str | None) -> None:
            self._export(row, path or "")

        title = "Export to a file (.md, .json, .html, .txt or .srt)"
        self.app.push_screen(LineSheet(title, f"conversation-{row.id}.md"), accept)

    @work(group="edit")
    async def _export(self, row: ConversationRow, path: str) -> None:
        def work() -> str:
            history_calls.export(row.id, path)
            return f"Wrote {path}."

        if path and (done := await self._run(work)):
            self._note(done)

    @work(group="edit")
    async def action_delete(self) -> None:
        """Delete the selected conversation; `action_undo` brings it back."""
        row = self._selected
        if row is None:
            return
        if row.id == self._session.conversation_id:
            self._note("This conversation is open. Start a new one before you delete it.")
            return
        if await self._run(lambda: _hidden(row.id, True)):
            self._deleted.append(row)
            self._note(f'Deleted "{row.title}". F9 brings it back, until you close the history.')
            self._search(self._next_to(row))

    def _next_to(self, row: ConversationRow) -> str:
        """Return the id of the conversation that takes the place of a deleted one."""
        ids = [each.conversation.id for each in self._found]
        at = ids.index(row.id) + 1 if row.id in ids else 0
        return ids[at] if at < len(ids) else ""

    @work(group="edit")
    async def action_undo(self) -> None:
        """Bring the last deleted conversation back."""
        if not self._deleted:
            self._note("There is nothing to undo.")
            return
        row = self._deleted[-1]
        if await self._run(lambda: _hidden(row.id, False)):
            self._deleted.pop()
            self._note(f'Brought back "{row.title}".')
            self._search(row.id)

    def action_close(self) -> None:
        """Permanently delete what was not brought back, and close the screen."""
        if ids := [row.id for row in self._deleted]:
            self.app.run_worker(_purge(ids), group="history", exit_on_error=False)
        self.dismiss()


async def _purge(ids: list[str]) -> None:
    await call_with_deadline(lambda: history_calls.purge(ids), DEADLINE_S)


def _hidden(conversation_id: str, is_hidden: bool) -> bool:
    history_calls.hide(conversation_id, is_hidden)
    return True


def _option(found: FoundConversation, now: float, current: str) -> Option:
    row = found.conversation
    mark = "● " if row.id == current else ""
    title = plain(f"{mark}{row.title or 'No title'}", "bold")
    count = f"{row.turns} turn{'' if row.turns == 1 else 's'}"
    fork = " · fork" if row.parent_id else ""
    when = age(now - row.changed_at, row.changed_at)
    details = plain(f"{when} · {count} · {row.model}{fork}", QUIET)
    lines = [title, details, *([plain(found.excerpt)] if found.excerpt else [])]
    return Option(Content("\n").join(lines), id=row.id)


def age(seconds: float, at: float) -> str:
    """Return how long ago something was: "5 min ago", or its day after a week."""
    if seconds < 60:
        return "just now"
    for unit, length, most in (("min", 60, 3600), ("h", 3600, 86_400), ("d", 86_400, 604_800)):
        if seconds < most:
            return f"{int(seconds // length)} {unit} ago"
    return local_time(at)[:10]


def _turn(item: ItemRow) -> Content:
    if item.role == TOOL:
        text = f"{item.name} {item.arguments} → {item.output or item.status}"
        return Content.assemble(("tool  ", "bold"), plain(_short(text), QUIET))
    name = plain(f"{_LABELS.get(item.role, 'note'):<6}", "bold")
    cut = plain(f" [not heard: {_short(item.unheard)}]", QUIET) if item.unheard.strip() else ""
    picture = plain("[Picture] ", QUIET) if item.picture else ""
    return Content.assemble(name, picture, plain(_short(item.shown)), cut)


def _short(text: str) -> str:
    line = " ".join(text[: PREVIEW_CHARACTERS + 1].split())
    return line if len(text) <= PREVIEW_CHARACTERS else f"{line[:PREVIEW_CHARACTERS]}…"


def _has_all(item: ItemRow, words: list[str]) -> bool:
    text = f"{item.text} {item.name} {item.arguments} {item.output or ''}".lower()
    return all(word in text for word in words)
