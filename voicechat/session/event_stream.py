"""Event stream of one session: one publisher, any number of independent subscribers.

Every subscriber has a bounded queue of its own with a named overflow policy, so a slow subscriber
cannot delay the session or another subscriber. Events keep their order. `publish` costs one
dictionary lookup when no one wants the event.

    stream = EventStream()
    levels = stream.subscribe("meter", limit=8, overflow=Overflow.DROP_OLDEST, wants={Levels})
    async for event in levels: ...

`without_keys` is the way of a provider's events to their one receiver.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from voicechat.core import events, inputs
from voicechat.core.text import KEY_MASK

_Incoming = events.Event | inputs.Disconnected
_Streamed = events.TextDelta | events.UserTranscript | events.ToolArgumentsDelta
_MAX_HELD: Final = 64
"""Most texts whose end is held back; the oldest is released."""


class Overflow(StrEnum):
    """Policy of a subscription whose queue is full."""

    DROP_OLDEST = "drop oldest"
    """Drop the event that waits longest."""

    DROP_NEWEST = "drop newest"
    """Drop the new event."""

    COALESCE = "coalesce"
    """Keep the last of equal events; drop the oldest of the rest if that frees less than half."""

    CLOSE = "close"
    """Close the subscription. Events that already wait can still be taken."""


class Direction(StrEnum):
    """Direction of a frame on the connection."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame of the provider connection as it is on the wire, with known keys masked.

    Only subscriptions that name `RawFrame` in `wants` receive frames, and frames are published
    only while there is such a subscription.
    """

    direction: Direction
    data: str | bytes
    at: float
    """Monotonic time in seconds."""
    size: int = 0
    """Size on the wire if `data` is less: without its sound, as in a recording, or the start of a
    frame that is too large to read. Otherwise 0."""


_ON_REQUEST: Final = (RawFrame,)
"""Kinds that a subscription must name to receive."""


class Subscription:
    """Bounded queue of events for one subscriber; create it with `EventStream.subscribe`.

    Take events with `async for`, or with `pop_all` or `take` after `wake` was called. The
    publisher calls `wake` when the first event arrives in an empty queue and when the
    subscription closes. `pop_all` and `pop_timed` may run on one other thread.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        overflow: Overflow,
        wants: Collection[type] | None,
        leave: Callable[[Subscription], None],
    ) -> None:
        self.name = name
        self.dropped = 0
        """Events lost to the overflow policy so far."""
        self.closed = False
        """No more events arrive; those that wait can still be taken."""
        self.overflowed = False
        """The policy `Overflow.CLOSE` closed the subscription."""
        self.wake: Callable[[], None] | None = None
        """Called on the publisher's thread; it must return at once."""
        self._limit = limit
        self._overflow = overflow
        self._wants = None if wants is None else tuple(wants)
        self._leave = leave
        self._queue: deque[tuple[object, float]] = deque()
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        """Number of queued events."""
        return len(self._queue)

    def accepts(self, kind: type) -> bool:
        """Return True if events of this class go to this subscription."""
        if self._wants is None:
            return not issubclass(kind, _ON_REQUEST)
        return issubclass(kind, self._wants)

    # ----------------------------------------------------------------- taking events

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> object:
        if not await self.wait():
            raise StopAsyncIteration
        return self._queue.popleft()[0]

    async def wait(self) -> bool:
        """Wait for an event; return False if the subscription is closed and empty."""
        while not self._queue and not self.closed:
            self._ready.clear()
            await self._ready.wait()
        return bool(self._queue)

    def take(self) -> object | None:
        """Take the oldest event without waiting; None if there is none."""
        return self._queue.popleft()[0] if self._queue else None

    def pop_all(self) -> list[object]:
        """Take all queued events, the oldest first, without waiting."""
        return [event for event, _ in self.pop_timed()]

    def pop_timed(self, most: int | None = None) -> list[tuple[object, float]]:
        """Take up to `most` events with their monotonic times (s), the oldest first."""
        count = len(self._queue) if most is None else min(most, len(self._queue))
        return [self._queue.popleft() for _ in range(count)]

    def close(self) -> None:
        """Close the subscription. Queued events can still be taken."""
        if not self.closed:
            self.closed = True
            self._leave(self)
            self._notify()

    # ----------------------------------------------------------------- the publisher's side

    def put(self, event: object, at: float) -> None:
        """Add an event; called by the stream."""
        if self.closed or (len(self._queue) >= self._limit and not self._make_room()):
            return
        self._queue.append((event, at))
        if len(self._queue) == 1:
            self._notify()

    def _make_room(self) -> bool:
        """Apply the overflow policy; return False if the new event is dropped."""
        match self._overflow:
            case Overflow.DROP_OLDEST:
                self._queue.popleft()
                self.dropped += 1
            case Overflow.DROP_NEWEST:
                self.dropped += 1
                return False
            case Overflow.COALESCE:
                self._coalesce()
            case Overflow.CLOSE:
                self.dropped += 1
                self.overflowed = True
                self.close()
                return False
        return True

    def _coalesce(self) -> None:
        last: dict[object, tuple[object, float]] = {}
        for event, at in self._queue:
            key = _key(event)
            last.pop(key, None)
            last[key] = (event, at)
        self._queue = deque(last.values())
        while len(self._queue) > self._limit // 2:
            self._queue.popleft()
            self.dropped += 1

    def _notify(self) -> None:
        self._ready.set()
        if self.wake is not None:
            self.wake()


