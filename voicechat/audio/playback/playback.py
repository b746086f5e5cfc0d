"""Playback: from `Play` commands to the playout position of each item.

Sound waits in a spill queue at the provider's rate; up to two seconds of it wait in the playback
queue at the device rate. When a device is reopened, perhaps at another rate, the sound that was not
yet heard moves to the new playback queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from voicechat.audio.messages import MAX_GAIN, AudioEvent
from voicechat.audio.playback.jitter_buffer import JitterEstimator
from voicechat.audio.playback.playback_queue import PlaybackQueue
from voicechat.audio.playback.spill_queue import SoundPiece, SpillQueue
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStarted, PlaybackStopped
from voicechat.speech.pcm import Resampler, Samples, amplitude

_MEMORY_S: Final = 300
_AHEAD_S: Final = 2.0
_STEP_S: Final = 0.25
_ACK_S: Final = 0.15
_STEADY_S: Final = 0.2
_DUCK: Final = amplitude(-18)
_SOFT: Final = amplitude(-5)


@dataclass(slots=True)
class _Track:
    spans: list[tuple[int, int]] = field(default_factory=list)
    end: int | None = None
    """Queue position where the item ends; None while it may get more sound."""
    started: bool = False
    heard_ms: float = 0.0
    reported_ms: float = -1.0


class HeardPositions:
    """Tracks each item from its first queued frame to its last heard one. Single thread."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._tracks: dict[str, _Track] = {}

    def __len__(self) -> int:
        """Return the number of items that are playing or queued."""
        return len(self._tracks)

    @property
    def open_ended(self) -> bool:
        """True while the newest item may get more sound."""
        for track in reversed(self._tracks.values()):
            return track.end is None
        return False

    def register(self, item_id: str) -> None:
        """Register an item whose frames follow later."""
        self._tracks.setdefault(item_id, _Track())

    def queued(self, item_id: str, begin: int, count: int) -> None:
        """Record that `count` frames of the item were queued at position `begin`."""
        track = self._tracks.setdefault(item_id, _Track())
        if track.spans and track.spans[-1][1] == begin:
            track.spans[-1] = (track.spans[-1][0], begin + count)
        else:
            track.spans.append((begin, begin + count))

    def ended(self, item_id: str, position: int) -> None:
        """Record that the item has no frame at or after `position`."""
        self._tracks.setdefault(item_id, _Track()).end = position

    @property
    def in_the_middle(self) -> bool:
        """True if one item is heard, and its start was reported."""
        return [track.started for track in self._tracks.values()] == [True]

    def heard(self, position: int, at: float, progress: bool) -> Iterator[AudioEvent]:
        """Yield the events up to `position`: starts, ends and, with `progress`, positions."""
        for item_id, track in list(self._tracks.items()):
            if track.spans and not track.started and position > track.spans[0][0]:
                track.started = True
                yield PlaybackStarted(item_id, at)
            self._advance(track, position)
            finished = track.end is not None and position >= track.end
            if track.started and (progress or finished) and track.heard_ms != track.reported_ms:
                track.reported_ms = track.heard_ms
                yield Heard(item_id, track.heard_ms)
            if finished:
                del self._tracks[item_id]
                yield PlaybackFinished(item_id)

    def stop(self, position: int) -> dict[str, float]:
        """Return the heard ms of every playing or queued item, and forget all items."""
        for track in self._tracks.values():
            self._advance(track, position)
        heard = {item_id: track.heard_ms for item_id, track in self._tracks.items()}
        self._tracks.clear()
        return heard

    def drop_ended(self) -> list[str]:
        """Forget every item with a known end, heard or not; return their ids."""
        ended = [item_id for item_id, track in self._tracks.items() if track.end is not None]
        for item_id in ended:
            del self._tracks[item_id]
        return ended

    def rebase(self, origin: int, rate: int) -> None:
        """Continue on a new queue with another rate: `origin` becomes its position 0."""
        scale = rate / self._rate
        for track in self._tracks.values():
            track.spans = [
                (round((begin - origin) * scale), round((end - origin) * scale))
                for begin, end in track.spans
            ]
            if track.end is not None:
                track.end = round((track.end - origin) * scale)
        self._rate = rate

    def _advance(self, track: _Track, position: int) -> None:
        frames = sum(max(0, min(end, position) - begin) for begin, end in track.spans)
        track.heard_ms = max(track.heard_ms, frames * 1000 / self._rate)


