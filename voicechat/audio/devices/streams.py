"""The input and output streams and their sample rings."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from voicechat.audio.devices import device_list
from voicechat.audio.devices.loudest_channel import LoudestChannel
from voicechat.audio.devices.thread_priority import use_real_time
from voicechat.audio.messages import AudioSettings
from voicechat.audio.playback.playback_queue import PlaybackQueue
from voicechat.speech.pcm import Samples


class BufferSize(NamedTuple):
    """Lengths of a callback's block and of the device buffer, in ms; 0 is the shortest possible."""

    block_ms: int
    buffer_ms: int


BUFFER_SIZES: Final = tuple(BufferSize(10, buffer_ms) for buffer_ms in (0, 40, 200, 400))
"""From the lowest latency to the one that a busy machine keeps up with.

Longer blocks do not help: after an underrun PulseAudio then waits for up to two seconds.
"""
_SETTLING_CALLS: Final = 20
_DROPPED_CALLS: Final = 4
"""So many hurried calls in a row, each with an empty buffer, are those of a device that drops."""
_MOST_DROPS: Final = 5
_MOST_TAKEN: Final = 2.0
"""Times as much as it plays that a device takes if it drops the rest."""
_ENDLESS_CALLS: Final = 1_000
_DROPPED_S: Final = 0.2
"""Seconds after a device dropped sound in which it may drop more."""
_EMPTY_S: Final = 0.001
_WATCHED_S: Final = 3.0
_MAX_SOUND_S: Final = 4.5
"""No device takes or gives this much sound within `_WATCHED_S`, its buffer included."""
_ALIVE_S: Final = 0.1
FIRST_CALLBACK_S: Final = 4.0
"""A cold device may take this long until its first callback."""
GAP_S: Final = 0.5
"""A running stream without a callback for this long is silent, whatever PortAudio reports."""
_MAX_GAP_S: Final = 2.0
_GAP_FACTOR: Final = 2.5
_PREFILL_S: Final = 0.1
"""A speaker that is opened fills its buffer for this long, whether its device runs or not."""
_MAX_FADE_S: Final = 0.3
"""A fade is heard after the buffered sound; longest wait for it."""
_USUAL_LATENCY_S: Final = 0.1
"""Latency of a device whose buffer is not large."""
_MIXED_S: Final = 0.008
"""Sound that a server has already mixed is still heard for this long after an abort."""


class SampleRing:
    """Lock-free ring from a callback to the loop.

    When the loop falls behind, the oldest frames are lost. Positions are absolute frame counters
    that only grow. Each attribute has one writer. Replacing a Python int is atomic, so the other
    side reads either the old or the new value.
    """

    def __init__(self, frames: int) -> None:
        """Allocate `frames` rounded up to a power of two."""
        self._size: Final = 1 << max(1, (frames - 1).bit_length())
        self._ring: Samples = np.zeros(self._size, np.int16)
        self._written = 0
        self._read = 0
        self.lost = 0
        """Frames overwritten before they were read."""
        self.last_at = 0.0
        """Monotonic time of the last frame written."""
        self.mark = (0, 0.0)
        """Frames written so far, and the time of the callback that wrote the newest."""
        self.drops = 0
        """Number of times the device lost frames. Callback side."""
        self.early_s = 0.0
        """Seconds from a frame's callback until it is heard, beyond `_USUAL_LATENCY_S`."""
        self.discarded = (0, 0)
        """Frames until the last discard on purpose, and the unheard ones of all discards."""

    @property
    def available(self) -> int:
        """Frames that the reader can take."""
        return min(self._written - self._read, self._size)

    @property
    def taken(self) -> int:
        """Frames read or lost so far."""
        return self._read

    def write(self, block: Samples, at: float, callback_at: float | None = None) -> None:
        """Append a block of at most the ring's size; `at` is the time of its end. Callback side.

        `callback_at`: the time of the callback, if that is steadier than `at`.
        """
        start = self._written & (self._size - 1)
        first = min(len(block), self._size - start)
        self._ring[start : start + first] = block[:first]
        if first < len(block):
            self._ring[: len(block) - first] = block[first:]
        self.last_at = at
        self._written += len(block)
        self.mark = (self._written, at if callback_at is None else callback_at)

    def peek(self, frames: int) -> Samples | None:
        """Return a copy of the next `frames` without taking them; None if there are fewer."""
        waiting = self._written - self._read
        if waiting > self._size:
            self.lost += waiting - self._size
            self._read += waiting - self._size
            waiting = self._size
        if waiting < frames:
            return None
        start = self._read & (self._size - 1)
        first = min(frames, self._size - start)
        block = np.empty(frames, np.int16)
        block[:first] = self._ring[start : start + first]
        if first < frames:
            block[first:] = self._ring[: frames - first]
        return block

    def read(self, frames: int) -> Samples | None:
        """Take and return the next `frames`; None if there are fewer. Loop side."""
        block = self.peek(frames)
        if block is not None:
            self._read += frames
        return block

    def note_discarded(self, frames: int) -> None:
        """Note that the newest frames were never heard. Between callbacks."""
        self.discarded = self._written, self.discarded[1] + frames

    def discard(self) -> None:
        """Drop everything that waits. Loop side."""
        self._read = self._written


