"""What `voicechat mcp` tells: servers and what they offer, for eyes and for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.text import clean
from voicechat.errors import ConnectError
from voicechat.tools.mcp.mcp_link import Link
from voicechat.tools.mcp.mcp_pins import Pins
from voicechat.tools.mcp.mcp_text import Definition, definitions

PATIENCE_S = 60.0
"""Seconds a trial takes at most: `npx` and the like download what they have not got yet."""


def configured(servers: Iterable[ServerConfig]) -> list[dict[str, object]]:
    """The servers as plain JSON. Variables and headers are told by name, never shown."""
    pins = Pins()
    return [
        {
            "name": server.name,
            "command": list(server.command) or None,
            "url": server.shown if server.url else None,
            "env": sorted(server.env),
            "headers": sorted(server.headers),
            "place": server.place,
            "disabled": server.disabled,
            "may_run": pins.may_run(server),
            "problem": server.problem or None,
            "tools_seen": list(pins.tools(server.name)),
        }
        for server in servers
    ]


def configured_as_json(servers: Iterable[ServerConfig]) -> str:
    """The servers for programs."""
    return json.dumps(configured(servers), indent=2)


def configured_as_text(servers: Iterable[ServerConfig]) -> str:
    """The servers for a person."""
    pins = Pins()
    lines: list[str] = []
    for server in servers:
        lines += [f"{server.name}: {server.shown}", f"  {_standing(server, pins)}; {server.place}"]
    return clean("\n".join(lines))


def _standing(server: ServerConfig, pins: Pins) -> str:
    if server.disabled:
        return "disabled"
    if server.problem:
        return f"cannot start: {server.problem.rstrip('.')}"
    if not pins.may_run(server):
        return f"asks before it first runs (or type: voicechat mcp test {server.name})"
    seen = len(pins.tools(server.name))
    return f"starts with the conversation, {seen} tools seen" if seen else "not tried yet"


# ------------------------------------------------------------------------------- a trial


@dataclass(slots=True)
class Trial:
    """How it went to start a server once."""

    server: ServerConfig
    seconds: float = 0.0
    """Until it had told its tools."""
    protocol: str = ""
    tools: list[Definition] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Sentences on tools that cannot be offered."""
    printed: tuple[str, ...] = ()
    """What it printed besides messages."""
    problem: ConnectError | None = None


async def try_out(server: ServerConfig) -> Trial:
    """Start a server, have it tell its tools, and end it."""
    trial = Trial(server)
    if server.problem:
        trial.problem = ConnectError(server.problem)
        return trial
    begun = time.perf_counter()

    def listed(tools: Sequence[object]) -> None:
        trial.seconds = time.perf_counter() - begun
        trial.tools, trial.refused = definitions(server, tools)  # type: ignore[arg-type]
        link.end()

    link = Link(server, listed, PATIENCE_S)
    try:
        await link.live()
    except ConnectError as problem:
        trial.problem = ConnectError(f"{server.source}: {problem.message}", problem.hint)
    trial.protocol, trial.printed = link.protocol, link.printed.lines
    return trial


def trial_as_text(trial: Trial, pins: Pins) -> str:
    """What a server offers, for a person. What is new is known from now on."""
    differences = pins.differences(trial.server.name, trial.tools)
    count = f"{len(trial.tools)} {'tool' if len(trial.tools) == 1 else 'tools'}"
    head = f"{trial.server.name} answers in {trial.seconds:.1f} s (MCP {trial.protocol}): {count}"
    return "\n".join([head, *_lines(trial.tools, differences), *trial.refused])


def _lines(tools: Sequence[Definition], differences: dict[str, str]) -> Iterator[str]:
    width = min(max((len(tool.offered_as) for tool in tools), default=0), 40)
    for tool in tools:
        about = " ".join(tool.description.split())
        yield f"  {tool.offered_as:{width}}  {about}"[:80].rstrip()
        for line in differences.get(tool.name, "").splitlines():
            yield f"    changed: {line}"
