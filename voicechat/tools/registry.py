"""Tools are typed Python functions: signature and docstring become what the model sees.

`Registry.run` checks the model's arguments against the signature, gives the function a
deadline, and always comes back with text for the model: a result, or an error it can mend.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec

from voicechat.core.settings import ToolSpec
from voicechat.core.text import clean

DEADLINE_S = 30.0
"""Seconds a tool may take."""

OUTPUT_LIMIT = 64 * 1024
"""Characters of a result that reach the model."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: text for the model, and whether it is an error."""

    output: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A function with its schema."""

    spec: ToolSpec
    function: Callable[..., Any]
    arguments: type[msgspec.Struct]


def tool(function: Callable[..., Any]) -> Tool:
    """Make a tool of a function: type hints become its schema, the docstring its description."""
    hints = get_type_hints(function)
    fields: list[Any] = []
    for name, parameter in inspect.signature(function).parameters.items():
        required = parameter.default is inspect.Parameter.empty
        fields.append((name, hints[name]) if required else (name, hints[name], parameter.default))
    arguments = msgspec.defstruct(function.__name__, fields, forbid_unknown_fields=True)
    schema = msgspec.json.schema(arguments)
    parameters = {**next(iter(schema.get("$defs", {}).values())), "additionalProperties": False}
    parameters.pop("title", None)
    spec = ToolSpec(function.__name__, inspect.getdoc(function) or "", parameters)
    return Tool(spec, function, arguments)


class Registry:
    """The tools of a session, by name."""

    def __init__(self, *tools: Tool) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What to offer to the model."""
        return tuple(tool.spec for tool in self._tools.values())

    async def run(self, name: str, arguments: str) -> Outcome:
        """Run a tool with the model's JSON arguments. Never raises, except when cancelled."""
        tool = self._tools.get(name)
        if tool is None:
            return _error(f"There is no tool called {name!r}.")
        try:
            given = msgspec.json.decode(arguments or "{}", type=tool.arguments)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            return _error(f"The arguments do not fit: {error}")
        try:
            async with asyncio.timeout(DEADLINE_S):
                result = await _call(tool.function, msgspec.structs.asdict(given))
        except TimeoutError:
            return _error(f"{name} took longer than {DEADLINE_S:.0f} seconds and was given up.")
        except Exception as error:  # whatever a tool raises is an answer to the model
            return _error(f"{name} failed: {type(error).__name__}: {error}")
        return Outcome(_text(result))


async def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    return await asyncio.to_thread(function, **arguments)


def _text(result: Any) -> str:
    text = result if isinstance(result, str) else msgspec.json.encode(result).decode()
    return clean(text[:OUTPUT_LIMIT])


def _error(message: str) -> Outcome:
    return Outcome(clean(msgspec.json.encode({"error": message}).decode()), failed=True)
