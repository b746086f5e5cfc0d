"""The tools of a session: loading, permissions and lifetime.

The built-in tools are loaded at once, off the event loop; plugins and MCP servers follow when each
is ready. `offer` is called whenever the tools change. A tool that cannot be loaded is reported to
the user in one sentence; the others work without it.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from voicechat.config.setting_place import similar
from voicechat.core import effects, inputs
from voicechat.core.settings import Permission, ToolSpec
from voicechat.errors import UsageError
from voicechat.system.daemon_call import call_with_deadline
from voicechat.system.task_group import TaskGroup
from voicechat.tools.question import Questions
from voicechat.tools.registry import Registry, Tool

if TYPE_CHECKING:
    from voicechat.config.mcp_server import ServerConfig
    from voicechat.config.options import Options
    from voicechat.tools.guardrails import Guardrail
    from voicechat.tools.journal import UnfinishedCall
    from voicechat.tools.mcp.mcp_servers import McpServers, ServerState
    from voicechat.tools.permissions import Approvals
    from voicechat.tools.plugins.plugin_loader import Plugins
    from voicechat.tools.tool_context import AppCommand, ToolContext

MAX_TOOLS = 128
"""Most tools that providers accept; the last ones are left out."""

DISK_TIMEOUT_S = 10.0
"""Seconds to read the built-in tools, the approvals and the journals from disk."""

MAX_REPORTED = 3
"""Most interrupted calls of a crashed session that are reported one by one."""


class Toolbox:
    """The tools of one session; `live` must run as long as the session.

    `offer` receives the tools whenever they change, `notify` receives notices for the user,
    `announce` receives sentences to announce aloud. All are called on the event loop. `commands`
    are the commands of the app that the model may run.
    """

    def __init__(
        self,
        options: Options,
        offer: Callable[[inputs.OfferTools], None],
        notify: Callable[[effects.Notice], None],
        announce: Callable[[str], None],
        commands: tuple[AppCommand, ...] = (),
    ) -> None:
        self.registry = Registry()
        self.ready = asyncio.Event()
        """Set when the built-in tools are loaded."""
        self.complete = asyncio.Event()
        """Set when plugins and servers are loaded, too, except those that wait for the user."""
        self._options = options
        self._offer = offer
        self._notify = notify
        self._announce = announce
        self._commands = commands
        self._approvals: Approvals | None = None
        self._plugins: Plugins | None = None
        self._servers: McpServers | None = None
        self._reported_duplicates: set[str] = set()
        self._permissions: dict[str, asyncio.Future[bool]] = {}
        self._losses: list[Callable[[], str]] = []
        self._tasks: asyncio.TaskGroup | None = None
        """The tasks of the servers; None while they do not run."""
        self._switched_off: set[str] = set()
        """Names of tools, and sources, that the user switched off."""
        self.take_guardrails: Callable[[tuple[Guardrail, ...]], None] = lambda found: None
        """Receives the guardrails of plugins."""
        self.questions = Questions(notify)
        """Questions of MCP servers to the user."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The offered tools with their permissions."""
        if self._approvals is None:
            return ()
        from voicechat.tools.permissions import permitted

        chosen = self._options.tools
        tools = [tool for tool in self.registry if chosen is None or tool.spec.name in chosen]
        found = permitted(
            tools[:MAX_TOOLS],
            self._options.permissions,
            self._approvals,
            self._options.permission_rules,
        )
        remark_of = self._servers.difference if self._servers is not None else _no_remark
        return tuple(
            replace(
                spec,
                permission=Permission.NEVER if self.is_off(spec) else spec.permission,
                remark="\n".join(filter(None, (remark_of(spec.name), spec.remark))),
            )
            for spec in found
        )

    # ----------------------------------------------------------------- switching, retrying

    def is_off(self, spec: ToolSpec) -> bool:
        """Return True for a tool that the user switched off."""
        return not self._switched_off.isdisjoint((spec.name, spec.source))

    def is_source_off(self, source: str) -> bool:
        """Return True for a source whose tools the user switched off."""
        return source in self._switched_off

    def switch(self, name: str, on: bool) -> None:
        """Offer a tool, or every tool of a source, or not, until the session ends.

        It has no effect on a tool that the settings forbid.
        """
        (self._switched_off.discard if on else self._switched_off.add)(name)
        self._changed()

    @property
    def approved(self) -> frozenset[str]:
        """Names of the tools with a stored approval."""
        return frozenset(each.name for each in self._approvals or ())

    async def revoke_approval(self, name: str) -> None:
        """Ask again before this tool runs. Raises `UsageError` if that cannot be stored."""
        try:
            found = self._approvals is not None and await call_with_deadline(
                partial(self._approvals.revoke, name), DISK_TIMEOUT_S
            )
        except OSError as error:  # TimeoutError is one
            why = (error.strerror or str(error) or "the disk does not answer").lower()
            raise UsageError(f"The approval cannot be removed: {why}.") from None
        if not found:
            hint = "/tools lists the tools."
            raise UsageError(f"{name[:40]!r} is not set to run without asking.", hint)
        self._changed()

    @property
    def server_states(self) -> tuple[ServerState, ...]:
        """The state of each MCP server that the settings name."""
        if not self._options.mcp_servers:
            return ()
        from voicechat.tools.mcp.mcp_servers import ServerState

        states = {each.name: each for each in (self._servers.states if self._servers else ())}
        return tuple(
            states.get(config.name) or ServerState(config.name, config.source, "disabled", 0)
            for config in self._options.mcp_servers
        )

    def retry_server(self, name: str) -> None:
        """Start an MCP server again that has failed. Raises `UsageError` for any other."""
        state = next((each.state for each in self.server_states if each.name == name), "")
        if self._servers is None or self._tasks is None or state != "failed":
            reason = f"is {state}" if state else "does not exist"
            hint = "Only a server that has failed can be started again."
            raise UsageError(f"The MCP server {name[:40]!r} {reason}.", hint)
        self._tasks.create_task(self._servers.retry(name))

    @property
    def losses(self) -> str:
        """What the end of the session loses, such as a running timer; empty if that is nothing."""
        return " ".join(filter(None, (loss() for loss in self._losses)))

    async def run(self) -> None:
        """Load the tools and run their servers until cancelled; none for a watched call."""
        try:
            if self._options.call is not None and self._options.call.watches:
                self.ready.set()
                self.complete.set()
                await asyncio.get_running_loop().create_future()  # until this is cancelled
            await self._load_own()
            self.ready.set()
            async with TaskGroup() as tasks:
                self._tasks = tasks
                servers = self._start_servers(tasks)
                await self._load_plugins()
                if servers is not None:
                    await servers.settled()
                self._report_missing()
                self._report_ignored_permissions()
                self.complete.set()
                await asyncio.get_running_loop().create_future()  # until this is cancelled
        finally:
            self._tasks = None
            if self._plugins is not None:
                await self._plugins.close()

    async def _load_own(self) -> None:
        """Offer the built-in tools and the endpoints. A disk that hangs costs only the tools."""
        try:
            self._approvals, found, unknown = await call_with_deadline(self._gather, DISK_TIMEOUT_S)
        except TimeoutError:
            self._warn(
                f"The tools could not be read from disk within {DISK_TIMEOUT_S:g} seconds"
                " and are not available.",
                "Check the disk, then start voicechat again.",
            )
            return
        self._report_unfinished(unknown)
        for endpoint in self._options.endpoints:
            if endpoint.problem:
                self._warn(f"The tool {endpoint.name} cannot be called: {endpoint.problem}.")
        self._add(found)
        self._changed()

    def _report_unfinished(self, unknown: list[UnfinishedCall]) -> None:
        for call in unknown[:MAX_REPORTED]:
            self._warn(
                f"{call.name} was running when voicechat last ended abruptly; it is not known"
                f" whether it finished. Its arguments: {call.arguments}",
                "Check the result before you request it again.",
            )
        if len(unknown) > MAX_REPORTED:
            self._warn(f"…and {len(unknown) - MAX_REPORTED} more.")

    def _report_missing(self) -> None:
        there = sorted(tool.spec.name for tool in self.registry)
        wanted = {name: self._options.origin("tools") for name in self._options.tools or ()}
        ruled = {**self._options.permissions, **self._options.permission_rules}
        permitted = {f"permissions.{name}": name for name in ruled}
        wanted |= {name: self._options.origin(key) for key, name in permitted.items()}
        for name, where in wanted.items():
            if name not in there:
                hint = similar(name, there) or "voicechat tools lists the tools."
                self._warn(f"{where}: there is no tool {name!r}.", hint)

    def _report_ignored_permissions(self) -> None:
        from voicechat.tools.permissions import ignored

        for tool in self.registry:
            name = tool.spec.name
            wanted = self._options.permissions.get(name)
            for sentence, hint in ignored(
                tool, wanted, self._options.permission_rules.get(name, ())
            ):
                self._warn(f"{self._options.origin(f'permissions.{name}')}: {sentence}", hint)

    def _gather(self) -> tuple[Approvals, tuple[Tool, ...], list[UnfinishedCall]]:
        from voicechat.tools.builtin import builtin
        from voicechat.tools.endpoints import endpoint_tool
        from voicechat.tools.journal import unfinished_calls
        from voicechat.tools.permissions import Approvals

        own = map(endpoint_tool, self._options.endpoints)
        return Approvals(), (*builtin(self._tool_context()), *own), unfinished_calls()

    def _tool_context(self) -> ToolContext:
        import platformdirs

        from voicechat.tools.tool_context import ToolContext

        folder = platformdirs.user_data_path("voicechat", appauthor=False)
        return ToolContext(
            self._options.folders, folder, self._announce, self._commands, losses=self._losses
        )

    async def _load_plugins(self) -> None:
        from voicechat.tools.plugins import plugin_loader

        self._plugins = await plugin_loader.load()
        for problem in self._plugins.problems:
            self._notify(effects.Notice(problem, effects.Level.WARNING))
        if self._plugins.guardrails:
            self.take_guardrails(self._plugins.guardrails)
        if self._plugins.tools:
            self._add(self._plugins.tools)
            self._changed()

    def _start_servers(self, tasks: asyncio.TaskGroup) -> McpServers | None:
        configs = self._options.mcp_servers
        if configs:
            from voicechat.tools.mcp.mcp_servers import McpServers

            self._servers = McpServers(
                configs,
                self._servers_changed,
                self._warn,
                self._ask_permission,
                # A program that uses voicechat as a library has no user who could answer.
                questions=self.questions if self._commands else None,
            )
            tasks.create_task(self._servers.run())
        return self._servers

    async def _ask_permission(self, config: ServerConfig) -> bool:
        """Show the user which program would run, and wait for the permission."""
        permission: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._permissions[config.name] = permission
        self._notify(
            effects.Notice(
                f"The {config.source} wants to run “{config.shown}”, without a sandbox.",
                effects.Level.WARNING,
                f"Type /let {config.name} to allow it, now and in the future.",
                f"Allow it with: voicechat mcp test {shlex.quote(config.name)}",
            )
        )
        return await permission

    @property
    def waiting_servers(self) -> tuple[str, ...]:
        """Names of the MCP servers that wait for permission to start."""
        return tuple(self._permissions)

    def allow_server(self, name: str) -> None:
        """Allow the waiting MCP server of this name to run its program.

        Raises `UsageError` if it does not wait.
        """
        permission = self._permissions.pop(name, None)
        if permission is None:
            waiting = " or ".join(f"/let {each}" for each in self._permissions)
            hint = (
                f"Type {waiting}." if waiting else "Servers that wait for permission are announced."
            )
            raise UsageError(f"No MCP server {name!r} is waiting.", hint)
        permission.set_result(True)

    def _servers_changed(self) -> None:
        assert self._servers is not None
        for config in self._options.mcp_servers:
            self.registry.remove(config.source)
        self._add(self._servers.tools)
        self._changed()

    def _add(self, tools: Iterable[Tool]) -> None:
        for tool in self.registry.add(tools):
            name = tool.spec.name
            text = f"There are two tools called {name}; the one from {tool.source} is ignored."
            if text not in self._reported_duplicates:
                self._reported_duplicates.add(text)
                self._warn(text)

    def _changed(self) -> None:
        self._offer(inputs.OfferTools(self.specs))

    def _warn(self, sentence: str, hint: str = "") -> None:
        self._notify(effects.Notice(sentence, effects.Level.WARNING, hint))

    async def keep_approval(self, tool: Tool, pattern: str = "") -> None:
        """Save that exactly this tool may always run, or its calls that match the pattern."""
        if self._approvals is None:
            return
        name = tool.spec.name
        if self._servers is not None and self.registry.get(name) == tool:
            self._servers.accept(name)
        try:
            await call_with_deadline(partial(self._approvals.allow, tool, pattern), DISK_TIMEOUT_S)
        except OSError as error:  # TimeoutError is one
            why = (error.strerror or str(error) or "the disk does not answer").lower()
            self._warn(f"Could not save that {name} may always run: {why}.")
        if pattern:
            self._changed()


def _no_remark(name: str) -> str:
    """Return no remark: without servers, no tool can change."""
    return ""
