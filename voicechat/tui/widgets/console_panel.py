"""The event console: the frames of the connection, live, next to the conversation or over it.

    FrameTap (bounded queue) -> FrameLog (ring) -> FrameList (the rows on the screen)

It draws at most every `FRAME_S`, whatever arrives. While it is paused, the log goes on and the list
stands still.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from voicechat.session.frame_filter import (
    DIRECTION_MARKS,
    FILTER_SYNTAX,
    FrameFilter,
    parse_filter,
)
from voicechat.session.frame_log import FrameLog, FrameRow, FrameTap, seconds, size
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.frame_list import FrameList
from voicechat.tui.widgets.json_text import json_text
from voicechat.tui.widgets.text_columns import WidthText, fitting

if TYPE_CHECKING:
    from voicechat.session.view import SessionView

FRAME_S = 1 / 15
"""Shortest time in seconds between two paints."""
_READ_S = 0.01
"""Time in seconds between two looks at a queue that was empty."""
_SLICE = 256
"""Events that are read in one go; then other work of the loop gets its turn."""
_QUIET = "$foreground 60%"
CONSOLE_KEYS = (
    ("?", "keys", "show these keys"),
    ("Enter", "inspect", "show the frame as JSON, or hide it; Tab and the arrow keys scroll it"),
    ("/", "filter", f"filter: {FILTER_SYNTAX}"),
    ("Space", "pause", "pause, or go on"),
    ("n", "send", "send an event of your own; Tab completes its type"),
    ("t", "transcript", "go to the transcript entry of the frame"),
    ("[ ]", "entries", "go to the frames of the entry before or after; a click on one does, too"),
    ("p", "pair", "go to the other half of a pair: request and answer, delta and done"),
    ("d", "direction", "show sent frames, received frames or both"),
    ("e", "errors", "show errors only, or everything"),
    ("c", "copy", "copy the frame as JSON"),
    ("s", "save", "save the rows that are shown as JSON lines, in a file that you name"),
    ("x", "clear", "remove all rows"),
    ("End", "follow", "go to the newest frame, and follow"),
    ("Esc", "back", "close the filter or the JSON, then go back to the conversation"),
)
"""The keys of the console, with a word for the line of keys and a description."""


class ConsolePanel(Vertical):
    """The panel. Mount it to open the console, remove it to close it."""

    @dataclass
    class EntryWanted(Message):
        """The user wants to see the transcript entry of this row."""

        row: FrameRow

    @dataclass
    class EntryStepped(Message):
        """The user wants the frames of the entry before (-1) or after (1) the marked one."""

        by: int

    @dataclass
    class TextCopied(Message):
        """The user copied a frame."""

        text: str

    @dataclass
    class SaveWanted(Message):
        """The user wants these rows in a file."""

        rows: list[FrameRow]

    class SendWanted(Message):
        """The user wants to write an event."""

    class KeysWanted(Message):
        """The user asks for the keys."""

    class Left(Message):
        """The user goes back to the conversation."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "Keys"),
        Binding("space", "pause", "Pause"),
        Binding("slash", "filter", "Filter"),
        Binding("d", "direction", "Direction"),
        Binding("e", "errors", "Errors"),
        Binding("p", "pair", "Pair"),
        Binding("t", "entry", "Transcript"),
        Binding("left_square_bracket", "step_entry(-1)", "Entry before"),
        Binding("right_square_bracket", "step_entry(1)", "Entry after"),
        Binding("c", "copy", "Copy"),
        Binding("s", "save", "Save"),
        Binding("n", "send_event", "Send"),
        Binding("x", "clear", "Clear"),
        Binding("escape", "leave", "Back"),
    ]

    def __init__(self, session: SessionView, log: FrameLog, filter_text: str = "") -> None:
        super().__init__(id="console")
        self._log = log
        self._tap = FrameTap(session, log)
        self._list = FrameList(log)
        self._list.filter = parse_filter(filter_text)
        self._title = Static("", markup=False, id="console-title")
        self._text = Static("", markup=False, id="frame-text")
        self._frame = VerticalScroll(self._text, id="frame-detail", can_focus=True)
        self._frame.display = False
        self._field = Input(
            self._list.filter.text, placeholder=FILTER_SYNTAX, compact=True, id="console-filter"
        )
        self._field.display = bool(filter_text)
        self._changed: dict[int, FrameRow] = {}
        """Rows that were not painted yet."""
        self._painted_at = float("-inf")
        self._detailed: FrameRow | None = None
        """The row that is shown as JSON, or was last."""
        self.paused = False
        self.paints = 0
        """Times that arrivals were painted."""
        self._held = 0
        """New rows since the pause."""

    def compose(self) -> ComposeResult:
        """Yield title, list, detail, filter and keys."""
        yield self._title
        yield self._list
        yield self._frame
        yield self._field
        keys = [
            Content.assemble((key, "bold"), (f" {word}", _QUIET)) for key, word, _ in CONSOLE_KEYS
        ]
        line = WidthText(lambda width: fitting(keys, " · ", width))
        yield Static(line, markup=False, id="console-keys")

    def on_mount(self) -> None:
        """Show what the log has, and start painting."""
        self._list.reload()
        self._show_title()
        self._read()

    def on_unmount(self) -> None:
        """End the subscription, so that frames are no longer traced."""
        self._tap.close()

    # ---------------------------------------------------------------- arrivals

    @work(group="console")
    async def _read(self) -> None:
        """Read what arrives at once, and paint it at most every `FRAME_S`."""
        waiting = self._tap.subscription
        while await waiting.wait():
            while len(waiting) or self._changed:
                self._take()
                if monotonic() - self._painted_at >= FRAME_S:
                    self._show_arrivals()
                await asyncio.sleep(0 if len(waiting) else _READ_S)

    def _take(self) -> None:
        self._changed |= {row.number: row for row in self._tap.take(_SLICE)}

    def drain(self) -> None:
        """Show everything that waits now."""
        while len(self._tap.subscription):
            self._take()
        self._show_arrivals()

    def _show_arrivals(self) -> None:
        changed, self._changed = self._changed, {}
        self._painted_at = monotonic()
        if not changed:
            return
        self.paints += 1
        if self.paused:
            self._held += len(changed)
        else:
            self._list.update_rows(changed.values())
            shown = self._list.selected
            if shown is not None and shown.number in changed and self._has_detail:
                self._show_detail(shown)
        self._show_title()

    def _show_title(self) -> None:
        shown, total = len(self._list.rows), len(self._log)
        parts = [Content("Frames").stylize("bold $primary"), plain(f"{self._log.frames:,}")]
        text = self._list.filter.text
        if text:
            parts.append(plain(f"▽ {text} ({shown:,} of {total:,})"))
        if self.paused:
            parts.append(Content(f"‖ paused, {self._held:,} new").stylize("bold $warning"))
        elif not self._list.follows:
            parts.append(Content("↓ End follows").stylize(_QUIET))
        self._title.update(Content(" · ").join(parts), layout=False)

    # ---------------------------------------------------------------- the list

    def focus_list(self) -> None:
        """Give the list the focus."""
        self._list.focus()

    def page(self, by: int) -> None:
        """Scroll the detail if it has the focus, otherwise move in the list, by pages."""
        detail = self._frame
        if detail.has_focus:
            detail.scroll_relative(y=by * max(1, detail.size.height - 1), animate=False)
        else:
            self._list.page(by)

    def show_entry(self, entry_id: str) -> bool:
        """Move to the first frame of a transcript entry; return False if there is none.

        A filter that hides it ends.
        """
        row = next(self._log.rows_of(entry_id), None)
        if row is None:
            return False
        self._show_row(row)
        return True

    def _show_row(self, row: FrameRow) -> None:
        if self.paused:
            self.action_pause()
        if not self._list.select(row):
            self.set_filter("")
            self._list.select(row)
        self._show_title()

    @property
    def selected(self) -> FrameRow | None:
        """The row under the cursor."""
        return self._list.selected

    @on(FrameList.Moved)
    def _moved(self, message: FrameList.Moved) -> None:
        if self._has_detail:
            self._show_detail(message.row)
        self._show_title()

    # ---------------------------------------------------------------- the filter

    def set_filter(self, text: str) -> None:
        """Show the rows that match; an empty text shows all."""
        self._use(parse_filter(text))

    def _use(self, wanted: FrameFilter) -> None:
        field = self._field
        field.display = bool(wanted.text) or field.has_focus
        if not field.has_focus and field.value != wanted.text:
            with field.prevent(Input.Changed):
                field.value = wanted.text
        self._list.set_filter(wanted)
        self._show_title()

    @on(Input.Changed, "#console-filter")
    def _filter_typed(self, message: Input.Changed) -> None:
        message.stop()
        self._use(parse_filter(message.value))

    @on(Input.Submitted, "#console-filter")
    def _filter_ready(self, message: Input.Submitted) -> None:
        message.stop()
        self._end_filter()

    def _end_filter(self) -> None:
        self._list.focus()
        self._field.display = bool(self._list.filter.text)

    def action_filter(self) -> None:
        """Type a filter."""
        field = self._field
        field.display = True
        field.focus()

    def action_direction(self) -> None:
        """Show sent frames, received frames or both."""
        self._use(self._list.filter.next_direction())

    def action_errors(self) -> None:
        """Show errors only, or everything again."""
        wanted = self._list.filter
        self._use(replace(wanted, errors_only=not wanted.errors_only))

    # ---------------------------------------------------------------- one frame

    @property
    def _has_detail(self) -> bool:
        return bool(self._frame.display)

    @on(FrameList.Picked)
    def _picked(self, message: FrameList.Picked) -> None:
        self._frame.display = not self._frame.display
        self._show_detail(message.row)

    def _show_detail(self, row: FrameRow | None) -> None:
        if row is None:
            return
        self._text.update(self._detail(row))
        if row is not self._detailed:
            self._detailed = row
            self._frame.scroll_home(animate=False)

    def _detail(self, row: FrameRow) -> Content:
        if row.is_note:
            return plain(row.facts.gist)
        lines = [plain(f"{DIRECTION_MARKS[row.direction].strip()} {row.facts.type}", "bold")]
        lines.append(plain(f"{row.since_turn:+.3f} s, {size(row.size)}", _QUIET))
        other = self._log.row(row.pair) if row.pair is not None else None
        if other is not None:
            first, second = sorted((row, other), key=lambda each: each.number)
            words = f"after {first.facts.type}" if second is row else f"before {second.facts.type}"
            lines.append(plain(f"⇄ {seconds(second.at - first.at)} {words}", _QUIET))
        lines.append(json_text(row.facts.text))
        if row.last is not None:
            lines.append(plain(f"The last of {row.frames:,} frames:", _QUIET))
            lines.append(json_text(row.last.text))
        return Content("\n").join(lines)

    def action_pair(self) -> None:
        """Move to the other half of a pair."""
        row = self.selected
        other = self._log.row(row.pair) if row is not None and row.pair is not None else None
        if other is None:
            self.notify("This frame has no pair.", markup=False)
        else:
            self._show_row(other)

    def action_copy(self) -> None:
        """Copy the frame as JSON."""
        if self.selected is not None:
            self.post_message(self.TextCopied(self.selected.facts.text))

    def action_save(self) -> None:
        """Save the rows that are shown as JSON lines."""
        self.post_message(self.SaveWanted([row for row in self._list.rows if not row.is_note]))

    # ---------------------------------------------------------------- the rest

    def action_pause(self) -> None:
        """Stop the list, or let it go on."""
        self.paused = not self.paused
        self._held = 0
        if not self.paused:
            self._list.reload()
        self._show_title()

    def action_clear(self) -> None:
        """Remove all rows."""
        self._log.clear()
        self._list.reload()
        self._show_title()

    def action_entry(self) -> None:
        """Go to the transcript entry of the frame."""
        if self.selected is not None:
            self.post_message(self.EntryWanted(self.selected))

    def action_step_entry(self, by: int) -> None:
        """Go to the frames of the transcript entry before or after."""
        self.post_message(self.EntryStepped(by))

    def action_keys(self) -> None:
        """Show the keys of the console."""
        self.post_message(self.KeysWanted())

    def action_send_event(self) -> None:
        """Write an event to send."""
        self.post_message(self.SendWanted())

    def action_leave(self) -> None:
        """Close the filter or the detail, or go back to the conversation."""
        if self._field.has_focus:
            self._end_filter()
        elif self._has_detail:
            self._frame.display = False
            self._list.focus()
        else:
            self.post_message(self.Left())


def note_closed(log: FrameLog, closed_at: float) -> None:
    """Note in the log that frames are missing because the console was closed since then (s)."""
    now = monotonic()
    log.note(f"The console was closed for {seconds(now - closed_at)}", now)
