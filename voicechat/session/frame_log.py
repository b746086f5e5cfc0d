"""Log of the frames of a connection: the model behind the event console.

    frames, turns and events of a subscription -> `FrameLog.add` -> rows, oldest first

A row is one frame, or all sound of one item in one direction, which grows. The log is a ring: it
keeps the last `MOST_ROWS` rows and `MOST_CHARACTERS` characters. It reads no clock and knows no
screen.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final, get_args

from msgspec import Struct

from voicechat.core import effects, events
from voicechat.session.event_stream import Direction, Overflow, RawFrame, Subscription
from voicechat.session.frame_facts import FrameFacts, one_line, read_frame
from voicechat.session.frame_pairs import FramePairs
from voicechat.session.updates import Cleared
from voicechat.session.view import SessionView

MOST_ROWS = 5_000
"""Rows that are kept."""
MOST_CHARACTERS = 8_000_000
"""Characters of all frames that are kept."""
QUEUE_LIMIT = 4_096
"""Events that wait for the console; then the oldest are dropped and counted."""
MOST_ENTRIES = 32
"""Transcript entries that one row belongs to."""

WANTS: Final = (RawFrame, effects.FloorChanged, Cleared, *get_args(events.Event))
"""Classes that a log takes: frames, the turns, and what the codec made of each frame."""

_ANSWERING = frozenset({effects.Floor.THINKING, effects.Floor.WORKING})


class FrameRow(Struct, gc=False):
    """One frame, all sound of one item in one direction, or a note without a direction.

    The garbage collector need not look at thousands of them.
    """

    number: int
    """Position since the log began; rows keep it."""
    at: float
    """Monotonic time of the frame, or of its first one, in seconds."""
    since_turn: float
    """Seconds since the end of the user's turn, or since the first frame before any turn."""
    direction: Direction | None
    facts: FrameFacts
    """Of the frame, or of the first one."""
    size: int = 0
    """Bytes on the wire, of all frames."""
    frames: int = 1
    last: FrameFacts | None = None
    """Facts of the latest frame of sound, if there are several."""
    last_at: float = 0.0
    sound_bytes: int = 0
    is_sound: bool = False
    is_open: bool = False
    """Sound that may still grow."""
    pair: int | None = None
    """Number of the other half of a pair."""
    gap_s: float | None = None
    """Seconds from the first half of the pair, on the second half."""
    entries: tuple[str, ...] = ()
    """Ids of the transcript entries that it belongs to."""

    @property
    def is_note(self) -> bool:
        """True for a note: a turn, or a gap."""
        return self.direction is None


class FrameLog:
    """The rows, oldest first. Add what a subscription to `WANTS` brings, in its order."""

    def __init__(self) -> None:
        self._rows: OrderedDict[int, FrameRow] = OrderedDict()
        self._next = 0
        self._characters = 0
        self._turn_at: float | None = None
        self._turns = 0
        self._floor: effects.Floor | None = None
        self._sounds: dict[tuple[Direction, str, str], FrameRow] = {}
        self._pairs = FramePairs()
        self._received: FrameRow | None = None
        self.frames = 0
        """Frames so far, also those that the ring has dropped."""

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def first(self) -> int:
        """Number of the oldest row that is kept."""
        return next(iter(self._rows), self._next)

    @property
    def rows(self) -> list[FrameRow]:
        """The rows that are kept, oldest first."""
        return list(self._rows.values())

    def row(self, number: int) -> FrameRow | None:
        """Return a row by its number; None if it is not kept."""
        return self._rows.get(number)

    def rows_of(self, entry_id: str) -> Iterator[FrameRow]:
        """Return the rows of a transcript entry, oldest first."""
        return (row for row in self._rows.values() if entry_id in row.entries)

    def clear(self) -> None:
        """Remove all rows."""
        self._rows.clear()
        self._sounds.clear()
        self._pairs = FramePairs()
        self._received, self._characters = None, 0

    # ----------------------------------------------------------------- adding

    def add(self, event: object, at: float) -> tuple[FrameRow, ...]:
        """Add an event of a session; return the rows that are new or that have grown."""
        if isinstance(event, RawFrame):
            return self._add_frame(event)
        if isinstance(event, effects.FloorChanged):
            return self._floor_changed(event.floor, at)
        if self._received is not None:
            ids = (getattr(event, name, None) for name in ("item_id", "call_id"))
            self._link(self._received, (each for each in ids if isinstance(each, str)))
        return ()

    def note(self, text: str, at: float) -> FrameRow:
        """Add a note between the frames."""
        self._received = None
        return self._append(FrameRow(0, at, self._since_turn(at), None, FrameFacts("", text, text)))

    def _add_frame(self, frame: RawFrame) -> tuple[FrameRow, ...]:
        self.frames += 1
        if self._turn_at is None:
            self._turn_at = frame.at
        facts = read_frame(frame.data)
        size = frame.size or _bytes(frame.data)
        key = (frame.direction, facts.type, facts.item_id)
        row = self._sounds.get(key) if facts.sound_bytes else None
        closed: tuple[FrameRow, ...] = ()
        if row is None or row.number not in self._rows:
            row = self._new_row(frame, facts, size, key)
            closed = self._paired(row)
        else:
            row.frames += 1
            row.size += size
            row.sound_bytes += facts.sound_bytes
            row.last, row.last_at = facts, frame.at
        if frame.direction is Direction.RECEIVED:
            self._received = row
        return (*closed, row)

    def _new_row(
        self,
        frame: RawFrame,
        facts: FrameFacts,
        size: int,
        key: tuple[Direction, str, str],
    ) -> FrameRow:
        row = self._append(
            FrameRow(0, frame.at, self._since_turn(frame.at), frame.direction, facts, size)
        )
        row.last_at = frame.at
        self._link(row, (each for each in (facts.item_id, facts.call_id) if each))
        if facts.sound_bytes:
            row.is_sound = row.is_open = True
            row.sound_bytes = facts.sound_bytes
            self._sounds[key] = row
        return row

    def _paired(self, row: FrameRow) -> tuple[FrameRow, ...]:
        """Find the other half of a new row; return the sound that ends with it, if any."""
        if row.direction is None or (row.is_sound and row.direction is Direction.SENT):
            return ()  # nothing answers a single block of the microphone
        other = self._pairs.take(row.direction, row.facts, row.number)
        first = None if other is None else self._rows.get(other)
        if first is None:
            return ()
        row.pair, first.pair = first.number, row.number
        row.gap_s = row.at - first.at
        if not first.is_open:
            return ()
        self._close(first)
        return (first,)

    def _append(self, row: FrameRow) -> FrameRow:
        row.number = self._next
        self._next += 1
        self._rows[row.number] = row
        self._characters += len(row.facts.text)
        while len(self._rows) > MOST_ROWS or self._characters > MOST_CHARACTERS:
            if len(self._rows) == 1:
                break
            _, oldest = self._rows.popitem(last=False)
            self._characters -= len(oldest.facts.text)
        return row

    def _link(self, row: FrameRow, ids: Iterable[str]) -> None:
        for each in ids:
            if each and each not in row.entries and len(row.entries) < MOST_ENTRIES:
                row.entries = (*row.entries, each)

    def _since_turn(self, at: float) -> float:
        return at - (self._turn_at if self._turn_at is not None else at)

    # ----------------------------------------------------------------- turns

    def _floor_changed(self, floor: effects.Floor, at: float) -> tuple[FrameRow, ...]:
        """Begin a turn when the model begins to think about what the user said."""
        before, self._floor = self._floor, floor
        if floor is not effects.Floor.THINKING or before in _ANSWERING:
            return ()
        self._turn_at = at
        self._turns += 1
        closed = [row for key, row in self._sounds.items() if not key[2]]
        for row in closed:
            self._close(row)
        received, note = self._received, self.note(f"Turn {self._turns}", at)
        self._received = received
        return (*closed, note)

    def _close(self, row: FrameRow) -> None:
        """End the row of a sound; more of it begins another one."""
        row.is_open = False
        self._sounds = {key: each for key, each in self._sounds.items() if each is not row}


