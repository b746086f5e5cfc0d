"""Runs the tools of one plugin in processes of their own, which start with the first call.

A process serves one call at a time, so that killing one that hangs does not affect other calls.
Whatever a tool does (sleep, burn, print, fork, exit, ignore signals), the process and all that it
started end at the call's deadline, when the call is cancelled, and with this program.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from voicechat.core.text import clean
from voicechat.system import child_process
from voicechat.system.child_process import module_command, module_environment
from voicechat.system.output_tail import OutputTail
from voicechat.system.process_sandbox import Access
from voicechat.tools import child_programs
from voicechat.tools.registry import ToolError

MAX_PROCESSES = 4
"""Processes of one plugin; further calls wait, within their deadlines."""

START_S = 10.0
"""Seconds for a plugin to load."""

_LINE = 1 << 20
"""Bytes of one answer; the child keeps to less."""
_EXIT_WAIT_S = 0.5
_CRASHES = 5
_CRASH_SPAN_S = 60.0
_KEY = re.compile(r"[A-Z][A-Z0-9_]*_(?:API_KEY|API_TOKEN|AD_TOKEN)|VOICECHAT_.*")


class PluginBroken(Exception):
    """The reason that a plugin cannot be used, as the end of a sentence."""


class _Process:
    """One process of a plugin, loaded and ready."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._errors = OutputTail()
        self._error_reader = asyncio.create_task(self._read_errors(), name="plugin output")

    async def _read_errors(self) -> None:
        """Read standard error all the time, so that the plugin never blocks on it."""
        assert self._child.stderr is not None
        while piece := await self._child.stderr.read(65_536):
            self._errors.feed(piece)

    @property
    def alive(self) -> bool:
        """True while the process can take a call."""
        return self._child.returncode is None

    async def ask(self, line: bytes) -> dict[str, Any]:
        """Send a line and read the answer. Raises `PluginBroken` when the process ends instead."""
        assert self._child.stdin is not None
        try:
            if line:
                self._child.stdin.write(line)
                await self._child.stdin.drain()
            answer = await self._answer()
        except (OSError, ValueError):
            answer = None
        if answer is None:
            # A process that closed its output is about to end and to set its exit code.
            await child_process.ended(self._child, _EXIT_WAIT_S)
            await self.stop()
            raise PluginBroken(self._exit_reason())
        return answer

    async def _answer(self) -> dict[str, Any] | None:
        assert self._child.stdout is not None
        line = await self._child.stdout.readline()
        found = json.loads(line) if line else None
        return found if isinstance(found, dict) else None

    def _exit_reason(self) -> str:
        code = self._child.returncode
        output = f" Its last output: {self._errors.last}" if self._errors.last else ""
        return f"its process ended{'' if code is None else f' with exit code {code}'}.{output}"

    async def stop(self) -> None:
        """Kill the process and all that it started."""
        self._error_reader.cancel()
        await asyncio.gather(self._error_reader, return_exceptions=True)
        await child_programs.stop(self._child)


class PluginWorker:
    """The processes of one plugin. `kind` is file or package, `target` its path or name."""

    def __init__(
        self,
        kind: str,
        target: str,
        *,
        module: str = "voicechat.tools.plugins.plugin_child",
        kept: int = 1,
    ) -> None:
        """module: runs in the processes, with other arguments for others. kept: idle processes."""
        self._command = module_command(module, kind, target)
        self._kept = kept
        self.access: Access = "files"
        """What its processes may reach."""
        self._idle: list[_Process] = []
        self._slots = asyncio.Semaphore(MAX_PROCESSES)
        self._crashes: deque[float] = deque(maxlen=_CRASHES)
        self._closed = False

    async def start(self) -> None:
        """Start a process and keep it for the first call. Raises `PluginBroken`."""
        process, _ = await self._start()
        self._idle.append(process)

    async def describe(self) -> list[Mapping[str, Any]]:
        """Load the plugin, list its tools and end the process. Raises `PluginBroken`.

        The widest `access` of the tools is that of all later processes.
        """
        process, found = await self._start()
        await process.stop()
        wanted = [each.get("access") for each in found if isinstance(each, dict)]
        self.access = next((each for each in reversed(get_args(Access)) if each in wanted), "files")
        return found

    async def call(self, name: str, arguments: str) -> str:
        """Run a tool. Raises `ToolError`; cancelled, it leaves nothing of the process running."""
        async with self._slots:
            process = await self._ready_process(name)
            line = json.dumps({"call": name, "arguments": arguments}).encode() + b"\n"
            try:
                answer = await process.ask(line)
            except PluginBroken as problem:
                self._crashes.append(time.monotonic())
                raise ToolError(f"{name} failed: {problem}") from None
            except BaseException:
                await process.stop()
                raise
            if len(self._idle) >= self._kept or self._closed:
                await process.stop()
            else:
                self._idle.append(process)
        if "error" in answer:
            raise ToolError(str(answer["error"]))
        return str(answer.get("result", ""))

    async def close(self) -> None:
        """End the idle processes; the callers cancel running calls."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(process.stop() for process in idle))

    async def _ready_process(self, name: str) -> _Process:
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            await process.stop()
        now = time.monotonic()
        if len(self._crashes) == _CRASHES and now - self._crashes[0] < _CRASH_SPAN_S:
            raise ToolError(f"{name} crashed too often and is off for a minute.")
        try:
            process, _ = await self._start()
        except PluginBroken as problem:
            self._crashes.append(now)
            raise ToolError(f"{name} cannot be run: {problem}") from None
        return process

    async def _start(self) -> tuple[_Process, list[Mapping[str, Any]]]:
        try:
            child = await child_programs.start(
                child_process.sandboxed_command(self._command, self.access),
                module_environment(_is_key),
                Path.home(),
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE,
            )
        except ToolError as error:
            raise PluginBroken(str(error)) from None
        process = _Process(child)
        try:
            async with asyncio.timeout(START_S):
                answer = await process.ask(b"")
        except TimeoutError:
            await process.stop()
            raise PluginBroken(f"it was not loaded within {START_S:.0f} seconds.") from None
        except asyncio.CancelledError:
            await process.stop()
            raise
        found = answer.get("tools")
        if not isinstance(found, list):
            await process.stop()
            raise PluginBroken(clean(str(answer.get("refused", "it did not list its tools."))))
        return process, found


def _is_key(variable: str) -> bool:
    """Return True for a variable with a key of a provider; a plugin keeps its own secrets."""
    return _KEY.fullmatch(variable) is not None