class StreamClock:
    """Detects dummy devices, which run faster than real time because they have no clock."""

    def __init__(self, rate: int) -> None:
        self._max_frames: Final = int(_MAX_SOUND_S * rate)
        self._since = time.monotonic()
        self._frames = 0
        self.too_fast = False

    def restart_count(self) -> None:
        """Restart the count while the device refills its buffer. Call between callbacks."""
        self._since, self._frames = time.monotonic(), 0

    def tick(self, frames: int, now: float) -> None:
        """Count a callback of `frames`; raises CallbackStop to end the stream of a dummy."""
        if now - self._since > _WATCHED_S:
            self._since, self._frames = now, 0
        self._frames += frames
        if self._frames > self._max_frames:
            self.too_fast = True
            raise device_list.library().CallbackStop


class DropDetector:
    """Detects a device that takes blocks faster than it can play them and drops them.

    PulseAudio does so for half a second or more after an underrun of a remapped sink, and when it
    starts a stream on one while the machine is busy: a callback each millisecond, each of which
    finds the buffer empty.
    """

    def __init__(self, block_s: float) -> None:
        self._hurry_s: Final = block_s / 2
        self._block_s: Final = block_s
        self._at = -math.inf
        self._calls = 0
        self._all_calls = 0
        self._found: Final[deque[tuple[float, int]]] = deque(maxlen=_MOST_DROPS)
        """When drops were found, and all calls until then."""
        self.is_odd = False
        """True if the device takes many blocks at once and always says that it is empty."""

    def observe(self, now: float, *, is_empty: bool) -> bool:
        """Process a callback; return True if the device drops what it takes."""
        self._all_calls += 1
        hurried, self._at = now - self._at < self._hurry_s, now
        self._calls = self._calls + 1 if hurried and is_empty and not self.is_odd else 0
        if self._calls == _DROPPED_CALLS:
            self.is_odd = self._keeps_time(now)
            self._found.append((now, self._all_calls))
        return self._calls >= _DROPPED_CALLS

    def _keeps_time(self, now: float) -> bool:
        """Return True if drops were found often lately while no more was taken than is played."""
        if len(self._found) < _MOST_DROPS:
            return False
        at, calls = self._found[0]
        taken_s = (self._all_calls - calls) * self._block_s
        return now - at < _WATCHED_S and taken_s < _MOST_TAKEN * (now - at)

    def restart(self) -> None:
        """Forget the latest calls, because the device discarded its buffer."""
        self._at, self._calls = -math.inf, 0

    @property
    def is_suspected(self) -> bool:
        """True if the latest blocks may have been dropped."""
        return self._calls > 0

    @property
    def is_endless(self) -> bool:
        """True if the device does not recover."""
        return self._calls > _ENDLESS_CALLS


class CallbackClock:
    """Times of a stream's callbacks, by which it is judged to run or to be silent."""

    def __init__(self) -> None:
        self.is_chosen = True
        """False if the default device replaces a named one that is absent."""
        self.opened_at = math.inf
        """Monotonic time when opening ended."""
        self.last_callback_at = time.monotonic()
        """Monotonic time of the last callback; before the first one, of the start of opening."""
        self._longest_gap = 0.0
        self._has_called = False

    def called(self, now: float) -> None:
        """Record a callback. Callback side."""
        gap = now - self.last_callback_at
        if gap > self._longest_gap or not self._has_called:
            self._note(gap)
        self.last_callback_at = now

    def _note(self, gap: float) -> None:
        """Note the first callback on a thread, or the longest gap in seconds."""
        if not self._has_called:
            self._has_called = True
            use_real_time()
        elif self.runs:
            self._longest_gap = gap

    def excuse(self, now: float) -> None:
        """Restart the wait for a callback, because the whole program paused."""
        if not self.runs:
            self.opened_at = now
        self.last_callback_at = now

    def restart(self, now: float) -> None:
        """Note that the stream starts again, on another thread; it may take as long as at first."""
        self._has_called = False
        self.opened_at = self.last_callback_at = now

    @property
    def runs(self) -> bool:
        """True once the device has asked for or delivered sound."""
        return self._has_called

    @property
    def patience_s(self) -> float:
        """Seconds without a callback after which the stream is silent; grows with its gaps."""
        if not self.runs:
            return FIRST_CALLBACK_S
        return min(_MAX_GAP_S, max(GAP_S, _GAP_FACTOR * self._longest_gap))

    def silence(self, now: float) -> float:
        """Return the time without a callback as a fraction of `patience_s`."""
        return (now - self.last_callback_at) / self.patience_s


