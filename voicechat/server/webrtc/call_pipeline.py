"""The pipeline of one call: frames of several clients, and sound that comes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from voicechat.server.pipeline import Engines, Pipeline
from voicechat.server.realtime.call_protocol import CallProtocol
from voicechat.server.realtime.protocol_actions import InputSound


class CallPipeline(Pipeline):
    """Runs the engines for one call. `receive` and `hear` may be called by different tasks."""

    protocol: CallProtocol

    def __init__(
        self,
        protocol: CallProtocol,
        engines: Engines,
        tasks: asyncio.TaskGroup,
        send: Callable[[list[bytes]], None],
        wait_for_space: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(protocol, engines, tasks, send, wait_for_space)
        self._one_at_a_time = asyncio.Lock()

    async def receive(self, frame: str | bytes) -> float:
        """Process one frame of a client; return the milliseconds of sound in it: none."""
        async with self._one_at_a_time:
            return await super().receive(frame)

    async def hear(self, pcm: bytes) -> None:
        """Process sound of the user: PCM16 mono at 24 kHz."""
        async with self._one_at_a_time:
            for action in self.protocol.hear(pcm):
                # Without turn detection, the engine gets what the client commits.
                if isinstance(action, InputSound) and self.protocol.turn_detection is not None:
                    await self._listen(action)
            if self._spoken_over is not None:
                self._spoken_over.note_stop(self._clock_ms)
            self._flush()

    def report(self, changes: list[tuple[str, str]]) -> None:
        """Report changes of the playout: (started or stopped, response id)."""
        self.protocol.playing(changes)
        self._flush()
