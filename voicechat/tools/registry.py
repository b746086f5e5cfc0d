"""The registry of a session's tools, and how a call runs.

Every kind of tool is a `Tool`: a typed function (`functions.tool`), a plugin, a tool of an MCP
server, an HTTP endpoint. `Registry.run` gives a call a deadline and a limit on its output, and
always returns text for the model: a result, or an error that the model can correct. The permission
and the user decide beforehand whether the call may run.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from voicechat.core.settings import ToolSpec
from voicechat.core.text import clean

DEADLINE_S = 30.0
"""Seconds for a call, unless the tool has its own deadline."""

OUTPUT_LIMIT = 64 * 1024
"""Characters of a result that reach the model."""

BUILT_IN = "built in"
"""The source of the tools that come with voicechat."""


class ToolError(Exception):
    """An error that the model can read and correct, as one sentence; raised by a tool."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a call: text for the model, and whether it is an error."""

    output: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model can call.

    `call` takes the model's arguments as JSON text, checks them and returns the result as text. It
    raises `ToolError` for errors that the model can correct, anything else for a broken tool. When
    cancelled it ends promptly and leaves nothing running.
    """

    spec: ToolSpec
    call: Callable[[str], Awaitable[str]] = field(compare=False)
    source: str = BUILT_IN
    """The origin: `built in`, a plugin's file, an MCP server, an address."""
    deadline_s: float | None = None
    """Seconds for a call; None for `DEADLINE_S`."""
    asks_always: bool = False
    """The user decides on every call; no setting and no stored approval changes that."""

    @property
    def fingerprint(self) -> str:
        """A hash of the source, name, description and parameters.

        Stored approvals are for this fingerprint, not for the name.
        """
        spec = self.spec
        definition = [self.source, spec.name, spec.description, spec.parameters]
        text = json.dumps(definition, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Registry:
    """The tools of a session, by name. The first tool with a name keeps it."""

    def __init__(self, *tools: Tool) -> None:
        self._tools: dict[str, Tool] = {}
        self.add(tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(tuple(self._tools.values()))

    def get(self, name: str) -> Tool | None:
        """Return the tool of this name."""
        return self._tools.get(name)

    def add(self, tools: Iterable[Tool]) -> list[Tool]:
        """Add tools; returns those that were left out because their name is taken."""
        return [tool for tool in tools if self._tools.setdefault(tool.spec.name, tool) is not tool]

    def remove(self, source: str) -> None:
        """Remove every tool of a source."""
        self._tools = {name: tool for name, tool in self._tools.items() if tool.source != source}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The specs of all tools, with their initial permissions."""
        return tuple(tool.spec for tool in self._tools.values())

    async def run(self, name: str, arguments: str) -> Outcome:
        """Run a tool with the model's JSON arguments. Never raises, except when cancelled."""
        tool = self._tools.get(name)
        if tool is None:
            return error(f"There is no tool called {name!r}.")
        deadline = DEADLINE_S if tool.deadline_s is None else tool.deadline_s
        try:
            async with asyncio.timeout(deadline):
                result = await tool.call(arguments)
        except ToolError as problem:
            return error(str(problem))
        except TimeoutError:
            return error(f"{name} took longer than {deadline:g} seconds and was stopped.")
        except Exception as problem:  # any error of a tool becomes an error for the model
            return error(f"{name} failed: {type(problem).__name__}: {problem}")
        return Outcome(cut(result))


def cut(text: str) -> str:
    """Clean a result and cut it to `OUTPUT_LIMIT` characters; a note says how much is missing."""
    shown = clean(text[:OUTPUT_LIMIT])
    omitted = len(text) - OUTPUT_LIMIT
    return shown if omitted <= 0 else f"{shown}\n[{omitted} more characters were left out]"


def error(sentence: str) -> Outcome:
    """Make an error outcome of a sentence."""
    return Outcome(cut(json.dumps({"error": clean(sentence)}, ensure_ascii=False)), failed=True)
