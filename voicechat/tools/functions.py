"""Typed Python functions as tools: the model sees their signature and docstring.

    @tool(permission="ask")
    def water(plant: str, litres: float = 0.5) -> str:
        "Water a plant."

pydantic checks the model's arguments against the type hints and converts them; the model gets an
error that says which argument does not fit. A coroutine function runs on the event loop, any other
function on a daemon thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints, overload

from voicechat.core.settings import Permission, ToolSpec
from voicechat.core.text import clean
from voicechat.system.process_sandbox import Access
from voicechat.tools.registry import (
    BUILT_IN,
    OUTPUT_LIMIT,
    Tool,
    ToolError,
    failure_text,
    validation_problems,
)

if TYPE_CHECKING:
    import pydantic

Function = Callable[..., Any]
Fields = dict[str, Any]
"""Type hint and default, or `...`, of each parameter."""
Word = Literal["auto", "ask", "never"]

_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names of functions that every provider accepts. Source: OpenAI API reference, "Function tool"."""


@overload
def tool(function: Function, /) -> Tool: ...


@overload
def tool(
    *,
    permission: Permission | Word = "ask",
    deadline: float | None = None,
    name: str = "",
    source: str = BUILT_IN,
    asks_always: bool = False,
    access: Access = "files",
) -> Callable[[Function], Tool]: ...


def tool(
    function: Function | None = None,
    /,
    *,
    permission: Permission | Word = "ask",
    deadline: float | None = None,
    name: str = "",
    source: str = BUILT_IN,
    asks_always: bool = False,
    access: Access = "files",
) -> Tool | Callable[[Function], Tool]:
    """Make a tool of a function; a decorator with or without parentheses.

    permission: the initial permission. deadline: seconds for a call. name: replaces the function's
    name. asks_always: the user decides on every call, whatever they allowed before. access: what a
    plugin may reach besides files: `network`, or `all` for no sandbox.
    Raises `TypeError` when a parameter has no type hint that has a JSON schema, and `ValueError`
    for a permission, a deadline, a name or an access that cannot be.
    """
    if access not in get_args(Access):
        raise ValueError(f"access must be one of {', '.join(get_args(Access))}, not {access!r}.")
    if permission not in list(Permission):
        raise ValueError(f"permission must be one of {', '.join(Permission)}, not {permission!r}.")
    if deadline is not None and not (isinstance(deadline, (int, float)) and deadline > 0):
        raise ValueError(f"deadline must be a number of seconds above 0, not {deadline!r}.")

    def make(function: Function) -> Tool:
        if not callable(function):
            raise TypeError(f"tool makes a tool of a function, not of {function!r}.")
        result = _tool(function, Permission(permission), deadline, name, source)
        return replace(result, asks_always=asks_always, access=access)

    return make if function is None else make(function)


def _tool(
    function: Function, permission: Permission, deadline: float | None, name: str, source: str
) -> Tool:
    name = name or getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be the name of a tool: use up to 64 letters, digits, _ and -."
            " Set it with name=."
        )
    fields = _fields(function, name)
    model = cache(lambda: _model(name, fields))
    schema = _plain_schema(fields) or _schema(model())
    spec = ToolSpec(name, clean(inspect.getdoc(function) or ""), schema, permission)

    async def call(arguments: str) -> str:
        return _text(await _run(function, _checked(model(), arguments)))

    return Tool(spec, call, source, deadline)


def _fields(function: Function, name: str) -> Fields:
    """Return the type hint and the default, or `...`, of each parameter."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"A type hint of {name} cannot be read: {error}. Define the type at module level."
        ) from None
    fields: Fields = {}
    for each, parameter in inspect.signature(function).parameters.items():
        if each not in hints:
            raise TypeError(f"The parameter {each!r} of {name} has no type hint.")
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise TypeError(f"The parameter {each!r} of {name} must be a named one.")
        required = parameter.default is inspect.Parameter.empty
        fields[each] = (hints[each], ... if required else parameter.default)
    return fields


def _plain_schema(fields: Fields) -> dict[str, Any] | None:
    """Return the JSON schema of plain parameters, or None when it takes pydantic.

    Importing pydantic takes 12 MB and 0.1 s, so the built-in tools wait for a call to do so.
    """
    properties: dict[str, Any] = {}
    for each, (hint, default) in fields.items():
        if each.startswith(("_", "model_")) or not (default is ... or _is_plain(default)):
            return None
        if isinstance(hint, type) and hint in _JSON_TYPES:
            properties[each] = {"type": _JSON_TYPES[hint]}
        elif get_origin(hint) is Literal and all(type(one) is str for one in get_args(hint)):
            first, *others = get_args(hint)
            allowed = {"enum": [first, *others]} if others else {"const": first}
            properties[each] = {**allowed, "type": "string"}
        else:
            return None
        if default is not ...:
            properties[each]["default"] = default
    required = [each for each, (_, default) in fields.items() if default is ...]
    schema = {"properties": properties, "type": "object", "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _is_plain(default: object) -> bool:
    if isinstance(default, float):
        return math.isfinite(default)
    return type(default) in _JSON_TYPES


def _schema(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    schema = {**model.model_json_schema(), "additionalProperties": False}
    for each in (schema, *schema.setdefault("properties", {}).values()):
        each.pop("title", None)
    schema.pop("description", None)
    return schema


def _model(name: str, fields: Fields) -> type[pydantic.BaseModel]:
    import pydantic

    config = pydantic.ConfigDict(extra="forbid", protected_namespaces=())
    try:
        return pydantic.create_model(name, __config__=config, **fields)
    except pydantic.errors.PydanticSchemaGenerationError as error:
        reason = str(error).partition(". ")[0]
        raise TypeError(f"A type hint of {name} has no JSON schema: {reason}.") from None


def _checked(model: type[pydantic.BaseModel], arguments: str) -> dict[str, Any]:
    import pydantic

    try:
        parsed = model.model_validate_json(arguments or "{}")
    except pydantic.ValidationError as error:
        problems = validation_problems(error, "arguments").rstrip(".")
        raise ToolError(f"The arguments do not fit: {problems}.") from None
    return {name: getattr(parsed, name) for name in model.model_fields}


async def _run(function: Function, arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    return await _run_on_thread(function, arguments)


async def _run_on_thread(function: Function, arguments: dict[str, Any]) -> Any:
    """Run a function on a daemon thread: one that never returns does not delay the exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def deliver(result: Any, problem: BaseException | None) -> None:
        if done.done():
            return
        if problem is None:
            done.set_result(result)
        else:
            done.set_exception(problem)

    def call_function() -> None:
        result: Any = None
        problem: BaseException | None = None
        try:
            result = function(**arguments)
        except BaseException as error:
            # StopIteration cannot cross a future, and SystemExit must not end the program.
            expected = isinstance(error, Exception) and not isinstance(error, StopIteration)
            problem = error if expected else RuntimeError(failure_text(error))
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result, problem)

    threading.Thread(target=call_function, name=f"tool {function.__name__}", daemon=True).start()
    return await done


def _text(result: Any) -> str:
    if isinstance(result, str):
        return result
    if isinstance(result, (bytes, bytearray)):
        return result[: OUTPUT_LIMIT * 4].decode(errors="replace")
    import pydantic_core

    return pydantic_core.to_json(result, fallback=str).decode(errors="replace")
