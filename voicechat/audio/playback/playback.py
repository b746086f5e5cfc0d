"""The speaker's side: from `Play` to what was heard.

Sound waits in the backlog at the provider's rate, two seconds of it in the queue at the
device's. The queue may be replaced at any time (the device was reopened, perhaps at another
rate); what was not yet heard moves over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from voicechat.audio.messages import AudioEvent
from voicechat.audio.playback.heard_positions import Ledger
from voicechat.audio.playback.jitter_buffer import Jitter
from voicechat.audio.playback.playback_queue import PlaybackQueue
from voicechat.audio.playback.spill_queue import Backlog, Piece
from voicechat.core.inputs import PlaybackFinished, PlaybackStopped
from voicechat.speech.levels import Resampler, Samples, amplitude

_MEMORY_S: Final = 300
_AHEAD_S: Final = 2.0
_STEP_S: Final = 0.25
_ACK_S: Final = 0.15
_DUCK: Final = amplitude(-18)


class Playback:
    """Feeds one queue and keeps the books. One thread; the callback only sees the queue."""

    def __init__(self, rate: int) -> None:
        self._rate: Final = rate
        self._backlog = Backlog(_MEMORY_S * rate * 2)
        self._ledger = Ledger(rate)
        self._queue: PlaybackQueue | None = None
        self._resampler = Resampler(rate, rate)
        self._open_item: str | None = None
        self._piece: Piece | None = None
        self._offset = 0
        self._odd: dict[str, bytes] = {}
        self._volume = 1.0
        self._ducked = False
        self._held = False
        self._stop_by = 0.0
        self._past_gaps = 0
        self._past_lost_ms = 0.0
        self._jitter: Final = Jitter()

    # ----------------------------------------------------------------- what comes in

    def play(self, item_id: str, pcm: bytes, now: float) -> None:
        """Queue sound that came at `now`; an odd byte waits for its other half."""
        pcm = self._odd.pop(item_id, b"") + pcm
        if len(pcm) & 1:
            self._odd[item_id] = pcm[-1:]
            pcm = pcm[:-1]
        self._ledger.announce(item_id)
        if pcm:
            self._jitter.arrived(item_id, len(pcm) * 500 / self._rate, now)
            self._set_prebuffer()
            self._backlog.push(item_id, pcm)

    def end(self, item_id: str) -> None:
        """The item has no more sound."""
        self._odd.pop(item_id, None)
        self._ledger.announce(item_id)
        self._backlog.end(item_id)

    def volume(self, gain: float) -> None:
        self._volume = min(1.0, max(0.0, gain))
        self._apply_gain()

    def duck(self, on: bool) -> None:
        """Lower the voice, or bring it back."""
        self._ducked = on
        self._apply_gain()

    def hold(self) -> None:
        """Fall silent and keep everything."""
        self._held = True
        if self._queue is not None:
            self._queue.hold()

    def resume(self) -> None:
        """Play on from where it was, at full loudness."""
        self._held = False
        self.duck(False)
        if self._queue is not None:
            self._queue.resume()

    def stop(self, now: float) -> None:
        """Fade out and forget; `stopped` gives the result as soon as it took effect."""
        self._backlog.clear()
        self._odd.clear()
        self._drop_piece()
        self._stop_by = now + _ACK_S
        if self._queue is not None:
            self._queue.flush()

    # ----------------------------------------------------------------- what goes on

    @property
    def stopping(self) -> bool:
        return self._stop_by > 0.0

    @property
    def idle(self) -> bool:
        """Whether every item was heard to its end."""
        return not self._ledger

    @property
    def sounding(self) -> bool:
        """Whether items are playing or queued and not held."""
        return self._queue is not None and self._queue.sounding and not self._held

    def stopped(self, now: float, silent_since: float | None = None) -> PlaybackStopped | None:
        """The stop's result once the callback obeyed, or once it is clear that none will come.

        `silent_since`: the device's own buffer was thrown away at that time.
        """
        queue = self._queue
        pending = queue is not None and queue.flushing and now < self._stop_by
        if not self.stopping or (pending and silent_since is None):
            return None
        if queue is None:
            position = 0
        elif silent_since is not None or queue.flushing:
            position = queue.heard(now if silent_since is None else silent_since)
        else:
            position = queue.flushed_at
        heard = self._ledger.stop(position)
        self._resampler.finish()
        self._open_item = None
        self._stop_by = 0.0
        self.resume()
        if queue is not None:
            queue.closed = True
        return PlaybackStopped(heard)

    def feed(self) -> None:
        """Bring the queue up to two seconds."""
        queue = self._queue
        if queue is None or self.stopping:
            return
        while queue.waiting < _AHEAD_S * queue.rate and self._feed_step(queue):
            pass
        queue.closed = not (self._ledger.open_ended or self._backlog or self._piece)

    def events(self, now: float, progress: bool) -> Iterator[AudioEvent]:
        """Items that began, went on or ended."""
        if self._queue is not None and not self.stopping:
            yield from self._ledger.heard(self._queue.heard(now), now, progress)

    @property
    def prebuffer_ms(self) -> float:
        """How long the first sound of an item waits at most before it is played."""
        return self._jitter.wait_ms

    def calm(self, seconds: float) -> None:
        """So much time passed with sound playing."""
        self._jitter.calm(seconds)
        self._set_prebuffer()

    @property
    def waits_on_disk(self) -> int:
        """Bytes of sound in the temporary file."""
        return self._backlog.spilled_bytes

    def totals(self) -> tuple[int, float]:
        """Gaps and lost ms since the start."""
        gaps, lost = self._past_gaps, self._past_lost_ms
        if self._queue is not None:
            gaps += self._queue.gaps
            lost += self._queue.gap_frames * 1000 / self._queue.rate
        return gaps, lost

    # ----------------------------------------------------------------- devices come and go

    def attach(self, queue: PlaybackQueue, now: float) -> None:
        """Go on with another queue; what the old one had not yet played moves over."""
        old = self._queue
        origin, rest = 0, np.empty(0, np.int16)
        if old is not None:
            origin = max(old.heard(now), old.forgotten)
            rest = old.unplayed(origin)
            self._keep_totals(old)
        self._ledger.move(origin, queue.rate)
        if old is not None and old.rate != queue.rate:
            mover = Resampler(old.rate, queue.rate)
            rest = np.concatenate((mover.convert(rest), mover.finish()))
        self._resampler = Resampler(self._rate, queue.rate)
        self._queue = queue
        self._set_prebuffer()
        queue.closed = False
        queue.write(rest)
        self._apply_gain()
        if self._held:
            queue.hold()

    def detach(self) -> Iterator[AudioEvent]:
        """There is no speaker: queued sound is dropped, ended items end."""
        if self._queue is not None:
            self._keep_totals(self._queue)
            self._queue = None
        self._drop_piece()
        while (piece := self._backlog.pop()) is not None:
            if piece.last:
                self._ledger.ended(piece.item_id, 0)
        for item_id in self._ledger.drop_ended():
            yield PlaybackFinished(item_id)

    def close(self) -> None:
        """Remove the temporary file."""
        self._backlog.close()

    # ----------------------------------------------------------------- inside

    def _feed_step(self, queue: PlaybackQueue) -> bool:
        if self._piece is None:
            self._piece, self._offset = self._backlog.pop(), 0
        piece = self._piece
        if piece is None:
            return False
        if self._open_item not in (None, piece.item_id):
            self._finish_item(queue)
        self._open_item = piece.item_id
        if piece.last:
            self._finish_item(queue)
            self._ledger.ended(piece.item_id, queue.written)
            self._drop_piece()
            return True
        size = 2 * int(self._rate * _STEP_S)
        step = np.frombuffer(piece.pcm[self._offset : self._offset + size], np.int16)
        self._write(queue, piece.item_id, self._resampler.convert(step))
        self._offset += size
        if self._offset >= len(piece.pcm):
            self._drop_piece()
        return True

    def _finish_item(self, queue: PlaybackQueue) -> None:
        """The item's last held-back frames; the next item starts with a clean resampler."""
        if self._open_item is not None:
            self._write(queue, self._open_item, self._resampler.finish())
            self._open_item = None

    def _write(self, queue: PlaybackQueue, item_id: str, samples: Samples) -> None:
        if len(samples):
            begin = queue.written
            self._ledger.wrote(item_id, begin, queue.write(samples))

    def _drop_piece(self) -> None:
        self._piece, self._offset = None, 0

    def _apply_gain(self) -> None:
        if self._queue is not None:
            self._queue.set_gain(self._volume * (_DUCK if self._ducked else 1.0))

    def _set_prebuffer(self) -> None:
        if self._queue is not None:
            self._queue.start_frames = int(self._queue.rate * self._jitter.gather_ms / 1000)
            self._queue.patience_frames = int(self._queue.rate * self._jitter.wait_ms / 1000)

    def _keep_totals(self, queue: PlaybackQueue) -> None:
        self._past_gaps += queue.gaps
        self._past_lost_ms += queue.gap_frames * 1000 / queue.rate
