"""The far end: the speaker's sound aligned with the microphone's, frame by frame.

An echo canceller needs a constant delay. Counting frames keeps it only while none is lost: an
underrun of the speaker or an overflow of the microphone shifts the two sides for good. So the
callback times of both streams are tracked, and losses are compensated. Slow drift between the
clocks is estimated from the echo itself (clock_drift).

    time of a side's next frame = start of the stream + frames taken - frames waiting
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.devices.streams import SampleRing
from voicechat.speech.pcm import SILENCE_DB, Samples, loudest

_RATE: Final = 16_000
PLAYED: Final = 90 * FRAME
"""Samples of the past that are kept: the longest delay of an echo, and what is compared with it."""
_REFILLED: Final = 0.9
"""Share of a discarded buffer that fills it again; a block may be missing."""
_MAX_WAITING: Final = 100 * FRAME
"""Most far-end samples that wait for a usual buffer."""
_UNKNOWN: Final = 1_000 * FRAME
"""More samples than ever wait."""
_TARGET_WAITING: Final = FRAME * 3 // 2
"""Far-end samples that wait at first, so that the canceller's delay stays constant."""
_WINDOW: Final = 50
"""Callbacks in the estimate of a stream's start: half a second or a second."""
_MIN_WINDOW: Final = 25
"""Callbacks that are enough in a running stream; streams start unsteadily and need all of them."""
_LOSS_WINDOW: Final = 4
"""Callbacks after a reported loss that correct it at once; later ones refine the estimate."""
_CHECK_INTERVAL: Final = 10
"""Frames between two checks."""
_LOST_S: Final = 0.012
"""Misalignment in s that means lost frames; two checks confirm it."""
_JITTER_S: Final = 0.004
"""Misalignment in s within the jitter of callbacks. Values in between count if the device reported
a loss, or if they persist.
"""
_PERSISTENT_CHECKS: Final = 10
"""Checks after which a misalignment counts as persistent."""
_MAX_MISALIGNMENT_S: Final = 0.9
"""A larger misalignment in s is a reset clock or device, not a loss. What is discarded on purpose
comes on top.
"""
_MAX_ERROR: Final = 32
"""Most samples by which the measured loss of whole blocks of 10 ms is wrong: 2 ms."""
_MAX_RETRIES: Final = 5
"""Checks during which to wait for sound that should be played earlier."""
_LEAST_DELAY: Final = 3 * FRAME
"""Samples by which the far end comes at least before its echo."""
_MAX_LATER: Final = 10 * FRAME
"""Samples by which the far end comes later at most while the delay of the echo is unknown."""
_HANDED_FRAMES: Final = 90
"""Frames handed to the speaker most recently whose echo may come before they are returned."""
_RECENTLY_HANDED: Final = 40
"""The same if the far end sounds, or none of them waits: a wrong alignment is shorter."""
_PATIENCE: Final = 10 * FRAME
"""Samples of the microphone from which on they do not wait for a late callback of the speaker."""


_REACH: Final = 8
"""Samples on either side of an interpolated position; also the delay of the interpolation."""
_STEPS: Final = 256
"""Positions between two samples with precomputed taps."""
_MARGIN: Final = 11
"""Extra positions before and after: half of the largest drift."""


def _taps() -> NDArray[np.float32]:
    """Return the windowed sinc of each position, newest sample first: (positions, taps)."""
    positions = np.arange(-_MARGIN, _STEPS + _MARGIN + 1) / _STEPS
    offsets = np.arange(_REACH, -_REACH, -1) - positions[:, np.newaxis]
    taps = np.sinc(offsets) * np.cos(offsets * (np.pi / (2 * _REACH + 2))) ** 2
    normalized: NDArray[np.float32] = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalized


_TAPS: Final = _taps()


