"""The turns of a continuous session, which has one stream of sound in each direction and no ids.

The model's sound is one track that lasts as long as the session: it is silent between replies. Its
length is the clock here, so that this module needs no other. `DuplexTurns` takes one fact of a
frame after another and returns the events it means: it cuts the track into responses, and the
user's words into items.

    the user    heard                     the first words open an item; a pause ends it
    the model   audio, text, opened       the first one opens a response; a pause ends it

Facts arrive in any order. The end of a turn is not on the wire: clients infer it from a pause.

Sources: OpenAI guide "Managing GPT-Live sessions" (the timeline of a session, transcripts); OpenAI
API reference, `live/sessions` and `realtime/translations`, server events.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    InputCommitted,
    ItemKind,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    SpeechStarted,
    TextDelta,
    TextDone,
    UserTranscript,
)
from voicechat.providers.json_fields import Samples, Stream

VOICE_PEAK = 400
"""Smallest peak of PCM16 samples that counts as voice; pauses are silent but for faint noise."""

PAUSE_MS = 1_000.0
"""Milliseconds of silence after which a reply is complete."""

CALL_PAUSE_MS = 300.0
"""The same for a reply that calls tools: their results wait for its end."""

UNSPOKEN_MS = 6_000.0
"""Milliseconds in which the model may begin to speak after its backing model finished."""

WORDS_PAUSE_MS = 800.0
"""Milliseconds without further words after which the user's turn is complete."""

OVERLAP_MS = 300.0
"""Milliseconds since its last sound in which the model counts as speaking."""

YIELDED_MS = 1_500.0
"""Milliseconds in which the model stops if the user's words interrupt it."""

DISCARD_MS = 3_000.0
"""Longest time for which the rest of a cancelled reply is discarded, in milliseconds."""

WORK_MS = 120_000.0
"""Milliseconds without news after which work of the backing model counts as finished."""

REPORT_MS = 5_000.0
"""Milliseconds between two reports that a reply still waits for the backing model."""

_LONGEST_STEP_MS = 600_000.0


@dataclass(slots=True)
class SentSound:
    """The user's sound on the wire: a session advances only while it receives some."""

    started: bool = False
    """The session takes sound."""
    sent: bool = False
    """Some was sent since `missing` was called last."""
    seconds: float = 0.0
    """Length of all that was sent."""

    def missing(self, ms: float, rate: int) -> bytes:
        """Return silence for the last `ms` milliseconds unless sound was sent in that time."""
        sent, self.sent = self.sent, False
        return b"" if sent or not self.started else bytes(2 * round(rate * min(ms, 1_000) / 1_000))


@dataclass(slots=True)
class SpokenTurn:
    """One turn of the user."""

    item_id: str
    heard_at: float
    text: str = ""
    committed: bool = False
    stream: Stream = field(default_factory=Stream)


@dataclass(slots=True)
class Reply:
    """One response of the model: at most one message, and calls. Times are on the clock."""

    response_id: str
    item_id: str
    active_at: float
    """Time of the latest sound, text or news of the backing model."""
    voiced_at: float = -OVERLAP_MS
    """Time of the latest voice."""
    reported_at: float = 0.0
    message: bool = False
    sounded: bool = False
    calls: bool = False
    talked_over_at: float | None = None
    """Time of the latest words that the user said while the model spoke."""
    stream: Stream = field(default_factory=Stream)
    samples: Samples = field(default_factory=Samples)