class EventStream:
    """Publishes events to all subscriptions that want them. Use it on one thread."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self.routes: dict[type, tuple[Subscription, ...]] = {}
        """Subscriptions that receive a class of events, for the classes published so far."""
        self._closed = False

    def subscribe(
        self,
        name: str,
        *,
        limit: int,
        overflow: Overflow,
        wants: Collection[type] | None = None,
    ) -> Subscription:
        """Subscribe from now on.

        `limit` is the largest number of queued events. `wants` holds the classes to receive,
        including subclasses; None means all classes except `RawFrame`.
        """
        subscription = Subscription(name, limit, overflow, wants, self._leave)
        subscription.closed = self._closed
        if not self._closed:
            self._subscriptions.append(subscription)
            self.routes.clear()
        return subscription

    def wanted(self, kind: type) -> bool:
        """Return True if a subscription receives events of this class.

        Code for which a call is too slow looks the class up in `routes`.
        """
        return bool(self._route(kind))

    def publish(self, event: object, at: float) -> None:
        """Pass an event of the monotonic time `at` (s) to every subscription that wants it."""
        for subscription in self._route(type(event)):
            subscription.put(event, at)

    def close(self) -> None:
        """Close all subscriptions at the end of the session."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def _route(self, kind: type) -> tuple[Subscription, ...]:
        route = self.routes.get(kind)
        if route is None:
            route = tuple(each for each in self._subscriptions if each.accepts(kind))
            self.routes[kind] = route
        return route

    def _leave(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)
        self.routes.clear()


def _key(event: object) -> object:
    """Key under which equal events are one."""
    try:
        hash(event)
    except TypeError:
        return id(event)
    return event


def without_keys(
    keys: Sequence[str], take: Callable[[_Incoming], None]
) -> Callable[[_Incoming], None]:
    """Return a receiver of events that passes them on to `take` with streamed keys masked."""
    mask = StreamedKeyMask(keys)

    def masked(event: _Incoming) -> None:
        for each in mask.passed_on(event):
            take(each)

    return masked if keys else take


class StreamedKeyMask:
    """Masks keys that come in several pieces of one text.

    The end of a piece that may be the start of a key is held back until the next piece.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._held: dict[tuple[type, str], _Streamed] = {}

    def passed_on(self, event: _Incoming) -> Iterator[_Incoming]:
        """Yield the events to pass on instead of this one, in order."""
        if isinstance(event, events.UserTranscript) and (event.replace or event.final):
            self._held.pop((events.UserTranscript, event.item_id), None)
            yield event
        elif isinstance(event, _Streamed):
            yield from self._piece(event)
        elif not self._held:
            yield event
        else:
            yield from self._released(event)
            yield event

    def _piece(self, event: _Streamed) -> Iterator[_Streamed]:
        key = (type(event), event.item_id)
        held = self._held.pop(key, None)
        text = (held.text if held is not None else "") + event.text
        for secret in self._keys:
            text = text.replace(secret, KEY_MASK)
        shown = len(text) - max((_start_of_key(text, secret) for secret in self._keys), default=0)
        if shown < len(text):
            self._held[key] = replace(event, text=text[shown:])
            if len(self._held) > _MAX_HELD:
                yield self._held.pop(next(iter(self._held)))
        if shown or not text:
            yield replace(event, text=text[:shown])

    def _released(self, event: _Incoming) -> Iterator[_Streamed]:
        """Yield what is held back of the texts that this event ends."""
        item_id = getattr(event, "item_id", None)
        ends_all = isinstance(event, events.ResponseDone | inputs.Disconnected)
        ends = isinstance(event, events.TextDone | events.OutputItemDone | events.ToolCallReady)
        for key in list(self._held) if ends or ends_all else ():
            if ends_all or key[1] == item_id:
                yield self._held.pop(key)


def _start_of_key(text: str, key: str) -> int:
    """Return the length of the longest end of the text that is a start of the key."""
    at = text.find(key[0], max(0, len(text) - len(key) + 1))
    while at >= 0 and not key.startswith(text[at:]):
        at = text.find(key[0], at + 1)
    return len(text) - at if at >= 0 else 0
