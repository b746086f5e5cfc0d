"""A screen with a composer: completions, a search of earlier messages, and the user's editor."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import SuspendNotSupported
from textual.screen import Screen

from voicechat.core.effects import Level
from voicechat.errors import VoicechatError
from voicechat.line_mode.completion import Completion, completions
from voicechat.line_mode.slash_commands import find_command
from voicechat.system.daemon_call import call_with_deadline
from voicechat.tui.external_editor import MessageEditor
from voicechat.tui.keys import key_of
from voicechat.tui.widgets.completion_list import CompletionList
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.notice_line import NoticeLine

if TYPE_CHECKING:
    from voicechat.session.session import Session
    from voicechat.tui.composer_history import ComposerHistory

_COMPLETION_TIMEOUT_S = 2.0
_REPLY_S = 10.0
EDITOR_TIMEOUT_S = 24 * 3_600.0
"""Longest time for a message in the user's editor."""
MAX_FOUND = 50
"""Most earlier messages that a search shows."""


class ComposerHost(Screen[None]):
    """A screen with a composer and the list of its completions."""

    _session: Session

    def __init__(self) -> None:
        super().__init__()
        self._searched_from: str | None = None
        """The text of the composer before a search of earlier messages; None without a search."""
        self.ending: VoicechatError | None = None
        """Why the session takes no more messages; None while it does."""

    async def use_history(self, history: ComposerHistory) -> None:
        """Recall and search these messages, and add what is sent to them."""
        self.query_one(Composer).sent = history
        await history.load()

    def type_on(self, text: str, *, pasted: bool = False) -> None:
        """Enter text that was typed or pasted elsewhere, and focus the composer."""
        for composer in self.query(Composer):
            composer.focus()
            composer.insert_input(text, pasted=pasted)

    def keeps(self, text: str) -> bool:
        """Put a message that cannot be sent back and say why; return False if it can be sent."""
        why = self.ending
        if why is None and not self._session.capabilities.text_input:
            why = VoicechatError("This model takes no typed text.", "Speak to it.")
        if why is None:
            return False
        self.query_one(Composer).prefill(text)
        self._show_error(why)
        return True

    def _show_error(self, error: VoicechatError) -> None:
        self.query_one(NoticeLine).show(str(error), Level.WARNING, _REPLY_S, is_reply=True)

    # ---------------------------------------------------------------- completion

    @on(Composer.Changed)
    def _composer_changed(self) -> None:
        if self._searched_from is not None:
            self._show_found()
        else:
            self.suggest()

    @work(group="completion", exclusive=True)
    async def suggest(self) -> None:
        """Show the completions of the composer's text."""
        composer, shown = self.query_one(Composer), self.query_one(CompletionList)
        line = composer.text
        found: list[Completion] = []
        if line.startswith("/") and not composer.is_recalled:
            with suppress(TimeoutError):
                async with asyncio.timeout(_COMPLETION_TIMEOUT_S):
                    found = await asyncio.to_thread(completions, self._session, line)
        if composer.text == line:
            shown.show(line, found)

    def _complete_with(self, key: str) -> bool:
        """Select, apply or close the completions of the typed text; False if there are none."""
        shown, composer = self.query_one(CompletionList), self.query_one(Composer)
        if self._searched_from is not None:
            self._search_with(key)
            return True
        if not shown.display or shown.line != composer.text:
            return False
        match key:
            case "up" | "down":
                shown.move(-1 if key == "up" else 1)
            case "escape":
                shown.show(composer.text, ())
            case "tab":
                self._complete(shown.selected)
            case _ if self._is_whole(composer.text) and not shown.was_moved:
                return False
            case _:
                self._complete(shown.selected)
                command = find_command(composer.text)
                is_whole = command is not None and not composer.text.endswith((" ", "/"))
                if command is not None and is_whole and not command.edits_choice:
                    composer.send()
        return True

    @staticmethod
    def _is_whole(line: str) -> bool:
        """Return True if the line runs as it is: a command, with or without an argument."""
        return find_command(line) is not None

    @on(CompletionList.Picked)
    def _completion_picked(self, message: CompletionList.Picked) -> None:
        self.query_one(Composer).focus()
        self._searched_from = None
        self._complete(message.completion)

    def _complete(self, completion: Completion | None) -> None:
        if completion is not None:
            composer = self.query_one(Composer)
            composer.load_text(completion.line)
            composer.move_cursor(composer.document.end)

    # ---------------------------------------------------------------- search of earlier messages

    def action_search_history(self) -> None:
        """Search the messages that the user sent for the typed words; again: the next older one."""
        composer, shown = self.query_one(Composer), self.query_one(CompletionList)
        composer.focus()
        if self._searched_from is None:
            self._searched_from = composer.text
            self._show_found()
        else:
            shown.move(1)

    def _show_found(self) -> None:
        composer, shown = self.query_one(Composer), self.query_one(CompletionList)
        found = composer.sent.search(composer.text)[:MAX_FOUND]
        key = key_of("search_history")
        note = (
            f"{key} or Down: older · Enter takes it · Esc cancels" if found else "no such message"
        )
        rows = [Completion(text, " ".join(text.split())) for text in found]
        shown.show(composer.text, rows, title=f"earlier messages: {note}")

    def _search_with(self, key: str) -> None:
        """Use a key for the search; Enter and Tab take the selected message to the composer."""
        composer, shown = self.query_one(Composer), self.query_one(CompletionList)
        if shown.line != composer.text:
            self._show_found()
        if key in {"up", "down"}:
            shown.move(-1 if key == "up" else 1)
            return
        before, self._searched_from = self._searched_from or "", None
        selected = None if key == "escape" else shown.selected
        shown.show(composer.text, ())
        if selected is not None or key == "escape":
            self._complete(selected or Completion(before, ""))

    # ---------------------------------------------------------------- the user's editor

    @work(group="editor", exclusive=True)
    async def action_edit_in_editor(self) -> None:
        """Open the message in the user's editor, which has the terminal until it ends."""
        composer = self.query_one(Composer)
        try:
            editor = MessageEditor(composer.text)
            with self.app.suspend():
                try:
                    text = await call_with_deadline(editor.edit, EDITOR_TIMEOUT_S)
                finally:
                    editor.stop()
        except SuspendNotSupported:
            self._show_error(VoicechatError("This terminal cannot be given to an editor."))
        except TimeoutError:
            self._show_error(VoicechatError("The editor was open for a day and is closed."))
        except VoicechatError as error:
            self._show_error(error)
        else:
            composer.load_text(text)
            composer.move_cursor(composer.document.end)
        composer.focus()