class SampleQueue:
    """FIFO of int16 samples for a single thread."""

    def __init__(self) -> None:
        self._samples: Samples = np.empty(0, np.int16)

    def prepend(self, samples: Samples) -> None:
        """Insert samples in front of those that wait."""
        self._samples = np.concatenate((samples, self._samples))

    def replace(self, samples: Samples) -> None:
        """Let these wait instead of the others."""
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def is_silent(self) -> bool:
        """True if all waiting samples are zero."""
        return not self._samples.any()

    def put(self, samples: Samples) -> None:
        if len(samples):
            self._samples = np.concatenate((self._samples, samples))

    def peek(self, count: int) -> Samples:
        """Return up to `count` of the oldest samples without taking them."""
        return self._samples[:count]

    def take(self, count: int) -> Samples | None:
        """Take and return the oldest `count` samples; None if there are fewer."""
        if len(self._samples) < count:
            return None
        frame, self._samples = self._samples[:count], self._samples[count:]
        return frame


class StreamStart:
    """Estimates the start time of a stream from its callbacks.

    A callback may be late but never early, so the earliest estimate is used.
    """

    def __init__(self, rate: int) -> None:
        self._rate: Final = rate
        self._starts: deque[float] = deque(maxlen=_WINDOW)
        self._frames = 0
        self._required = _WINDOW

    def observe(self, mark: tuple[int, float]) -> None:
        """Process a callback mark: frames of the stream so far, and the callback time."""
        frames, moment = mark
        if frames != self._frames:
            self._frames = frames
            self._starts.append(moment - frames / self._rate)

    def clear(self, required: int = _LOSS_WINDOW) -> None:
        """Restart the estimate after a loss of frames; `required` callbacks are enough at first."""
        self._starts.clear()
        if self._required < _WINDOW:
            self._required = required

    def settle(self) -> None:
        """Note that the estimate was used; after another loss, it may be made sooner."""
        self._required = _MIN_WINDOW

    @property
    def earliest(self) -> float | None:
        """The estimate in s so far, from as few callbacks as there are; None without any."""
        return min(self._starts, default=None)

    @property
    def at(self) -> float | None:
        """Monotonic start time in s; None while there are too few callbacks."""
        return min(self._starts) if len(self._starts) >= self._required else None


class FractionalReader:
    """Reads 10 ms frames from a queue at a fractional rate, with a windowed sinc."""

    def __init__(self, queue: SampleQueue) -> None:
        self._queue: Final = queue
        self.past: Samples = np.zeros(2 * _REACH + 1, np.int16)
        """The newest samples that were taken; half of them were not returned yet."""
        self._fraction = 0.0
        """Position of the end of the last frame after a whole sample, 0.0 to 1.0."""

    @property
    def is_silent(self) -> bool:
        """True if the next frames are silent."""
        return self._queue.is_silent and not self.past.any()

    def take(self, rate: float) -> Samples | None:
        """Return the next 160 samples, consuming `rate` samples more; None if there are too few."""
        fraction = self._fraction + rate
        extra = int(np.floor(fraction))
        samples = self._queue.take(FRAME + extra)
        if samples is None:
            return None
        self._fraction = fraction - extra
        context = np.concatenate((self.past, samples))
        self.past = context[-2 * _REACH - 1 :]
        context = context[-FRAME - 2 * _REACH + 1 :]
        middle = self._fraction - rate / 2
        if not middle:
            return context[_REACH - 1 : _REACH - 1 + FRAME]
        taps = _TAPS[round(middle * _STEPS) + _MARGIN]
        interpolated: Samples = (
            np.convolve(context, taps, "valid").clip(-32768, 32767).astype(np.int16)
        )
        return interpolated


def _whole_blocks(late: float) -> int:
    """Return the samples of a loss of about `late` seconds: devices lose whole blocks."""
    samples = round(late * _RATE)
    blocks = round(samples / FRAME) * FRAME
    return blocks if blocks and abs(samples - blocks) <= _MAX_ERROR else samples


