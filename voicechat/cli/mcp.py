"""The commands `voicechat mcp …`: list, add, remove and test MCP servers.

What the person types here counts as their leave for a command to run: they have it before them.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.config.mcp_server import ServerConfig
    from voicechat.config.options import Options

app = typer.Typer(help="List, add, remove and test MCP servers.", rich_markup_mode=None)

_NAME = typer.Argument(metavar="NAME", help="What you call the server.")
_JSON = typer.Option("--json", help="For programs.")

_PRIVATE = re.compile(r"KEY|TOKEN|SECRET|PASS|AUTH|COOKIE|CREDENTIAL", re.IGNORECASE)


@app.command("list", short_help="List the servers that are configured.")
def list_servers(as_json: Annotated[bool, _JSON] = False) -> int:
    """List the servers that are configured, what each runs, and whether it may."""
    from voicechat.cli.mcp_listing import configured_as_json, configured_as_text
    from voicechat.config import loader

    found = loader.load().mcp_servers
    if as_json:
        typer.echo(configured_as_json(found))
    elif found:
        typer.echo(configured_as_text(found))
    else:
        _say("No MCP servers are configured. Type: voicechat mcp add --help")
    return 0


@app.command(short_help="Add a server: its command behind --, or --url.")
def add(
    name: Annotated[str, _NAME],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="The program that is the server."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of a streamable HTTP server.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=VALUE]", help="A variable it gets; without value, yours."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: VALUE'", help="A header it gets; $NAME is a variable."),
    ] = None,
    cwd: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where it runs; else your home folder.")
    ] = None,
) -> int:
    """Add a server to mcp.json, and let its command run.

    Keys do not belong on a command line: write --env GITHUB_TOKEN, or --header 'Authorization:
    Bearer $TOKEN' in single quotes, and the variable is looked up whenever the server starts.
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
            "What is the server?", f"Type: voicechat mcp add {name} -- COMMAND ARGS, or --url URL"
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
    made = mcp_settings.add(path, name, entry, {**os.environ, **known.keys})
    Pins().let_run(made)
    _say(f"Added {name} to {path}. Try it: voicechat mcp test {name}")
    if made.problem:
        _say(made.problem)
    return 0


@app.command(short_help="Remove a server.")
def remove(name: Annotated[str, _NAME]) -> int:
    """Remove a server from mcp.json, and forget what was known of it."""
    from voicechat.config import loader, mcp_settings
    from voicechat.tools.mcp.mcp_pins import Pins

    path = loader.settings_path().with_name("mcp.json")
    if not mcp_settings.remove(path, name):
        server = _configured(loader.load(), name)
        raise UsageError(f"{name} stands in {server.place}.", "Remove it there.")
    Pins().forget(name)
    _say(f"Removed {name} from {path}.")
    return 0


@app.command(short_help="Start a server and show what it offers.")
def test(name: Annotated[str, _NAME]) -> int:
    """Start a server, show what it offers and how long that took, and stop it again.

    That lets its command run in conversations, too. Ends with 4 when the server does not answer.
    """
    import asyncio

    from voicechat.cli import mcp_listing
    from voicechat.config import loader
    from voicechat.tools.mcp.mcp_pins import Pins

    server = _configured(loader.load(), name)
    _say(f"{'Asking' if server.url else 'Running'} {server.shown}")
    pins = Pins()
    pins.let_run(server)
    trial = asyncio.run(mcp_listing.try_out(server))
    for line in trial.printed:
        typer.echo(f"  {line}", err=True)
    if trial.problem is not None:
        raise trial.problem
    typer.echo(mcp_listing.trial_as_text(trial, pins))
    return 0


# --------------------------------------------------------------------------------- the words


def _variable(text: str) -> tuple[str, str]:
    """A variable as `--env` names it, and its value for the file."""
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
        raise UsageError("A key that is typed here can be read by others.", hint)


def _refuse_taken(known: Options, name: str) -> None:
    taken = next((each for each in known.mcp_servers if each.name == name), None)
    if taken is not None:
        raise UsageError(f"There is an MCP server {name!r} already, in {taken.place}.")


def _configured(options: Options, name: str) -> ServerConfig:
    from voicechat.config.setting_place import nearest

    found = {each.name: each for each in options.mcp_servers}
    if name not in found:
        hint = nearest(name, list(found)) if found else "Type: voicechat mcp add --help"
        raise UsageError(f"There is no MCP server {name!r}.", hint)
    return found[name]


def _say(sentence: str) -> None:
    typer.echo(f"voicechat: {sentence}", err=True)
