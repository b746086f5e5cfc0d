"""The sound of a call: which item it belongs to, and when a response has been heard.

Over WebRTC, sound comes as one stream without ids, in real time. `output_audio_buffer.started`,
`stopped` and `cleared` say which response it belongs to. A response is complete at the provider
long before its sound has come, so its end waits for the sound, as with providers that end a
response after its last sound. The blocks of sound, 20 ms each, are the clock.

A lost event comes a second or more after its sound, with all events behind it. Sound that comes
before its events is kept, and heard when the events name its item. Only the rest of a reply that
was cut is dropped: it lasts until a pause. What comes then, and before the server confirms the cut,
is dropped unless the next reply is announced soon after that.

Source: OpenAI Realtime API reference, `output_audio_buffer.*`; guide "Realtime API with WebRTC".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    ItemKind,
    OutputItemAdded,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    TextDelta,
    TextDone,
)
from voicechat.core.turns import RecentIds

_EARLY_BLOCKS: Final = 500
"""Blocks of sound that are kept until an event names their response."""
_ONSET: Final = 3
"""Blocks before the first voice that are kept with it."""
_REST_QUIET: Final = 10
"""Quiet blocks after the rest of a reply that was cut."""
_DOUBTFUL: Final = 25
"""Blocks in which the rest of a reply comes after the server has dropped it: 0.5 s."""
_END_QUIET: Final = 5
"""Quiet blocks after `stopped` that end the sound: its last part is in the jitter buffer."""
_END_BLOCKS: Final = 50
"""Blocks after `stopped` that end it in any case."""
_LOST_QUIET: Final = 40
"""Quiet blocks that end the sound of servers that report no buffer."""
_MISSING: Final = 150
"""Quiet blocks after which the end of a response waits no longer for its sound."""
_QUIET: Final = 16
"""Largest sample of a quiet block."""
_VOICE: Final = 300
"""Largest sample from which a block is voice: some servers fill pauses with noise."""
_HEARD: Final = frozenset({ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE})


class CallSound:
    """Turns blocks of sound into `AudioDelta` and holds the ends of responses until it is over."""

    def __init__(self) -> None:
        self.speaking = ""
        """The response whose sound comes; empty if none does."""
        self._item = ""
        self._reports = False
        """The server reports the state of its buffer."""
        self._messages: dict[str, list[str]] = {}
        """Spoken items by response, in their order; the newest responses."""
        self._sounded: Final = RecentIds()
        self._finished: Final = RecentIds()
        self._held: dict[str, ResponseDone] = {}
        self._early: Final[deque[bytes]] = deque(maxlen=_EARLY_BLOCKS)
        self._has_early_voice = False
        self._is_guessed = False
        """The sound of `speaking` began before the event that says so."""
        self._is_rest = False
        """Sound belongs to a reply that was cut."""
        self._unconfirmed = ""
        """The response that was cut here and that the server may still play."""
        self._cut_by_server = ""
        """The response that the server has cut because the user spoke."""
        self._doubtful = 0
        """Blocks for which the kept sound may still belong to a reply whose cut was confirmed."""
        self._has_begun = False
        self._quiet = 0
        self._since_stop: int | None = None
        self._due: list[Event] = []

    # ----------------------------------------------------------------- the events of the frames

    def held_back(self, found: Iterable[Event]) -> list[Event]:
        """Return the events without those that wait for the end of the sound."""
        due, self._due = self._due, []
        return [*due, *(each for event in found for each in self._passed(event))]

    def _passed(self, event: Event) -> Iterator[Event]:
        match event:
            case AudioDelta() if not self._is_ours(event):
                return
            case AudioDone(response_id, item_id) if response_id not in self._finished:
                self._note_spoken(response_id, item_id)
                return
            case OutputItemAdded(response_id, _, ItemKind.MESSAGE):
                self._messages.setdefault(response_id, [])
            case TextDelta(response_id, item_id, _, True) | TextDone(response_id, item_id, _, True):
                self._note_spoken(response_id, item_id)
            case ResponseCreated(response_id, out_of_band=False):
                for other in [other for other in self._held if other != response_id]:
                    yield from self._finish(other)
            case ResponseDone(response_id, status):
                waits = self._messages.get(response_id) and response_id not in self._finished
                if waits and status in _HEARD:
                    self._held[response_id] = event
                    self._quiet = 0
                    return
                self._note_cut(response_id)
                self._forget(response_id)
        yield event

    def _is_ours(self, event: AudioDelta) -> bool:
        return event.response_id == self.speaking and event.item_id == self._item

    def _note_spoken(self, response_id: str, item_id: str) -> None:
        items = self._messages.setdefault(response_id, [])
        if item_id not in items:
            items.append(item_id)
        while len(self._messages) > 16:
            self._messages.pop(next(iter(self._messages)))

    # ----------------------------------------------------------------- the state of the buffer

    def started(self, response_id: str) -> Iterator[Event]:
        """Note that the sound of a response begins."""
        self._reports = True
        if self._is_guessed and self.speaking == response_id:
            self._is_guessed = False
            return
        yield from self._start(response_id)

    def _start(self, response_id: str) -> Iterator[Event]:
        if not response_id:
            return
        if self.speaking and self.speaking != response_id:
            yield from self._finish(self.speaking)
        self.speaking, self._since_stop, self._quiet = response_id, None, 0
        self._item, self._has_begun = "", False
        self._is_guessed = self._is_rest = False
        self._unconfirmed, self._doubtful = "", 0
        early = list(self._early)
        self._drop_early()
        for pcm in early:
            yield from self.block(pcm)

    def stopped(self, response_id: str) -> Iterator[Event]:
        """Note that the server has sent all sound of a response."""
        self._reports = True
        self._confirm(response_id)
        if response_id == self.speaking:
            self._since_stop = 0
        elif response_id in self._held:
            yield from self._finish(response_id)

    def cleared(self, response_id: str) -> Iterator[Event]:
        """Note that the server has dropped the rest of the sound."""
        self._reports = True
        self._confirm(response_id)
        response_id = response_id or self.speaking
        if response_id == self.speaking or response_id in self._held:
            self._note_cut(response_id)
            self._confirm(response_id)
            yield from self._finish(response_id)

    def cut(self, response_or_item: str | None) -> bool:
        """Drop the sound that still comes; its response ends soon.

        Only if it is of this response or item: another one may have begun. None means any. Returns
        True if the server has to be told. If it cuts by itself, a clear that comes late would drop
        the next reply.
        """
        if not self.speaking or response_or_item not in {None, self.speaking, self._item}:
            return False
        has_to_be_told = self.speaking != self._cut_by_server
        self._note_cut(self.speaking)
        self._due += self._finish(self.speaking)
        return has_to_be_told

    def interrupted(self) -> None:
        """Note that the server has heard the user, and drops the rest of the sound by itself."""
        self._cut_by_server = self.speaking

    def _note_cut(self, response_id: str) -> None:
        if response_id and response_id == self.speaking:
            self._is_rest = True
            self._unconfirmed = response_id if self._reports else ""

    def _confirm(self, response_id: str) -> None:
        """Note that the server no longer plays the response."""
        if self._unconfirmed and response_id in {"", self._unconfirmed}:
            self._unconfirmed, self._quiet = "", 0
            self._doubtful = 0 if self._is_rest else _DOUBTFUL

    # ----------------------------------------------------------------- sound

    def block(self, pcm: bytes) -> Iterator[Event]:
        """Take 20 ms of sound: PCM16, empty if it is late."""
        due, self._due = self._due, []
        yield from due
        loudest = int(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)).max(initial=0))
        self._quiet = self._quiet + 1 if loudest < _QUIET else 0
        if self.speaking:
            yield from self._spoken(pcm)
        else:
            yield from self._unassigned(pcm, loudest)

    def _spoken(self, pcm: bytes) -> Iterator[Event]:
        item_id = self._item or self._next_item()
        is_rest = self._since_stop is not None and self._quiet
        if item_id and pcm and not is_rest and (self._has_begun or not self._quiet):
            self._has_begun = True
            yield AudioDelta(self.speaking, item_id, pcm)
        if self._since_stop is not None:
            self._since_stop += 1
            if not pcm:
                self._quiet = 0  # the rest may come
        if self._is_over():
            yield from self._finish(self.speaking)

    def _is_over(self) -> bool:
        if self._since_stop is not None:
            return self._quiet >= _END_QUIET or self._since_stop >= _END_BLOCKS
        limit = _MISSING if self._reports else _LOST_QUIET
        return self.speaking in self._held and self._quiet >= limit

    def _next_item(self) -> str:
        """Return the first spoken item of the response whose sound has not come yet."""
        for item_id in self._messages.get(self.speaking, ()):
            if item_id not in self._sounded:
                self._sounded.add(item_id)
                self._item = item_id
                return item_id
        return ""

    def _unassigned(self, pcm: bytes, loudest: int) -> Iterator[Event]:
        if self._quiet >= _MISSING:
            for response_id in list(self._held):
                yield from self._finish(response_id)
            self._is_rest = False
        if self._is_rest:
            self._is_rest = self._quiet < _REST_QUIET
            return
        self._keep(pcm, loudest)
        if self._doubtful:
            self._doubtful -= 1
            if self._quiet >= _REST_QUIET:
                self._doubtful = 0
                self._drop_early()
        if self._unconfirmed or self._doubtful:
            return
        newest = next(reversed(self._messages), "")
        if self._has_early_voice and self._messages.get(newest) and newest not in self._finished:
            yield from self._start(newest)
            self._is_guessed = True

    def _keep(self, pcm: bytes, loudest: int) -> None:
        """Keep sound until an event names its response, from its first voice on."""
        self._early.append(pcm)
        self._has_early_voice = self._has_early_voice or loudest >= _VOICE
        if not self._has_early_voice:
            while len(self._early) > _ONSET:
                self._early.popleft()
        elif self._quiet >= _EARLY_BLOCKS:
            self._drop_early()

    def _drop_early(self) -> None:
        self._early.clear()
        self._has_early_voice = False

    def _finish(self, response_id: str) -> list[Event]:
        """Return the events that end a response and its items."""
        items = self._messages.get(response_id, [])
        found: list[Event] = [AudioDone(response_id, item_id) for item_id in items]
        done = self._held.pop(response_id, None)
        self._finished.add(response_id)
        if self.speaking == response_id:
            self.speaking = self._item = ""
        self._drop_early()
        return found if done is None else [*found, done]

    def _forget(self, response_id: str) -> None:
        self._finished.add(response_id)
        if self.speaking == response_id:
            self.speaking = self._item = ""
