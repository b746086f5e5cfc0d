"""The functions of `[[calls.rules]]`, which run in processes of their own, like plugins."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from voicechat.calls.incoming_call import IncomingCall
from voicechat.config.call_settings import CallRule
from voicechat.config.loader import settings_path
from voicechat.errors import UsageError
from voicechat.tools.plugins.plugin_worker import MAX_PROCESSES, PluginBroken, PluginWorker
from voicechat.tools.registry import ToolError

FUNCTION_S = 5.0
"""Seconds for a function; the phone rings meanwhile."""

_CHILD = "voicechat.calls.call_function_child"


class FunctionFailed(Exception):
    """The reason that a function gave no decision, as the end of a sentence about it."""


class CallFunctions:
    """The functions of some rules. Call `load` first, and `close` at the end."""

    def __init__(self, rules: Iterable[CallRule]) -> None:
        names: dict[str, list[str]] = {}
        for rule in rules:
            if rule.function and rule.function not in names.setdefault(rule.access, []):
                names[rule.access].append(rule.function)
        self._workers = {access: _worker(access, each) for access, each in names.items()}

    async def load(self) -> None:
        """Start a process for each kind of access. Raises `UsageError` for a wrong function."""
        try:
            for worker in self._workers.values():
                await worker.start()
        except PluginBroken as problem:
            await self.close()
            raise UsageError(
                f"The functions in [[calls.rules]] cannot be used. {problem}",
                f"Write module:function with a module in {functions_folder()}, or the name of an "
                "entry point in the group voicechat.calls.",
            ) from None

    async def ask(self, rule: CallRule, call: IncomingCall) -> object:
        """Return what the function of the rule says about a call. Raises `FunctionFailed`.

        One that is too slow is killed.
        """
        worker = self._workers[rule.access]
        try:
            async with asyncio.timeout(FUNCTION_S):
                found = await worker.call(rule.function, json.dumps(asdict(call)))
            return json.loads(found)
        except TimeoutError:
            raise FunctionFailed(f"took longer than {FUNCTION_S:g} s") from None
        except ToolError as failure:
            raise FunctionFailed(str(failure).rstrip(".")) from None
        except ValueError:
            raise FunctionFailed("gave an answer that is too long") from None

    async def close(self) -> None:
        """End the processes."""
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))


def _worker(access: str, names: list[str]) -> PluginWorker:
    worker = PluginWorker(
        str(functions_folder()), json.dumps(names), module=_CHILD, kept=MAX_PROCESSES
    )
    worker.access = "network" if access == "network" else "all" if access == "all" else "files"
    return worker


def functions_folder() -> Path:
    """Return the folder of the user's own functions, which need not exist."""
    return settings_path().parent / "calls"