class OutputStream(CallbackClock):
    """An open output stream with its playback queue.

    `reference` is a ring of everything handed to the device; `monitor` is the same at the time it
    is heard, or None if not requested.
    """

    def __init__(self, settings: AudioSettings, size: BufferSize) -> None:
        """Open the device; raises NoSound."""
        super().__init__()
        device, self.is_chosen = device_list.find_preferred(
            "output", settings.output_device, is_preference="output" in settings.preferred
        )
        self.name = device_list.title(device, "output")
        self.is_direct: Final = device_list.is_direct(device)
        self.block_ms: Final = size.block_ms
        self.latency = 0.0
        """Seconds from the latest callback until its sound is heard."""
        self.underflows = 0
        """Times the device ran dry, as reported by PortAudio or seen by its empty buffer."""
        self.close_calls = 0
        """Times it nearly ran dry."""
        self.parked = False
        """True while the stream is stopped because nothing plays."""
        self._calls = 0
        self._dry_calls = 0
        """Dry callbacks not yet in `underflows`, because the device may be dropping sound."""
        self._drop_detector: Final = DropDetector(size.block_ms / 1000)
        self._was_dropping = False
        self._dropped_at = -math.inf
        self._certain = 0
        """Position in the queue before which nothing was dropped."""
        self._monitored: Final = settings.monitor
        buffer_ms = max(settings.latency_ms, size.buffer_ms)
        self._stream, self.rate = device_list.open_stream(
            "output", device, (settings.output_rate,), size.block_ms, buffer_ms, self._prepare
        )
        self.latency = max(self.latency, self._stream.latency)
        self._buffer_s: float = min(self._stream.latency, buffer_ms / 1000)
        self.reference.early_s = max(0.0, self._buffer_s - _USUAL_LATENCY_S)
        self.opened_at = time.monotonic()

    @property
    def runs(self) -> bool:
        """True once the device has asked for sound beyond its first buffer."""
        return self.last_callback_at > self.opened_at + _PREFILL_S

    def _prepare(self, rate: int, channels: int) -> device_list.StreamCallback:
        stream_clock = self.clock = StreamClock(rate)
        self.queue = PlaybackQueue(rate)
        reference = self.reference = SampleRing(rate)
        monitor = self.monitor = SampleRing(rate) if self._monitored else None
        block_s = self.block_ms / 1000

        def speak(out: Any, frames: int, clock: Any, status: Any) -> None:
            now = time.monotonic()
            ahead = clock.outputBufferDacTime - clock.currentTime
            is_known = 0.0 < ahead < 5.0
            # Several blocks that are taken at once have the flag of the first one.
            is_flagged = bool(status.output_underflow)
            is_empty = abs(ahead) < _EMPTY_S or (is_flagged and not is_known)
            drops = self._drop_detector.observe(now, is_empty=is_empty)
            if not drops or self._drop_detector.is_endless:
                stream_clock.tick(frames, now)
            if is_known:
                self.latency = ahead
            view = np.frombuffer(out, np.int16)
            mono = view if channels == 1 else view[:frames]
            self._fill(mono, now, drops=drops)
            reference.write(mono, now)
            if monitor is not None:
                monitor.write(mono, now + self.latency + frames / rate)
            if channels > 1:
                view.reshape(frames, channels)[:] = mono.copy()[:, None]
            self.called(now)
            self._calls += 1
            if self._calls > _SETTLING_CALLS and not drops:
                is_dry = ahead < block_s or (is_flagged and not is_known)
                self._dry_calls += is_dry
                reference.drops += is_dry
                self.close_calls += ahead < 1.4 * block_s

        return speak

    def _fill(self, out: Samples, now: float, *, drops: bool) -> None:
        """Render a block; give silence to a device that drops it, and take back what it dropped."""
        if not self._drop_detector.is_suspected:
            self._certain = self.queue.position
            self.underflows += self._dry_calls
            self._dry_calls = 0
        if not drops:
            self.queue.render(out, now + self.latency)
        elif not self._was_dropping:
            self.queue.go_back(self._certain, now)
            self.reference.drops += 1
            self._dry_calls = 1
        if drops:
            out[:] = 0
            self._dropped_at = now
        self._was_dropping = drops

    def has_reliable_times(self, now: float) -> bool:
        """Return False if what the device reports does not tell what was heard, or not yet."""
        return not self._drop_detector.is_odd and now - self._dropped_at >= _DROPPED_S

    @property
    def settled(self) -> bool:
        """True when the times that the device reports have become reliable."""
        return self._calls > _SETTLING_CALLS

    def silence(self, now: float) -> float:
        """Return the time without a callback as a fraction of `patience_s`; 0.0 while parked."""
        return 0.0 if self.parked else super().silence(now)

    def park(self) -> None:
        """Stop the stream. May hang."""
        self.parked = True
        self._stream.abort()

    def unpark(self) -> None:
        """Start the parked stream. May hang."""
        self._calls = 0
        self.restart(time.monotonic())
        self.clock.restart_count()
        self.parked = False
        self._stream.start()

    @property
    def has_grown_buffer(self) -> bool:
        """True if our buffer, which `abort` discards, makes the latency large, not the device."""
        return self._buffer_s > _USUAL_LATENCY_S > self.latency - self._buffer_s

    @property
    def has_large_buffer(self) -> bool:
        """True if a fade is heard too late; just after a start, the device may report less."""
        return self.latency > _USUAL_LATENCY_S or self.has_grown_buffer

    def abort(self) -> float:
        """Discard the device's buffer and continue; return when it fell silent. May hang."""
        self._calls = 0
        self._stream.abort()
        at = time.monotonic() + _MIXED_S
        unheard = max(0, int((self.queue.next_at - at) * self.rate))
        if self.monitor is not None:
            self.monitor.note_discarded(unheard)
        if self.has_grown_buffer:
            self.reference.note_discarded(unheard)
        else:
            self.reference.drops += 1  # how much of it the device still plays is unknown
        self.queue.restart(at)
        self.queue.next_at = at
        self._certain = self.queue.position
        self._drop_detector.restart()
        self.clock.restart_count()
        self._stream.start()
        return at

    def close(self) -> None:
        """Close the stream, after a fade if it sounds. May hang."""
        if self.queue.sounding and time.monotonic() - self.last_callback_at < _ALIVE_S:
            self.queue.hold()
            time.sleep(min(_MAX_FADE_S, self.latency + 2 * self.block_ms / 1000))
        self._stream.abort()
        self.queue.silent_at = time.monotonic()
        self._stream.close()


