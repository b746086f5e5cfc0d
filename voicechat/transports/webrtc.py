"""WebRTC connections: events over a data channel, sound over RTP as Opus.

Every wait has a deadline and every queue a bound:

    dialing      10 s for the exchange of descriptions, the network path (ICE) and keys (DTLS)
    events       the caller waits while the peer accepts data; 10 s without progress end the
                 connection, and so does a flood of received ones
    microphone   3 s are queued; then the oldest sound is dropped and counted. Pauses are left out
                 while more than 60 ms wait, because sound cannot be sent faster than in real time
    received     2 s of sound; the jitter buffer is `PacketBuffer`
    liveness     any packet counts: peers report on the sound every few seconds (RTCP); given up
                 after 7.5 s without one, when the path or keys fail, or when the channel closes
    closing      1 s

A network that blocks UDP has no path. No key reaches a log or an exception.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voicechat.errors import VoicechatError
from voicechat.speech.rtc_connection import (
    limit_gathering,
    rtc_configuration,
    shorten_timers,
)
from voicechat.speech.webrtc_audio import IncomingSound, OutgoingSound, prefer_opus
from voicechat.system.dial_target import CallOffer, DialTarget
from voicechat.system.optional_parts import require_webrtc
from voicechat.transports.connection_errors import TOO_LARGE, ConnectionLost, DialFailed, Peer
from voicechat.transports.sdp_exchange import SdpAnswer, exchange

if TYPE_CHECKING:
    from aiortc import RTCDataChannel, RTCPeerConnection

SEND_SECONDS: Final = 10.0
"""Seconds without progress."""
CLOSE_SECONDS: Final = 1.0
WATCH_SECONDS: Final = 1.0
"""Seconds between two checks for life."""
PAUSE_SECONDS: Final = 3.0
"""Shortest delay of a check that means that the computer slept or the program was stopped."""
TURN_SECONDS: Final = 0.01
"""Time for the frames of one turn of the event loop."""
QUEUED_BYTES: Final = 16 << 20
QUEUED_FRAMES: Final = 8_192
"""Largest number and size of received events that wait; more end the connection."""
QUEUED_BLOCKS: Final = 100
"""Received blocks of 20 ms of sound that wait; then the newest are dropped."""
MICROPHONE_S: Final = 3.0
_START_S: Final = 0.03
"""Sound that is collected before sending starts, so that blocks that come late leave no gap."""
_UNSENT_BYTES: Final = 256 << 10
"""Bytes that may wait in the data channel while more are sent."""
_POLL_S: Final = 0.02

_Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

_NO_PATH = (
    "Check that the network lets UDP through, name a TURN server with --ice-servers, or use"
    " --transport websocket."
)


async def dial(
    endpoint: DialTarget, call: CallOffer, *, deadline: float, liveness_timeout_s: float
) -> CallConnection:
    """Connect within `deadline` seconds. The error is that of `dialing.dial`.

    Raises `UsageError` if aiortc is not installed.
    """
    require_webrtc()
    _hide_late_errors(asyncio.get_running_loop())
    peer = Peer(endpoint)
    connection: CallConnection | None = None
    try:
        async with asyncio.timeout(deadline):
            connection = CallConnection(call, peer, liveness_timeout_s)
            answer = await exchange(endpoint, call, await connection.offer(), peer)
            await connection.accept(answer)
            return connection
    except TimeoutError:
        is_answered = connection is not None and connection.is_answered
        error: VoicechatError = (
            DialFailed(f"No network path to {peer.host} was found.", _NO_PATH, retry=True)
            if is_answered
            else peer.unreachable(TimeoutError(), deadline)
        )
    except ConnectionLost:
        error = DialFailed(f"No network path to {peer.host} was found.", _NO_PATH, retry=True)
    except BaseException:
        if connection is not None:
            await connection.close()
        raise
    if connection is not None:
        await connection.close()
    raise error


def _hide_late_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Hide the errors of the library's own tasks, which may outlive their connection.

    The state of the connection tells what happened; the loop would print them over the screen.
    """
    before = loop.get_exception_handler()
    if isinstance(before, _LateErrors):
        return
    loop.set_exception_handler(_LateErrors(before))


class _LateErrors:
    """An exception handler of a loop that passes on all but the errors of aiortc's tasks."""

    def __init__(self, before: _Handler | None) -> None:
        self._before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("future")
        code = getattr(task.get_coro(), "cr_code", None) if isinstance(task, asyncio.Task) else None
        if code is not None and Path(code.co_filename).parent.name in {"aiortc", "aioice"}:
            return
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)


