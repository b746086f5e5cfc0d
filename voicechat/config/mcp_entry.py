"""One MCP server of the user's files: its keys, and those that other programs write.

A key that means the same here under another name is read, a key that has no effect here gives a
warning, and a server that cannot work here gets a `problem`. Only a mistake is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from voicechat.config.mcp_server import START_TIMEOUT_S, ServerConfig
from voicechat.config.setting_place import similar
from voicechat.config.table_reader import HEADER_NAME, TableReader
from voicechat.config.url_check import check_url
from voicechat.config.variables import has_references
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError

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

ALIASES = {
    "transport": "type",
    "transportType": "type",
    "serverUrl": "url",
    "httpUrl": "url",
    "workingDirectory": "cwd",
    "working_directory": "cwd",
    "environment": "env",
    "startup_timeout_sec": "start_timeout",
    "tool_timeout_sec": "timeout",
}
"""Keys of other programs that mean the same."""

_APPROVALS = {"autoApprove", "alwaysAllow", "trust"}
_CHOICES = {
    "tools", "includeTools", "excludeTools", "enabledTools", "disabledTools", "enabled_tools",
    "disabled_tools",
}  # fmt: skip
_SILENT = {
    "description", "name", "displayName", "icon", "iconUrl", "version", "gallery", "metadata",
    "source", "dev",
}  # fmt: skip
"""Keys of other programs without a meaning for a conversation."""

_KINDS = {
    "stdio": "command", "local": "command", "http": "url", "streamable-http": "url",
    "streamableHttp": "url", "streamable_http": "url", "streamableHTTP": "url", "remote": "url",
}  # fmt: skip

_MOST_SECONDS = 3600

_VARIABLE_NAME = r"[^\s=\0:]+"

Warn = Callable[[str, str], None]


def read_entry(name: str, reader: TableReader, warn: Warn) -> ServerConfig:
    """The server of one table. Raises `UsageError` for a mistake.

    warn: called with the place of a key that has no effect, and a sentence about it.
    """
    if not name.strip() or clean(name) != name or len(name) > 40 or "\n" in name:
        raise UsageError(
            f"{reader.place.at()}: {clean(name)[:40]!r} is not a valid name of a server."
        )
    _translate(reader, warn)
    problem = _check_kind(name, reader)
    table = reader.table
    command = (reader.text("command"), *reader.texts("args")) if "command" in table else ()
    program = _filled(reader, command)
    hint = " Write $$ for a dollar sign." if reader.references.missing else ""
    env = reader.secrets("env", _VARIABLE_NAME)
    headers = reader.secrets("headers", HEADER_NAME)
    url, address = _url(reader) if "url" in table else ("", None)
    return ServerConfig(
        name=name,
        command=command,
        program=program,
        url=url,
        address=address,
        env=env,
        headers=headers,
        cwd=_folder(reader) if "cwd" in table else None,
        timeout_s=_timeout(reader, warn) if "timeout" in table else None,
        start_timeout_s=reader.seconds("start_timeout", 600)
        if "start_timeout" in table
        else START_TIMEOUT_S,
        disabled=bool(table.get("disabled", False)),
        place=reader.place.at(),
        problem=problem or _unset(reader, hint),
        written=json.dumps(table.get("env", {}), sort_keys=True),
    )


# ----------------------------------------------------------------- keys of other programs


def _translate(reader: TableReader, warn: Warn) -> None:
    """Rename the keys of other programs, and drop those that have no effect with a warning."""
    table = dict(reader.table)
    for alias, key in ALIASES.items():
        if alias in table:
            table.setdefault(key, table.pop(alias))
    if isinstance(table.get("enabled"), bool):
        table.setdefault("disabled", not table.pop("enabled"))
    command = table.get("command")
    if isinstance(command, list) and command:
        more = table.get("args")
        args = [*command[1:], *(more if isinstance(more, list) else [])]
        table |= {"command": command[0], "args": args}
    for key in [key for key in table if key not in KEYS]:
        if key not in _SILENT:
            _warn_about(key, reader, warn)
        del table[key]
    reader.table = table


def _warn_about(key: str, reader: TableReader, warn: Warn) -> None:
    """Warn that a key has no effect. Raises `UsageError` for one that is a slip of the pen."""
    name = clean(key)[:40]
    if key in _APPROVALS:
        remedy = "voicechat asks before a tool runs. Allow tools under [permissions]."
    elif key in _CHOICES:
        remedy = "Every tool is offered. Exclude tools under [permissions] with “never”."
    elif key == "envFile":
        remedy = "Write its variables under env."
    elif similar(key, KEYS):
        raise reader.place.unknown(name, list(KEYS), "a setting of an MCP server")
    else:
        remedy = "It is not a setting of an MCP server."
    warn(reader.place.at(key), f"{name} has no effect here. {remedy}")


def _timeout(reader: TableReader, warn: Warn) -> float:
    """The seconds for a call; some programs write milliseconds."""
    value = reader.table["timeout"]
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= _MOST_SECONDS:
        return reader.seconds("timeout", _MOST_SECONDS)
    if value > _MOST_SECONDS * 1000:
        reader.refuse("timeout", f"must be between 1 and {_MOST_SECONDS} seconds")
    sentence = f"timeout is read as {value / 1000:g} seconds. Write seconds, at most 3600."
    warn(reader.place.at("timeout"), sentence)
    return value / 1000


# ----------------------------------------------------------------------------- the values


def _check_kind(name: str, reader: TableReader) -> str:
    """Check that the keys fit together; the reason why such a server cannot work here, or ""."""
    table = reader.table
    transport = table.get("type")
    if ("command" in table) == ("url" in table):
        raise UsageError(f"{reader.place.at()}: {name} needs either a command or a url.")
    present, absent = ("command", "url") if "command" in table else ("url", "command")
    for key in ("headers",) if present == "command" else ("args", "env", "cwd"):
        if key in table:
            reader.refuse(key, f"has no effect with a {present}; it needs a {absent}")
    if not isinstance(table.get("disabled", False), bool):
        reader.refuse("disabled", "must be true or false")
    if transport is None:
        return ""
    if not isinstance(transport, str):
        reader.refuse("type", "must be stdio or http")
    if transport not in _KINDS:
        shown = clean(transport)[:40]
        if transport == "sse":
            shown = "sse, an old transport"
        return (
            f"Its type is {shown}, which voicechat does not support ({reader.place.at('type')})."
            " Use its streamable HTTP address, and type http."
        )
    if _KINDS[transport] not in table:
        reader.refuse("type", f"is {transport}, which needs a {_KINDS[transport]}")
    return ""


def _unset(reader: TableReader, hint: str) -> str:
    """The sentence about references without a value, or ""."""
    missing, unknown = reader.references.missing, reader.references.unknown
    if unknown:
        shown = clean(unknown[0])[:60]
        return (
            f"{shown} has no meaning here ({reader.place.at()})."
            " Write ${NAME} for an environment variable, $$ for a dollar sign."
        )
    if not missing:
        return ""
    verb = "is" if len(missing) == 1 else "are"
    return f"{', '.join(missing)} {verb} not set ({reader.place.at()}).{hint}"


def _filled(reader: TableReader, words: tuple[str, ...]) -> tuple[Secret, ...]:
    """The words with their references replaced; none when there are no references."""
    if not any(map(has_references, words)):
        return ()
    return tuple(map(reader.references.filled, words))


def _url(reader: TableReader) -> tuple[str, Secret | None]:
    """The address as written, and with its references replaced if it has some."""
    url = reader.text("url").strip()
    references = reader.references
    before = len(references.missing) + len(references.unknown)
    address = references.filled(url) if has_references(url) else None
    if len(references.missing) + len(references.unknown) == before:
        check_url(
            reader.place("url"),
            address.reveal() if address else url,
            ("http://", "https://"),
            example="https://host/mcp",
            is_private=True,
            may_hold_key=True,
        )
    return url, address


def _folder(reader: TableReader) -> Path:
    text = reader.text("cwd")
    missing = len(reader.references.missing)
    folder = Path(reader.references.filled(text).reveal()).expanduser()
    if not folder.is_absolute() and len(reader.references.missing) == missing:
        reader.refuse("cwd", "must be an absolute path", "Begin it with / or ~.")
    return folder
