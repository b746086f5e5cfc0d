"""PCM over WebRTC tracks: sound to send, and received sound without jitter.

`OutgoingSound` is a track that sends PCM as it is written; `IncomingSound` reads the track of a
receiver. Both speak Opus through aiortc, which is imported when one of them is made.
aiortc's own jitter buffer drops good packets around a lost one and conceals nothing, so
`PacketBuffer` replaces it.
"""

from __future__ import annotations

import asyncio
import fractions
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from voicechat.speech.packet_buffer import RATE, PacketBuffer
from voicechat.speech.pcm import Resampler, Samples, dbfs
from voicechat.system.optional_parts import require_webrtc

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCRtpReceiver, RTCRtpTransceiver

BLOCK_S: Final = 0.02
_BEHIND_S: Final = 0.5
"""Delay of the event loop after which the schedule starts again instead of catching up."""
_PATIENCE: Final = 2
"""Blocks of silence after which less than a block of sound is sent, too."""
_LATE_S: Final = 0.06
_PAUSE_DB: Final = -45.0
"""Level in dBFS below which a block is a pause."""
_BIT_RATE: Final = 48_000
_LARGEST_PACKET: Final = 4_000
"""Largest Opus packet, in bytes: 60 ms at 510 kbit/s."""


def prefer_opus(transceiver: RTCRtpTransceiver) -> None:
    """Offer or accept Opus only. Call before the offer or answer is created."""
    from aiortc import RTCRtpSender

    codecs = RTCRtpSender.getCapabilities("audio").codecs
    transceiver.setCodecPreferences([each for each in codecs if each.mimeType == "audio/opus"])


