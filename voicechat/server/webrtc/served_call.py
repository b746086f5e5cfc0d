"""One call: a WebRTC connection, the pipeline behind it, and the sockets that watch it.

    data channel ─┐                    ┌─ frames ── data channel, every watching socket
    sockets ──────┼── CallPipeline ────┤
    microphone ───┘                    └─ sound ─── CallPlayout ── track

One task group for each call: the end of one of its tasks ends all of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from voicechat.server import fair_share
from voicechat.server.fair_share import Allowance, FairShare
from voicechat.server.pipeline import Engines, Pipeline
from voicechat.server.realtime.call_protocol import CallProtocol
from voicechat.server.realtime.server_frames import WireError, encode
from voicechat.server.realtime.server_session import session_echo
from voicechat.server.send_queue import SendQueue, SlowClient
from voicechat.server.webrtc.call_pipeline import CallPipeline
from voicechat.server.webrtc.call_playout import CallPlayout
from voicechat.system.task_group import TaskGroup

if TYPE_CHECKING:
    from voicechat.server.webrtc.call_peer import CallPeer

CONNECT_S = 15.0
"""Time for a client to connect, and to open its data channel."""
_MOST_WATCHERS = 4
"""Sockets that may watch one call."""
_LAST_FRAMES_S = 0.1

_log = logging.getLogger(__name__)


Register = Callable[[Pipeline], AbstractContextManager[None]]
"""Counts a pipeline as a connection of the server, and closes it at the end."""


class _Over(Exception):
    """The call is over."""


class ServedCall:
    """A call whose offer was answered. Await `run`; it returns when the call is over."""

    def __init__(
        self,
        peer: CallPeer,
        create_protocol: Callable[[CallPlayout], CallProtocol],
        engines: Engines,
        share: FairShare,
        session_seconds: float,
    ) -> None:
        """Take the peer over, which `run` closes."""
        self._peer = peer
        self._playout = CallPlayout(peer.output)
        self._protocol = create_protocol(self._playout)
        self._engines = engines
        self._share = share
        self._session_seconds = session_seconds
        self._pipeline: CallPipeline | None = None
        self._outbox = SendQueue()
        self._watchers: list[SendQueue] = []
        self._hung_up = asyncio.Event()
        self.over = asyncio.Event()
        """Set when the call is over and everything of it is freed."""

    def hang_up(self) -> None:
        """End the call soon."""
        self._hung_up.set()

    async def run(self, register: Register) -> None:
        """Run the call to its end. Never raises, except when it is cancelled."""
        try:
            await self._run(register)
        except* (_Over, SlowClient):
            pass
        except* TimeoutError:
            _log.info("a call did not connect")
        except* Exception as errors:
            _log.error("a call failed", exc_info=errors)
        finally:
            await self._peer.close()
            self.over.set()

    async def _run(self, register: Register) -> None:
        async with TaskGroup() as tasks:
            pipeline = CallPipeline(
                self._protocol, self._engines, tasks, self._deliver, self._wait_for_space
            )
            with register(pipeline):
                self._pipeline = pipeline
                tasks.create_task(self._end(self._peer.ended()))
                tasks.create_task(self._end(self._hung_up.wait()))
                async with asyncio.timeout(CONNECT_S):
                    await self._peer.opened()
                tasks.create_task(self._outbox.drain(self._send))
                tasks.create_task(self._hear(pipeline))
                tasks.create_task(self._receive(pipeline))
                await asyncio.sleep(self._session_seconds)
                await self._expire()

    async def _end(self, event: Awaitable[object]) -> None:
        await event
        raise _Over

    async def _expire(self) -> None:
        self._protocol.expire()
        self._deliver(self._protocol.take())
        # Give the sender time to deliver the error.
        await asyncio.sleep(_LAST_FRAMES_S)
        raise _Over

    # ----------------------------------------------------------------- sound

    async def _hear(self, pipeline: CallPipeline) -> None:
        """Pass the user's sound on, and follow the playout, in steps of 20 ms."""
        while True:
            sound = await self._peer.input.read()
            changes = self._playout.advance()
            if changes:
                pipeline.report(changes)
            if self._peer.is_flooded:
                raise _Over
            await pipeline.hear(sound)

    # ----------------------------------------------------------------- frames

    async def _receive(self, pipeline: CallPipeline) -> None:
        """Process the frames of the data channel."""
        allowance = Allowance(fair_share.EVENTS, fair_share.PER_SECOND)
        while True:
            await self._take(await self._peer.frame(), pipeline, allowance)

    async def _take(self, frame: str | bytes, pipeline: CallPipeline, allowance: Allowance) -> None:
        began = time.monotonic()
        await pipeline.receive(frame)
        if not allowance.take():
            await self._share.pay(time.monotonic() - began)
        await self._outbox.wait_for_space()

    def _deliver(self, frames: list[bytes]) -> None:
        self._outbox.put(frames)
        for watcher in self._watchers:
            watcher.put(frames)

    async def _wait_for_space(self) -> None:
        await self._outbox.wait_for_space()
        await self._playout.wait_for_space()

    async def _send(self, frame: bytes) -> None:
        try:
            await self._peer.send(frame)
        except WireError as error:
            await self._peer.send(error.frame(None))

    # ----------------------------------------------------------------- watching sockets

    @property
    def has_room(self) -> bool:
        """True if one more socket may watch."""
        return len(self._watchers) < _MOST_WATCHERS

    async def watch(
        self, frames: AsyncIterable[str | bytes], send: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Connect a socket that sees each event and may send its own, until one of them ends.

        Raises what the socket raises, and `SlowClient`.
        """
        outbox, protocol = SendQueue(), self._protocol
        session = session_echo(protocol.session, protocol.transcription_only)
        outbox.put([encode("session.created", session=session)])
        self._watchers.append(outbox)
        try:
            async with TaskGroup() as tasks:
                tasks.create_task(outbox.drain(send))
                tasks.create_task(self._end(self.over.wait()))
                tasks.create_task(self._follow(frames))
        except* _Over:
            pass
        finally:
            self._watchers.remove(outbox)

    async def _follow(self, frames: AsyncIterable[str | bytes]) -> None:
        allowance = Allowance(fair_share.EVENTS, fair_share.PER_SECOND)
        async for frame in frames:
            if self._pipeline is not None:
                await self._take(frame, self._pipeline, allowance)
        raise _Over
