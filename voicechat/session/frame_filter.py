"""The filter of the event console, and a frame as a line of text or of JSON.

    sent  received  errors  type:WORD  item:ID  any other word

Words of a filter must all match; several `type:` or `item:` match if one of them does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from voicechat.core.text import clean
from voicechat.session.event_stream import Direction
from voicechat.session.frame_log import FrameRow, shown_gist, size

DIRECTION_MARKS = {Direction.SENT: "→ sent", Direction.RECEIVED: "← got ", None: "──────"}
"""Direction of a frame by glyph and word."""
FILTER_SYNTAX = "sent, received, errors, type:WORD, item:ID, or any words"


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """What a console shows."""

    direction: Direction | None = None
    """None for both."""
    errors_only: bool = False
    types: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    """Starts of ids of items, responses, calls and transcript entries."""
    words: tuple[str, ...] = ()

    def matches(self, row: FrameRow) -> bool:
        """Return True if the console shows this row."""
        if row.is_note:
            return not (self.errors_only or self.types or self.items or self.words)
        return (
            (self.direction is None or row.direction is self.direction)
            and (not self.errors_only or row.facts.is_error)
            and (not self.types or any(each in row.facts.type.lower() for each in self.types))
            and (not self.items or any(_has_id(row, each) for each in self.items))
            and (not self.words or self._has_words(row))
        )

    def _has_words(self, row: FrameRow) -> bool:
        text = f"{row.facts.type} {row.facts.text}".lower()
        return all(word in text for word in self.words)

    @property
    def text(self) -> str:
        """The filter as it is typed; empty if it shows everything."""
        parts = [self.direction.value] if self.direction else []
        parts += ["errors"] if self.errors_only else []
        parts += [f"type:{each}" for each in self.types] + [f"item:{each}" for each in self.items]
        return " ".join([*parts, *self.words])

    def next_direction(self) -> FrameFilter:
        """Return the filter for the next of: both directions, sent, received."""
        order = (None, Direction.SENT, Direction.RECEIVED)
        at = order.index(self.direction)
        return replace(self, direction=order[(at + 1) % len(order)])


def parse_filter(text: str) -> FrameFilter:
    """Return the filter that a user typed; every text is one."""
    direction, errors_only = None, False
    types, items, words = [], [], []
    for part in clean(text).lower().split():
        key, _, value = part.partition(":")
        if part in {"sent", "received"}:
            direction = Direction(part)
        elif part in {"error", "errors"}:
            errors_only = True
        elif key == "type" and value:
            types.append(value)
        elif key == "item" and value:
            items.append(value)
        else:
            words.append(part)
    return FrameFilter(direction, errors_only, tuple(types), tuple(items), tuple(words))


def frame_line(row: FrameRow) -> str:
    """Return a row as one line of text."""
    if row.is_note:
        return f"──── {row.facts.gist}"
    mark = DIRECTION_MARKS[row.direction].strip()
    error = "✗ " if row.facts.is_error else ""
    head = f"{row.since_turn:+9.3f} s {mark} {error}{row.facts.type}, {size(row.size)}"
    gist = shown_gist(row)
    return f"{head}: {gist}" if gist else head


def json_lines(rows: Iterable[FrameRow]) -> str:
    """Return rows as JSON lines: time, direction, size and frame; sound is left out."""
    lines = [json.dumps(_line(row), ensure_ascii=False) + "\n" for row in rows if not row.is_note]
    return "".join(lines)


def _line(row: FrameRow) -> dict[str, object]:
    line: dict[str, object] = {
        "at": round(row.at, 6),
        "since_turn": round(row.since_turn, 6),
        "direction": row.direction.value if row.direction else "",
        "size": row.size,
        "frames": row.frames,
    }
    if row.gap_s is not None:
        line["gap"] = round(row.gap_s, 6)
    try:
        line["frame"] = json.loads(row.facts.text)
    except (ValueError, RecursionError):
        line["text"] = row.facts.text
    return line


def _has_id(row: FrameRow, start: str) -> bool:
    facts = row.facts
    ids = (facts.item_id, facts.response_id, facts.call_id, facts.event_id, *row.entries)
    return any(each.lower().startswith(start) for each in ids)
