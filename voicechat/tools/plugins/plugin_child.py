"""The process that runs a plugin: one call after another, as lines of JSON.

    python -P -m voicechat.tools.plugins.plugin_child file|package TARGET

    to it      {"call": NAME, "arguments": JSON TEXT}
    from it    {"tools": [...]} once, or {"refused": SENTENCE}; a guardrail is one of them
               then {"result": TEXT} or {"error": SENTENCE} for each call

What a plugin prints goes to standard error, and its standard input is empty.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from voicechat.core.settings import ToolSpec
from voicechat.system.child_main import take_pipes
from voicechat.system.child_process import without_working_directory
from voicechat.tools.guardrails import Guardrail, GuardrailFailed, trip_fields
from voicechat.tools.plugins.code_trust import UntrustedCode, read_own
from voicechat.tools.registry import OUTPUT_LIMIT, Tool, ToolError, failure_text

GROUPS = ("voicechat.tools", "voicechat.guardrails")
"""The groups of entry points that name tools and guardrails."""

_OWN_FOLDER = str(Path(__file__).parents[2])


def packages() -> Iterator[importlib.metadata.EntryPoint]:
    """Find the entry points of installed packages, without the working directory."""
    for package in importlib.metadata.distributions(path=without_working_directory(sys.path)):
        yield from (each for each in package.entry_points if each.group in GROUPS)


def _load(kind: str, target: str) -> list[Tool]:
    if kind == "file":
        module = types.ModuleType(f"voicechat_plugin_{Path(target).stem}")
        module.__file__ = target
        sys.modules[module.__name__] = module
        exec(compile(read_own(Path(target)), target, "exec"), module.__dict__)
        return _tools(vars(module).values())
    for each in packages():
        if each.name == target:
            found = each.load()
            return _tools(vars(found).values() if isinstance(found, types.ModuleType) else [found])
    raise UntrustedCode(f"No installed package has tools called {target!r}.")


def _tools(found: Iterable[object]) -> list[Tool]:
    tools: list[Tool] = []
    for each in found:
        candidates = list(each) if isinstance(each, (list, tuple)) else [each]
        candidates = [_guardrail_tool(c) if isinstance(c, Guardrail) else c for c in candidates]
        tools += [one for one in candidates if isinstance(one, Tool) and one not in tools]
    return tools


class _GuardrailCall:
    """A check of a guardrail as a call: its argument is a text, its result a trip as JSON."""

    def __init__(self, guardrail: Guardrail) -> None:
        self.guardrail = guardrail

    async def __call__(self, text: str) -> str:
        try:
            return json.dumps(trip_fields(await self.guardrail.check(text)))
        except GuardrailFailed as failure:
            raise ToolError(str(failure)) from None


def _guardrail_tool(guardrail: Guardrail) -> Tool:
    spec = ToolSpec(f"guardrail {guardrail.spec.name}", "", {})
    return Tool(spec, _GuardrailCall(guardrail))


def _description(tool: Tool) -> dict[str, object]:
    spec = tool.spec
    if isinstance(tool.call, _GuardrailCall):
        guardrail = tool.call.guardrail.spec
        return {
            "guardrail": guardrail.name,
            "policy": guardrail.policy,
            "deadline": guardrail.deadline_s,
            "watches": guardrail.watches,
            "access": tool.call.guardrail.access,
        }
    return {
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
        "permission": spec.permission,
        "deadline": tool.deadline_s,
        "asks_always": tool.asks_always,
        "access": tool.access,
    }


def problem_of(error: BaseException) -> str:
    """Return what went wrong in a plugin, with its line."""
    text = failure_text(error)
    line = None if isinstance(error, SyntaxError) else plugin_line(error)
    return text[:500] + (f" (line {line})" if line is not None else "")


def plugin_line(error: BaseException) -> int | None:
    """Return the deepest line of the plugin's file, the first file that is not our own."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [each for each in frames if not each.filename.startswith((_OWN_FOLDER, "<"))]
    lines = [each.lineno for each in theirs if each.filename == theirs[0].filename]
    return lines[-1] if lines else None


async def _answer(tool: Tool, arguments: str) -> dict[str, str]:
    try:
        result = await tool.call(arguments)
    except ToolError as error:
        return {"error": str(error)[:4_000]}
    except BaseException as error:
        return {"error": f"It failed: {problem_of(error)}"}
    more = len(result) - OUTPUT_LIMIT
    if more > 0:
        result = f"{result[: OUTPUT_LIMIT - 100]}\n[{more + 100} more characters were left out]"
    return {"result": result}


def main(load: Callable[[str, str], list[Tool]] = _load) -> None:
    """Serve calls of the tools that `load` returns for the arguments, until the pipe closes."""
    own_pid = os.getpid()
    calls, answers = take_pipes()

    def send(message: object) -> None:
        if os.getpid() != own_pid:
            os._exit(0)  # a fork that the plugin made returned from the call, too
        answers.write(json.dumps(message, default=str).encode() + b"\n")
        answers.flush()

    try:
        tools = {tool.spec.name: tool for tool in load(sys.argv[1], sys.argv[2])}
        send({"tools": [_description(tool) for tool in tools.values()]})
    except UntrustedCode as error:
        send({"refused": str(error)})
        return
    except BaseException as error:
        send({"refused": f"{problem_of(error)}."})
        return
    with asyncio.Runner() as runner:
        for line in calls:
            request = json.loads(line)
            send(runner.run(_answer(tools[request["call"]], request["arguments"])))


if __name__ == "__main__":
    main()
    os._exit(0)  # a normal exit would wait for the plugin's threads
