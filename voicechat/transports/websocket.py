"""WebSocket connections: dialing, deadlines, liveness and backoff.

Every wait has a deadline and every queue a bound:

    dialing         10 s for name, TCP, TLS and handshake together
    control frames  the caller waits until they are written; 2 s without progress end the connection
    audio frames    about 500 ms are queued; then the oldest block is dropped and counted
    receiving       the library stops reading after 16 unread frames; a flood of frames gives way
                    to other tasks every 10 ms
    liveness        any frame or pong counts; a ping every 2 s; given up after 7.5 s without either,
                    or by the kernel after 5 s without a TCP acknowledgment
    after a sleep   the peer must answer within 1 s
    closing         0.5 s

Frames are sent in the order they were given, audio and control alike. No key reaches a log or an
exception: the library's logger, which prints the handshake, is replaced, the headers are dropped
after it, and redirects, which would send the key elsewhere, are not followed.
"""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from voicechat import __version__
from voicechat.errors import Secret
from voicechat.system.dial_target import DialTarget
from voicechat.system.socket_transport import prepare
from voicechat.transports.connection_errors import ConnectionLost, DialFailed, Peer
from voicechat.transports.proxy_address import proxy_of

__all__ = ["ConnectionLost", "DialFailed", "SocketConnection", "backoff", "dial"]

DIAL_SECONDS = 10.0
SEND_SECONDS = 2.0
NEXT_ADDRESS_S = 0.25
"""Seconds after which the next address of a name is tried, too (RFC 8305)."""
CLOSE_SECONDS = 0.5
PING_SECONDS = 2.0
LIVENESS_SECONDS = 7.5
DEAD_PATH_SECONDS = 5
PAUSE_SECONDS = 3.0
"""Shortest delay of a ping that means that the computer slept or the program was stopped."""
PROBE_SECONDS = 1.0
"""Seconds in which a peer must answer after that: its connection has often ended meanwhile."""
TURN_SECONDS = 0.01
"""Time for the frames of one turn of the event loop."""
LARGEST_FRAME = 16 << 20
"""Largest incoming frame, in bytes."""
SOUND_QUEUED = 256 << 10
"""Characters of queued audio frames: four seconds of PCM16 at 24 kHz in base64.

A peer that accepts nothing for `SEND_SECONDS` is lost, so a shorter pause of the peer or of the
event loop drops no speech.
"""
_LARGE_FRAME = 128 << 10
"""Characters from which a frame may take long on a slow network, such as a picture."""
_UNSENT_IN_KERNEL = 16 << 10


def backoff(attempt: int, random: Callable[[], float]) -> float:
    """Return the delay (s) before attempt `attempt` (from 0): 0.25 to 5, growing on average.

    `random` returns numbers from 0 to 1; it spreads many clients over the whole range.
    """
    longest = min(5.0, 0.5 * 2.0 ** min(attempt, 10))
    return 0.25 + (longest - 0.25) * random()


async def dial(
    endpoint: DialTarget,
    *,
    deadline: float = DIAL_SECONDS,
    liveness_timeout_s: float = LIVENESS_SECONDS,
) -> SocketConnection:
    """Connect within `deadline` seconds; `liveness_timeout_s` is the liveness timeout in seconds.

    Proxies of the environment are used, except for this machine. Raises `KeyMissing` if the key is
    refused and `DialFailed` for everything else.
    """
    peer = Peer(endpoint)
    try:
        async with asyncio.timeout(deadline):
            socket = await _open(endpoint, peer)
    except (OSError, EOFError, WebSocketException, ValueError, ImportError) as failure:
        error = peer.unreachable(failure, deadline)
    else:
        return SocketConnection(socket, peer, liveness_timeout_s)
    # Outside the handler: the library's exception contains the request and must not be chained.
    raise error