class InputStream(CallbackClock):
    """An open input stream with its ring."""

    def __init__(self, settings: AudioSettings) -> None:
        """Open the device; raises NoSound."""
        super().__init__()
        self.block_ms: Final = settings.block_ms
        self._wake: Callable[[], object] | None = None
        self._wake_energy = 0.0
        device, self.is_chosen = device_list.find_preferred(
            "input", settings.input_device, is_preference="input" in settings.preferred
        )
        self.name = device_list.title(device, "input")
        self.is_direct: Final = device_list.is_direct(device)
        self._stream, self.rate = device_list.open_stream(
            "input", device, (16_000,), self.block_ms, settings.latency_ms, self._prepare
        )
        self.opened_at = time.monotonic()

    def _prepare(self, rate: int, channels: int) -> device_list.StreamCallback:
        stream_clock = self.clock = StreamClock(rate)
        ring = self.ring = SampleRing(rate * 2)
        loudest = LoudestChannel(channels, rate) if channels > 1 else None

        def listen(taken: Any, frames: int, clock: Any, status: Any) -> None:
            now = time.monotonic()
            stream_clock.tick(frames, now)
            view = np.frombuffer(taken, np.int16)
            age = clock.currentTime - clock.inputBufferAdcTime
            last = now - age + frames / rate if 0.0 < age < 5.0 else now
            mono = loudest.take(view) if loudest else view
            ring.write(mono, min(last, now), now)
            if status.input_overflow:
                ring.drops += 1
            self.called(now)
            if (wake := self._wake) is not None:
                wide = mono.astype(np.float32)
                halves = wide[: frames // 2], wide[frames // 2 :]
                if max(half.dot(half) for half in halves) > self._wake_energy:
                    self._wake = None
                    wake()

        return listen

    def wake_above(self, level: float, wake: Callable[[], object]) -> None:
        """Call `wake` once from the callback of a block with sound, which must not block.

        level: the RMS at int16 scale that half a block exceeds then; a level is judged over 10 ms.
        """
        self._wake_energy = level * level * self.rate * self.block_ms / 2_000
        self._wake = wake

    def close(self) -> None:
        """Close the stream at once. May hang."""
        self._stream.abort()
        self._stream.close()
