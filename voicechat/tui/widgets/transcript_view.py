"""The conversation on the screen: a window over the transcript, not the transcript.

At most `WINDOW` entries are mounted while the user follows the talk, so one more word
costs the same in the first minute and in the tenth hour. Scrolling back mounts earlier
entries; coming back to the end lets them go again.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import AwaitMount
from textual.widgets import Static

from voicechat.core.items import Entry, Transcript, entry_id
from voicechat.tui.widgets.entry_text import QUIET, worth_showing
from voicechat.tui.widgets.entry_widgets import EntryLine, ToolPanel, line_for

WINDOW = 150
"""Entries kept mounted at the end of the conversation."""
SLACK = 25
"""Entries beyond the window before the oldest are let go, so that not every turn does it."""
EARLIER = 50
"""Entries mounted by one scroll beyond the top."""
MOST = 600
"""Never more than this many entries are mounted; older ones are in the history."""


class Earlier(Static):
    """Says that the conversation began before what is mounted."""

    def __init__(self) -> None:
        super().__init__(Content("↑ earlier turns: Page Up").stylize(QUIET), markup=False)


class Greeting(Static):
    """What stands in an empty conversation: what one can say."""

    def __init__(self, content: Content) -> None:
        super().__init__(content, markup=False, id="greeting")


class TranscriptView(VerticalScroll, can_focus=False):
    """Both sides of the conversation, growing.

    Give `show` the ids of entries that appeared, changed or went; it reads them from the
    transcript and does the least that shows them.
    """

    def __init__(self, transcript: Transcript, greeting: Content) -> None:
        super().__init__(id="transcript")
        self._transcript = transcript
        self._greeting = greeting
        self._lines: dict[str, EntryLine] = {}
        self._unfolded = False
        self.drawn = 0
        """Entries drawn or redrawn so far; one more word adds one."""

    async def on_mount(self) -> None:
        """Show what there is already."""
        await self.fill()

    async def fill(self, transcript: Transcript | None = None) -> None:
        """Show the end of the transcript, from nothing: at the start and after a clearing."""
        self._transcript = transcript or self._transcript
        self._lines.clear()
        await self.remove_children()
        entries = self._transcript.entries[-WINDOW:]
        lines = self._new(entry for entry in entries if worth_showing(entry))
        if lines:
            await self.mount_all(lines)
            await self._tell_earlier()
            self.anchor()
        else:
            await self._greet()

    async def show(self, ids: Iterable[str]) -> None:
        """Bring these entries up to date. Unknown ids are entries that went."""
        came: list[Entry] = []
        for key in ids:
            entry = self._transcript.get(key)
            line = self._lines.get(key)
            if entry is None or not worth_showing(entry):
                await self._drop([key])
            elif line is None:
                came.append(entry)
            else:
                self.drawn += line.show(entry)
        if came:
            await self._place(came)
            await self._let_go()

    def unfold(self) -> None:
        """Show every tool result whole, or fold them all."""
        self._unfolded = not self._unfolded
        for line in self._lines.values():
            if isinstance(line, ToolPanel):
                line.unfold(self._unfolded)

    async def page_up(self) -> None:
        """A page back; at the top of what is mounted, mount what came before."""
        if self.scroll_y <= 1 and await self._load_earlier():
            return
        if self.max_scroll_y > 0:
            self.scroll_page_up(animate=False)

    async def page_down(self) -> None:
        """A page on; at the end, follow the conversation again."""
        if self.scroll_y + self.size.height >= self.max_scroll_y:
            self.anchor()
            await self._let_go()
        else:
            self.scroll_page_down(animate=False)

    # ---------------------------------------------------------------- the window

    def _new(self, entries: Iterable[Entry]) -> list[EntryLine]:
        lines = []
        for entry in entries:
            line = self._lines[entry_id(entry)] = line_for(entry, self._unfolded)
            lines.append(line)
        self.drawn += len(lines)
        return lines

    async def _place(self, came: list[Entry]) -> None:
        """Mount new entries where the conversation has them; mostly that is the end."""
        await self._talk_began()
        mounting: list[AwaitMount] = []
        for entry in came:
            after, windowed = self._line_before(entry)
            if windowed and after is None and self._lines:
                continue
            first = self._mounted()[:1]
            [line] = self._new([entry])
            if after is None and first:
                mounting.append(self.mount(line, before=first[0]))
            else:
                mounting.append(self.mount(line, after=after))
        for mounted in mounting:
            await mounted

    def _line_before(self, entry: Entry) -> tuple[EntryLine | None, bool]:
        """The mounted line the entry comes behind, and whether there are unmounted ones before."""
        entries = self._transcript.entries
        at = len(entries) - 1
        while at >= 0 and entries[at] is not entry:
            at -= 1
        hidden_before = False
        while at > 0:
            at -= 1
            line = self._lines.get(entry_id(entries[at]))
            if line is not None:
                return line, hidden_before
            hidden_before = hidden_before or worth_showing(entries[at])
        return None, hidden_before

    async def _drop(self, keys: Iterable[str]) -> None:
        gone = [line for key in keys if (line := self._lines.pop(key, None)) is not None]
        if gone:
            await self.remove_children(gone)
        if gone and not self._lines:
            await self._greet()

    async def _greet(self) -> None:
        self.add_class("-empty")
        self.anchor(False)
        self.scroll_home(animate=False)
        await self.mount(Greeting(self._greeting))

    async def _talk_began(self) -> None:
        if self.has_class("-empty"):
            self.remove_class("-empty")
            await self.query(Greeting).remove()
            self.anchor()

    async def _let_go(self) -> None:
        """Let the oldest entries go when the user is at the end of the conversation."""
        count = len(self._lines)
        at_end = self.scroll_y + self.size.height >= self.max_scroll_y - 1
        if count > (WINDOW + SLACK if at_end else MOST):
            oldest = {id(line) for line in self._mounted()[: count - WINDOW]}
            await self._drop([key for key, line in self._lines.items() if id(line) in oldest])
            await self._tell_earlier()

    async def _load_earlier(self) -> bool:
        """Mount entries before the first one; says whether there were any and room for them."""
        before = self._unmounted_before()
        if not before or len(self._lines) >= MOST:
            return False
        first = self._mounted()[0]
        await self.mount_all(self._new(before[-EARLIER:]), before=first)
        await self._tell_earlier()
        self.call_after_refresh(self.scroll_to_widget, first, animate=False, top=True)
        return True

    def _unmounted_before(self) -> list[Entry]:
        mounted = self._mounted()
        found: list[Entry] = []
        for entry in self._transcript.entries:
            if mounted and self._lines.get(entry_id(entry)) is mounted[0]:
                break
            if worth_showing(entry):
                found.append(entry)
        return found

    async def _tell_earlier(self) -> None:
        mounted = self._mounted()
        told = list(self.query_children(Earlier))
        more = bool(mounted) and bool(self._unmounted_before())
        if more and not told:
            await self.mount(Earlier(), before=mounted[0])
        elif told and not more:
            await self.remove_children(told)

    def _mounted(self) -> list[EntryLine]:
        """The mounted entries from top to bottom."""
        return [child for child in self.children if isinstance(child, EntryLine)]
