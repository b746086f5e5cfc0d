"""MCP servers in the user's files: the common `mcpServers` shape, as JSON and in the settings.

    mcp.json        {"mcpServers": {"files": {"command": "npx", "args": ["-y", "…"]},
                                    "search": {"url": "https://…", "headers": {"…": "$TOKEN"}}}}
    config.toml     [mcpServers.files]
                    command = "npx"

An `mcp.json` may also call the table `servers`. An error names the file, the line and the nearest
right name. `mcp_entry` reads one server, `variables` replaces references such as `$NAME`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voicechat.config.mcp_entry import read_entry
from voicechat.config.mcp_server import ServerConfig
from voicechat.config.setting_place import ConfigFile, SettingPlace, similar
from voicechat.config.table_reader import TableReader
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError
from voicechat.system.private_files import locked, read_text, write_private

TABLE = "mcpServers"

_TABLES = (TABLE, "servers")
"""Names of the table in an `mcp.json`."""

_SILENT = {"inputs", "$schema"}
"""Keys of other programs without a meaning for a conversation."""

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}"
"""A name that needs no quotes on a command line and in the settings file."""

LookUp = Mapping[str, str | Secret]


class Warnings:
    """Warnings about keys that have no effect: one for each sentence and file."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], str] = {}

    def __call__(self, place: str, sentence: str) -> None:
        """Add a warning about a place."""
        self._places.setdefault((place.rpartition(":")[0], sentence), place)

    def __iter__(self) -> Iterator[str]:
        return (f"{place}: {sentence}" for (_, sentence), place in self._places.items())


def read_json(path: Path, look_up: LookUp, warn: Warnings) -> list[ServerConfig]:
    """The servers of an `mcp.json`; none when there is no such file.

    Raises `UsageError` for everything that is wrong with it, but not for a variable that is not
    set: then only that server cannot start.
    """
    file = ConfigFile(path, *read_text(path))
    if not file.status:
        return []
    found = _parsed(file, warn)
    return [
        server
        for name in _TABLES
        if name in found
        for server in servers(file, found[name], look_up, warn, name)
    ]


def servers(
    file: ConfigFile,
    table: object,
    look_up: LookUp,
    warn: Warnings | None = None,
    table_name: str = TABLE,
) -> list[ServerConfig]:
    """The servers of a table `mcpServers`, read from either kind of file."""
    place = SettingPlace(file)
    if not isinstance(table, dict) or not all(isinstance(each, dict) for each in table.values()):
        raise UsageError(f"{place(table_name)} must hold a table for each server.")
    warn = Warnings() if warn is None else warn
    return [
        read_entry(name, TableReader(place.table(table_name).below(name), each, look_up), warn)
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


# ------------------------------------------------------------------------ the JSON file


def _parsed(file: ConfigFile, warn: Warnings | None = None) -> dict[str, Any]:
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
    _check_names(file, found, warn)
    return found


def _check_names(file: ConfigFile, found: Iterable[str], warn: Warnings | None) -> None:
    """Warn about keys of other programs. Raises `UsageError` for a name that is almost right."""
    for name in found:
        if name not in _TABLES and name not in _SILENT:
            where, shown = SettingPlace(file).at(name), clean(name)[:40]
            if hint := similar(name, _TABLES):
                raise UsageError(f"{where}: {shown} is not a known key.", hint)
            if warn is not None:
                warn(where, f"{shown} has no effect here. Only {TABLE} is read.")


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
        written = next((key for key in _TABLES if key in found), TABLE)
        table = found.setdefault(written, {})
        if any(name in found[key] for key in _TABLES if isinstance(found.get(key), dict)):
            raise UsageError(
                f"There is already an MCP server {name!r}.", f"Type: voicechat mcp remove {name}"
            )
        servers(file, table, look_up, table_name=written)
        table[name] = dict(entry)
        text = _encoded(found)
        servers(ConfigFile(path, text), {name: dict(entry)}, look_up)
        write_private(path, text.encode("utf-8"))
        stored = ConfigFile(path, *read_text(path))
        return servers(stored, {name: dict(entry)}, look_up, table_name=written)[0]


def remove(path: Path, name: str) -> bool:
    """Remove a server from an `mcp.json`; False when it is not there."""
    with _locked(path):
        found = _parsed(ConfigFile(path, *read_text(path)))
        tables = [found[key] for key in _TABLES if isinstance(found.get(key), dict)]
        if not [table for table in tables if table.pop(name, None) is not None]:
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
