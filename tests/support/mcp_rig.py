"""MCP servers as real processes, and a counter for stalls of the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from voicechat.config.mcp_server import ServerConfig
from voicechat.tools.mcp.mcp_pins import Pins
from voicechat.tools.mcp.mcp_servers import McpServers, ServerState
from voicechat.tools.question import Questions
from voicechat.tools.registry import Outcome, Registry

MISBEHAVING_SERVER = Path(__file__).with_name("rude_server.py")


def misbehaving_server(folder: Path, *how: str, name: str = "rude", **more: object) -> ServerConfig:
    """Configure the server that misbehaves."""
    command = (sys.executable, str(MISBEHAVING_SERVER), str(folder), *how)
    return ServerConfig(name, command, **more)  # type: ignore[arg-type]


@dataclass
class RunningServers:
    """Running servers and their messages."""

    servers: McpServers
    task: asyncio.Task[None]
    reported: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(
        self, name: str, arguments: str = "{}", report: Callable[[str], None] = lambda text: None
    ) -> Outcome:
        """Run a tool as a session would."""
        return await Registry(*self.servers.tools).run(name, arguments, report)

    async def until(self, condition: Callable[[], bool], seconds: float = 15) -> None:
        """Wait until a condition holds; it is checked after every change."""
        async with asyncio.timeout(seconds):
            while not condition():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.05)
                self.changed.clear()

    def state(self) -> ServerState:
        """Return the state of the only server."""
        (state,) = self.servers.states
        return state

    def names(self) -> list[str]:
        """Return the names of the offered tools."""
        return [tool.spec.name for tool in self.servers.tools]


async def allow(config: ServerConfig) -> bool:
    """Allow every command."""
    return True


@asynccontextmanager
async def running_servers(
    folder: Path,
    *configs: ServerConfig,
    approve: object = allow,
    ready: bool = True,
    questions: Questions | None = None,
) -> AsyncIterator[RunningServers]:
    """Run servers until the end of the block; starts when each is ready or has failed."""
    reported: list[str] = []
    changed = asyncio.Event()
    pins = Pins(folder / "pins.json")
    servers = McpServers(configs, changed.set, reported.append, approve, pins, questions)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as tasks:
        rig = RunningServers(servers, tasks.create_task(servers.run()), reported, changed)
        if ready:
            await rig.until(lambda: all(s.state in {"ready", "failed"} for s in servers.states))
        yield rig
        rig.task.cancel()


@asynccontextmanager
async def measured_stalls() -> AsyncIterator[Callable[[], float]]:
    """Measure stalls of the loop; call the result for the longest one in seconds."""
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - before - 0.001)

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch())
        yield lambda: worst
        watching.cancel()
