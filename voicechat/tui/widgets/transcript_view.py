"""The transcript view: a window over the transcript that mounts only some of its entries.

While the view is at the end of the conversation, only as many entries as fill it are mounted, and
at least `WINDOW_ENTRIES`, so the cost of a new word does not grow with the conversation. Scrolling
up mounts earlier entries, and returning to the end removes them. Beyond `MAX_ENTRIES`, the window
leaves the end: entries at its other side are removed, and mounted again on the way back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice

from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widget import AwaitMount
from textual.widgets import Static

from voicechat.core.items import Entry, Item, Role, ToolCall, Transcript, entry_id
from voicechat.tui.keys import key_of
from voicechat.tui.widgets.entry_text import QUIET, is_visible, repeats
from voicechat.tui.widgets.entry_widgets import EntryLine, widget_for
from voicechat.tui.widgets.layout_budget import LAYOUT_BUDGET

WINDOW_ENTRIES = 30
"""Fewest entries kept mounted at the end of the conversation, where it has so many."""
WINDOW_SLACK = 10
"""Entries beyond the window before the oldest are removed, so that few turns remove any."""
PAGE_ENTRIES = 30
"""Entries mounted when the user scrolls beyond the top."""
MOUNTED_AT_ONCE = 15
"""Most new entries that are created or mounted in one turn of the event loop."""
MARKED = "-marked"
"""CSS class of the entry whose frames the console shows."""
MAX_CALLS_BEFORE = 8
"""Most tool calls before an answer whose results are compared with it."""
MAX_ENTRIES = 600
"""Most entries that are mounted at any time."""


async def _mounted(mounting: Iterable[AwaitMount]) -> None:
    """Wait until these widgets are mounted."""
    for each in mounting:
        await each


class EarlierTurnsHint(Static):
    """A hint that there are earlier, unmounted turns."""

    def __init__(self) -> None:
        super().__init__(
            Content(f"↑ earlier turns: {key_of('previous_page')}").stylize(QUIET), markup=False
        )


class LaterTurnsHint(Static):
    """A hint that there are later, unmounted turns."""

    def __init__(self) -> None:
        keys = f"{key_of('next_page')}; {key_of('newest')} goes to the end"
        super().__init__(Content(f"↓ later turns: {keys}").stylize(QUIET), markup=False)


class NewBelowHint(Static):
    """A line that says that there is newer text below; a click goes there."""

    @dataclass
    class Clicked(Message):
        """The user clicked the line."""

    def __init__(self) -> None:
        text = Content.assemble(("↓ new below", "bold $primary"), (f"  {key_of('newest')}", QUIET))
        super().__init__(text, markup=False, id="below")

    def on_click(self) -> None:
        """Report the click."""
        self.post_message(self.Clicked())


class Greeting(Static):
    """The text in an empty conversation: examples of requests."""

    def __init__(self, content: Content) -> None:
        super().__init__(content, markup=False, id="greeting")


class TranscriptView(VerticalScroll, can_focus=False):
    """The scrolling view of the transcript.

    Pass `show` the ids of added, changed and removed entries. It reads the entries from the
    transcript and redraws only these.
    """

    has_new_below: var[bool] = var(False)
    """True if the end of the conversation changed while the user reads above it."""

    def __init__(self, transcript: Transcript, greeting: Content) -> None:
        super().__init__(id="transcript")
        self._transcript = transcript
        self._greeting = greeting
        self._lines: dict[str, EntryLine] = {}
        self._expanded = False
        self._ends_early = False
        """True if entries after the last mounted one are not mounted."""
        self._line_width = 0
        self._changing = asyncio.Lock()
        """Held while entries are mounted and removed, which takes several turns of the loop."""
        self.draw_count = 0
        """Number of times an entry was drawn; a new word adds one."""

    async def on_mount(self) -> None:
        """Show the existing entries."""
        await self.reload()

    async def reload(self, transcript: Transcript | None = None) -> None:
        """Remove all widgets and show the end of the transcript, or of a new transcript."""
        async with self._changing:
            await self._reload(transcript)

    async def _reload(self, transcript: Transcript | None = None) -> None:
        self._transcript = transcript or self._transcript
        self.has_new_below = False
        visible = [entry for entry in self._transcript.entries if is_visible(entry)]
        if await self._replace(visible[-self._window :], ends_early=False):
            self.anchor()
        else:
            await self._show_greeting()

    async def _replace(self, entries: Sequence[Entry], *, ends_early: bool) -> bool:
        """Mount the visible ones of these entries and no others; return False without any.

        ends_early: later entries may be left out. The ones that come meanwhile are shown later.
        """
        self._lines.clear()
        self._ends_early = False
        self.remove_class("-empty")
        await self.remove_children()
        lines = await self._new_lines(entry for entry in entries if is_visible(entry))
        await self._lay_out(lines)
        for at in range(0, len(lines), MOUNTED_AT_ONCE):
            await self.mount_all(lines[at : at + MOUNTED_AT_ONCE])
        self._hide_repeated(entries)
        await self._update_hints(ends_early=ends_early)
        return bool(lines)

    async def show(self, ids: Iterable[str]) -> None:
        """Update the widgets of these entries. An unknown id is a removed entry."""
        async with self._changing:
            await self._show(ids)

    async def _show(self, ids: Iterable[str]) -> None:
        added: list[Entry] = []
        changed = False
        for key in ids:
            entry = self._transcript.get(key)
            line = self._lines.get(key)
            if entry is None or not is_visible(entry):
                await self._remove([key])
            elif line is None:
                added.append(entry)
            else:
                drawn = line.show(entry)
                self.draw_count += drawn
                changed = changed or drawn
                if LAYOUT_BUDGET.is_used_up:
                    await asyncio.sleep(0)
        if self.follows and not self._is_held and self.scroll_target_y == self.scroll_y:
            self.anchor()
        if not self.follows and (added or changed):
            self.has_new_below = True
        added = [entry for entry in added if entry_id(entry) not in self._lines]
        if len(added) > self._window:
            await (self._reload() if self.follows else self._update_hints(ends_early=True))
        elif added:
            await self._mount_entries(added)
            await self._trim()
        self._hide_repeated(entry for key in ids if (entry := self._transcript.get(key)))

    def _hide_repeated(self, entries: Iterable[Entry]) -> None:
        """Hide the tool results that one of these answers repeats."""
        for answer in entries:
            if entry_id(answer) not in self._lines:
                continue
            if isinstance(answer, Item) and answer.role is Role.ASSISTANT:
                for call in self._calls_before(answer):
                    line = self._lines.get(call.call_id)
                    if line is not None and repeats(answer, call):
                        line.hide_repeated()

    def _calls_before(self, answer: Item) -> Iterator[ToolCall]:
        """Yield the tool calls between an answer and the entry before them."""
        newest_first = reversed(self._transcript.entries)
        earlier = dropwhile(lambda entry: entry is not answer, newest_first)
        next(earlier, None)
        for entry in islice(earlier, MAX_CALLS_BEFORE):
            if not isinstance(entry, ToolCall):
                return
            yield entry

    @property
    def marked(self) -> str | None:
        """Id of the marked entry; None without one."""
        return next((key for key, line in self._lines.items() if line.has_class(MARKED)), None)

    async def reveal(self, key: str) -> bool:
        """Scroll to an entry and mark it; return False if the transcript does not show it."""
        for each in self._lines.values():
            each.remove_class(MARKED)
        async with self._changing:
            if key not in self._lines:
                await self._load(key)
        found = self._lines.get(key)
        if found is None:
            return False
        found.add_class(MARKED)
        self.anchor(False)
        self.call_after_refresh(self.scroll_to_widget, found, animate=False)
        return True

    async def _load(self, key: str) -> None:
        """Mount an entry: with all between it and the window, or with its neighbors if far."""
        keys = [entry_id(entry) for entry in self._transcript.entries if is_visible(entry)]
        if key not in keys:
            return
        at = keys.index(key)
        first = next((index for index, each in enumerate(keys) if each in self._lines), len(keys))
        if 0 < first - at <= MAX_ENTRIES - len(self._lines):
            while key not in self._lines and await self._load_earlier():
                pass
            return
        around = keys[max(0, at - self._window // 2) : at + self._window // 2]
        found = (self._transcript.get(each) for each in around)
        await self._replace([entry for entry in found if entry is not None], ends_early=True)

    def show_found(self, words: str, key: str | None) -> None:
        """Highlight the words in this entry, which is expanded, and in no other."""
        for other, line in self._lines.items():
            line.show_found(words if other == key else "")
            if key is None:
                line.remove_class(MARKED)

    def toggle_results(self) -> None:
        """Expand all tool results and long messages, or fold them all."""
        self._expanded = not self._expanded
        for line in self._lines.values():
            line.set_expanded(self._expanded)

    @property
    def follows(self) -> bool:
        """True until the user scrolls up, and again at the end of the conversation.

        Not the position alone: it is behind while a line of the screen appears or goes, and
        negative in a conversation that is shorter than the view.
        """
        at_end = self.scroll_y >= self.max_scroll_y - 1 or not self.max_scroll_y
        return not self._ends_early and (self._is_held or at_end)

    @property
    def _is_held(self) -> bool:
        """True while the anchor holds the view at the end."""
        return self.is_anchored and not self._anchor_released

    def on_resize(self) -> None:
        """Stay at the end: the layout places an anchored view for its height before.

        A view that is taller than its entries gets more of the earlier ones.
        """
        if self._is_held and self.scroll_y != self.max_scroll_y:
            self.scroll_end(animate=False, immediate=True)
        if self._may_fill:
            self.call_later(self._fill)

    @property
    def _may_fill(self) -> bool:
        """True if the view is at the end and has room for earlier entries."""
        is_filled = self.max_scroll_y or len(self._lines) >= self._window
        return self.follows and not is_filled and bool(self._unmounted()[0])

    async def _fill(self) -> None:
        """Mount earlier entries, unless the view went elsewhere meanwhile."""
        async with self._changing:
            if self._may_fill:
                await self._reload()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Take back the hint about new text at the end of the conversation."""
        super().watch_scroll_y(old_value, new_value)
        if self.has_new_below and self.follows:
            self.has_new_below = False

    async def go_to_newest(self) -> None:
        """Scroll to the end, and follow the conversation again."""
        self.has_new_below = False
        async with self._changing:
            if self._ends_early:
                await self._reload()
            self.anchor()
            await self._trim()

    async def page_up(self) -> None:
        """Scroll one page up; at the top of the mounted entries, mount earlier ones."""
        async with self._changing:
            if self.scroll_y <= 1 and await self._load_earlier():
                return
        if self.max_scroll_y > 0:
            self.scroll_page_up(animate=False)

    async def page_down(self) -> None:
        """Scroll down by a page; at the end, mount later entries or follow the conversation."""
        at_end = self.scroll_y + self.size.height >= self.max_scroll_y
        if self._ends_early and at_end:
            async with self._changing:
                await self._load_later()
        elif at_end:
            await self.go_to_newest()
        else:
            self.scroll_page_down(animate=False)

    # ---------------------------------------------------------------- the window

    @property
    def _window(self) -> int:
        """Entries kept mounted at the end: each has at least one line, so they fill the view."""
        return max(WINDOW_ENTRIES, self.size.height)

    async def _new_lines(self, entries: Iterable[Entry]) -> list[EntryLine]:
        lines = []
        async for entry, line in self._created(entries):
            self._lines[entry_id(entry)] = line
            lines.append(line)
        self.draw_count += len(lines)
        return lines

    async def _created(self, entries: Iterable[Entry]) -> AsyncIterator[tuple[Entry, EntryLine]]:
        """Create widgets, which takes about 1 ms each, in turns with other tasks."""
        for number, entry in enumerate(entries, 1):
            yield entry, widget_for(entry, self._expanded)
            if number % MOUNTED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _mount_entries(self, added: list[Entry]) -> None:
        """Mount new entries at their positions in the transcript, usually the end."""
        await self._remove_greeting()
        lines = {id(entry): line async for entry, line in self._created(added)}
        await self._lay_out(lines.values())
        for start in range(0, len(added), MOUNTED_AT_ONCE):
            await _mounted(list(self._mount_placed(added[start : start + MOUNTED_AT_ONCE], lines)))

    def _mount_placed(
        self, added: Iterable[Entry], lines: Mapping[int, EntryLine]
    ) -> Iterator[AwaitMount]:
        """Mount the widgets of these entries, by `id(entry)`, where the window shows them."""
        for at, entry in self._placed(added):
            after, hidden_before = self._line_before(at)
            if hidden_before and after is None and self._lines:
                continue
            mounted = self._mounted_lines()
            if self._ends_early and after in mounted[-1:]:
                continue
            line = self._lines[entry_id(entry)] = lines[id(entry)]
            self.draw_count += 1
            if after is None and mounted:
                yield self.mount(line, before=mounted[0])
            else:
                yield self.mount(line, after=after)

    async def _lay_out(self, lines: Iterable[EntryLine]) -> None:
        """Lay out new entries in turns with other tasks: the view draws all of them at once."""
        widths = (line.content_size.width for line in self._lines.values())
        self._line_width = next(filter(None, widths), self._line_width)
        for line in lines if self._line_width else ():
            line.lay_out(self._line_width)
            if LAYOUT_BUDGET.is_used_up:
                await asyncio.sleep(0)

    def _placed(self, added: Iterable[Entry]) -> list[tuple[int, Entry]]:
        """Return these entries with their positions in the transcript, in order."""
        missing = {id(entry) for entry in added}
        entries = self._transcript.entries
        placed: list[tuple[int, Entry]] = []
        for at in range(len(entries) - 1, -1, -1):
            if not missing:
                break
            if id(entries[at]) in missing:
                missing.discard(id(entries[at]))
                placed.append((at, entries[at]))
        return placed[::-1]

    def _line_before(self, at: int) -> tuple[EntryLine | None, bool]:
        """Return the mounted line before a position, and True if unmounted ones are between."""
        entries = self._transcript.entries
        hidden_before = False
        while at > 0:
            at -= 1
            line = self._lines.get(entry_id(entries[at]))
            if line is not None:
                return line, hidden_before
            hidden_before = hidden_before or is_visible(entries[at])
        return None, hidden_before

    async def _remove(self, keys: Iterable[str]) -> None:
        removed = [line for key in keys if (line := self._lines.pop(key, None)) is not None]
        if removed:
            await self.remove_children(removed)
        if removed and not self._lines:
            await self._reload()

    async def _show_greeting(self) -> None:
        self.add_class("-empty")
        self.anchor(False)
        self.scroll_home(animate=False)
        await self.mount(Greeting(self._greeting))

    async def _remove_greeting(self) -> None:
        if self.has_class("-empty"):
            self.remove_class("-empty")
            await self.query(Greeting).remove()
            self.anchor()

    async def _trim(self) -> None:
        """Remove the oldest entries while the view is at the end of the conversation."""
        count = len(self._lines)
        at_end = self.scroll_y + self.size.height >= self.max_scroll_y - 1
        near_end = at_end and not self._ends_early
        if count > (self._window + WINDOW_SLACK if near_end else MAX_ENTRIES):
            oldest = {id(line) for line in self._mounted_lines()[: count - self._window]}
            await self._remove([key for key, line in self._lines.items() if id(line) in oldest])
            await self._update_hints(ends_early=self._ends_early)

    async def _load_earlier(self) -> bool:
        """Mount entries before the first one; return False if there are none."""
        before, _ = self._unmounted()
        mounted = self._mounted_lines()
        if not before or not mounted:
            return False
        first = mounted[0]
        loaded = before[-PAGE_ENTRIES:]
        await self.mount_all(await self._new_lines(loaded), before=first)
        self._hide_repeated(loaded)
        removed = self._mounted_entries()[MAX_ENTRIES:]
        await self._remove(map(entry_id, removed))
        await self._update_hints(ends_early=self._ends_early or bool(removed))
        self.call_after_refresh(self.scroll_to_widget, first, animate=False, top=True)
        return True

    async def _load_later(self) -> None:
        """Mount entries after the last one."""
        _, after = self._unmounted()
        mounted = self._mounted_lines()
        if not mounted:
            return
        last = mounted[-1]
        loaded = after[:PAGE_ENTRIES]
        await self.mount_all(await self._new_lines(loaded), after=last)
        self._hide_repeated(loaded)
        await self._remove(map(entry_id, self._mounted_entries()[:-MAX_ENTRIES]))
        await self._update_hints(ends_early=True)
        self.call_after_refresh(self.scroll_to_widget, last, animate=False, top=True)

    def _unmounted(self) -> tuple[list[Entry], list[Entry]]:
        """Return the visible entries before and after the mounted ones, in order."""
        visible = [entry for entry in self._transcript.entries if is_visible(entry)]
        places = [at for at, entry in enumerate(visible) if entry_id(entry) in self._lines]
        if not places:
            return visible, []
        return visible[: places[0]], visible[places[-1] + 1 :]

    async def _update_hints(self, *, ends_early: bool) -> None:
        """Show at each side of the window if there are more turns.

        Without `ends_early`, later entries are only not shown yet.
        """
        before, after = self._unmounted()
        mounted = self._mounted_lines()
        self._ends_early = ends_early and bool(mounted and after)
        await self.query_children("EarlierTurnsHint, LaterTurnsHint").remove()
        if mounted and before:
            await self.mount(EarlierTurnsHint(), before=mounted[0])
        if self._ends_early:
            await self.mount(LaterTurnsHint(), after=mounted[-1])

    def _mounted_entries(self) -> list[Entry]:
        """Return the mounted entries from top to bottom."""
        return [line.entry for line in self._mounted_lines()]

    def _mounted_lines(self) -> list[EntryLine]:
        """Return the widgets of the mounted entries from top to bottom."""
        return [child for child in self.children if isinstance(child, EntryLine)]
