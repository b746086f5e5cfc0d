"""The MCP servers of a session: started together, independent, restarted within limits.

    servers = McpServers(configs, changed, tell, approve)
    tasks.create_task(servers.run())        # lives in the session's task group
    await servers.settled()                 # if the first list of tools should be complete
    registry.add(servers.tools)             # again whenever `changed` was called

A server that fails is reported in one sentence, and the others continue. After `run` ends, in any
way, nothing of the servers runs.
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
from voicechat.system.task_group import TaskGroup
from voicechat.system.text_table import counted
from voicechat.tools.mcp.mcp_connection import KeyRefused, McpConnection, NotReady, SessionGone
from voicechat.tools.mcp.mcp_pins import Pins
from voicechat.tools.mcp.mcp_text import Definition, definitions
from voicechat.tools.registry import Tool, ToolError

if TYPE_CHECKING:
    import mcp_types as types

    from voicechat.tools.question import Questions

RESTARTS = 3
"""Restarts of a server that ended, within `RESTARTS_S` seconds."""

RESTARTS_S = 300.0

_PAUSES_S = (0.2, 1.0, 3.0)
"""Seconds before each restart."""

START_PAUSES_S = (2.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds before each further attempt to start a server that does not answer."""

SESSION_S = 15.0
"""Seconds in which a server starts a session in place of one that it forgot."""

MAX_MESSAGES = 20
"""Messages about one server in a session, so that it cannot flood the screen."""

