"""Pairs of frames: a request and its answer, the first part of something and its end.

The pairs are found by the grammar that all known wires share, so no names of a provider are needed:
`session.update` is answered by `session.updated`, `setup` by `setupComplete`,
`conversation.item.create` by `conversation.item.added`; `X.delta`, `X.created`, `X.added` and
`X_started` end with `X.done`, `X.completed` or `X_stopped` of the same item or response; a tool
call is answered by the frame that is sent with its id.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from voicechat.session.event_stream import Direction
from voicechat.session.frame_facts import FrameFacts

MOST_OPEN = 256
"""Frames that wait for their other half; then the oldest is forgotten."""

_ANSWERS = ("d", "ed", "ted", "led", "Complete")
"""Endings that turn the type of a request into that of its answer."""
_ADDED = ("added", "created")
_BEGINS = ("delta", "created", "added", "started", "in_progress")
_ENDS = ("done", "completed", "stopped", "failed", "closed")


class FramePairs:
    """The frames that wait for their other half, by what it will look like."""

    def __init__(self) -> None:
        self._open: dict[Hashable, list[int]] = {}

    def take(self, direction: Direction, facts: FrameFacts, number: int) -> int | None:
        """Note a frame, and return the number of the frame that it answers or ends, if any."""
        found = None
        for key in _settles(direction, facts):
            if found is None and (waiting := self._open.get(key)):
                found = waiting.pop(0)
                if not waiting:
                    del self._open[key]
        for key, only_first in _awaits(direction, facts):
            waiting = self._open.setdefault(key, [])
            if not (only_first and waiting):
                waiting.append(number)
        while len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]
        return found


def _settles(direction: Direction, facts: FrameFacts) -> Iterator[Hashable]:
    """Return the keys under which the other half of this frame may wait."""
    if direction is Direction.SENT:
        if facts.call_id:
            yield ("call", facts.call_id)
        return
    if facts.failed_event_id:
        yield ("event", facts.failed_event_id)
    for request in _requests(facts.type):
        yield ("answer", request, facts.item_id)
        yield ("answer", request, "")
    if (stem := _stem(facts.type, _ENDS)) is not None:
        yield ("end", stem, facts.item_id or facts.response_id)


def _awaits(direction: Direction, facts: FrameFacts) -> Iterator[tuple[Hashable, bool]]:
    """Return the keys under which this frame waits, and True where only the first one does."""
    if direction is Direction.SENT:
        yield ("answer", facts.type, facts.item_id), False
        if facts.event_id:
            yield ("event", facts.event_id), True
        return
    if (stem := _stem(facts.type, _BEGINS)) is not None:
        yield ("end", stem, facts.item_id or facts.response_id), True
    if facts.call_id and _stem(facts.type, _ENDS) is not None:
        yield ("call", facts.call_id), True


def _requests(kind: str) -> Iterator[str]:
    """Return the types that a frame of this type may answer."""
    for ending in _ANSWERS:
        if kind.endswith(ending):
            yield kind.removesuffix(ending)
    for word in _ADDED:
        if kind.endswith(word):
            yield f"{kind.removesuffix(word)}create"


def _stem(kind: str, endings: tuple[str, ...]) -> str | None:
    return next((kind.removesuffix(each) for each in endings if kind.endswith(each)), None)