class FrameTap:
    """The subscription that feeds a log while a console is open; without it no frame is traced."""

    def __init__(self, session: SessionView, log: FrameLog) -> None:
        """Subscribe from now on, after the frames that the session still has."""
        self._session = session
        self._log = log
        self._dropped = 0
        self._reload()
        self.subscription: Subscription = session.subscribe(
            "console", limit=QUEUE_LIMIT, overflow=Overflow.DROP_OLDEST, wants=WANTS
        )

    def _reload(self) -> bool:
        """Read the frames until now from the session; return False if it keeps none."""
        past = self._session.past_frames()
        if past:
            self._log.clear()
        for event, at in past:
            self._log.add(event, at)
        return bool(past)

    def take(self, most: int | None = None) -> list[FrameRow]:
        """Move up to `most` events to the log; return the rows that are new or have grown."""
        changed: dict[int, FrameRow] = {}
        lost, self._dropped = self.subscription.dropped - self._dropped, self.subscription.dropped
        timed = self.subscription.pop_timed(most)
        if lost and timed:
            row = self._log.note(f"{lost:,} events are missing: they came too fast", timed[0][1])
            changed[row.number] = row
        for event, at in timed:
            if isinstance(event, Cleared):
                if self._reload():
                    self.subscription.pop_all()  # the session has returned these
                    return self._log.rows
                rows: tuple[FrameRow, ...] = (self._log.note("New conversation", at),)
            else:
                rows = self._log.add(event, at)
            changed.update((row.number, row) for row in rows)
        return list(changed.values())

    def close(self) -> None:
        """End the subscription; the log stays."""
        self.subscription.close()


def shown_gist(row: FrameRow) -> str:
    """Return the one-line gist of a row, with the gap of a pair and the length of a sound."""
    gap = "" if row.gap_s is None else f"⇄ {seconds(row.gap_s)} "
    if not row.is_sound:
        return f"{gap}{one_line(row.facts.gist)}".rstrip()
    count = f"{row.frames:,} frames" if row.frames > 1 else "1 frame"
    lasted = f" in {seconds(row.last_at - row.at)}" if row.frames > 1 else ""
    return f"{gap}♪ {size(row.sound_bytes)} of sound, {count}{lasted}"


def seconds(value: float) -> str:
    """Return a time for people: "0.412 s", "12.4 s"."""
    return f"{value:.3f} s" if abs(value) < 10 else f"{value:.1f} s"


def size(count: int) -> str:
    """Return a number of bytes for people: "512 B", "1.2 kB", "3.4 MB"."""
    if count < 1_000:
        return f"{count} B"
    if count < 999_500:
        return f"{count / 1_000:.3g} kB"
    return f"{count / 1_000_000:.1f} MB"


def _bytes(data: str | bytes) -> int:
    """Return the size of a frame; a lone surrogate counts as one byte."""
    return len(data.encode("utf-8", "replace")) if isinstance(data, str) else len(data)
