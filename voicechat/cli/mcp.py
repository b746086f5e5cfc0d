"""`voicechat mcp …`: list, add, remove and test MCP servers.

Adding or testing a server on the command line approves its command.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import JSON, CommandEntry, say
from voicechat.core.text import clean
from voicechat.errors import ConnectError, UsageError

if TYPE_CHECKING:
    from voicechat.config.mcp_server import ServerConfig
    from voicechat.config.options import Options
    from voicechat.tools.mcp.mcp_oauth import SignIn
    from voicechat.tools.mcp.mcp_pins import Pins
    from voicechat.tools.mcp.mcp_text import Definition

app = typer.Typer(
    add_completion=False, help="List, add, remove and test MCP servers.", rich_markup_mode=None
)

COMMAND = CommandEntry(50, "mcp", "List, add, remove and test MCP servers.", app)

_NAME = typer.Argument(
    metavar="NAME", help="Name of the server.", autocompletion=values.mcp_servers
)

_PRIVATE = re.compile(r"KEY|TOKEN|SECRET|PASS|AUTH|COOKIE|CREDENTIAL", re.IGNORECASE)


@app.command("list", short_help="List the configured servers.")
def list_servers(as_json: Annotated[bool, JSON] = False) -> int:
    """List the configured servers, their commands, and whether each may start."""
    from voicechat.config import loader

    found = loader.load().mcp_servers
    if as_json:
        typer.echo(servers_as_json(found))
    elif found:
        typer.echo(servers_as_text(found))
    else:
        say("No MCP servers are configured. To add one, see voicechat mcp add --help.")
    return 0


@app.command(short_help="Add a server: its command after --, or --url.")
def add(
    name: Annotated[str, _NAME],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Program of the server and its arguments."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of a streamable HTTP server.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=VALUE]", help="Variable for the program; default: yours."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: VALUE'", help="Header of each request; $NAME is a variable."),
    ] = None,
    cwd: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of the program; default: home."),
    ] = None,
) -> int:
    """Add a server to mcp.json, and allow its command to run.

    Do not type keys: use --env GITHUB_TOKEN, or --header 'Authorization: Bearer $TOKEN' in single
    quotes. voicechat reads the variable each time it starts the server.
    """
    from voicechat.config import loader, mcp_settings
    from voicechat.tools.mcp.mcp_pins import Pins

    entry: dict[str, object] = {}
    if command:
        entry |= {"command": command[0], "args": command[1:]}
    if url is not None:
        entry["url"] = url
    if not entry:
        raise UsageError(
            "The server has no command and no address.",
            f"Type: voicechat mcp add {name} -- COMMAND ARGS, or --url URL",
        )
    if env:
        entry["env"] = dict(_variable(each) for each in env)
    if header:
        entry["headers"] = dict(_header(each) for each in header)
    if cwd is not None:
        entry["cwd"] = cwd
    known = loader.load()
    _refuse_taken(known, name)
    path = loader.settings_path().with_name("mcp.json")
    added = mcp_settings.add(path, name, entry, {**os.environ, **known.keys})
    Pins().allow(added)
    say(f"Added {name} to {path}. Test it: voicechat mcp test {name}")
    if added.problem:
        say(added.problem)
    return 0


@app.command(short_help="Remove a server.")
def remove(name: Annotated[str, _NAME]) -> int:
    """Remove a server from mcp.json, and forget its approval, its tools and its sign-in."""
    from voicechat.config import loader, mcp_settings
    from voicechat.tools.mcp.mcp_oauth import forget_tokens
    from voicechat.tools.mcp.mcp_pins import Pins

    path = loader.settings_path().with_name("mcp.json")
    if not mcp_settings.remove(path, name):
        server = _configured(loader.load(), name)
        raise UsageError(f"{name} is configured in {server.place}.", "Remove it there.")
    Pins().forget(name)
    with contextlib.suppress(OSError):
        forget_tokens(name)
    say(f"Removed {name} from {path}.")
    return 0


@app.command(short_help="Start a server and list its tools.")
def test(name: Annotated[str, _NAME]) -> int:
    """Start a server, list its tools with the time it took, and stop it.

    This also allows its command to run in conversations. Exits with 4 when the server fails.
    """
    from voicechat.config import loader
    from voicechat.system import exit_deadline
    from voicechat.tools.mcp.mcp_pins import Pins

    server = _configured(loader.load(), name)
    say(f"{'Connecting to' if server.url else 'Running'} {server.shown}")
    pins = Pins()
    pins.allow(server)
    outcome = exit_deadline.run(test_server(server))
    for line in outcome.printed:
        typer.echo(f"  {line}", err=True)
    if outcome.problem is not None:
        raise outcome.problem
    typer.echo(outcome_as_text(outcome, pins))
    return 0


@app.command(short_help="Sign in to a server in the browser.")
def login(name: Annotated[str, _NAME]) -> int:
    """Sign in to a server at an address, with OAuth in the browser.

    The tokens are kept in a private file and are refreshed by themselves.
    """
    from dataclasses import replace

    from voicechat.config import loader
    from voicechat.system import exit_deadline
    from voicechat.tools.mcp.mcp_oauth import SIGN_IN_S, SignIn, has_key, tokens_path
    from voicechat.tools.mcp.mcp_pins import Pins

    server = _configured(loader.load(), name)
    if not server.url:
        raise UsageError(f"{name} is a program.", "Only servers at an address have a sign-in.")
    if has_key(server):
        raise UsageError(f"{name} has a key in its headers.", "Remove it to sign in instead.")
    patient = replace(server, start_timeout_s=SIGN_IN_S + server.start_timeout_s)
    outcome = exit_deadline.run(test_server(patient, SignIn(say)))
    if outcome.problem is not None:
        raise outcome.problem
    typer.echo(outcome_as_text(outcome, Pins()))
    if not tokens_path(server).exists():
        say(f"{name} needs no sign-in.")
    return 0


@app.command(short_help="Forget the sign-in to a server.")
def logout(name: Annotated[str, _NAME]) -> int:
    """Delete the tokens of a server."""
    from voicechat.config import loader
    from voicechat.tools.mcp.mcp_oauth import forget_tokens

    _configured(loader.load(), name)
    try:
        found = forget_tokens(name)
    except OSError as error:
        raise UsageError(f"The tokens cannot be deleted: {error.strerror}.") from None
    if not found:
        raise UsageError(f"You are not signed in to {name}.")
    say(f"Signed out of {name}.")
    return 0


# ------------------------------------------------------------------------ checks of arguments


def _variable(text: str) -> tuple[str, str]:
    """The variable that `--env` names, and its value for the file."""
    name, given, value = text.partition("=")
    if not given:
        return name, f"${{{name}}}"
    _refuse_typed_key(name, value, f"Set {name} in the environment and type: --env {name}")
    return name, value


def _header(text: str) -> tuple[str, str]:
    name, given, value = text.partition(":")
    if not given or not value.strip():
        raise UsageError("--header must be like 'Name: value'.")
    hint = f"Set TOKEN in the environment and type: --header '{name}: Bearer $TOKEN'"
    _refuse_typed_key(name, value, hint)
    return name.strip(), value.strip()


def _refuse_typed_key(name: str, value: str, hint: str) -> None:
    if _PRIVATE.search(name) and "$" not in value:
        raise UsageError("Others can read a key that you type on a command line.", hint)


def _refuse_taken(known: Options, name: str) -> None:
    taken = next((each for each in known.mcp_servers if each.name == name), None)
    if taken is not None:
        raise UsageError(f"There is already an MCP server {name!r}, in {taken.place}.")


def _configured(options: Options, name: str) -> ServerConfig:
    from voicechat.config.setting_place import nearest

    found = {each.name: each for each in options.mcp_servers}
    if name not in found:
        hint = nearest(name, list(found)) or "To add one, see voicechat mcp add --help."
        raise UsageError(f"There is no MCP server {name!r}.", hint)
    return found[name]


# ------------------------------------------------------------------------------------- listing


def servers_as_json(servers: Iterable[ServerConfig]) -> str:
    """The servers as JSON. Variables and headers appear by name, without their values."""
    import json

    from voicechat.tools.mcp.mcp_pins import Pins

    pins = Pins()
    found = [
        {
            "name": server.name,
            "command": list(server.command) or None,
            "url": server.shown if server.url else None,
            "env": sorted(server.env),
            "headers": sorted(server.headers),
            "place": server.place,
            "disabled": server.disabled,
            "may_run": pins.allows(server),
            "problem": server.problem or None,
            "tools_seen": list(pins.tools(server.name)),
        }
        for server in servers
    ]
    return json.dumps(found, indent=2)


def servers_as_text(servers: Iterable[ServerConfig]) -> str:
    """The servers as plain text."""
    from voicechat.tools.mcp.mcp_pins import Pins

    pins = Pins()
    lines: list[str] = []
    for server in servers:
        lines += [f"{server.name}: {server.shown}", f"  {_status(server, pins)}; {server.place}"]
    return clean("\n".join(lines))


def _status(server: ServerConfig, pins: Pins) -> str:
    from voicechat.system.text_table import counted

    if server.disabled:
        return "disabled"
    if server.problem:
        return f"cannot start: {server.problem.rstrip('.')}"
    if not pins.allows(server):
        return f"asks before it first runs (or type: voicechat mcp test {server.name})"
    seen = len(pins.tools(server.name))
    return f"starts with the conversation, {counted(seen, 'tool')}" if seen else "not tested yet"


# ------------------------------------------------------------------------------------- testing


@dataclass(slots=True)
class TestOutcome:
    """The outcome of starting a server once."""

    server: ServerConfig
    seconds: float = 0.0
    """Time until it listed its tools."""
    protocol: str = ""
    """Version of the protocol that was agreed on."""
    tools: list[Definition] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Sentences about tools that cannot be offered."""
    unused: tuple[str, ...] = ()
    """What it offers apart from tools."""
    printed: tuple[str, ...] = ()
    """Lines that the program printed apart from messages."""
    problem: ConnectError | None = None