class OutgoingSound:
    """Sound to send: mono PCM16 at 8, 12, 16, 24 or 48 kHz, sent in real time in blocks of 20 ms.

    While nothing is queued, silence is sent. At most `limit_s` seconds are queued; then the oldest
    sound is dropped and counted. `start_s` of sound are collected before sending starts or
    continues, so that writes that come a little late leave no gap. With `skips_pauses`, quiet
    blocks are left out while more than 60 ms wait. Call on the event loop.
    """

    def __init__(
        self,
        rate: int,
        *,
        limit_s: float = 1.0,
        start_s: float = 0.0,
        skips_pauses: bool = False,
    ) -> None:
        self.dropped_s = 0.0
        """Seconds of sound dropped because too much was queued."""
        self.sent_s = 0.0
        """Seconds of written sound that were sent."""
        self.empty = asyncio.Event()
        """Set while nothing is queued."""
        self.track: Final[MediaStreamTrack] = _track_class()(self, rate)
        """The track for `RTCPeerConnection.addTrack`."""
        self._rate: Final = rate
        self._size: Final = rate // 50 * 2
        self._limit: Final = int(limit_s * rate) * 2
        self._late: Final = int(_LATE_S * rate) * 2 if skips_pauses else self._limit
        self._least: Final = max(self._size, int(start_s * rate) * 2)
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._waited = 0
        self._is_sending = False
        self._frames = 0
        self._clock: _BlockClock = _BlockClock()
        self.empty.set()

    @property
    def queued_s(self) -> float:
        """Seconds of sound that are not sent yet."""
        return self._queued / (2 * self._rate)

    def write(self, pcm: bytes) -> None:
        """Queue little-endian PCM16; half a sample at the end is dropped."""
        pcm = pcm[: len(pcm) // 2 * 2]
        if not pcm:
            return
        self.empty.clear()
        self._queue.append(pcm)
        self._queued += len(pcm)
        if self._queued > self._limit:
            lost = self._pull(self._queued - self._limit)
            self.dropped_s += len(lost) / (2 * self._rate)

    def clear(self) -> float:
        """Drop the queued sound; return its seconds."""
        dropped_s = self.queued_s
        self._queue.clear()
        self._queued = 0
        self.empty.set()
        return dropped_s

    async def next_block(self) -> tuple[bytes, int]:
        """Wait for the time of the next block; return its PCM and the number of frames before."""
        self._frames += await self._clock.tick() * (self._size // 2)
        before = self._frames
        self._frames += self._size // 2
        return self._next(), before

    def _next(self) -> bytes:
        least = self._size if self._is_sending else self._least
        if not self._queued:
            self.empty.set()
            self._is_sending, self._waited = False, 0
            return bytes(self._size)
        if self._queued < least and self._waited < _PATIENCE:
            self._is_sending = False
            self._waited += 1
            return bytes(self._size)
        self._is_sending, self._waited = True, 0
        block = self._pull(self._size)
        while self._queued > self._late and dbfs(np.frombuffer(block, "<i2")) < _PAUSE_DB:
            block = self._pull(self._size)
        self.sent_s += len(block) / (2 * self._rate)
        return block.ljust(self._size, b"\0")

    def _pull(self, size: int) -> bytes:
        parts = []
        size = min(size, self._queued)
        self._queued -= size
        while size:
            part = self._queue.popleft()
            if len(part) > size:
                self._queue.appendleft(part[size:])
                part = part[:size]
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class IncomingSound:
    """Received sound: mono PCM16 at `rate`, in real time, with lost sound concealed.

    Make it for `RTCRtpTransceiver.receiver` before the connection is open. `read` returns a block
    every 20 ms. While the peer's sound is late or missing, it is concealment and then silence;
    without `fills` it is empty, for a player that conceals gaps itself.
    """

    def __init__(self, receiver: RTCRtpReceiver, rate: int, *, fills: bool = True) -> None:
        self.packets: Final = PacketBuffer(_OpusDecoder().decode, fills=fills)
        """The jitter buffer, with its counts."""
        self._resampler: Final = Resampler(RATE, rate)
        self._clock = _BlockClock()
        self._time: Final = asyncio.get_running_loop().time
        # aiortc calls `add` of this private attribute for each packet.
        name = "_RTCRtpReceiver__jitter_buffer"
        if not hasattr(receiver, name):
            raise RuntimeError("This version of aiortc has another jitter buffer.")
        setattr(receiver, name, self)

    @property
    def delay_s(self) -> float:
        """Delay of the jitter buffer in s."""
        return self.packets.delay_s

    def add(self, packet: Any) -> tuple[bool, None]:
        """Take a packet from aiortc; the result means that it has nothing to decode itself."""
        # RTP: a packet without payload is a probe for the network.
        if packet.payload and len(packet.payload) <= _LARGEST_PACKET:
            self.packets.add(packet.sequence_number, packet.timestamp, packet.payload, self._time())
        return False, None

    async def read(self) -> bytes:
        """Wait for the time of the next block; return its PCM16, about 20 ms of it."""
        await self._clock.tick()
        return self._resampler.convert(self.packets.take(self._time())).astype("<i2").tobytes()


class _BlockClock:
    """Wakes every 20 ms; catches up after a delay of the event loop."""

    def __init__(self) -> None:
        self._time = asyncio.get_event_loop().time
        self._next: float | None = None

    async def tick(self) -> int:
        """Wait for the next block; return the number of blocks that were left out."""
        now = self._time()
        if self._next is None:
            self._next = now
        left_out = 0
        if now - self._next > _BEHIND_S:
            left_out = int((now - self._next) / BLOCK_S)
            self._next += left_out * BLOCK_S
        # Also without a wait other tasks get their turn.
        await asyncio.sleep(max(0.0, self._next - now))
        self._next += BLOCK_S
        return left_out


class _OpusDecoder:
    """Opus packets to mono int16 at 48 kHz."""

    def __init__(self) -> None:
        import av

        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.format = "s16"
        self._codec.layout = "mono"
        self._codec.sample_rate = RATE

    def decode(self, payload: bytes) -> Samples:
        """Return the sound of a packet; empty if it is not Opus."""
        import av

        try:
            frames = self._codec.decode(av.Packet(payload))
        except (av.FFmpegError, ValueError):
            return np.empty(0, np.int16)
        parts = [frame.to_ndarray().reshape(-1) for frame in frames]
        return np.concatenate(parts).astype(np.int16) if parts else np.empty(0, np.int16)


class _OpusEncoder:
    """Blocks of 20 ms of mono PCM16 to Opus packets for aiortc.

    aiortc's own encoder runs in a thread, and waits for it with each block: on a busy machine the
    sound then falls behind. A block takes 0.2 ms.
    """

    def __init__(self, rate: int) -> None:
        import av

        self._codec = av.CodecContext.create("libopus", "w")
        self._codec.format = "s16"
        self._codec.layout = "mono"
        self._codec.sample_rate = rate
        self._codec.bit_rate = _BIT_RATE
        self._codec.options = {"application": "voip"}
        self._codec.time_base = fractions.Fraction(1, rate)
        self._ticks: Final = RATE // rate

    def packets(self, pcm: bytes, before: int) -> list[Any]:
        """Return the packets of a block. before: the number of frames before it."""
        from av import AudioFrame

        samples = np.frombuffer(pcm, "<i2").astype(np.int16).reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate = self._codec.sample_rate
        frame.pts, frame.time_base = before, self._codec.time_base
        packets: list[Any] = self._codec.encode(frame)
        for packet in packets:
            packet.pts, packet.time_base = before * self._ticks, fractions.Fraction(1, RATE)
        return packets


@cache
def _track_class() -> Any:
    """Return the class of tracks that send an `OutgoingSound`; aiortc is imported here."""
    require_webrtc()
    from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

    class PcmTrack(MediaStreamTrack):
        kind = "audio"

        def __init__(self, sound: OutgoingSound, rate: int) -> None:
            super().__init__()
            self._sound = sound
            self._encoder: _OpusEncoder | None = _OpusEncoder(rate)

        async def recv(self) -> Any:
            while (encoder := self._encoder) is not None:
                for packet in encoder.packets(*await self._sound.next_block()):
                    return packet
            raise MediaStreamError

        def stop(self) -> None:
            super().stop()
            # It has threads of its own, which end with it.
            self._encoder = None

    return PcmTrack