class SocketConnection:
    """An open connection. Iterate over it to receive frames, and `close` it at the end."""

    def __init__(self, socket: ClientConnection, peer: Peer, liveness_timeout_s: float) -> None:
        """Wrap an open socket; called by `dial`."""
        self.dropped_audio = 0
        """Number of audio frames dropped because the network was too slow."""
        self.clock_ahead_s = _clock_ahead_s(socket)
        """Seconds by which the clock of this computer is ahead of the peer's; 0 if unknown."""
        self.round_trip_s = 0.0
        """Latest time from a ping to its pong; 0 before the first one."""
        self._socket = socket
        self._peer = peer
        self._liveness_timeout_s = liveness_timeout_s
        self._clock = asyncio.get_running_loop().time
        self._alive = self._awake_at = self._clock()
        self._lost: ConnectionLost | None = None
        self._queue: deque[_Entry] = deque()
        self._sound: deque[_Entry] = deque()
        self._sound_size = 0
        self._written = 0
        self._wake = asyncio.Event()
        # They end with the connection: `_end` cancels them and `close` waits for them.
        self._tasks = (
            asyncio.create_task(self._write(), name="transport writer"),
            asyncio.create_task(self._keep_alive(), name="transport keepalive"),
        )

    def quiet_for(self) -> float:
        """Return the seconds since the last frame or pong.

        A working peer answers the pings every 2 s, even while it computes a response. 0 directly
        after a stop of the program: what came during it is not read yet.
        """
        now = self._clock()
        was_stopped = now - self._awake_at > 2 * PING_SECONDS + PAUSE_SECONDS
        return 0.0 if was_stopped else now - self._alive

    async def send(self, frames: Sequence[str | bytes]) -> None:
        """Write frames after all earlier ones; return when the last one is written.

        Raises `ConnectionLost` if the peer accepts no data for 2 s or the connection is lost.
        """
        if self._lost is not None:
            raise self._lost
        if not frames:
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.extend(_Entry(frame) for frame in frames[:-1])
        self._queue.append(_Entry(frames[-1], written))
        self._wake.set()
        try:
            await self._while_moving(written)
        except TimeoutError:
            raise self._lose(self._peer.stalled()) from None
        written.result()

    def send_audio(self, frame: str | bytes, *, keep: bool = False) -> None:
        """Queue an audio frame without waiting; drop the oldest one if too many are queued.

        `keep` marks a frame that later audio depends on: it is not dropped.
        """
        if self._lost is not None:
            self.dropped_audio += 1
            return
        entry = _Entry(frame)
        self._queue.append(entry)
        if not keep:
            self._sound.append(entry)
            self._sound_size += len(frame)
        while self._sound_size > SOUND_QUEUED and len(self._sound) > 1:
            self._drop(self._sound.popleft())
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Yield the received frames. Always ends with `ConnectionLost`, which has the reason."""
        began = self._clock()
        try:
            while True:
                frame = await self._socket.recv()
                if self._clock() - began > TURN_SECONDS:
                    # Frames that have arrived already come without a turn of the event loop.
                    await asyncio.sleep(0)
                    began = self._clock()
                self._alive = self._clock()
                yield self._peer.mask_keys(frame) if self._repeats_a_key(frame) else frame
        except ConnectionClosed as closed:
            lost = self._lose(self._peer.closed(closed))
        raise lost

    def _repeats_a_key(self, frame: str | bytes) -> bool:
        if isinstance(frame, str):
            return any(key in frame for key in self._peer.keys)
        return any(key.encode() in frame for key in self._peer.keys)

    async def close(self) -> None:
        """Close the connection within half a second. Unwritten frames are dropped."""
        if self._lost is None:
            self._end(ConnectionLost("The connection was closed.", 1000, retry=False))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._socket.close()
        finally:
            self._socket.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drop(self, entry: _Entry) -> None:
        self._sound_size -= len(entry.frame or "")
        self.dropped_audio += 1
        entry.frame = None

    async def _write(self) -> None:
        try:
            while True:
                while self._queue:
                    await self._write_one(self._queue[0])
                    self._queue.popleft()
                self._wake.clear()
                await self._wake.wait()
        except TimeoutError:
            self._lose(self._peer.stalled())
        except ConnectionClosed as closed:
            self._lose(self._peer.closed(closed))

    async def _write_one(self, entry: _Entry) -> None:
        if entry.frame is None:
            return
        if self._sound and self._sound[0] is entry:
            self._sound.popleft()
            self._sound_size -= len(entry.frame)
        if len(entry.frame) < _LARGE_FRAME:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send(entry.frame)
        else:
            sending = asyncio.ensure_future(self._socket.send(entry.frame))
            try:
                await self._while_moving(sending)
                sending.result()
            finally:
                sending.cancel()
        self._written += 1
        if entry.written is not None and not entry.written.done():
            entry.written.set_result(None)

    async def _while_moving(self, outcome: asyncio.Future[None]) -> None:
        """Wait for the outcome while the peer accepts data; TimeoutError after 2 s without.

        Accepted data counts as activity, too: pongs are delayed by a large frame.
        """
        written, least, moved = self._written, sys.maxsize, self._clock()
        while not outcome.done():
            await asyncio.wait([outcome], timeout=SEND_SECONDS / 4)
            waiting = self._socket.transport.get_write_buffer_size()
            if self._written != written or waiting < least:
                moved = self._clock()
                if least != sys.maxsize:
                    self._alive = moved
                written, least = self._written, min(least, waiting)
            elif self._clock() - moved > SEND_SECONDS:
                raise TimeoutError

    async def _keep_alive(self) -> None:
        with suppress(ConnectionClosed):
            while self.quiet_for() < self._liveness_timeout_s:
                await self._ping()
                before = _clock_during_sleep()
                await asyncio.sleep(PING_SECONDS)
                paused_s = _clock_during_sleep() - before - PING_SECONDS
                if paused_s > PAUSE_SECONDS and not await self._answers():
                    self._lose(self._peer.silent(paused_s))
                    return
                self._awake_at = self._clock()
            self._lose(self._peer.silent(self.quiet_for()))

    async def _ping(self) -> None:
        # A ping that cannot be written counts as unanswered.
        with suppress(TimeoutError):
            async with asyncio.timeout(PING_SECONDS):
                pong = await self._socket.ping()
            asyncio.ensure_future(pong).add_done_callback(self._pong)

    async def _answers(self) -> bool:
        """Return False if the peer sends nothing for a second. Slow pongs get their usual time."""
        self._alive = self._awake_at = asked_at = self._clock()
        if self._liveness_timeout_s > LIVENESS_SECONDS:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(PROBE_SECONDS):
                await (await self._socket.ping())
                return True
        return self._alive > asked_at

    def _pong(self, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._alive = self._clock()
            self.round_trip_s = pong.result()

    def _lose(self, lost: ConnectionLost) -> ConnectionLost:
        """End the connection, whatever happens to the socket later; the first reason is kept."""
        if self._lost is None:
            self._end(lost)
            self._socket.transport.abort()
        return self._lost or lost

    def _end(self, lost: ConnectionLost) -> None:
        self._lost = lost
        for entry in self._queue:
            if entry.written is not None and not entry.written.done():
                entry.written.set_exception(lost)
                # The caller may be gone; reading the exception avoids a warning of the loop.
                entry.written.exception()
        self._queue.clear()
        self._sound.clear()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()


def _clock_during_sleep() -> float:
    """Return seconds of a clock that advances while the computer sleeps."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)  # Linux only
    return time.time() if boot_clock is None else time.clock_gettime(boot_clock)