async def test_server(
    server: ServerConfig,
    sign_in: SignIn | None = None,  # noqa: PT028
) -> TestOutcome:
    """Start a server, read its tools, and stop it; takes its `start_timeout_s` at most.

    sign_in: opens the browser when the server wants a sign-in.
    """
    from voicechat.tools.mcp.mcp_connection import McpConnection
    from voicechat.tools.mcp.mcp_text import definitions

    outcome = TestOutcome(server)
    if server.problem:
        outcome.problem = ConnectError(server.problem)
        return outcome
    began = time.perf_counter()

    def listed(tools: Sequence[object]) -> None:
        outcome.seconds = time.perf_counter() - began
        outcome.tools, outcome.refused = definitions(server, tools)  # type: ignore[arg-type]
        link.end()

    link = McpConnection(server, listed, sign_in=sign_in)
    try:
        await link.live()
    except ConnectError as problem:
        outcome.problem = ConnectError(f"{server.source}: {problem.message}", problem.hint)
    outcome.protocol, outcome.printed = link.protocol, link.printed.lines
    outcome.unused = link.unused
    return outcome


def outcome_as_text(outcome: TestOutcome, pins: Pins) -> str:
    """The tools of a server as plain text. New tools count as known afterwards."""
    from voicechat.system.text_table import counted

    differences = pins.differences(outcome.server.name, outcome.tools)
    count = counted(len(outcome.tools), "tool")
    head = (
        f"{outcome.server.name} answers in {outcome.seconds:.1f} s"
        f" (MCP {outcome.protocol}): {count}"
    )
    lines = [head, *_tool_lines(outcome.tools, differences), *outcome.refused]
    if outcome.unused and not outcome.tools:
        lines.append(f"It offers {' and '.join(outcome.unused)}, which voicechat does not use.")
    return "\n".join(lines)


def _tool_lines(tools: Sequence[Definition], differences: dict[str, str]) -> Iterator[str]:
    from voicechat.system.text_table import table

    rows = [(tool.offered_as, " ".join(tool.description.split())) for tool in tools]
    for tool, line in zip(tools, table(rows, width=80), strict=True):
        yield line
        for change in differences.get(tool.name, "").splitlines():
            yield f"    changed: {change}"
