"""The process that runs the functions of `[[calls.rules]]`, as a plugin runs its tools.

    python -P -m voicechat.calls.call_function_child FOLDER NAMES

FOLDER has the user's own modules, and NAMES is a list of functions in JSON. The argument of a call
has the fields of an `IncomingCall`, and its result is what the function returned, both as JSON.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from voicechat.calls.incoming_call import IncomingCall
from voicechat.core.settings import ToolSpec
from voicechat.core.text import clean
from voicechat.tools.plugins import plugin_child
from voicechat.tools.plugins.code_trust import UntrustedCode, read_own
from voicechat.tools.registry import Tool, ToolError

ENTRY_POINTS = "voicechat.calls"
"""The group in which packages name functions that decide about calls."""


def functions(folder: str, names: str) -> list[Tool]:
    """Return each function as a tool. Raises `UntrustedCode` with a sentence about a wrong one."""
    sys.path.append(folder)
    return [
        Tool(ToolSpec(name, "", {}), _Decision(_loaded(name, Path(folder))))
        for name in json.loads(names)
    ]


def _loaded(name: str, folder: Path) -> Callable[[IncomingCall], Any]:
    shown = clean(name)[:80]
    try:
        found = _found(name, folder)
    except UntrustedCode as problem:
        raise UntrustedCode(f"The function {shown} is not used. {problem}") from None
    except BaseException as error:  # the user's own code
        reason = plugin_child.problem_of(error)
        raise UntrustedCode(f"The function {shown} cannot be loaded: {reason}.") from None
    if not callable(found):
        raise UntrustedCode(f"There is no function {shown!r}.")
    return partial(found)


def _found(name: str, folder: Path) -> Any:
    module, separator, attribute = name.partition(":")
    if not separator:
        points = entry_points(group=ENTRY_POINTS, name=name)
        return next(iter(points)).load() if points else None
    spec = find_spec(module.partition(".")[0])
    if spec is not None and spec.origin and folder in Path(spec.origin).parents:
        read_own(Path(spec.origin))
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


@dataclass(frozen=True, slots=True)
class _Decision:
    """A function as the call of a tool."""

    function: Callable[[IncomingCall], Any]

    async def __call__(self, arguments: str) -> str:
        fields = json.loads(arguments)
        headers = tuple((name, value) for name, value in fields.pop("headers"))
        try:
            answer = self.function(IncomingCall(headers=headers, **fields))
            if inspect.isawaitable(answer):
                answer = await answer
        except BaseException as error:  # the user's own code
            line = plugin_child.plugin_line(error)
            where = "" if line is None else f" in line {line}"
            # Its text may repeat what the caller sent.
            raise ToolError(f"failed with {type(error).__name__}{where}") from None
        try:
            return json.dumps(answer)
        except (TypeError, ValueError, RecursionError):
            raise ToolError(f"returned {type(answer).__name__}, which is no decision") from None


if __name__ == "__main__":
    plugin_child.main(functions)
    os._exit(0)  # a normal exit would wait for the threads of a function
