"""Lock-free ring buffer from the audio loop to the speaker callback.

Positions are absolute frame counters that only grow: a fill level is a difference, and a heard
frame is a lookup. Each attribute has one writer. Replacing a Python int is atomic, so the other
side reads either the old or the new value.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.speech.loss_concealment import LossConcealment
from voicechat.speech.pcm import Samples, fade_in

_OVERLAP_S: Final = 0.004
"""Overlap of two queues, because the times that devices report are a little inexact."""
_MIN_BLOCKS: Final = 3
"""Blocks of 10 ms that a callback may render while the loop ends a queue."""


class PlaybackQueue:
    """Queued sound for the speaker callback, with exact playout positions.

    The loop writes, holds, ducks and flushes; `render` applies it in its next block with a short
    fade. Each block is logged with the time it leaves the speaker, and `heard` reads that log. Hold
    and resume lose nothing. When the sound breaks off, loss concealment continues it: for 60 ms if
    the item's sound is late, with an immediate fade if the item has ended. New sound fades in over
    it.
    """

    def __init__(self, rate: int, seconds: float = 5.0, fade_ms: float = 8.0) -> None:
        self.rate: Final = rate
        self._size: Final = 1 << int(rate * seconds - 1).bit_length()
        self._ring: Samples = np.zeros(self._size, np.int16)
        self._margin: Final = rate // 50
        """Frames, or frames of waiting, that are enough to continue after an underrun."""
        self._history: Final = rate
        """Frames kept behind the read position for `restart`."""
        self._fade: Final = max(1, int(rate * fade_ms / 1000))
        self._rise: Final = fade_in(self._fade)
        self._fall: Final = self._rise[::-1].copy()
        self._mix: NDArray[np.float32] = np.zeros(rate, np.float32)
        self._steps: Final = np.arange(1, rate + 1, dtype=np.float32)
        self._ramp: NDArray[np.float32] = np.zeros(rate, np.float32)
        # Written by the loop.
        self._written = 0
        self._held = False
        self._target_gain = 1.0
        self._flush_requested = 0
        self._flush_to = 0
        self._cue_requested: NDArray[np.float32] = np.empty(0, np.float32)
        self.silent_at = math.inf
        """Time at which the device closed; later sound was never heard."""
        self.closed = True
        """Set while no more sound is expected: running dry is then not an underrun."""
        self.start_frames = 0
        """Frames that must wait before an item starts to play."""
        self.max_wait_frames = 0
        """Frames of waiting after which it starts with fewer."""
        # Written by the callback.
        self._read = 0
        self._dry = True
        self.sounding = False
        """True if the last rendered block had queued sound."""
        self._started = False
        self._ending = True
        self._waited = 0
        self._gap = 0
        self._gain = 1.0
        self._flush_done = 0
        self._cue = self._cue_requested
        self._cue_at = 0
        self.next_at = 0.0
        """Time at which the next rendered frame is heard."""
        self.flushed_at = 0
        """Position after the last frame handed over before the latest flush."""
        self.gaps = 0
        """Number of gaps inside items."""
        self.gap_frames = 0
        """Total length of the gaps in frames."""
        self._tail: Final = LossConcealment(rate)
        self._past: Final[NDArray[np.float32]] = np.zeros(self._tail.memory, np.float32)
        self._rendered: Final[Samples] = np.zeros(1 << self._tail.memory.bit_length(), np.int16)
        """Ring of the newest rendered sound without cues."""
        self._rendered_to = 0
        self._silent_frames = 0
        """Silent frames rendered since the last sound."""
        self._log_size: Final = 1024
        self._log_dac: NDArray[np.float64] = np.zeros(self._log_size)
        self._log_from: NDArray[np.int64] = np.zeros(self._log_size, np.int64)
        self._log_take: NDArray[np.int64] = np.zeros(self._log_size, np.int64)
        self._logged = 0

    # ----------------------------------------------------------------- the loop's side

    @property
    def written(self) -> int:
        """Absolute position of the next frame to write."""
        return self._written

    @property
    def flushed_to(self) -> int:
        """Position before which everything was flushed."""
        return self._flush_to

    @property
    def waiting(self) -> int:
        """Frames not yet handed to the device."""
        return self._written - self._read

    @property
    def space(self) -> int:
        """Frames that `write` can take now."""
        return max(0, self._size - self._history - self.waiting)

    @property
    def held(self) -> bool:
        return self._held

    @property
    def cue_playing(self) -> bool:
        """True while a cue plays or is about to."""
        return self._cue is not self._cue_requested or self._cue_at < len(self._cue)

    @property
    def busy(self) -> bool:
        """True while sound or a cue plays or is about to."""
        return self.sounding or self._written != self._read or self.cue_playing

    @property
    def flushing(self) -> bool:
        """True until the callback has applied a flush."""
        return self._flush_done != self._flush_requested

    def write(self, samples: Samples) -> int:
        """Append what fits; return the number of frames taken."""
        count = min(len(samples), self.space)
        start = self._written & (self._size - 1)
        first = min(count, self._size - start)
        self._ring[start : start + first] = samples[:first]
        self._ring[: count - first] = samples[first:count]
        self._written += count
        return count

    def flush(self) -> None:
        """Fade out and drop everything written so far; `flushing` is true until it took effect."""
        self._flush_to = self._written
        self._flush_requested += 1

    def hold(self) -> None:
        """Fade out and keep the position."""
        self._held = True

    def resume(self) -> None:
        """Continue from the held position."""
        self._held = False

    def restart(self, at: float) -> None:
        """Continue after the device discarded its buffer and fell silent at `at`.

        Sound that was not heard by then plays again unless it was flushed. Call between callbacks.
        """
        self.go_back(self.heard(at), at)
        left = self._cue[self._cue_at :][: self._fade]
        left *= self._rise[: len(left)]

    def set_gain(self, gain: float) -> None:
        """Set the gain of queued sound, reached within the next 10 ms of it; above 1.0 it clips."""
        self._target_gain = gain

    def play_cue(self, cue: NDArray[np.float32]) -> None:
        """Mix a cue over everything: float32 at int16 scale, at the rate of this queue.

        A cue that still plays fades out under it.
        """
        self._cue_requested = cue.copy()

    def heard(self, now: float) -> int:
        """Return the absolute position that leaves the speaker at monotonic time `now`."""
        now = min(now, self.silent_at)
        last = self._logged
        for index in range(last - 1, max(-1, last - self._log_size + 8), -1):
            slot = index % self._log_size
            since = now - float(self._log_dac[slot])
            if since >= 0:
                played = min(int(self._log_take[slot]), int(since * self.rate))
                return int(self._log_from[slot]) + played
        return 0 if last < self._log_size else self._read

    def unplayed(self, position: int) -> Samples:
        """Return a copy of the sound after `position`, for another queue."""
        begin = max(position, self._written - self._size)
        indexes = np.arange(begin, self._written) & (self._size - 1)
        copy: Samples = self._ring[indexes]
        return copy

    def join(self, following: PlaybackQueue) -> int:
        """Return the position at which another queue of the same rate continues without a gap.

        Both queues must be rendered to running devices.
        """
        if self._dry:
            return self._read
        frames = int((following.next_at - self.next_at + _OVERLAP_S) * self.rate)
        return min(self._written, self._read + max(frames, _MIN_BLOCKS * self.rate // 100))

    def end_at(self, position: int) -> None:
        """Fade out at this position, because another queue continues there."""
        self._written, self.closed = position, True

    # ----------------------------------------------------------------- the callback's side

    def render(self, out: Samples, dac: float) -> None:
        """Fill `out`, int16 of shape (frames,); `dac` is when its first frame is heard."""
        self._ending = self.closed
        self.next_at = dac + len(out) / self.rate
        if self._rests:
            out[:] = 0
            return
        begin = self._read
        take = self._render_queued(out)
        self._log_block(dac, begin, take)
        self.sounding = take > 0
        if not self._tail.finished:
            self._add_tail(out[take:])
        self._keep_rendered(out)
        is_silent = self._dry and self._tail.finished and not take
        self._silent_frames = self._silent_frames + len(out) if is_silent else 0
        if self.cue_playing:
            self._add_cue(out)

    @property
    def position(self) -> int:
        """Absolute position of the next frame to hand over."""
        return self._read

    def go_back(self, position: int, at: float) -> None:
        """Continue from a position that was reached at monotonic time `at`.

        What was handed over since was not heard. It plays again unless it was flushed.
        """
        self._log_block(at, position, 0)
        kept = max(position, self._flush_to, self._written - self._size)
        self._read = min(self._read, kept)
        self._dry = True
        self._tail.end()

    @property
    def _rests(self) -> bool:
        """True if nothing is queued or requested, and all that is remembered is silence."""
        return (
            self._silent_frames >= len(self._rendered)
            and self._ending
            and self._written == self._read
            and self._flush_done == self._flush_requested
            and not (self._started or self._held or self.cue_playing)
        )

    def _log_block(self, dac: float, begin: int, take: int) -> None:
        slot = self._logged % self._log_size
        self._log_dac[slot] = dac
        self._log_from[slot] = begin
        self._log_take[slot] = take
        self._logged += 1

    def _render_queued(self, out: Samples) -> int:
        """Copy queued sound into the block; return the number of frames."""
        if self._flush_done != self._flush_requested:
            return self._flush(out)
        if self._held:
            return self._fade_out(out)
        rise = self._dry
        if rise and not self._starts(len(out)):
            self._play_tail(out)
            return 0
        take = max(0, min(len(out), self._written - self._read))
        self._copy(out, take)
        self._read += take
        self._apply_gain(out, take, rise)
        if rise:
            self._tail.release(self._fall)
        if not self._tail.finished:
            self._add_tail(out[:take])
        self._dry = take < len(out)
        if self._dry:
            self._run_dry(out, take)
        return take

    def _starts(self, frames: int) -> bool:
        """True if there is enough sound to start, or to continue after an underrun."""
        waiting = self._written - self._read
        target, max_wait = self.start_frames, self.max_wait_frames
        if self._started:
            target, max_wait = min(target, self._margin), min(max_wait, self._margin)
        enough = self._ending or waiting >= target or self._waited >= max_wait
        if not waiting or not enough:
            self._waited += frames if waiting else 0
            return False
        self._end_gap()
        self._dry, self._started = False, True
        return True

    def _end_gap(self) -> None:
        """Count a gap inside an item."""
        if self._started and self._gap:
            self.gaps += 1
            self.gap_frames += self._gap
        self._gap = self._waited = 0

    def _run_dry(self, out: Samples, take: int) -> None:
        """Fill the block from `take` on with concealment or a fade."""
        self._start_concealment(out[:take])
        if self._ending:
            self._started = False
            self._tail.release(self._fall)
        else:
            self._gap = len(out) - take

    def _start_concealment(self, block: Samples) -> None:
        """Start the concealment after `block`, the beginning of the current block."""
        past, rendered = self._past, self._rendered
        known = max(0, len(past) - len(block))
        indexes = np.arange(self._rendered_to - known, self._rendered_to) & (len(rendered) - 1)
        past[:known] = rendered[indexes]
        past[known:] = block[len(block) - len(past) + known :]
        self._tail.begin(past)

    def _keep_rendered(self, block: Samples) -> None:
        """Keep the block in the ring of rendered sound."""
        rendered = self._rendered
        start = self._rendered_to & (len(rendered) - 1)
        first = min(len(block), len(rendered) - start)
        rendered[start : start + first] = block[:first]
        if first < len(block):
            rendered[: len(block) - first] = block[first:]
        self._rendered_to += len(block)

    def _play_tail(self, out: Samples) -> None:
        """Play only the tail, and fade it out if the item has ended."""
        out[:] = 0
        if self._ending:
            self._started, self._gap, self._waited = False, 0, 0
            self._tail.release(self._fall)
        else:
            self._gap += len(out)

    def _add_tail(self, out: Samples) -> None:
        piece = self._tail.take(len(out))
        mix = self._mix[: len(piece)]
        np.add(piece, out[: len(piece)], out=mix)
        np.clip(mix, -32768, 32767, out=mix)
        np.copyto(out[: len(piece)], mix, casting="unsafe")

    def _apply_gain(self, out: Samples, take: int, rise: bool) -> None:
        """Apply the gain, and the fade-in after a pause."""
        target = self._target_gain
        if rise:
            self._gain = target
        if target == self._gain == 1.0 and not rise:
            return
        mix = self._mix[:take]
        np.copyto(mix, out[:take], casting="unsafe")
        if target != self._gain:
            # Spread the change over the whole fade even if the block has fewer frames.
            span = max(take, self._fade)
            ramp = self._ramp[:take]
            np.multiply(self._steps[:take], (target - self._gain) / span, out=ramp)
            np.add(ramp, self._gain, out=ramp)
            np.multiply(mix, ramp, out=mix)
            self._gain = target
        elif target != 1.0:
            np.multiply(mix, target, out=mix)
        edge = min(self._fade, take)
        if rise:
            np.multiply(mix[:edge], self._rise[:edge], out=mix[:edge])
        np.clip(mix, -32768, 32767, out=mix)
        np.copyto(out[:take], mix, casting="unsafe")

    def _flush(self, out: Samples) -> int:
        begin = self._read
        take = self._fade_out(out)
        self.flushed_at = begin + take
        self._read = self._flush_to
        self._end_gap()
        self._started = False
        self._flush_done = self._flush_requested
        return take

    def _fade_out(self, out: Samples) -> int:
        """Fade out without moving the position; return the number of frames."""
        out[:] = 0
        if self._dry:
            self._tail.release(self._fall)
            return 0
        self._dry = True
        if self._written - self._read < self._fade:
            self._start_concealment(out[:0])
            self._tail.release(self._fall)
            return 0
        take = self._fade
        self._copy(out, take)
        mix = self._mix[:take]
        np.multiply(out[:take], self._fall * self._gain, out=mix)
        np.clip(mix, -32768, 32767, out=mix)
        np.copyto(out[:take], mix, casting="unsafe")
        return take

    def _copy(self, out: Samples, take: int) -> None:
        start = self._read & (self._size - 1)
        first = min(take, self._size - start)
        out[:first] = self._ring[start : start + first]
        out[first:take] = self._ring[: take - first]
        out[take:] = 0

    def _add_cue(self, out: Samples) -> None:
        requested = self._cue_requested
        if requested is not self._cue:
            left = self._cue[self._cue_at :][: min(self._fade, len(requested))]
            requested[: len(left)] += left * self._fall[: len(left)]
            self._cue, self._cue_at = requested, 0
        count = min(len(out), len(self._cue) - self._cue_at)
        mix = self._mix[:count]
        np.add(out[:count], self._cue[self._cue_at : self._cue_at + count], out=mix)
        np.clip(mix, -32768, 32767, out=mix)
        np.copyto(out[:count], mix, casting="unsafe")
        self._cue_at += count
