"""The tools of a session, by name: what is offered to the model, and how a call is run.

A `Tool` is where every kind of tool meets: a typed function (`functions.tool`), a plugin, a tool
of an MCP server, an HTTP endpoint. `Registry.run` gives it a deadline and a cap on its output,
and always comes back with text for the model: a result, or an error it can mend. Whether a call
may run at all is decided before, by its permission and the person.
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
"""Seconds a tool may take, when it says nothing else."""

OUTPUT_LIMIT = 64 * 1024
"""Characters of a result that reach the model."""

BUILT_IN = "built in"
"""The source of the tools that come with voicechat."""


class ToolError(Exception):
    """What went wrong, in a sentence the model can read and mend; raised by a tool."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: text for the model, and whether it is an error."""

    output: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """Something the model may have done.

    `call` takes the model's arguments as JSON text and gives the result as text; it checks them
    itself. It raises `ToolError` for what the model can mend, anything else for a broken tool,
    and ends promptly when it is cancelled, with nothing of it left running.
    """

    spec: ToolSpec
    call: Callable[[str], Awaitable[str]] = field(compare=False)
    source: str = BUILT_IN
    """Where it comes from: `built in`, a plugin's file, an MCP server, an address."""
    deadline_s: float | None = None
    """Seconds a call may take; None for `DEADLINE_S`."""
    asks_always: bool = False
    """The person decides on every single call: nothing set or stored makes it run unasked."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever anything about the tool changes that the model or the person reads.

        An approval that is kept is kept for this fingerprint, not for the name.
        """
        spec = self.spec
        definition = [self.source, spec.name, spec.description, spec.parameters]
        text = json.dumps(definition, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Registry:
    """The tools of a session, by name. A name belongs to the tool that came first."""

    def __init__(self, *tools: Tool) -> None:
        self._tools: dict[str, Tool] = {}
        self.add(tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(tuple(self._tools.values()))

    def get(self, name: str) -> Tool | None:
        """The tool of this name."""
        return self._tools.get(name)

    def add(self, tools: Iterable[Tool]) -> list[Tool]:
        """Take these in; gives those whose name is taken already and that were left out."""
        return [tool for tool in tools if self._tools.setdefault(tool.spec.name, tool) is not tool]

    def remove(self, source: str) -> None:
        """Forget every tool of a source."""
        self._tools = {name: tool for name, tool in self._tools.items() if tool.source != source}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """All tools as the model would see them, with the permission each starts with."""
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
            return error(f"{name} took longer than {deadline:g} seconds and was given up.")
        except Exception as problem:  # whatever a tool raises is an answer to the model
            return error(f"{name} failed: {type(problem).__name__}: {problem}")
        return Outcome(cut(result))


def cut(text: str) -> str:
    """At most `OUTPUT_LIMIT` characters of a result, cleaned; says how much was left out."""
    kept = clean(text[:OUTPUT_LIMIT])
    left = len(text) - OUTPUT_LIMIT
    return kept if left <= 0 else f"{kept}\n[{left} more characters were left out]"


def error(sentence: str) -> Outcome:
    """A failure as the model reads it."""
    return Outcome(cut(json.dumps({"error": clean(sentence)}, ensure_ascii=False)), failed=True)