class _Entry:
    """An outgoing frame; None if it was dropped. `written` is resolved when it was sent."""

    __slots__ = ("frame", "written")

    def __init__(self, frame: str | bytes, written: asyncio.Future[None] | None = None) -> None:
        self.frame: str | bytes | None = frame
        self.written = written


class _Socket(ClientConnection):
    """The library's connection, which may be lost before it is made: behind a proxy, in TLS."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        prepare(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "recv_messages"):
            super().connection_lost(exc)


class _Dial(connect):
    """The library's client without redirects."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


# Outside the logger hierarchy, so that no configuration enables it.
_SILENT = logging.Logger("voicechat.socket", logging.CRITICAL + 1)


async def _open(endpoint: DialTarget, peer: Peer) -> ClientConnection:
    proxy = None if peer.is_local else proxy_of(endpoint.url)
    peer.has_proxy = proxy is not None
    socket = await _Dial(
        endpoint.url,
        additional_headers={name: value.reveal() for name, value in endpoint.headers.items()},
        subprotocols=[Subprotocol(_open_text(name)) for name in endpoint.subprotocols] or None,
        user_agent_header=f"voicechat/{__version__}",
        proxy=proxy,
        compression=None,
        max_size=LARGEST_FRAME,
        open_timeout=None,
        ping_interval=None,
        close_timeout=CLOSE_SECONDS,
        logger=_SILENT,
        create_connection=_Socket,
        happy_eyeballs_delay=None if peer.is_address else NEXT_ADDRESS_S,
    )
    if socket.request is not None:
        for name in (*endpoint.headers, "Sec-WebSocket-Protocol"):
            socket.request.headers.pop(name, None)
    _shorten_kernel_queue(socket)
    _end_dead_paths(socket)
    return socket


def _clock_ahead_s(socket: ClientConnection) -> float:
    """Compare the clock of this computer with the date of the handshake (RFC 9110, 6.6.1)."""
    dates = socket.response.headers.get_all("Date") if socket.response is not None else []
    try:
        return time.time() - parsedate_to_datetime("".join(dates)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _open_text(name: str | Secret) -> str:
    return name.reveal() if isinstance(name, Secret) else name


def _end_dead_paths(socket: ClientConnection) -> None:
    """Make the kernel end a connection if sent data is not acknowledged for some seconds.

    A ping every 2 s ensures that there is data to acknowledge. This distinguishes a dead connection
    from a server whose pongs are slow.
    """
    raw = socket.transport.get_extra_info("socket")
    for name, unit in (("TCP_USER_TIMEOUT", 1_000), ("TCP_RXT_CONNDROPTIME", 1)):
        option = getattr(sockets, name, None)
        if option is not None and raw is not None:
            with suppress(OSError):
                raw.setsockopt(sockets.IPPROTO_TCP, option, DEAD_PATH_SECONDS * unit)


def _shorten_kernel_queue(socket: ClientConnection) -> None:
    """Keep audio in our queue, which can drop it, instead of the kernel's."""
    option = getattr(sockets, "TCP_NOTSENT_LOWAT", None)
    raw = socket.transport.get_extra_info("socket")
    if option is not None and raw is not None:
        with suppress(OSError):
            raw.setsockopt(sockets.IPPROTO_TCP, option, _UNSENT_IN_KERNEL)
