"""The tools with an address of their own: which ones they are, and how a call runs.

A tool is exposed if it is named for that. A call has no user who could be asked: a tool with the
permission `ask` runs because it was named. A tool that must always ask, or that the settings
forbid, is not exposed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from voicechat.config.setting_place import similar
from voicechat.core.settings import Permission, ToolSpec
from voicechat.errors import UsageError
from voicechat.server.asgi.refusals import Refusal, busy
from voicechat.session.session_config import MAX_TOOLS
from voicechat.session.toolbox import Toolbox
from voicechat.system.daemon_call import call_with_deadline
from voicechat.tools.argument_check import checked_arguments
from voicechat.tools.registry import Outcome, Tool, ToolError

if TYPE_CHECKING:
    from voicechat.config.options import Options

LOAD_S = 60.0
"""Seconds for plugins and MCP servers to start."""

CHECK_S = 5.0
"""Seconds to check the arguments of a call."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_AT_ONCE = 8
"""Calls of one tool at a time."""


class ExposedTools:
    """The exposed tools; `run` keeps their plugins and servers running."""

    def __init__(
        self,
        settings: Options,
        names: tuple[str, ...],
        warn: Callable[[str], None],
    ) -> None:
        """names: of the tools to expose. warn: receives sentences for the log."""
        self._names = names
        self._tools: dict[str, Tool] = {}
        self._running: dict[str, int] = {}
        self._toolbox = Toolbox(
            replace(settings, tools=None),
            lambda offer: None,
            lambda notice: warn(" ".join(filter(None, (notice.text, notice.hint)))),
            lambda text: None,
        )
        self._warn = warn

    @property
    def is_wanted(self) -> bool:
        """True if tools are to be exposed at all."""
        return bool(self._names)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The exposed tools."""
        return tuple(tool.spec for tool in self._tools.values())

    async def run(self) -> None:
        """Keep the tools running until cancelled."""
        if self.is_wanted:
            await self._toolbox.run()

    async def choose(self) -> None:
        """Wait until the tools are there, and choose. Raises `UsageError` for one that cannot be.

        `run` must run.
        """
        if not self.is_wanted:
            return
        try:
            async with asyncio.timeout(LOAD_S):
                await self._toolbox.complete.wait()
        except TimeoutError:
            raise UsageError(f"The tools did not start within {LOAD_S:g} s.") from None
        specs = {spec.name: spec for spec in self._toolbox.specs}
        for name in dict.fromkeys(self._names):
            spec = specs.get(name)
            if spec is None:
                hint = similar(name, specs) or "voicechat tools lists the tools."
                raise UsageError(f"There is no tool {name[:64]!r}.", hint)
            if problem := _obstacle(spec):
                raise UsageError(f"The tool {name} cannot have an address: {problem}.")
            if spec.permission is not Permission.AUTO:
                self._warn(f"{name} runs here without asking, because --tool names it.")
            tool = self._toolbox.registry.get(name)
            assert tool is not None
            self._tools[name] = tool
        if len(self._tools) > MAX_TOOLS:
            raise UsageError(f"At most {MAX_TOOLS} tools can have an address.")

    async def call(self, name: str, body: bytes) -> object:
        """Run a tool with the arguments in a body; return the result as a JSON value.

        Raises `Refusal`.
        """
        tool = self._tools[name]
        now = self._toolbox.registry.get(name)
        if now is None or now.fingerprint != tool.fingerprint:
            message = "The tool is not available now."
            raise Refusal(HTTPStatus.BAD_GATEWAY, "tool_unavailable", message)
        arguments = await self._checked(tool, body)
        self._check_permission(name, arguments)
        if self._running.get(name, 0) >= _AT_ONCE:
            raise busy("Too many calls of this tool are running.")
        self._running[name] = self._running.get(name, 0) + 1
        try:
            outcome = await self._toolbox.registry.run(name, arguments)
        finally:
            self._running[name] -= 1
        return _result(outcome)

    async def _checked(self, tool: Tool, body: bytes) -> str:
        """Return the arguments as JSON text after the check against the schema."""
        try:
            text = body.decode()
            given = await call_with_deadline(
                lambda: checked_arguments(tool.spec.parameters, text), CHECK_S
            )
        except (ToolError, UnicodeDecodeError) as error:
            is_read = isinstance(error, ToolError)
            message = str(error) if is_read else "The arguments are not valid JSON."
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_arguments", message) from None
        except Exception as error:  # a schema of another program can be wrong in any way
            self._warn(f"The schema of {tool.spec.name} is wrong: {type(error).__name__}.")
            message = "The arguments cannot be checked."
            raise Refusal(HTTPStatus.BAD_GATEWAY, "tool_unavailable", message) from None
        return msgspec.json.encode(given).decode()

    def _check_permission(self, name: str, arguments: str) -> None:
        spec = next((each for each in self._toolbox.specs if each.name == name), None)
        permission = Permission.NEVER
        if spec is not None and spec.permission is not Permission.NEVER:
            ruled = spec.rules.permission(arguments) if spec.rules is not None else None
            permission = ruled or spec.permission
        if permission is Permission.NEVER:
            message = "The permissions do not allow this call."
            raise Refusal(HTTPStatus.FORBIDDEN, "not_permitted", message)


def _obstacle(spec: ToolSpec) -> str:
    """Return why a tool cannot be exposed; empty if it can."""
    if not _NAME.fullmatch(spec.name):
        return "its name does not fit into one"
    if spec.permission is Permission.NEVER:
        return "its permission is “never”"
    return "each of its calls needs an approval" if spec.asks_always else ""


def _result(outcome: Outcome) -> object:
    """Return the result of a call as a JSON value: an object, a list or a text."""
    try:
        value = msgspec.json.decode(outcome.output)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = None
    if not outcome.failed:
        return value if isinstance(value, dict | list) else outcome.output
    said = value.get("error") if isinstance(value, dict) else None
    message = said if isinstance(said, str) else "The tool failed."
    raise Refusal(HTTPStatus.BAD_GATEWAY, "tool_failed", message)
