"""Jitter buffer of a stream of sound packets: order, adaptive delay, loss concealment.

The delay follows the jitter: 98 % of the packets of the last 6 s arrive in time. It grows while a
packet is late, and in pauses; it shrinks in pauses. Lost sound is concealed, so the stream keeps
its time.

Source: RFC 3550, 5.1 (sequence numbers, timestamps, both wrap) and 6.4.1 (transit times).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.speech.loss_concealment import LossConcealment
from voicechat.speech.pcm import Samples, fade_in, rms

RATE: Final = 48_000
"""Samples per second of the timestamps and of the sound."""
BLOCK: Final = RATE // 50
"""Frames of one block: 20 ms."""
MAX_PACKETS: Final = 150
"""Packets that wait at most; when more come, the oldest are dropped."""

_FIRST_DELAY_S: Final = 0.06
_MIN_DELAY_S, _MAX_DELAY_S = 0.03, 0.5
_IN_TIME: Final = 98
_WINDOW: Final = 300
_PAUSE_EXCESS_S: Final = 0.015
"""Delay above the wanted one from which a quiet block is left out."""
_GAP_EXCESS_S: Final = 0.03
"""The same for lost sound, which is not concealed then."""
_JUMP_S: Final = 2.0
"""A packet this much earlier or later than expected belongs to another stream."""
_QUIET: Final = 60.0
"""RMS below which a block is a pause: -55 dBFS."""
_FADE: Final = RATE // 200


class PacketBuffer:
    """Turns packets in any order into blocks of 20 ms: mono int16 at 48 kHz.

    `decode` returns the sound of one packet, empty if it is unreadable. Call `add` for each
    packet and `take` every 20 ms, both with a monotonic time in seconds. With `fills`, concealment
    and then silence replace late sound. Without it, blocks are shorter or empty, so that
    all blocks together have the length of the sound that was sent.
    """

    def __init__(self, decode: Callable[[bytes], Samples], *, fills: bool = True) -> None:
        self.received = 0
        """Packets received."""
        self.late = 0
        """Packets that came after their time and were dropped."""
        self.concealed = 0
        """Frames that had to be concealed."""
        self._decode = decode
        self._fills = fills
        self._waiting: dict[int, tuple[int, bytes]] = {}
        self._transits: deque[float] = deque(maxlen=_WINDOW)
        self._fastest_s = 0.0
        self._target_s = _FIRST_DELAY_S
        self._newest: int | None = None
        self._next: int | None = None
        self._sequence = -1
        self._rest: Samples = np.empty(0, np.int16)
        self._tail: Final = LossConcealment(RATE)
        self._past: NDArray[np.float32] = np.zeros(self._tail.memory, np.float32)
        self._is_concealing = False
        self._rise: Final = fade_in(_FADE)

    @property
    def delay_s(self) -> float:
        """Delay that the buffer aims at: from the fastest packet to its sound."""
        return self._target_s

    def add(self, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """Add a packet with its 16-bit sequence number and 32-bit timestamp."""
        self.received += 1
        at = self._unwrapped(timestamp)
        transit_s = now - at / RATE
        if self._transits and abs(transit_s - self._fastest_s) > _JUMP_S:
            self._restart()
        self._note(transit_s)
        if self._next is not None and at < self._next:
            self.late += 1
            return
        self._waiting[at] = sequence, payload
        if len(self._waiting) > MAX_PACKETS:
            del self._waiting[min(self._waiting)]

    def take(self, now: float) -> Samples:
        """Return the next 20 ms; silence, or nothing, while no sound is due."""
        if self._next is None and not self._start(now):
            return np.zeros(BLOCK if self._fills else 0, np.int16)
        block = self._block(now)
        if len(block) and not self._is_concealing and rms(block) < _QUIET:
            excess_s = self._delay(now) - self._target_s
            if excess_s > _PAUSE_EXCESS_S and len(self._waiting) > 1:
                block = self._block(now)
        return block

    # ------------------------------------------------------------------ times

    def _unwrapped(self, timestamp: int) -> int:
        if self._newest is None:
            self._newest = timestamp
        at = self._newest + (timestamp - self._newest + (1 << 31)) % (1 << 32) - (1 << 31)
        self._newest = max(self._newest, at)
        return at

    def _note(self, transit_s: float) -> None:
        self._transits.append(transit_s)
        self._fastest_s = min(self._transits)
        if self.received % 10 == 0:
            jitter_s = float(np.percentile(self._transits, _IN_TIME)) - self._fastest_s
            target_s = jitter_s + BLOCK / RATE
            self._target_s = min(_MAX_DELAY_S, max(_MIN_DELAY_S, target_s))

    def _restart(self) -> None:
        """Forget the stream before: its times say nothing about this one."""
        self._transits.clear()
        self._waiting.clear()
        self._next = None
        self._target_s = _FIRST_DELAY_S

    def _start(self, now: float) -> bool:
        if not self._waiting:
            return False
        first = min(self._waiting)
        if now - first / RATE - self._fastest_s < self._target_s:
            return False
        self._next = first
        return True

    def _delay(self, now: float) -> float:
        """Return the present delay in s: of the next frame, after the fastest packet."""
        return now - (self._next or 0) / RATE - self._fastest_s

    # ------------------------------------------------------------------ sound

    def _block(self, now: float) -> Samples:
        parts, missing = [], BLOCK
        while missing:
            if not len(self._rest):
                self._rest = self._more(missing, now)
                heard = np.concatenate((self._past, self._rest.astype(np.float32)))
                self._past = heard[-self._tail.memory :]
            if not len(self._rest):
                break
            parts.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(parts[-1])
        return np.concatenate(parts) if parts else np.empty(0, np.int16)

    def _more(self, missing: int, now: float) -> Samples:
        """Return the sound that comes next: decoded, concealed, or silence of the sender."""
        assert self._next is not None
        packet = self._waiting.pop(self._next, None)
        if packet is None and self._waiting:
            self._skip(now)
            packet = self._waiting.pop(self._next, None)
        if packet is not None:
            self._sequence, payload = packet
            sound = self._decode(payload)
            if len(sound):
                self._next += len(sound)
                self._drop_passed()
                return self._joined(sound)
        count = missing
        if self._waiting:
            first = min(self._waiting)
            count = min(missing, first - self._next)
            if self._waiting[first][0] == (self._sequence + 1) & 0xFFFF:
                self._next += count  # the sender paused, nothing is lost
                return self._joined(np.zeros(count, np.int16))
        if packet is not None or (self._waiting and self._delay(now) >= self._target_s - 0.01):
            self._next += count
        elif not self._fills:
            return np.empty(0, np.int16)
        return self._conceal(count)

    def _skip(self, now: float) -> None:
        """Skip missing sound that is older than the delay allows."""
        assert self._next is not None
        excess = int((self._delay(now) - self._target_s - _GAP_EXCESS_S) * RATE)
        if excess > 0:
            self._next += min(excess, min(self._waiting) - self._next)

    def _drop_passed(self) -> None:
        """Drop packets whose time is covered by a longer one."""
        assert self._next is not None
        for at in [at for at in self._waiting if at < self._next]:
            del self._waiting[at]

    def _conceal(self, count: int) -> Samples:
        if not self._is_concealing:
            self._tail.begin(self._past)
            self._is_concealing = True
        if self._waiting or not self._tail.finished:
            self.concealed += count
        sound = np.zeros(count, np.float32)
        piece = self._tail.take(count)
        sound[: len(piece)] = piece
        return _int16(sound)

    def _joined(self, sound: Samples) -> Samples:
        """Return sound that fades in over the rest of a concealment."""
        if not self._is_concealing:
            return sound
        self._is_concealing = False
        if self._tail.finished and not self._past[-_FADE:].any():
            return sound
        wave = sound.astype(np.float32)
        count = min(_FADE, len(wave))
        wave[:count] *= self._rise[:count]
        if not self._tail.finished:
            self._tail.release(self._rise[::-1])
            piece = self._tail.take(count)
            wave[: len(piece)] += piece
        return _int16(wave)


def _int16(wave: NDArray[np.float32]) -> Samples:
    whole: Samples = np.clip(np.rint(wave), -32768, 32767).astype(np.int16)
    return whole
