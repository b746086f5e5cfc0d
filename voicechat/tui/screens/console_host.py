"""A screen with the event console: opens and closes it, and links its frames to the transcript."""

from __future__ import annotations

import asyncio
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from textual import events, on, work
from textual.content import Content
from textual.screen import Screen

from voicechat.core.effects import Level
from voicechat.core.items import Item, entry_id
from voicechat.core.text import clean, excerpt
from voicechat.errors import UsageError
from voicechat.history.history_calls import write_document
from voicechat.session.frame_filter import json_lines
from voicechat.session.frame_log import FrameLog, FrameRow
from voicechat.tui.keys import key_name, key_of
from voicechat.tui.screens.line_sheet import LineSheet
from voicechat.tui.screens.sheet import Sheet
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.console_panel import CONSOLE_KEYS, ConsolePanel, note_closed
from voicechat.tui.widgets.entry_text import is_visible
from voicechat.tui.widgets.entry_widgets import EntryLine
from voicechat.tui.widgets.notice_line import NoticeLine
from voicechat.tui.widgets.text_columns import WidthText, two_columns
from voicechat.tui.widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from voicechat.session.session import Session

_OPEN = "-console"
"""CSS class of the screen while the console is shown."""
_REPLY_S = 5.0


class ConsoleHost(Screen[None]):
    """A screen with a transcript that can show the frames of its session."""

    _session: Session

    def __init__(self) -> None:
        super().__init__()
        self._frame_log = FrameLog()
        """Kept while the console is closed."""
        self._console_closed_at: float | None = None

    @property
    def console(self) -> ConsolePanel | None:
        """The open console; None if it is closed."""
        return next((child for child in self.children if isinstance(child, ConsolePanel)), None)

    # ---------------------------------------------------------------- open and close

    async def action_console(self) -> None:
        """Open the console, give it the focus, or close it if it has the focus."""
        console = self.console
        if console is None or not console.display:
            await self.open_console(focus=True)
        elif console.has_focus_within:
            await self.close_console()
        else:
            console.focus_list()

    async def request_console(self, text: str) -> None:
        """Open with a filter, close with "off", and open or close with an empty text."""
        console = self.console
        if text == "off" or (not text and console is not None and console.display):
            await self.close_console()
            return
        await self.open_console(text)
        if text and self.console is not None:
            self.console.set_filter(text)

    async def open_console(self, filter_text: str = "", *, focus: bool = False) -> None:
        """Open the console, or show the one that the transcript covers."""
        console = self.console
        if console is None:
            if self._console_closed_at is not None and len(self._frame_log):
                note_closed(self._frame_log, self._console_closed_at)
            console = ConsolePanel(self._session, self._frame_log, filter_text)
            await self.mount(console, before=self.query_one(TranscriptView))
        console.display = True
        self.add_class(_OPEN)
        if focus:
            console.focus_list()

    async def close_console(self) -> None:
        """Close the console; from then on no frame is traced."""
        console = self.console
        if console is not None:
            self._console_closed_at = monotonic()
            await console.remove()
        self.remove_class(_OPEN)
        self._focus_conversation()

    def explain_letter(self) -> bool:
        """Say that letters are keys, if the console has the focus; return False if it has not."""
        console = self.console
        if console is None or not console.has_focus_within:
            return False
        back = f"{key_name('escape')} goes back to the message."
        self._reply(f"Letters are keys in the console; ? lists them. {back}")
        return True

    def page_console(self, by: int) -> bool:
        """Move the focused console by pages; return False if it has no focus."""
        console = self.console
        if console is None or not console.has_focus_within:
            return False
        console.page(by)
        return True

    def _focus_conversation(self) -> None:
        for composer in self.query(Composer):
            composer.focus()
            return
        self.set_focus(None)

    def _reply(self, text: str, level: Level = Level.INFO) -> None:
        self.query_one(NoticeLine).show(text, level, _REPLY_S, is_reply=True)

    @on(ConsolePanel.Left)
    def _console_left(self) -> None:
        self._focus_conversation()

    # ---------------------------------------------------------------- frames and transcript

    @on(ConsolePanel.EntryWanted)
    async def _entry_wanted(self, message: ConsolePanel.EntryWanted) -> None:
        """Scroll to the transcript entry of a frame, and mark it."""
        key = self._entry_of(message.row)
        console = self.console
        if key is None or console is None:
            self._reply("This frame belongs to no entry of the transcript.")
            return
        back = ""
        if not self.has_class("-wide"):
            console.display = False
            self.remove_class(_OPEN)
            self._focus_conversation()
            back = f" {key_of('console')} goes back to the frames."
        await self.query_one(TranscriptView).reveal(key)
        self._reply(f"The frame belongs to {self._name_of(key)}.{back}")

    def _entry_of(self, row: FrameRow) -> str | None:
        transcript = self._session.transcript
        for key in sorted(row.entries):
            entry = transcript.get(key)
            if entry is not None and is_visible(entry):
                return entry_id(entry)
        return None

    @on(ConsolePanel.EntryStepped)
    async def _entry_stepped(self, message: ConsolePanel.EntryStepped) -> None:
        """Go to the frames of the entry before or after the marked one, or the selected frame."""
        view = self.query_one(TranscriptView)
        keys = [entry_id(each) for each in self._session.transcript.entries if is_visible(each)]
        console = self.console
        if console is None or not keys:
            return
        row = console.selected
        current = view.marked or (self._entry_of(row) if row is not None else None)
        at = keys.index(current) + message.by if current in keys else len(keys) - 1
        await self._show_frames(keys[min(max(0, at), len(keys) - 1)])

    async def on_click(self, event: events.Click) -> None:
        """Go to the frames of a clicked entry while the console is open."""
        line = event.widget
        if isinstance(line, EntryLine) and line.text_selection is None:
            await self._show_frames(entry_id(line.entry))

    async def _show_frames(self, key: str) -> None:
        """Mark an entry, and go to its first frame."""
        console = self.console
        if console is None:
            return
        await self.query_one(TranscriptView).reveal(key)
        if console.show_entry(key):
            self._reply(f"Frames of {self._name_of(key)}.")
        else:
            self._reply(f"The console has no frames of {self._name_of(key)}.")

    def _name_of(self, key: str) -> str:
        """Return the start of the text of an entry, or the name of a tool."""
        entry = self._session.transcript.get(key)
        if isinstance(entry, Item):
            return f"“{excerpt(entry.text.strip().rstrip('.'), 40)}”"
        return entry.name if entry is not None else "the entry"

    # ---------------------------------------------------------------- help, copy, save, send

    @on(ConsolePanel.KeysWanted)
    def _keys_wanted(self) -> None:
        rows = [(Content(key).stylize("bold"), Content(text)) for key, _, text in CONSOLE_KEYS]
        text = WidthText(lambda width: Content("\n").join(two_columns(rows, 8, width)))
        self.app.push_screen(Sheet("Event console", text))

    @on(ConsolePanel.TextCopied)
    def _frame_copied(self, message: ConsolePanel.TextCopied) -> None:
        self.app.copy_to_clipboard(message.text)

    @on(ConsolePanel.SaveWanted)
    def _save_wanted(self, message: ConsolePanel.SaveWanted) -> None:
        """Ask for the file to write."""
        rows = message.rows
        count = f"{len(rows):,} row{'s' * (len(rows) != 1)}"

        def accept(path: str | None) -> None:
            if path:
                self._save(path, rows, count)

        name = f"voicechat-frames-{datetime.now():%Y%m%d-%H%M%S}.jsonl"
        self.app.push_screen(LineSheet(f"Save {count} to a file", name), accept)

    @work(group="save", exclusive=True)
    async def _save(self, path: str, rows: list[FrameRow], count: str) -> None:
        """Write the rows to a new private file."""
        try:
            await asyncio.to_thread(lambda: write_document(path, json_lines(rows)))
        except UsageError as error:
            self._reply(str(error), Level.WARNING)
        else:
            self._reply(f"Saved {count} to {clean(path)}.")

    @on(ConsolePanel.SendWanted)
    def _send_wanted(self) -> None:
        """Begin an event in the composer, which completes its type."""
        for composer in self.query(Composer):
            composer.focus()
            composer.prefill("/event ")
            return
        self._reply("A recording can only be watched.")
