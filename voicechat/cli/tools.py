"""What `voicechat tools` tells: every tool, where it comes from and who decides on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

from voicechat.config.options import Options
from voicechat.core.settings import ToolSpec
from voicechat.errors import UsageError
from voicechat.tools.builtin import builtin
from voicechat.tools.endpoints import endpoint_tool
from voicechat.tools.mcp.mcp_servers import McpServers
from voicechat.tools.permissions import Approvals, permitted
from voicechat.tools.plugins.plugin_loader import load
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import Surroundings


async def every_tool(options: Options, tell: Callable[[str], None]) -> tuple[ToolSpec, ...]:
    """All tools there are with who decides on each; plugins and servers are started for it.

    `tell` gets a sentence for whatever cannot be had. A tool that the settings leave out is among
    them; `is_offered` knows.
    """
    own = map(endpoint_tool, options.endpoints)
    registry = Registry(*builtin(Surroundings(options.folders)), *own)
    servers = McpServers(options.mcp_servers, lambda: None, tell)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(servers.run())
        plugins = await load()
        try:
            for complaint in plugins.complaints:
                tell(complaint)
            await servers.settled()
            for tool in registry.add((*plugins.tools, *servers.tools)):
                tell(f"There are two tools called {tool.spec.name}; {tool.source}'s is left out.")
            return permitted(registry, options.permissions, Approvals())
        finally:
            running.cancel()
            await plugins.close()


def is_offered(options: Options, spec: ToolSpec) -> bool:
    """Whether the model gets to know the tool."""
    return spec.permission != "never" and (options.tools is None or spec.name in options.tools)


def as_json(options: Options, specs: Sequence[ToolSpec]) -> str:
    """The tools for programs."""
    found = [
        {
            "name": spec.name,
            "source": spec.source,
            "permission": str(spec.permission),
            "asks_always": spec.asks_always,
            "offered": is_offered(options, spec),
            "description": spec.description,
            "schema": spec.parameters,
        }
        for spec in specs
    ]
    return json.dumps(found, indent=2, ensure_ascii=False)


def as_text(options: Options, specs: Sequence[ToolSpec]) -> str:
    """The tools for a person, by where they come from."""
    width = min(max((len(spec.name) for spec in specs), default=0), 40)
    lines: list[str] = []
    source = ""
    for spec in sorted(specs, key=lambda spec: [each.source for each in specs].index(spec.source)):
        if spec.source != source:
            source = spec.source
            lines += ["", f"{source}:"]
        shown = is_offered(options, spec) or spec.permission == "never"
        word = str(spec.permission) if shown else "off"
        about = " ".join(spec.description.split())
        lines.append(f"  {word:5} {spec.name:{width}}  {about}"[:80].rstrip())
    return "\n".join(lines).strip()


def revoke(name: str) -> str:
    """Take back that the person always allows a tool; a sentence that says so.

    Raises `UsageError` when that was never said.
    """
    from voicechat.config.setting_place import nearest

    approvals = Approvals()
    known = sorted({approval.name for approval in approvals})
    try:
        if not approvals.revoke(name):
            hint = nearest(name, known) if known else "No tool is."
            raise UsageError(f"{name!r} is not always allowed.", hint)
    except OSError as error:
        raise UsageError(f"That cannot be written down: {error.strerror}.") from None
    return f"{name} asks again."