class CallConnection:
    """A WebRTC connection. Iterate over it to receive frames, and `close` it at the end.

    A frame of text is an event, a frame of bytes is 20 ms of sound: mono PCM16 at the rate of the
    call, empty while the sound is late. The player conceals that, so that its positions stay exact.
    """

    def __init__(self, call: CallOffer, peer: Peer, liveness_timeout_s: float) -> None:
        """Prepare a connection; called by `dial`, which connects it."""
        from aiortc import RTCPeerConnection

        self.clock_ahead_s = 0.0
        """Seconds by which the clock of this computer is ahead of the peer's; 0 if unknown."""
        self.round_trip_s = 0.0
        """Latest time to the peer and back; 0 before the first report of it."""
        self.is_answered = False
        """The peer has answered the offer."""
        self._peer = peer
        self._liveness_timeout_s = liveness_timeout_s
        self._clock = asyncio.get_running_loop().time
        self._alive = self._checked_at = self._clock()
        self._received = 0
        self._lost: ConnectionLost | None = None
        self._frames: deque[str | bytes] = deque()
        self._waiting_bytes = self._waiting_blocks = 0
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._largest_message = 0
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._pc: RTCPeerConnection = RTCPeerConnection(rtc_configuration(call.ice_servers))
        self._outgoing = OutgoingSound(
            call.rate, limit_s=MICROPHONE_S, start_s=_START_S, skips_pauses=True
        )
        transceiver = self._pc.addTransceiver(self._outgoing.track, direction="sendrecv")
        prefer_opus(transceiver)
        limit_gathering(transceiver.receiver.transport.transport.iceGatherer._connection)
        self._incoming = IncomingSound(transceiver.receiver, call.rate, fills=False)
        self._channel: RTCDataChannel = self._pc.createDataChannel(call.channel)
        shorten_timers(self._pc.sctp)
        self._channel.on("message", self._take)
        self._channel.on("open", self._changed.set)
        self._channel.on("close", lambda: self._lose(self._peer.ended()))
        self._pc.on("connectionstatechange", self._state_changed)

    @property
    def dropped_audio(self) -> int:
        """Number of blocks of 20 ms that were dropped because too much sound was queued."""
        return round(self._outgoing.dropped_s / 0.02)

    # ----------------------------------------------------------------- opening

    async def offer(self) -> str:
        """Return the session description to send."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return str(self._pc.localDescription.sdp)

    async def accept(self, answer: SdpAnswer) -> None:
        """Use the answer of the peer; return when the data channel is open.

        Raises `DialFailed` for an answer that cannot be used, `ConnectionLost` without a path.
        """
        from aiortc import RTCSessionDescription

        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        except Exception:
            # The library raises errors of any kind for a description that it cannot read.
            raise DialFailed(
                f"{self._peer.host} answered the call with an unusable session description.",
                "Try again later, or use --transport websocket.",
            ) from None
        self.is_answered = True
        if "a=candidate:" not in answer.sdp:
            raise self._peer.unreached()
        self._largest_message = answer.largest_message
        with suppress(ValueError, TypeError, OverflowError):
            self.clock_ahead_s = time.time() - parsedate_to_datetime(answer.date).timestamp()
        while self._channel.readyState != "open":
            if self._lost is not None:
                raise self._lost
            self._changed.clear()
            await self._changed.wait()
        self._alive = self._checked_at = self._clock()
        self._tasks = (
            asyncio.create_task(self._listen(), name="call sound"),
            asyncio.create_task(self._keep_alive(), name="call liveness"),
        )

    def _state_changed(self) -> None:
        state = self._pc.connectionState
        if state in {"failed", "closed"}:
            self._lose(self._peer.ended() if state == "closed" else self._peer.unreached())
        self._changed.set()

    # ----------------------------------------------------------------- sending

    async def send(self, frames: Sequence[str | bytes]) -> None:
        """Send frames in their order; return when the last one is on its way.

        An event after sound waits until that is sent. Raises `ConnectionLost` if the peer accepts
        no data for 10 s or the connection is lost.
        """
        after_sound = False
        for frame in frames:
            if isinstance(frame, bytes):
                self.send_audio(frame)
                after_sound = True
                continue
            if after_sound:
                await self._sound_sent()
            after_sound = False
            self._send_text(frame)
            await self._drained(_UNSENT_BYTES)
        if not after_sound:
            await self._drained(0)

    def send_audio(self, frame: str | bytes, *, keep: bool = False) -> None:
        """Queue sound without waiting; the oldest is dropped if too much is queued."""
        if self._lost is not None:
            return
        if isinstance(frame, bytes):
            self._outgoing.write(frame)
        else:
            with suppress(ConnectionLost):
                self._send_text(frame)

    def _send_text(self, frame: str) -> None:
        if self._lost is not None:
            raise self._lost
        if len(frame) * 4 > self._largest_message and (len(frame.encode()) > self._largest_message):
            size = self._largest_message >> 10
            reason = f"{self._peer.host} takes no event above {size} kB over WebRTC."
            raise self._lose(ConnectionLost(reason, TOO_LARGE, retry=False))
        try:
            self._channel.send(frame)
        except Exception:
            # A channel that closes raises errors of several kinds.
            raise self._lose(self._peer.ended()) from None

    async def _sound_sent(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._outgoing.empty.wait(), MICROPHONE_S)

    async def _drained(self, most: int) -> None:
        """Wait until at most `most` bytes wait to be sent."""
        moved, least = self._clock(), self._channel.bufferedAmount
        while self._lost is None and self._channel.bufferedAmount > most:
            await asyncio.sleep(_POLL_S)
            if self._channel.bufferedAmount < least:
                moved, least = self._clock(), self._channel.bufferedAmount
            elif self._clock() - moved > SEND_SECONDS:
                raise self._lose(self._peer.stalled())
        if self._lost is not None:
            raise self._lost

    # ----------------------------------------------------------------- receiving

    def quiet_for(self) -> float:
        """Return the seconds since the last packet.

        0 directly after a stop of the program: what came during it is not read yet.
        """
        now = self._clock()
        was_stopped = now - self._checked_at > WATCH_SECONDS + PAUSE_SECONDS
        return 0.0 if was_stopped else now - self._alive

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Yield the received frames. Always ends with `ConnectionLost`, which has the reason."""
        began = self._clock()
        while True:
            while self._frames:
                frame = self._frames.popleft()
                if isinstance(frame, bytes):
                    self._waiting_blocks -= 1
                else:
                    self._waiting_bytes -= len(frame)
                    frame = str(self._peer.mask_keys(frame))
                if self._clock() - began > TURN_SECONDS:
                    await asyncio.sleep(0)
                    began = self._clock()
                yield frame
            if self._lost is not None:
                raise self._lost
            self._wake.clear()
            await self._wake.wait()
            began = self._clock()

    def _take(self, message: str | bytes) -> None:
        """Queue an event of the peer; bytes would be taken for sound."""
        self._alive = self._clock()
        frame = message if isinstance(message, str) else message.decode(errors="replace")
        self._waiting_bytes += len(frame)
        self._frames.append(frame)
        if self._waiting_bytes > QUEUED_BYTES or len(self._frames) > QUEUED_FRAMES:
            self._lose(self._peer.flooded())
        self._wake.set()

    async def _listen(self) -> None:
        while True:
            block = await self._incoming.read()
            if self._waiting_blocks < QUEUED_BLOCKS:
                self._waiting_blocks += 1
                self._frames.append(block)
                self._wake.set()

    async def _keep_alive(self) -> None:
        while self.quiet_for() < self._liveness_timeout_s:
            began = self._clock()
            await asyncio.sleep(WATCH_SECONDS)
            received = 0
            for report in (await self._pc.getStats()).values():
                received += getattr(report, "bytesReceived", 0)
                self.round_trip_s = getattr(report, "roundTripTime", None) or self.round_trip_s
            if received != self._received or self._clock() - began > PAUSE_SECONDS:
                self._alive = self._clock()
            self._received, self._checked_at = received, self._clock()
        self._lose(self._peer.silent(self.quiet_for()))

    # ----------------------------------------------------------------- ending

    async def close(self) -> None:
        """Close the connection within a second. Unsent frames are dropped."""
        if self._lost is None:
            self._end(ConnectionLost("The connection was closed.", 1000, retry=False))
        closing = asyncio.ensure_future(self._pc.close())
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
        closing.cancel()
        await asyncio.gather(closing, *self._tasks, return_exceptions=True)

    def _lose(self, lost: ConnectionLost) -> ConnectionLost:
        """End the connection, whatever happens to it later; the first reason is kept."""
        if self._lost is None:
            self._end(lost)
        return self._lost or lost

    def _end(self, lost: ConnectionLost) -> None:
        self._lost = lost
        self._wake.set()
        self._changed.set()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
