"""MCP servers in the user's files: the common `mcpServers` shape, as JSON and in the settings.

    mcp.json        {"mcpServers": {"files": {"command": "npx", "args": ["-y", "…"]},
                                    "search": {"url": "https://…", "headers": {"…": "$TOKEN"}}}}
    config.toml     [mcpServers.files]
                    command = "npx"

An error names the file, the line and the nearest right name. Values of `env` and `headers` are
`Secret` from the moment they are read; `$NAME`, `${NAME}` and `${env:NAME}` in them stand for an
environment variable or a key of the settings file, `$$` for a dollar sign.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voicechat.config.mcp_server import START_TIMEOUT_S, ServerConfig
from voicechat.config.setting_place import ConfigFile, SettingPlace, nearest
from voicechat.config.table_reader import HEADER_NAME, TableReader
from voicechat.config.url_check import check_url
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError
from voicechat.system.private_files import locked, read_text, write_private

TABLE = "mcpServers"

KEYS: Mapping[str, str] = {
    "command": "Program to run. Each server needs a command or a url.",
    "args": "List of its arguments.",
    "env": "Variables for the program; `$NAME` takes a variable or a key of `[keys]`.",
    "cwd": "Folder in which the program runs; default the home folder.",
    "url": "Address of a streamable HTTP server.",
    "headers": "Headers of each request to the address; `$NAME` as in `env`.",
    "type": "stdio or http; not needed.",
    "disabled": "true keeps the entry without starting the server.",
    "timeout": "Seconds for a call, 1 to 3600.",
    "start_timeout": "Seconds until it lists its tools, 1 to 600; default 30.",
}
"""The keys of a server and their meaning."""

_TYPES = {
    "stdio": "command", "http": "url", "streamable-http": "url", "streamableHttp": "url",
    "streamable_http": "url",
}  # fmt: skip

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}"
"""A name that needs no quotes on a command line and in the settings file."""

_VARIABLE_NAME = r"[^\s=\0:]+"

LookUp = Mapping[str, str | Secret]


def read_json(path: Path, look_up: LookUp) -> list[ServerConfig]:
    """The servers of an `mcp.json`; none when there is no such file.

    Raises `UsageError` for everything that is wrong with it, but not for a variable that is not
    set: then only that server cannot start.
    """
    file = ConfigFile(path, *read_text(path))
    return servers(file, _parsed(file).get(TABLE, {}), look_up) if file.status else []


def servers(file: ConfigFile, table: object, look_up: LookUp) -> list[ServerConfig]:
    """The servers of a table `mcpServers`, read from either kind of file."""
    place = SettingPlace(file)
    if not isinstance(table, dict) or not all(isinstance(each, dict) for each in table.values()):
        raise UsageError(f"{place(TABLE)} must hold a table for each server.")
    return [
        _server(name, TableReader(place.table(TABLE).below(name), each, look_up))
        for name, each in table.items()
    ]


def refuse_duplicates(found: Iterable[ServerConfig]) -> tuple[ServerConfig, ...]:
    """These servers. Raises `UsageError` when the tools of two would have the same names."""
    known: dict[str, ServerConfig] = {}
    for server in found:
        other = known.setdefault(server.tool_prefix.lower(), server)
        if other is not server:
            raise UsageError(
                f"{server.place}: {server.name!r} and {other.name!r} of {other.place} would offer"
                " tools of the same names.",
                "Rename or remove one.",
            )
    return tuple(known.values())


def _server(name: str, reader: TableReader) -> ServerConfig:
    if not name.strip() or clean(name) != name or len(name) > 40 or "\n" in name:
        raise UsageError(
            f"{reader.place.at()}: {clean(name)[:40]!r} is not a valid name of a server."
        )
    table = reader.table
    reader.check_keys(KEYS, "a setting of an MCP server")
    _check_kind(name, reader)
    args = reader.texts("args")
    env = reader.secrets("env", _VARIABLE_NAME)
    headers = reader.secrets("headers", HEADER_NAME)
    return ServerConfig(
        name=name,
        command=(reader.text("command"), *args) if "command" in table else (),
        url=_url(reader) if "url" in table else "",
        env=env,
        headers=headers,
        cwd=_folder(reader) if "cwd" in table else None,
        timeout_s=reader.seconds("timeout", 3600) if "timeout" in table else None,
        start_timeout_s=reader.seconds("start_timeout", 600)
        if "start_timeout" in table
        else START_TIMEOUT_S,
        disabled=bool(table.get("disabled", False)),
        place=reader.place.at(),
        problem=_problem(reader),
        written=json.dumps(table.get("env", {}), sort_keys=True),
    )


def _check_kind(name: str, reader: TableReader) -> None:
    table = reader.table
    transport = table.get("type")
    if ("command" in table) == ("url" in table):
        raise UsageError(f"{reader.place.at()}: {name} needs either a command or a url.")
    present, absent = ("command", "url") if "command" in table else ("url", "command")
    for key in ("headers",) if present == "command" else ("args", "env", "cwd"):
        if key in table:
            reader.refuse(key, f"has no effect with a {present}; it needs a {absent}")
    if transport == "sse":
        hint = "Ask the server's makers for its streamable HTTP address."
        reader.refuse("type", "names sse, an old transport that voicechat does not support", hint)
    if transport is not None and (not isinstance(transport, str) or transport not in _TYPES):
        reader.refuse("type", "must be stdio or http")
    if transport is not None and _TYPES[transport] not in table:
        reader.refuse("type", f"is {transport}, which needs a {_TYPES[transport]}")
    if not isinstance(table.get("disabled", False), bool):
        reader.refuse("disabled", "must be true or false")


def _problem(reader: TableReader) -> str:
    if not reader.missing:
        return ""
    verb = "is" if len(reader.missing) == 1 else "are"
    return f"{', '.join(reader.missing)} {verb} not set ({reader.place.at()})."


def _url(reader: TableReader) -> str:
    url = reader.text("url").strip()
    check_url(
        reader.place("url"),
        url,
        ("http://", "https://"),
        example="https://host/mcp",
        is_private=True,
    )
    return url


def _folder(reader: TableReader) -> Path:
    folder = Path(reader.text("cwd")).expanduser()
    if not folder.is_absolute():
        reader.refuse("cwd", "must be an absolute path", "Begin it with / or ~.")
    return folder


# ------------------------------------------------------------------------ the JSON file


def _parsed(file: ConfigFile) -> dict[str, Any]:
    """The file as JSON. Raises `UsageError`."""

    def refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                where = SettingPlace(file).at(name)
                raise UsageError(f"{where}: {clean(name)[:40]!r} appears twice.")
            found[name] = value
        return found

    if not file.text.strip():
        return {}
    try:
        found = json.loads(file.text, object_pairs_hook=refuse_repeated_keys)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{file.path}:{error.lineno} is not valid JSON: {error.msg.lower()}."
        ) from None
    except RecursionError:
        raise UsageError(f"{file.path} is nested too deeply.") from None
    if not isinstance(found, dict):
        raise UsageError(f"{file.path} must hold an object.", f'Write {{"{TABLE}": {{…}}}}.')
    for name in found:
        if name != TABLE:
            where = SettingPlace(file).at(name)
            raise UsageError(
                f"{where}: {clean(name)[:40]} is not a known key.", nearest(name, [TABLE])
            )
    return found


def add(path: Path, name: str, entry: Mapping[str, object], look_up: LookUp) -> ServerConfig:
    """Add a server to an `mcp.json` and keep the others; the server as it will be read.

    Raises `UsageError` when the entry is wrong or the name is taken.
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"{clean(name)[:40]!r} is not a valid name of a server.",
            "Use up to 40 letters, digits, dots, hyphens and underscores.",
        )
    with _locked(path):
        file = ConfigFile(path, *read_text(path))
        found = _parsed(file)
        table = found.setdefault(TABLE, {})
        if isinstance(table, dict) and name in table:
            raise UsageError(
                f"There is already an MCP server {name!r}.", f"Type: voicechat mcp remove {name}"
            )
        servers(file, table, look_up)
        table[name] = dict(entry)
        text = _encoded(found)
        servers(ConfigFile(path, text), {name: dict(entry)}, look_up)
        write_private(path, text.encode("utf-8"))
        written = ConfigFile(path, *read_text(path))
        return servers(written, {name: dict(entry)}, look_up)[0]


def remove(path: Path, name: str) -> bool:
    """Remove a server from an `mcp.json`; False when it is not there."""
    with _locked(path):
        found = _parsed(ConfigFile(path, *read_text(path)))
        table = found.get(TABLE)
        if not isinstance(table, dict) or table.pop(name, None) is None:
            return False
        write_private(path, _encoded(found).encode("utf-8"))
    return True


def _encoded(found: Mapping[str, object]) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a file while it is changed. Raises `UsageError` when it cannot be written."""
    try:
        with locked(path):
            yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