class FarEnd:
    """Far-end samples in step with the microphone's frames."""

    def __init__(self, microphone_rate: int, speaker_rate: int) -> None:
        self._queue = SampleQueue()
        self._reader = FractionalReader(self._queue)
        self._rates: Final = microphone_rate, speaker_rate
        self._silence: Samples = np.zeros(FRAME, np.int16)
        self.played: Samples = np.zeros(PLAYED, np.int16)
        """What `next` returned most recently, int16 of shape (14400,)."""
        self.shifted = 0
        """Samples by which the last `track` moved the far end: later, or earlier if negative."""
        self.rewritten = False
        """True if the last `track` changed `played`: moved it, or silenced discarded sound."""
        self.later = 0
        """Samples by which the far end is later for good; the reader sets it back."""
        self.silent_frames = 0
        """Frames since `next` returned sound, or sound waited."""
        self._handed_db: deque[float] = deque([SILENCE_DB], maxlen=_HANDED_FRAMES)
        self.realign()

    def realign(self) -> None:
        """Restart the alignment, because the streams were reopened."""
        self._aligned = False
        self._near_start = StreamStart(self._rates[0])
        self._far_start = StreamStart(self._rates[1])
        self._offset_s: float | None = None
        self._drop_reported = False
        self._misaligned_checks = 0
        self._retries = _MAX_RETRIES
        self._min_waiting = _UNKNOWN
        self._drops: int | None = None
        self._early = 0
        """Samples that wait because they are heard so much later."""
        self._discarded: int | None = None
        self._unheard_s = 0.0
        """Seconds of sound discarded on purpose that the alignment does not account for yet."""
        self._before_discard: float | None = None
        """Start of the speaker's stream by its callbacks before a discard, in s."""
        self._refilled_at: float | None = None
        """Frames of the speaker's stream after which the buffer was full again after a discard."""
        self._unheard_to = 0
        """Its end after what `next` returned, in samples; negative once that is returned, too."""
        self._count = 0
        self._owed = 0
        """Samples that were replaced with silence because they came too late."""
        self._lacking = 0
        """Samples by which the far end should be later, so that the microphone need not wait."""
        self._settled = 0

    def put(self, samples: Samples) -> None:
        """Append far-end samples at 16 kHz."""
        if frames := len(samples) // FRAME:
            level = loudest(samples[: frames * FRAME], frames)
            self._handed_db.extend([level] * min(frames, _HANDED_FRAMES))
        late = min(self._owed, len(samples))
        self._owed -= late
        self._queue.put(samples[late:])
        most = _MAX_WAITING + 2 * self._early  # a large buffer is discarded and filled again
        if len(self._queue) > most:
            self._queue.take(len(self._queue) - most)

    @property
    def is_silent(self) -> bool:
        """True if nothing sounds in what `next` returns until the next `put`."""
        return self._reader.is_silent

    @property
    def loudest_handed_db(self) -> float:
        """The loudest sound handed to the speaker whose echo may still come, in dBFS."""
        waits = not self.played[-FRAME:].any() and not self.is_silent
        frames = _HANDED_FRAMES if waits else _RECENTLY_HANDED
        return max(list(self._handed_db)[-frames:])

    def is_late(self, near: int) -> bool:
        """True if the microphone, with `near` samples, should wait for the speaker's callback."""
        if not self._aligned or near >= _PATIENCE or len(self._queue) > FRAME:
            return False
        self._lacking = max(self._lacking, near // FRAME * FRAME)
        return True

    def next(self, rate: float, echo_delay: int | None = None) -> Samples:
        """Return the far-end frame of the microphone's next 10 ms, or silence.

        `rate`: drift of the speaker's clock in samples per 10 ms. `echo_delay`: delay of the echo
        in samples, if there is one.
        """
        settles = self._lacking > 0 and self._can_settle(echo_delay)
        frame = None if settles else self._reader.take(rate)
        self._min_waiting = min(self._min_waiting, len(self._queue)) if frame is not None else 0
        if frame is None:
            frame = self._silence
            if settles or self._can_settle(echo_delay):
                self._lacking = max(0, self._lacking - FRAME)
                self._settle_for(FRAME)
            elif self._aligned:
                self._lacking = FRAME
                self._owed = min(self._owed + FRAME - len(self._queue), _MAX_WAITING)
                self._queue.take(len(self._queue))
        self.played = np.concatenate((self.played[FRAME:], frame))
        self._unheard_to -= FRAME
        # After a loss, the echo of sound that waits may come before it.
        sounds = frame.any() or not self.is_silent
        self.silent_frames = 0 if sounds else self.silent_frames + 1
        return frame

    def align(self, near: int, early_s: float = 0.0) -> None:
        """Align both sides when the microphone starts with `near` samples.

        Older far-end sound is dropped: a canceller cannot use a far end that comes after its echo.
        early_s: seconds by which sound is handed to the speaker too early for the canceller.
        """
        if self._aligned or not near:
            return
        self._aligned = True
        self._early = round(early_s * _RATE)
        surplus = len(self._queue) - near - _TARGET_WAITING - self._early
        if surplus < 0:
            self._queue.prepend(np.zeros(-surplus, np.int16))
        self._queue.take(max(0, surplus))

    def track(self, microphone: SampleRing, near: int, speaker: SampleRing | None) -> bool:
        """Keep both sides aligned; return True if frames were lost since the last call.

        Sound that was discarded on purpose is known, and no loss.
        `near`: microphone samples read but not yet taken.
        """
        self.shifted, self.rewritten = 0, False
        if speaker is None or not self._aligned:
            return False
        drops = microphone.drops + speaker.drops
        dropped, self._drops = self._drops not in (None, drops), drops
        self.rewritten = self._silence_discarded(speaker)
        if self.rewritten or dropped:
            self._far_start.clear()
            self._count = _CHECK_INTERVAL
            self._drop_reported = True
            self._min_waiting = len(self._queue) - self._owed - near
        if dropped:
            self._near_start.clear()
        if self._refilled_at is not None and speaker.taken >= self._refilled_at:
            self._follow_discard(speaker.mark)
        self._near_start.observe(microphone.mark)
        self._far_start.observe(speaker.mark)
        self._count += 1
        near_at, far_at = self._near_start.at, self._far_start.at
        if self._offset_s is None and self._count >= _CHECK_INTERVAL and self._drops:
            dropped = self._cut_surplus() or dropped
        if self._count < _CHECK_INTERVAL or near_at is None or far_at is None:
            return dropped
        self._count = 0
        self._near_start.settle()
        self._far_start.settle()
        min_waiting = min(self._min_waiting, len(self._queue))
        self._min_waiting = _UNKNOWN
        near_at += microphone.taken / self._rates[0] - near / _RATE
        far_at += speaker.taken / self._rates[1] - (len(self._queue) - self._owed) / _RATE
        offset_s = far_at - near_at
        if self._offset_s is None:
            self._offset_s = offset_s
        return self._correct(offset_s - self._offset_s, min_waiting) or dropped

    def _silence_discarded(self, speaker: SampleRing) -> bool:
        """Silence what the speaker discarded since the last call; return True if there was any."""
        before, (until, self._discarded) = self._discarded, speaker.discarded
        if before in (None, self._discarded):
            return False
        if self._refilled_at is None:
            self._before_discard = self._far_start.earliest
        unheard = (self._discarded - before) * _RATE // self._rates[1]
        self._unheard_s += unheard / _RATE
        self._refilled_at = until + _REFILLED * (self._discarded - before)
        since = max(0, speaker.taken - until) * _RATE // self._rates[1]
        self._unheard_to = len(self._queue) - since
        sound = self._known()
        end = len(sound) - since
        sound[max(0, end - unheard) : end] = 0
        self._replace(sound)
        return True

    def _follow_discard(self, mark: tuple[int, float]) -> None:
        """Measure by how much a discard moved the far end, once the buffer is full again."""
        if self._offset_s is None:
            frames, moment = mark
            late, before = -self._unheard_s, self._before_discard
            if before is not None:
                late = min(0.0, max(moment - frames / self._rates[1] - before, late - _LOST_S))
            self._shift(max(round(late * _RATE), -len(self._queue)), len(self._queue))
            self._unheard_s = 0.0
            self._min_waiting = _UNKNOWN
        self._refilled_at = None
        self._far_start.clear(required=1)

    def _known(self) -> Samples:
        """Return what `next` returned most recently, and after it what waits."""
        waiting = self._queue.peek(len(self._queue))
        return np.concatenate((self.played, self._reader.past[-_REACH:], waiting))

    def _replace(self, sound: Samples) -> None:
        """Replace what `_known` returns: as much of the past, and then what waits."""
        past, waiting = np.split(sound, (PLAYED + _REACH,))
        self.played, self._reader.past = past[:PLAYED], past[-len(self._reader.past) :]
        self._queue.replace(waiting)

    def _cut_surplus(self) -> bool:
        """Drop what waits needlessly after a stop in a stream whose alignment is not known yet."""
        surplus = self._min_waiting - self._early
        is_known = self._refilled_at is None and self._min_waiting != _UNKNOWN
        if surplus <= 2 * _MAX_LATER or not is_known:
            return False
        self._shift(_MAX_LATER - surplus, self._min_waiting)
        self._min_waiting, self._count = _UNKNOWN, 0
        return True

    def _correct(self, late: float, min_waiting: int) -> bool:
        """Compensate a far end that is `late` seconds late, once that is certain."""
        reported, self._drop_reported = self._drop_reported, False
        moved = abs(late) >= _LOST_S
        known = self._unheard_s > 0.0 and 0.0 < -late < self._unheard_s + _LOST_S
        self._misaligned_checks = self._misaligned_checks + 1 if abs(late) >= _JITTER_S else 0
        if not self._misaligned_checks:
            self._retries = _MAX_RETRIES
            self._unheard_s = 0.0
        if abs(late) > _MAX_MISALIGNMENT_S + self._unheard_s:
            self._offset_s = None
        elif self._misaligned_checks >= (1 if reported else 2 if moved else _PERSISTENT_CHECKS):
            self._shift(_whole_blocks(late), len(self._queue) if known else min_waiting)
            self._unheard_s = max(0.0, self._unheard_s + min(0, self.shifted) / _RATE)
            moved = True
        return moved and not known

    def _can_settle(self, echo_delay: int | None) -> bool:
        """True if the far end can be 10 ms later for good: in silence, and before its echo."""
        spare = _MAX_LATER - self._settled if echo_delay is None else echo_delay - _LEAST_DELAY
        return spare >= FRAME and not self.played.any()

    def _settle_for(self, later: int) -> None:
        """Let the far end be later by so many samples from now on."""
        self.later += later
        self._settled += later
        if self._offset_s is not None:
            self._offset_s -= later / _RATE

    def _shift(self, samples: int, min_waiting: int) -> None:
        """Shift the far end later by `samples`, or earlier, as far as enough waits for that.

        `played` is shifted too, as if nothing had been lost.
        """
        if samples < 0 and -samples > min_waiting:
            if self._retries:
                self._retries -= 1
                return
            earlier = max(0, min_waiting // FRAME * FRAME)
            self._settle_for(-samples - earlier)
            samples = -earlier
            if not samples:
                return
        self.shifted, self.rewritten = samples, True
        sound = self._known()
        if samples > 0:
            sound = np.concatenate((np.zeros(samples, np.int16), sound))
        else:
            # Discarded sound is left out; what was heard before it stays in its place.
            end = PLAYED + _REACH + self._unheard_to if self._unheard_s else 0
            end = max(end, -samples)
            sound = np.concatenate((sound[: end + samples], sound[end:]))
            self._unheard_to += samples
        self._replace(sound)