class Playback:
    """Feeds one playback queue and tracks what was heard. Single thread; no callback code."""

    def __init__(self, rate: int) -> None:
        self._rate: Final = rate
        self._spill_queue = SpillQueue(_MEMORY_S * rate * 2)
        self._positions = HeardPositions(rate)
        self.queue: PlaybackQueue | None = None
        """The playback queue of the open speaker."""
        self._previous: PlaybackQueue | None = None
        """The queue that plays up to the joint with `queue`, where `queue` begins."""
        self._joint = 0
        self._resampler = Resampler(rate, rate)
        self._open_item: str | None = None
        self._piece: SoundPiece | None = None
        self._offset = 0
        self._odd_bytes: dict[str, bytes] = {}
        self._volume = 1.0
        self._ducked = self._soft = False
        self._held = False
        self._stop_by = 0.0
        self._earlier_gaps = 0
        self._earlier_lost_ms = 0.0
        self._jitter: Final = JitterEstimator()

    # ----------------------------------------------------------------- input

    def play(self, item_id: str, pcm: bytes, now: float) -> None:
        """Queue PCM16 that arrived at `now` (monotonic s); an odd byte waits for its other half."""
        pcm = self._odd_bytes.pop(item_id, b"") + pcm
        if len(pcm) & 1:
            self._odd_bytes[item_id] = pcm[-1:]
            pcm = pcm[:-1]
        self._positions.register(item_id)
        if pcm:
            self._jitter.arrived(item_id, len(pcm) * 500 / self._rate, now)
            self._set_prebuffer()
            if self._piece is None and not self._spill_queue.pieces:
                self._piece, self._offset = SoundPiece(item_id, pcm), 0
            else:
                self._spill_queue.push(item_id, pcm)

    def end(self, item_id: str) -> None:
        """Mark the end of the item's sound."""
        self._odd_bytes.pop(item_id, None)
        self._positions.register(item_id)
        self._spill_queue.end(item_id)

    def volume(self, gain: float) -> None:
        self._volume = min(MAX_GAIN, max(0.0, gain))
        self._apply_gain()

    def duck(self, on: bool) -> None:
        """Lower playback by 18 dB, or restore it."""
        self._ducked = on
        self._apply_gain()

    def soften(self, on: bool) -> None:
        """Lower playback by 5 dB until further notice, or restore it."""
        if on != self._soft:
            self._soft = on
            self._apply_gain()

    def hold(self) -> None:
        """Fade out and keep the position."""
        self._held = True
        for queue in (self._previous, self.queue):
            if queue is not None:
                queue.hold()

    def resume(self) -> None:
        """Continue from the held position at full level."""
        self._held = False
        self.duck(False)
        if self.queue is not None:
            self.queue.resume()

    def stop(self, now: float) -> None:
        """Fade out and drop all sound; `stopped` returns the result once it took effect."""
        self._spill_queue.clear()
        self._odd_bytes.clear()
        self._drop_piece()
        self._stop_by = now + _ACK_S
        if self._previous is not None:
            self._previous.hold()
        if self.queue is not None:
            self.queue.flush()

    # ----------------------------------------------------------------- progress

    @property
    def stopping(self) -> bool:
        return self._stop_by > 0.0

    @property
    def idle(self) -> bool:
        """True when every item was heard to its end."""
        return not self._positions

    @property
    def steady(self) -> bool:
        """True if no item starts or ends within the next 0.2 s, and no stop is under way."""
        queue = self.queue
        if queue is None or self.stopping or self.idle:
            return queue is not None and not self.stopping
        plays_on = queue.sounding and queue.waiting > _STEADY_S * queue.rate
        return plays_on and self._positions.in_the_middle

    @property
    def sounding(self) -> bool:
        """True while queued sound plays and is not held."""
        return self.queue is not None and self.queue.sounding and not self._held

    def stopped(self, now: float, silent_since: float | None = None) -> PlaybackStopped | None:
        """Return the result of `stop` once the callback has flushed, or after a timeout.

        `silent_since`: time at which the device buffer was discarded, if it was.
        """
        queue = self.queue
        pending = queue is not None and queue.flushing and now < self._stop_by
        if not self.stopping or (pending and silent_since is None):
            return None
        if queue is None:
            position = 0
        elif silent_since is not None or queue.flushing:
            position = queue.heard(now if silent_since is None else silent_since)
        else:
            position = queue.flushed_at
        heard = self._positions.stop(position)
        self._resampler.finish()
        self._open_item = None
        self._stop_by = 0.0
        self.resume()
        if queue is not None:
            queue.closed = True
        return PlaybackStopped(heard)

    def feed(self) -> None:
        """Fill the playback queue up to two seconds."""
        queue = self.queue
        if queue is None or self.stopping:
            return
        while queue.waiting < _AHEAD_S * queue.rate and self._feed_step(queue):
            pass
        queue.closed = not (self._positions.open_ended or self._spill_queue.pieces or self._piece)

    def events(self, now: float, progress: bool) -> Iterator[AudioEvent]:
        """Yield the events of items that started, advanced or finished."""
        if self.queue is not None and not self.stopping:
            yield from self._positions.heard(self._heard(self.queue, now), now, progress)

    def _heard(self, queue: PlaybackQueue, now: float) -> int:
        """Return the heard position, negative before the joint of two queues."""
        position = queue.heard(now)
        if self._previous is not None:
            before = self._previous.heard(now) - self._joint
            if before < 0 and not position:
                return before
            self._previous = None
        return position

    @property
    def is_handing_over(self) -> bool:
        """True while the sound up to the joint plays on another device."""
        return self._previous is not None

    @property
    def prebuffer_ms(self) -> float:
        """Longest time in ms that the first sound of an item waits."""
        return self._jitter.max_wait_ms

    def decay(self, seconds: float) -> None:
        """Decay the jitter estimate by `seconds` of playback."""
        self._jitter.decay(seconds)
        self._set_prebuffer()

    @property
    def spilled_bytes(self) -> int:
        """Bytes of sound in the temporary file."""
        return self._spill_queue.spilled_bytes

    def totals(self) -> tuple[int, float]:
        """Return the number of gaps and the ms lost since the start."""
        gaps, lost = self._earlier_gaps, self._earlier_lost_ms
        if self.queue is not None:
            gaps += self.queue.gaps
            lost += self.queue.gap_frames * 1000 / self.queue.rate
        return gaps, lost

    # ----------------------------------------------------------------- devices come and go

    def attach(self, queue: PlaybackQueue, now: float, *, joined: bool = False) -> None:
        """Continue on another playback queue, with the sound that the old one had not played.

        joined: the old queue still plays, at the same rate, until the other one continues.
        """
        old, self._previous = self.queue, None
        origin, rest = 0, np.empty(0, np.int16)
        if old is not None:
            origin = max(old.join(queue) if joined else old.heard(now), old.flushed_to)
            rest = old.unplayed(origin)
            self._keep_totals(old)
            if joined:
                old.end_at(origin)
                self._previous, self._joint = old, origin
        self._positions.rebase(origin, queue.rate)
        if old is not None and old.rate != queue.rate:
            resampler = Resampler(old.rate, queue.rate)
            rest = np.concatenate((resampler.convert(rest), resampler.finish()))
        self._resampler = Resampler(self._rate, queue.rate)
        self.queue = queue
        self._set_prebuffer()
        queue.closed = False
        queue.write(rest)
        self._apply_gain()
        if self._held:
            queue.hold()

    def detach(self) -> Iterator[AudioEvent]:
        """Drop all queued sound because there is no speaker; yield the end of ended items."""
        if self.queue is not None:
            self._keep_totals(self.queue)
            self.queue = None
        self._drop_piece()
        while (piece := self._spill_queue.pop()) is not None:
            if piece.last:
                self._positions.ended(piece.item_id, 0)
        for item_id in self._positions.drop_ended():
            yield PlaybackFinished(item_id)

    def close(self) -> None:
        """Remove the temporary file."""
        self._spill_queue.close()

    # ----------------------------------------------------------------- inside

    def _feed_step(self, queue: PlaybackQueue) -> bool:
        if self._piece is None and self._spill_queue.pieces:
            self._piece, self._offset = self._spill_queue.pop(), 0
        piece = self._piece
        if piece is None:
            return False
        if self._open_item not in (None, piece.item_id):
            self._finish_item(queue)
        self._open_item = piece.item_id
        if piece.last:
            self._finish_item(queue)
            self._positions.ended(piece.item_id, queue.written)
            self._drop_piece()
            return True
        size = 2 * int(self._rate * _STEP_S)
        step = np.frombuffer(piece.pcm[self._offset : self._offset + size], np.int16)
        if queue.rate != self._rate:
            step = self._resampler.convert(step)
        self._write(queue, piece.item_id, step)
        self._offset += size
        if self._offset >= len(piece.pcm):
            self._drop_piece()
        return True

    def _finish_item(self, queue: PlaybackQueue) -> None:
        """Write the resampler's delayed rest, so that the next item starts clean."""
        if self._open_item is not None:
            self._write(queue, self._open_item, self._resampler.finish())
            self._open_item = None

    def _write(self, queue: PlaybackQueue, item_id: str, samples: Samples) -> None:
        if len(samples):
            begin = queue.written
            self._positions.queued(item_id, begin, queue.write(samples))

    def _drop_piece(self) -> None:
        self._piece, self._offset = None, 0

    def _apply_gain(self) -> None:
        if self.queue is not None:
            lowered = _DUCK if self._ducked else _SOFT if self._soft else 1.0
            self.queue.set_gain(self._volume * lowered)

    def _set_prebuffer(self) -> None:
        if self.queue is not None:
            self.queue.start_frames = int(self.queue.rate * self._jitter.fill_ms / 1000)
            self.queue.max_wait_frames = int(self.queue.rate * self._jitter.max_wait_ms / 1000)

    def _keep_totals(self, queue: PlaybackQueue) -> None:
        self._earlier_gaps += queue.gaps
        self._earlier_lost_ms += queue.gap_frames * 1000 / queue.rate