Approve = Callable[[ServerConfig], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of one server, for display."""

    name: str
    source: str
    """The source of its tools."""
    state: str
    """waiting for approval, starting, ready, restarting, failed, disabled."""
    tools: int
    """Number of tools that it offers."""
    problem: str = ""
    """The reason for its failure or restart, as a sentence."""


class McpServers:
    """The servers of one session. Use it only on the event loop's thread."""

    def __init__(
        self,
        configs: Sequence[ServerConfig],
        changed: Callable[[], None],
        notify: Callable[[str], None],
        approve: Approve | None = None,
        pins: Pins | None = None,
        questions: Questions | None = None,
    ) -> None:
        """Prepare the servers that are not disabled.

        changed: called whenever `tools` or `states` change. notify: gets sentences for the user,
        about a server that failed or a tool whose definition changed. approve: shows the user
        `config.name` and `config.shown`, the exact command, and returns whether it may run; it is
        called once per command, and approvals are stored. Without it such a server does not run,
        and a message says how to allow it. questions: shows the servers' questions to the user;
        without it they cannot ask.
        """
        shared_pins = pins or Pins()
        self._servers = [
            _Server(config, shared_pins, changed, notify, approve, questions)
            for config in configs
            if not config.disabled
        ]

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools of every server that is ready or restarting; their permission is `ask`.

        Their `source` is `MCP server NAME`, their names are `NAME__TOOL`. A server's annotations
        never change a permission.
        """
        return tuple(tool for server in self._servers for tool in server.tools)

    @property
    def states(self) -> tuple[ServerState, ...]:
        """The state of each server."""
        return tuple(server.state for server in self._servers)

    def difference(self, name: str) -> str:
        """Describe how a tool differs from its pinned definition, in lines; "" when it does not.

        Show it before the user allows the tool; until then the tool asks for every call.
        """
        return next((s.differences[name] for s in self._servers if name in s.differences), "")

    def accept(self, name: str) -> None:
        """Pin a changed tool after the user saw the difference and allowed it.

        A call that the user allows does the same, because a changed tool `asks_always`.
        """
        for server in self._servers:
            server.accept(name)

    async def run(self) -> None:
        """Run all servers until each has failed permanently or this is cancelled."""
        async with TaskGroup() as tasks:
            for server in self._servers:
                tasks.create_task(server.run(), name=f"mcp {server.config.name}")

    async def retry(self, name: str) -> None:
        """Run a server again that has failed permanently."""
        for server in self._servers:
            if server.config.name == name and server.state.state == "failed":
                await server.run_again()

    async def settled(self) -> None:
        """Return when each server is ready, has failed, or waits for the user's approval.

        While `run` runs, this takes slightly more than the longest `start_timeout_s` at most. A
        server that does not answer by then is tried again, and `tools` change when it does.
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
        notify: Callable[[str], None],
        approve: Approve | None,
        questions: Questions | None,
    ) -> None:
        self.config = config
        self._questions = questions
        self.settled = asyncio.Event()
        self.tools: tuple[Tool, ...] = ()
        self.differences: dict[str, str] = {}
        self.state = ServerState(config.name, config.source, "starting", 0)
        self._pins = pins
        self._changed = changed
        self._notify = notify
        self._approve = approve
        self._connection: McpConnection | None = None
        self._definitions: list[Definition] = []
        self._reported: set[str] = set()
        self._ready = False
        """The present connection has listed its tools."""
        self._up = asyncio.Event()
        """Set while a connection is ready, and when the server has failed permanently."""
        self._ready_before = False
        self._is_late = False
        """The user knows that the server does not answer."""

    async def run(self) -> None:
        """Run until the server has failed permanently."""
        try:
            await self._await_permission()
            await self._live()
        except ConnectError as problem:
            self._report(str(problem))
            self._definitions, self.tools, self.differences = [], (), {}
            self._set_state("failed", str(problem))
            self._up.set()
        finally:
            self.settled.set()

    async def run_again(self) -> None:
        """Run as at the start, and report each problem again."""
        self._reported.clear()
        self._ready_before = self._is_late = False
        self._set_state("starting")
        await self.run()

    async def _await_permission(self) -> None:
        """Wait for permission to run. Raises `ConnectError` without it."""
        config = self.config
        if config.problem:
            raise ConnectError(config.problem)
        if self._pins.allows(config):
            return
        if self._approve is None:
            raise ConnectError(
                f"It has not been allowed to run yet: {config.shown}.",
                f"Type: voicechat mcp test {config.name}",
            )
        self._set_state("waiting for approval")
        self.settled.set()
        if not await self._approve(config):
            raise ConnectError("You did not allow it to run.")
        self._pins.allow(config)
        self._set_state("starting")

    async def _live(self) -> None:
        """Connect and reconnect. Raises `ConnectError` after too many failures."""
        ends: deque[float] = deque(maxlen=RESTARTS + 1)
        pauses = iter(START_PAUSES_S)
        while True:
            reason = await self._connect()
            if self._connection is not None and self._connection.is_session_gone:
                continue
            if self._ready:
                pauses = iter(START_PAUSES_S)
            elif isinstance(reason, NotReady):
                await self._wait_to_retry(reason, next(pauses, None))
                continue
            elif not self._ready_before or isinstance(reason, KeyRefused):
                raise reason
            ends.append(time.monotonic())
            if len(ends) > RESTARTS and ends[-1] - ends[0] < RESTARTS_S:
                raise ConnectError(f"It ended {len(ends)} times and stays off.", reason.message)
            self._set_state("restarting", str(reason))
            await asyncio.sleep(_PAUSES_S[min(len(ends), len(_PAUSES_S)) - 1])

    async def _wait_to_retry(self, reason: ConnectError, pause_s: float | None) -> None:
        """Wait before the next attempt to start. Raises the reason after the last one."""
        if pause_s is None:
            raise reason
        self._is_late = True
        self._report(f"{reason.message} voicechat keeps trying. {reason.hint}".rstrip())
        self._set_state("restarting" if self._ready_before else "starting", str(reason))
        self.settled.set()
        await asyncio.sleep(pause_s)

    async def _connect(self) -> ConnectError:
        """Run one connection; returns the reason for its end."""
        self._ready = False
        self._up.clear()
        self._connection = McpConnection(
            self.config, self._on_tools, self._questions, self._on_sampling
        )
        try:
            await self._connection.live()
        except ConnectError as problem:
            return problem
        return ConnectError("It ended.")

    def _on_tools(self, tools: Sequence[types.Tool]) -> None:
        """Take the list of tools from the server."""
        self._definitions, refused = definitions(self.config, tools)
        for sentence in refused:
            self._report(sentence)
        self._compare()
        for definition in self._definitions:
            if difference := self.differences.get(definition.offered_as):
                text = difference.replace("\n", "; ")
                self._report(f"Its tool {definition.name} changed and asks again: {text}.")
        if self._is_late:
            self._report(f"It is ready now, with {counted(len(self.tools), 'tool')}.")
        self._ready, self._ready_before, self._is_late = True, True, False
        self._up.set()
        self._set_state("ready")
        self.settled.set()

    def _on_sampling(self) -> None:
        self._report("It wants to use the model itself (sampling). voicechat does not allow that.")

    def _compare(self) -> None:
        differences = self._pins.differences(self.config.name, self._definitions)
        self.differences = {
            each.offered_as: differences[each.name]
            for each in self._definitions
            if each.name in differences
        }
        self.tools = tuple(self._tool(each) for each in self._definitions)

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
        """Pin the tool's current definition."""
        for definition in self._definitions:
            if definition.offered_as == name and name in self.differences:
                self._pins.accept(self.config.name, definition)
                self._compare()
                self._set_state(self.state.state)

    async def _call(self, definition: Definition, arguments: str) -> str:
        if self._connection is None:
            raise ToolError(f"The {self.config.source} is not running.")
        parsed = _object(arguments)
        # A changed tool runs only after the user saw the difference and allowed the call.
        self.accept(definition.offered_as)
        try:
            return await self._connection.call(definition.name, parsed)
        except SessionGone:
            self._up.clear()
            try:
                async with asyncio.timeout(SESSION_S):
                    await self._up.wait()
            except TimeoutError:
                raise ToolError(f"The {self.config.source} is not running.") from None
        if self.state.state == "failed":
            raise ToolError(f"The {self.config.source} is not running. {self.state.problem}")
        return await self._connection.call(definition.name, parsed)

    def _set_state(self, state: str, problem: str = "") -> None:
        config = self.config
        self.state = ServerState(config.name, config.source, state, len(self.tools), problem)
        self._changed()

    def _report(self, sentence: str) -> None:
        """Notify the user, once per sentence."""
        if sentence not in self._reported and len(self._reported) < MAX_MESSAGES:
            self._reported.add(sentence)
            self._notify(f"{self.config.source}: {sentence}")


def _object(arguments: str) -> dict[str, Any]:
    try:
        found = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        raise ToolError("The arguments are not valid JSON.") from None
    if not isinstance(found, dict):
        raise ToolError("The arguments must be a JSON object.")
    return found