@dataclass(slots=True)
class DuplexTurns:
    """The state of a session between frames."""

    tag: str
    """Part of every id, so that ids of two connections differ."""
    ms_per_byte: float = 1000 / 48_000
    """Duration of a byte of PCM16."""
    yields: bool = True
    """The model stops when the user talks over it. An interpreter does not."""
    shows_words: bool = True
    """The user's words are reported."""
    clock: float = 0.0
    """Milliseconds of the session so far."""
    reply: Reply | None = None
    """The open response."""
    working: dict[str, float] = field(default_factory=dict)
    """Running work of the backing model, with the time of its latest news."""
    _past: Reply | None = None
    """The previous response, while late text may still belong to it."""
    _turn: SpokenTurn | None = None
    _cut_at: float = -1.0
    """Time at which a reply was cancelled; its text up to here is discarded."""
    _discard_until: float = -1.0
    _silent_ms: float = 0.0
    _number: int = 0

    def _id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}_{self.tag}_{self._number}"

    def _advance(self, to_ms: float) -> None:
        if self.clock < to_ms <= self.clock + _LONGEST_STEP_MS:
            self.clock = to_ms

    # ----------------------------------------------------------------- the user

    def heard(self, piece: object, start_ms: float, end_ms: float) -> Iterator[Event]:
        """Add words of the user; a time is 0 if the frame has none."""
        if not isinstance(piece, str) or not piece:
            return
        self._advance(end_ms)
        turn = self._turn
        if turn is not None and self.clock - turn.heard_at >= WORDS_PAUSE_MS:
            yield from self._end_turn()
        yield from self._note_overlap(start_ms)
        if self._turn is None:
            turn = self._turn = SpokenTurn(self._id("user"), self.clock)
            yield SpeechStarted(turn.item_id)
        turn = self._turn
        assert turn is not None
        turn.heard_at = self.clock
        if words := turn.stream.piece(piece):
            turn.text += words
            if self.shows_words:
                yield UserTranscript(turn.item_id, words)
        yield from self._expire()

    def _note_overlap(self, start_ms: float) -> Iterator[Event]:
        """Note that the user talks over a reply; end one that was complete."""
        reply = self.reply
        if reply is None or not self.yields:
            return
        # The words of the user arrive late: by then, the model may have stopped.
        began = start_ms or self.clock - OVERLAP_MS
        if began <= reply.voiced_at:
            reply.talked_over_at = began
        elif reply.message and not self.working and self._turn is None:
            yield from self._close(ResponseStatus.COMPLETED)

    def _commit_turn(self) -> Iterator[Event]:
        turn = self._turn
        if turn is not None and not turn.committed:
            turn.committed = True
            yield InputCommitted(turn.item_id)

    def _end_turn(self) -> Iterator[Event]:
        yield from self._commit_turn()
        turn, self._turn = self._turn, None
        if turn is not None:
            text = turn.text if self.shows_words else ""
            yield UserTranscript(turn.item_id, text, final=True, replace=True)

    # ----------------------------------------------------------------- the model

    def audio(self, pcm: bytes, end_ms: float = 0.0) -> Iterator[Event]:
        """Add sound of the track, voiced or silent; `end_ms` is 0 if the frame has no time."""
        duration = len(pcm) * self.ms_per_byte
        before = self.clock
        self._advance(end_ms or before + duration)
        voiced = _peak(pcm) >= VOICE_PEAK
        self._silent_ms = 0.0 if voiced else self._silent_ms + duration
        if self._silent_ms >= OVERLAP_MS or self.clock >= self._discard_until:
            self._discard_until = -1.0
        if voiced and self._discard_until < 0:
            yield from self.opened()
        reply = self.reply
        if reply is not None and (voiced or reply.sounded) and self._discard_until < 0:
            yield from self._message(reply)
            reply.sounded = True
            if voiced:
                reply.voiced_at = reply.active_at = self.clock
            if whole := reply.samples.piece(pcm):
                yield AudioDelta(reply.response_id, reply.item_id, whole)
        yield from self._expire()

    def text(self, piece: object, start_ms: float, end_ms: float) -> Iterator[Event]:
        """Add a piece of the transcript of the model's speech."""
        if not isinstance(piece, str) or not piece:
            return
        self._advance(end_ms)
        if self._discard_until >= 0 or (start_ms and start_ms < self._cut_at):
            return
        past = self._past
        is_late = self.reply is None and past is not None and 0 < start_ms <= past.voiced_at
        if not is_late:
            yield from self.opened()
        reply = past if is_late else self.reply
        assert reply is not None
        if not is_late:
            yield from self._message(reply)
            reply.active_at = reply.voiced_at = max(reply.voiced_at, self.clock)
        if words := reply.stream.piece(piece):
            yield TextDelta(reply.response_id, reply.item_id, words, spoken=True)
        yield from self._expire()

    def opened(self) -> Iterator[Event]:
        """Open a response unless one is open; it answers the user's turn."""
        reply = self.reply
        if reply is not None:
            over, silent_ms = reply.talked_over_at, self.clock - reply.voiced_at
            if over is None or silent_ms < OVERLAP_MS:
                reply.active_at = self.clock
                return
            yield from self._close(ResponseStatus.CANCELLED, "turn_detected")
        yield from self._commit_turn()
        self.reply = Reply(self._id("resp"), self._id("item"), self.clock, reported_at=self.clock)
        self._past = None
        yield ResponseCreated(self.reply.response_id)

    def _message(self, reply: Reply) -> Iterator[Event]:
        if not reply.message:
            reply.message = True
            yield OutputItemAdded(reply.response_id, reply.item_id)

    # ----------------------------------------------------------------- ends

    def cancel(self) -> list[Event]:
        """End the open response at once and discard the rest of it."""
        self._cut_at, self._discard_until = self.clock, self.clock + DISCARD_MS
        self._silent_ms = 0.0
        return list(self._close(ResponseStatus.CANCELLED, "client_cancelled"))

    def worked(self, work: str) -> None:
        """Note that work of the backing model ended: the voice speaks about its result next."""
        self.working.pop(work, None)
        self._discard_until = -1.0
        if self.reply is not None:
            self.reply.active_at = self.clock

    def finish(self) -> Iterator[Event]:
        """End everything that is open: the session pauses or ends."""
        self.working.clear()
        yield from self._end_turn()
        yield from self._close(ResponseStatus.COMPLETED)

    def _expire(self) -> Iterator[Event]:
        """End what a pause has ended."""
        turn, reply = self._turn, self.reply
        if turn is not None and self.clock - turn.heard_at >= WORDS_PAUSE_MS:
            yield from self._end_turn()
        for work, at in list(self.working.items()):
            if self.clock - at >= WORK_MS:
                del self.working[work]
        if reply is None:
            return
        if self.working:
            if self.clock - reply.reported_at >= REPORT_MS:
                reply.reported_at = self.clock
                work_id = f"{reply.item_id}_work"
                yield OutputItemAdded(reply.response_id, work_id, ItemKind.OTHER)
        elif self.clock - (reply.voiced_at if reply.message else reply.active_at) >= _pause(reply):
            over = reply.talked_over_at
            yielded = over is not None and reply.voiced_at - over < YIELDED_MS
            status = ResponseStatus.CANCELLED if yielded else ResponseStatus.COMPLETED
            yield from self._close(status, "turn_detected" if yielded else None)

    def _close(self, status: ResponseStatus, reason: str | None = None) -> Iterator[Event]:
        reply, self.reply = self.reply, None
        if reply is None:
            return
        whole = status is ResponseStatus.COMPLETED
        if reply.message:
            if whole and reply.sounded:
                yield AudioDone(reply.response_id, reply.item_id)
            if whole:
                yield TextDone(reply.response_id, reply.item_id, None, spoken=True)
            yield OutputItemDone(reply.response_id, reply.item_id, whole)
        self._past = reply if whole else None
        yield ResponseDone(reply.response_id, status, reason)


def _pause(reply: Reply) -> float:
    if reply.message:
        return CALL_PAUSE_MS if reply.calls else PAUSE_MS
    return 0.0 if reply.calls else UNSPOKEN_MS


def _peak(pcm: bytes) -> int:
    """Return the largest magnitude of PCM16 little-endian samples."""
    samples = array("h", pcm[: len(pcm) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    return max(max(samples), -min(samples)) if samples else 0
