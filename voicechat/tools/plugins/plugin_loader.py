"""Plugins: tools from files in one folder and from installed packages.

    ~/.config/voicechat/tools/*.py         every `@tool` in the file
    the entry-point group voicechat.tools  a tool, a list of tools or a module with tools

Plugin code never runs in this process: each plugin has a process of its own, which lists its tools
and runs the calls. A plugin that cannot be used is left out with a message.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from voicechat.core.guardrail import GuardrailTrip
from voicechat.core.settings import Permission, ToolSpec
from voicechat.core.text import clean
from voicechat.system import process_sandbox
from voicechat.system.daemon_call import call_with_deadline
from voicechat.tools.guardrails import Guardrail, GuardrailFailed, guardrail, trip_from
from voicechat.tools.plugins.code_trust import UntrustedCode, read_own
from voicechat.tools.plugins.plugin_child import packages
from voicechat.tools.plugins.plugin_worker import PluginBroken, PluginWorker
from voicechat.tools.registry import Tool, ToolError

MAX_PLUGINS = 64
"""Limit for plugins and for the tools of one plugin; the rest is left out with a message."""

FIND_S = 5.0
"""Seconds to read the plugin folder and the list of installed packages."""

LOAD_S = 30.0
"""Seconds for all plugins to load."""

_PARALLEL_LOADS = 2
"""Plugins that load at the same time."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Plugins:
    """The loaded tools, and a sentence for each problem."""

    tools: tuple[Tool, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    problems: tuple[str, ...] = ()
    workers: tuple[PluginWorker, ...] = field(default=(), repr=False)

    async def close(self) -> None:
        """End their processes."""
        await asyncio.gather(*(worker.close() for worker in self.workers))


@dataclass(frozen=True, slots=True)
class _PluginLocation:
    """The location of a plugin."""

    kind: str
    target: str
    """The path of a file, or the name of a package's entry point."""

    @property
    def source(self) -> str:
        return f"plugin {self.target}"


def tools_folder() -> Path:
    """Return the folder of the user's own tools, which need not exist."""
    import platformdirs

    return platformdirs.user_config_path("voicechat", appauthor=False) / "tools"


async def load(folder: Path | None = None, *, installed: bool = True) -> Plugins:
    """Find the plugins and ask each for its tools. Call `close` on the result at the end.

    folder: searched instead of `tools_folder()`. installed: search installed packages too.
    Takes at most `FIND_S + LOAD_S` seconds, even on a disk that hangs; plugins that are late are
    left out with a message.
    """
    folder = folder or tools_folder()
    try:
        locations, problems = await call_with_deadline(lambda: _find(folder, installed), FIND_S)
    except TimeoutError:
        problem = f"The plugins in {folder} could not be read within {FIND_S:g} seconds."
        hint = "Check the disk, then start voicechat again."
        return Plugins(problems=(clean(f"{problem} {hint}"),))
    slots = asyncio.Semaphore(_PARALLEL_LOADS)
    deadline = asyncio.get_running_loop().time() + LOAD_S
    answers = await asyncio.gather(
        *(_load_one(location, slots, deadline) for location in locations)
    )
    everything = [each for found, _, _ in answers for each in found]
    tools = [each for each in everything if isinstance(each, Tool)]
    guardrails = tuple(each for each in everything if isinstance(each, Guardrail))
    failures = [clean(each) for _, each, _ in answers if each]
    workers = tuple(worker for found, _, worker in answers if found)
    return Plugins(tuple(tools), guardrails, (*problems, *failures), workers)


def _find(folder: Path, installed: bool) -> tuple[list[_PluginLocation], list[str]]:
    locations, problems = [], []
    try:
        files = sorted(each for each in folder.glob("*.py") if not each.name.startswith((".", "_")))
    except OSError as error:
        files, problems = [], [f"The plugins in {folder} cannot be listed: {error.strerror}."]
    for each in files:
        try:
            read_own(each)
        except UntrustedCode as problem:
            problems.append(clean(f"The plugin {each.name} is left out. {problem}"))
        else:
            locations.append(_PluginLocation("file", str(each)))
    if installed:
        names = dict.fromkeys(each.name for each in packages())
        locations += [_PluginLocation("package", name) for name in names]
    if len(locations) > MAX_PLUGINS:
        problems.append(f"There are more than {MAX_PLUGINS} plugins; the last ones are left out.")
    return locations[:MAX_PLUGINS], problems


async def _load_one(
    location: _PluginLocation, slots: asyncio.Semaphore, deadline: float
) -> tuple[Sequence[Tool | Guardrail], str, PluginWorker]:
    """Load one plugin by `deadline`, in loop time; return what it has and a message, "" if none."""
    worker = PluginWorker(location.kind, location.target)
    name = Path(location.target).name
    try:
        async with asyncio.timeout_at(deadline), slots:
            found = await worker.describe()
    except TimeoutError:
        return (), f"The plugin {name} is left out: there was no time left to load it.", worker
    except PluginBroken as problem:
        return (), f"The plugin {name} is left out: {problem}", worker
    tools: list[Tool | Guardrail] = []
    wrong = []
    for each in found[:MAX_PLUGINS]:
        tool = _guardrail(each, worker) if "guardrail" in each else _tool(each, location, worker)
        if tool is None:
            wrong.append(str(each.get("name") or each.get("guardrail"))[:80])
        else:
            tools.append(tool)
    if not found:
        text = f"The plugin {name} has no tools. Write @tool or @guardrail above a function."
        return (), text, worker
    if wrong:
        names = ", ".join(wrong)
        return tools, f"The plugin {name} has tools whose names do not fit: {names}.", worker
    return tools, "", worker


def _guardrail(found: Mapping[str, Any], worker: PluginWorker) -> Guardrail | None:
    """Make a guardrail of a plugin's description; None when something does not fit."""

    async def check(text: str) -> GuardrailTrip | None:
        try:
            return trip_from(json.loads(await worker.call(f"guardrail {name}", text)))
        except ToolError as failure:
            raise GuardrailFailed(str(failure)) from None
        except ValueError:
            raise GuardrailFailed("gave an answer that cannot be read") from None

    name = str(found.get("guardrail"))
    options: dict[str, Any] = {key: found.get(key) for key in ("policy", "deadline", "watches")}
    try:
        return guardrail(name=name, **options)(check)
    except (TypeError, ValueError):
        return None


def _tool(found: Mapping[str, Any], location: _PluginLocation, worker: PluginWorker) -> Tool | None:
    """Make a tool of a plugin's description; None when its name or schema does not fit."""
    name, schema, deadline = found.get("name"), found.get("parameters"), found.get("deadline")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(schema, dict):
        return None
    permission = Permission(found.get("permission", Permission.ASK))
    if location.kind == "package" and permission is Permission.AUTO:
        permission = Permission.ASK  # an installed package cannot grant itself permission
    spec = ToolSpec(name, clean(str(found.get("description", "")))[:4_000], schema, permission)
    return Tool(
        spec,
        partial(worker.call, name),
        location.source,
        float(deadline) if isinstance(deadline, int | float) else None,
        bool(found.get("asks_always")),
        access=worker.access,
        remark=process_sandbox.description(worker.access),
    )
