"""The WebRTC connection of one call, on aiortc. Import this module when a call comes, not before.

offer -> `answer` -> ICE, DTLS -> `opened` -> frames (data channel), sound (Opus), until `ended`
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from aiortc import (
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from voicechat.server.realtime.server_frames import WireError
from voicechat.server.webrtc.call_offer import CheckedOffer
from voicechat.server.webrtc.call_playout import RATE
from voicechat.server.webrtc.ice_settings import IceSettings
from voicechat.speech.rtc_connection import GATHER_S, rtc_configuration, shorten_timers
from voicechat.speech.webrtc_audio import IncomingSound, OutgoingSound, prefer_opus

EVENTS: Final = "oai-events"
"""Label of the data channel."""
_QUEUED_S: Final = 600.0
"""Far above what a playout queues, so that no sound is dropped."""
_FRAMES: Final = 4_096
_FRAME_BYTES: Final = 16 * 1024 * 1024
"""Frames that may wait to be processed; a client that sends more loses its call."""
_SENDING_BYTES: Final = 256 * 1024
"""Above this much, `send` waits until the client took all of it."""
_CLOSE_S: Final = 3.0


class CallPeer:
    """A connection. Call `answer` first, `close` at the end; all on the event loop."""

    def __init__(self, ice: IceSettings) -> None:
        self._connection = RTCPeerConnection(rtc_configuration(ice.servers))
        self.output: Final = OutgoingSound(RATE, limit_s=_QUEUED_S)
        """The sound for the client."""
        transceiver = self._connection.addTransceiver(self.output.track, "sendrecv")
        prefer_opus(transceiver)
        self.input: Final = IncomingSound(transceiver.receiver, RATE)
        """The sound of the client."""
        self._prepare(transceiver.receiver.transport.transport.iceGatherer._connection, ice)
        self._channel: RTCDataChannel | None = None
        self._has_events = self._is_closed = False
        self._frames: asyncio.Queue[str | bytes] = asyncio.Queue(_FRAMES)
        self._waiting_bytes = 0
        self._opened = asyncio.Event()
        self._ended = asyncio.Event()
        self._took_all = asyncio.Event()
        self._connection.on("connectionstatechange", self._note_state)
        self._connection.on("datachannel", self._take_channel)

    async def answer(self, offer: CheckedOffer) -> str:
        """Return the SDP answer. Raises `WireError` if the offer cannot be met."""
        self._has_events = offer.has_events
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            if self._connection.sctp is not None:
                shorten_timers(self._connection.sctp)
            await self._connection.setLocalDescription()
        except Exception as error:
            # aiortc raises whatever a line that it does not expect leads to.
            message = "The SDP offer is not valid. It must offer Opus audio, ICE and DTLS."
            raise WireError("invalid_sdp", message, "sdp") from error
        return str(self._connection.localDescription.sdp)

    def _prepare(self, agent: Any, ice: IceSettings) -> None:
        """Let the ICE agent use the addresses of the settings, and end with the call.

        aioice itself leaves out the loopback address, waits long for servers, and asks without end
        if the peer consents when it is closed while it connects.
        """
        gather, ask_consent = agent.get_component_candidates, agent.query_consent

        async def limited(component: int, addresses: Sequence[str], timeout: float = 0) -> Any:
            return await gather(component, ice.addresses(addresses), timeout=GATHER_S)

        async def until_closed() -> None:
            if not self._is_closed:
                await ask_consent()

        agent.get_component_candidates = limited
        agent.query_consent = until_closed

    # ----------------------------------------------------------------- state

    async def opened(self) -> None:
        """Wait until sound flows, and events, if the client has a channel for them."""
        await self._opened.wait()

    async def ended(self) -> None:
        """Wait until the client ended the call, or is gone."""
        await self._ended.wait()

    @property
    def is_flooded(self) -> bool:
        """True if the client sends parts of messages without end."""
        window = getattr(self._connection.sctp, "_advertised_rwnd", 0)
        return window < 0 and -window > _FRAME_BYTES

    def _note_state(self) -> None:
        state = self._connection.connectionState
        if state in ("failed", "closed"):
            self._ended.set()
        self._note_open()

    def _note_open(self) -> None:
        is_connected = self._connection.connectionState == "connected"
        if is_connected and (self._channel is not None or not self._has_events):
            self._opened.set()

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if self._channel is not None or channel.label != EVENTS:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._take_frame)
        channel.on("bufferedamountlow", self._took_all.set)
        channel.on("close", self._ended.set)
        self._note_open()

    # ----------------------------------------------------------------- frames

    def _take_frame(self, frame: str | bytes) -> None:
        self._waiting_bytes += len(frame)
        if self._frames.full() or self._waiting_bytes > _FRAME_BYTES:
            self._ended.set()
        else:
            self._frames.put_nowait(frame)

    async def frame(self) -> str | bytes:
        """Return the next frame of the client."""
        frame = await self._frames.get()
        self._waiting_bytes -= len(frame)
        return frame

    async def send(self, frame: bytes) -> None:
        """Send a frame, or drop it if the client has no channel.

        Raises `WireError` if the client cannot take one of this size, and `SlowClient`.
        """
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        while channel.bufferedAmount > _SENDING_BYTES:
            self._took_all.clear()
            await self._took_all.wait()
        try:
            channel.send(frame.decode())
        except ValueError as error:
            message = f"An event of {len(frame):,} bytes is too large for this data channel."
            raise WireError("event_too_large", message) from error

    async def close(self) -> None:
        """End the connection and free its sockets, threads and tasks."""
        self._is_closed = True
        self._ended.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._connection.close()
        self.output.track.stop()
