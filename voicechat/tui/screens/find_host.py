"""A screen that finds words in its transcript and goes from match to match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on, work
from textual.screen import Screen

from voicechat.core.items import Entry, entry_id
from voicechat.line_mode.message_commands import entries_with
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.entry_text import is_visible
from voicechat.tui.widgets.find_bar import FindBar
from voicechat.tui.widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from voicechat.session.session import Session


class FindHost(Screen[None]):
    """A screen with a transcript in which the user can find words."""

    _session: Session

    def __init__(self) -> None:
        super().__init__()
        self._match = ""
        """Id of the entry of the shown match."""

    async def action_find(self) -> None:
        """Open the find bar, or go to the next earlier match."""
        bar = self._find_bar
        if bar is None:
            await self.open_find("")
        elif bar.has_focus_within:
            self._go(-1)
        else:
            bar.query("Input").first().focus()

    async def open_find(self, words: str) -> None:
        """Open the find bar with these words, or put them into the open bar."""
        bar = self._find_bar
        if bar is None:
            await self.mount(FindBar(words), before="#floor")
        elif words:
            bar.set_words(words)

    @property
    def _find_bar(self) -> FindBar | None:
        return next(iter(self.query(FindBar)), None)

    @on(FindBar.Changed)
    def _words_changed(self) -> None:
        self._match = ""
        self._go(-1)

    @on(FindBar.Stepped)
    def _stepped(self, message: FindBar.Stepped) -> None:
        self._go(message.by)

    @on(FindBar.Closed)
    async def _find_closed(self) -> None:
        for bar in self.query(FindBar):
            await bar.remove()
        self._match = ""
        self.query_one(TranscriptView).show_found("", None)
        for composer in self.query(Composer):
            composer.focus()

    @work(group="find", exclusive=True)
    async def _go(self, by: int) -> None:
        """Show the match `by` places later than the shown one, or the newest one."""
        bar, view = self._find_bar, self.query_one(TranscriptView)
        if bar is None:
            return
        words = bar.words
        found = self._found(words)
        if not found:
            self._match = ""
            view.show_found(words, None)
            bar.show_count("not found" if words.strip() else "")
            return
        ids = [entry_id(each) for each in found]
        at = ids.index(self._match) + by if self._match in ids else len(ids) - 1
        at = max(0, min(at, len(ids) - 1))
        self._match = ids[at]
        await view.reveal(self._match)
        view.show_found(words, self._match)
        bar.show_count(f"{at + 1} of {len(ids)}")

    def _found(self, words: str) -> list[Entry]:
        found = entries_with(self._session, words) if words.strip() else []
        return [each for each in found if is_visible(each)]
