"""The MCP servers of a session: started together, each by itself, restarted within bounds.

    servers = McpServers(configs, changed, tell, approve)
    tasks.create_task(servers.run())        # lives in the session's task group
    await servers.settled()                 # if the first list of tools should be complete
    registry.add(servers.tools)             # again whenever `changed` was called

A server that fails is one sentence to the person, the others go on. Leaving `run`, in any way,
leaves nothing of them running.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.settings import Permission, ToolSpec
from voicechat.errors import ConnectError
from voicechat.tools.mcp.mcp_link import Link
from voicechat.tools.mcp.mcp_pins import Pins
from voicechat.tools.mcp.mcp_text import Definition, definitions
from voicechat.tools.registry import Tool, ToolError

if TYPE_CHECKING:
    import mcp_types as types

RESTARTS = 3
"""Times a server that ended is started again within `RESTARTS_S` seconds."""

RESTARTS_S = 300.0

_PAUSES_S = (0.2, 1.0, 3.0)
"""Seconds before each of these."""

MOST_TOLD = 20
"""Sentences about one server in a session: it cannot talk the person's screen full."""

Approve = Callable[[ServerConfig], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class ServerState:
    """How it is with one server, for a panel or a list."""

    name: str
    state: str
    """waiting for leave, starting, ready, restarting, failed."""
    tools: int
    """How many it offers."""
    problem: str = ""
    """Why it failed or is started again, in a sentence."""


class McpServers:
    """The servers of one session. Everything of it belongs to the event loop's thread."""

    def __init__(
        self,
        configs: Sequence[ServerConfig],
        changed: Callable[[], None],
        tell: Callable[[str], None],
        approve: Approve | None = None,
        pins: Pins | None = None,
    ) -> None:
        """`changed` is called whenever `tools` or `states` are others than before.

        `tell` gets a sentence for the person: a server that failed, a tool whose definition is not
        as the person knew it. `approve` shows the person `config.name` and `config.shown`, the
        exact command, and gives whether it may run; it is asked once for each command, and what is
        allowed is kept. Without it such a server does not run, and it is told how to allow it.
        """
        seen = pins or Pins()
        self._servers = [
            _Server(config, seen, changed, tell, approve)
            for config in configs
            if not config.disabled
        ]

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools of every server that is ready, or is being restarted; all start as `ask`.

        Their `source` is `MCP server NAME`, their names `NAME__TOOL`. Nothing that a server says
        about its own tools decides about a permission.
        """
        return tuple(tool for server in self._servers for tool in server.tools)

    @property
    def states(self) -> tuple[ServerState, ...]:
        """How it is with each server."""
        return tuple(server.state for server in self._servers)

    def difference(self, name: str) -> str:
        """How the tool of this name differs from the definition the person knew, in lines.

        Empty for one that does not. It is to be shown before the tool may be allowed; until then
        it asks for every call.
        """
        return next((s.differences[name] for s in self._servers if name in s.differences), "")

    def accept(self, name: str) -> None:
        """The person was shown the difference and allowed the tool: it is the known one now.

        Running it says the same: while it differs it `asks_always`.
        """
        for server in self._servers:
            server.accept(name)

    async def run(self) -> None:
        """Start them all, and live until every one has failed for good, or this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for server in self._servers:
                tasks.create_task(server.run(), name=f"mcp {server.config.name}")

    async def settled(self) -> None:
        """Return when each has been started or has failed, or waits for the person's leave.

        That takes at most `mcp_link.CONNECT_S` seconds and a little, while `run` runs.
        """
        for server in self._servers:
            await server.settled.wait()


class _Server:
    """One server, from its first start to its last."""

    def __init__(
        self,
        config: ServerConfig,
        pins: Pins,
        changed: Callable[[], None],
        tell: Callable[[str], None],
        approve: Approve | None,
    ) -> None:
        self.config = config
        self.settled = asyncio.Event()
        self.tools: tuple[Tool, ...] = ()
        self.differences: dict[str, str] = {}
        self.state = ServerState(config.name, "starting", 0)
        self._pins = pins
        self._changed = changed
        self._tell = tell
        self._approve = approve
        self._link: Link | None = None
        self._found: list[Definition] = []
        self._told: set[str] = set()
        self._ready_before = False

    async def run(self) -> None:
        """Live until it has failed for good."""
        try:
            await self._may_run()
            await self._live()
        except ConnectError as problem:
            self._say(str(problem))
            self._found, self.tools, self.differences = [], (), {}
            self._is("failed", str(problem))
        finally:
            self.settled.set()

    async def _may_run(self) -> None:
        """Return when it may run. Raises `ConnectError` when it may not, or cannot."""
        config = self.config
        if config.problem:
            raise ConnectError(config.problem)
        if self._pins.may_run(config):
            return
        if self._approve is None:
            raise ConnectError(
                f"It has not been allowed to run yet: {config.shown}.",
                f"Type: voicechat mcp test {config.name}",
            )
        self._is("waiting for leave")
        self.settled.set()
        if not await self._approve(config):
            raise ConnectError("You did not let it run.")
        self._pins.let_run(config)
        self._is("starting")

    async def _live(self) -> None:
        """Connect, and again when that ended. Raises `ConnectError` for good."""
        ends: deque[float] = deque(maxlen=RESTARTS + 1)
        while True:
            reason = await self._connect()
            if not self._ready_before:
                raise reason
            ends.append(time.monotonic())
            if len(ends) > RESTARTS and ends[-1] - ends[0] < RESTARTS_S:
                raise ConnectError(f"It ended {len(ends)} times and is given up.", reason.message)
            self._is("restarting", str(reason))
            await asyncio.sleep(_PAUSES_S[min(len(ends), len(_PAUSES_S)) - 1])

    async def _connect(self) -> ConnectError:
        """One connection from its beginning to its end; why it ended."""
        self._link = Link(self.config, self._listed)
        try:
            await self._link.live()
        except ConnectError as problem:
            return problem
        return ConnectError("It ended.")

    def _listed(self, tools: Sequence[types.Tool]) -> None:
        """The server says what it offers."""
        self._found, refused = definitions(self.config, tools)
        for sentence in refused:
            self._say(sentence)
        self._compare()
        for definition in self._found:
            if difference := self.differences.get(definition.offered_as):
                told = difference.replace("\n", "; ")
                self._say(f"Its tool {definition.name} changed and asks again: {told}.")
        self._ready_before = True
        self._is("ready")
        self.settled.set()

    def _compare(self) -> None:
        differences = self._pins.differences(self.config.name, self._found)
        self.differences = {
            each.offered_as: differences[each.name]
            for each in self._found
            if each.name in differences
        }
        self.tools = tuple(self._tool(each) for each in self._found)

    def _tool(self, definition: Definition) -> Tool:
        spec = ToolSpec(
            definition.offered_as, definition.description, definition.parameters, Permission.ASK
        )
        return Tool(
            spec,
            partial(self._call, definition),
            self.config.source,
            self.config.timeout_s,
            asks_always=definition.offered_as in self.differences,
        )

    def accept(self, name: str) -> None:
        """The person allows the tool as it is now."""
        for definition in self._found:
            if definition.offered_as == name and name in self.differences:
                self._pins.accept(self.config.name, definition)
                self._compare()
                self._is(self.state.state)

    async def _call(self, definition: Definition, arguments: str) -> str:
        if self._link is None:
            raise ToolError(f"The {self.config.source} is not running.")
        given = _object(arguments)
        # One that changed runs only when the person allowed it, shown what changed.
        self.accept(definition.offered_as)
        return await self._link.call(definition.name, given)

    def _is(self, state: str, problem: str = "") -> None:
        self.state = ServerState(self.config.name, state, len(self.tools), problem)
        self._changed()

    def _say(self, sentence: str) -> None:
        """Tell the person, once for each thing."""
        if sentence not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(sentence)
            self._tell(f"{self.config.source}: {sentence}")


def _object(arguments: str) -> dict[str, Any]:
    try:
        found = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        raise ToolError("The arguments are no JSON.") from None
    if not isinstance(found, dict):
        raise ToolError("The arguments must be a JSON object.")
    return found
