"""MCP servers in the person's files: the common `mcpServers` shape, as JSON and in the settings.

    mcp.json        {"mcpServers": {"files": {"command": "npx", "args": ["-y", "…"]},
                                    "search": {"url": "https://…", "headers": {"…": "$TOKEN"}}}}
    config.toml     [mcpServers.files]
                    command = "npx"

An error names the file, the line and the nearest right name. Values of `env` and `headers` are
`Secret` from the moment they are read; `$NAME`, `${NAME}` and `${env:NAME}` in them stand for a
variable of the environment or a key of the settings file, `$$` for a dollar.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from voicechat.config.mcp_server import ServerConfig
from voicechat.config.session_keys import nearest
from voicechat.config.variables import REFERENCE, References
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError
from voicechat.system.loopback import is_loopback
from voicechat.system.private_files import read_text, refuse_strangers, write_private

TABLE = "mcpServers"

KEYS = ("command", "args", "env", "cwd", "url", "headers", "type", "disabled", "timeout")

_TYPES = {
    "stdio": "command", "http": "url", "streamable-http": "url", "streamableHttp": "url",
    "streamable_http": "url",
}  # fmt: skip


LookUp = Mapping[str, str | Secret]


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that servers are read from."""

    path: Path
    text: str
    status: os.stat_result | None = field(compare=False)
    """None for one that is only about to be written."""

    def keep_private(self) -> None:
        """There may be keys in it."""
        if self.status is not None:
            refuse_strangers(self.path, self.status)

    def place(self, *names: str) -> str:
        """How an error names the key that these names lead to."""
        start = 0
        for name in names:
            pattern = rf"(?<![\w-])[\"']?{re.escape(name)}[\"']?\s*[:=.\]]"
            found = re.compile(pattern).search(self.text, start)
            start = found.end() if found else start
        line = self.text.count("\n", 0, start) + 1
        return f"{self.path}:{line}"


def read_json(path: Path, look_up: LookUp) -> list[ServerConfig]:
    """The servers of an `mcp.json`; none when there is no such file.

    Raises `UsageError` for everything that is wrong with it, but not for a variable that is not
    set: only that server cannot be started then.
    """
    text, status = read_text(path)
    if status is None:
        return []
    origin = Origin(path, text, status)
    return servers(origin, _parsed(origin).get(TABLE, {}), look_up)


def servers(origin: Origin, table: object, look_up: LookUp) -> list[ServerConfig]:
    """The servers of a table `mcpServers`, read from either kind of file."""
    if not isinstance(table, dict) or not all(isinstance(each, dict) for each in table.values()):
        raise UsageError(f"{origin.place(TABLE)}: {TABLE} must hold a table for each server.")
    return [_Reader(origin, name, each, look_up).read() for name, each in table.items()]


def unlike(found: Iterable[ServerConfig]) -> tuple[ServerConfig, ...]:
    """These servers. Raises `UsageError` when the tools of two would have the same names."""
    known: dict[str, ServerConfig] = {}
    for server in found:
        other = known.setdefault(server.spaced.lower(), server)
        if other is not server:
            raise UsageError(
                f"{server.place}: {server.name!r} and {other.name!r} of {other.place} would offer"
                " tools of the same names.",
                "Rename or remove one.",
            )
    return tuple(known.values())


class _Reader:
    """Reads one server's table."""

    def __init__(
        self, origin: Origin, name: str, table: Mapping[str, object], look_up: LookUp
    ) -> None:
        self._origin = origin
        self._name = name
        self._table = table
        self._references = References(look_up)

    def read(self) -> ServerConfig:
        """The server. Raises `UsageError`."""
        name, table = self._name, self._table
        if not name.strip() or clean(name) != name or len(name) > 40 or "\n" in name:
            raise UsageError(f"{self._origin.place(TABLE)}: {name[:40]!r} cannot name a server.")
        for key in table:
            if key not in KEYS:
                self._refuse(key, "is not a setting of an MCP server.", nearest(key, list(KEYS)))
        self._check_kind()
        args = self._texts("args")
        command = (self._text("command"), *args) if "command" in table else ()
        env, headers = self._secrets("env"), self._secrets("headers")
        return ServerConfig(
            name=name,
            command=command,
            url=self._url() if "url" in table else "",
            env=env,
            headers=headers,
            cwd=self._folder() if "cwd" in table else None,
            timeout_s=self._seconds() if "timeout" in table else None,
            disabled=bool(table.get("disabled", False)),
            place=self._origin.place(TABLE, name),
            problem=self._problem(),
            written=json.dumps(table.get("env", {}), sort_keys=True),
        )

    def _check_kind(self) -> None:
        table = self._table
        kind = table.get("type")
        if ("command" in table) == ("url" in table):
            raise UsageError(
                f"{self._origin.place(TABLE, self._name)}: {self._name} needs a command or a url,"
                " and not both."
            )
        other = ("headers",) if "command" in table else ("args", "env", "cwd")
        for key in other:
            if key in table:
                self._refuse(key, f"means nothing beside {'url' if 'url' in table else 'command'}.")
        if kind == "sse":
            hint = "Ask the server's makers for its streamable HTTP address."
            self._refuse("type", "sse is the transport of before and not spoken.", hint)
        if kind is not None and (not isinstance(kind, str) or kind not in _TYPES):
            self._refuse("type", "must be stdio or http.")
        if kind is not None and _TYPES[kind] not in table:
            self._refuse("type", f"{kind} goes with {_TYPES[kind]}.")
        if not isinstance(table.get("disabled", False), bool):
            self._refuse("disabled", "must be true or false.")

    def _text(self, key: str) -> str:
        value = self._table[key]
        if not isinstance(value, str) or not value.strip() or _steers(value):
            self._refuse(key, "must be text in quotes.")
        return value

    def _texts(self, key: str) -> list[str]:
        value = self._table.get(key, [])
        if not isinstance(value, list) or any(
            not isinstance(each, str) or _steers(each) for each in value
        ):
            self._refuse(key, "must be a list of texts in quotes.")
        return value

    def _secrets(self, key: str) -> dict[str, Secret]:
        value = self._table.get(key, {})
        if not isinstance(value, dict) or any(not isinstance(v, str) for v in value.values()):
            self._refuse(key, "must be a table of texts in quotes.")
        for name, text in value.items():
            token = r"[^\s=\0:]+" if key == "env" else r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
            if not re.fullmatch(token, name) or _steers(text) or "\n" in text:
                self._refuse(key, f"holds {clean(name)[:40]!r}, which cannot be sent.")
        if any(REFERENCE.sub("", text).strip() for text in value.values()):
            # Not only references: what is written there may be a key.
            self._origin.keep_private()
        return {name: self._references.filled(text) for name, text in value.items()}

    def _problem(self) -> str:
        if not self._references.missing:
            return ""
        names = ", ".join(f"${name}" for name in self._references.missing)
        is_or_are = "is" if len(self._references.missing) == 1 else "are"
        return f"{names} {is_or_are} not set ({self._origin.place(TABLE, self._name)})."

    def _url(self) -> str:
        value = self._text("url").strip()
        try:
            parts = urlsplit(value)
            scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
            sound = scheme in {"http", "https"} and bool(host) and parts.port != 0
        except ValueError:
            self._refuse("url", "must be an address like https://host/mcp.")
        if not sound or "\n" in value:
            self._refuse("url", "must be an address like https://host/mcp.")
        if parts.username or parts.password:
            self._refuse("url", "must not hold a password.", "Write it as a header instead.")
        if scheme == "http" and not is_loopback(host):
            self._refuse("url", "must begin with https:// unless it is on this machine.")
        return value

    def _folder(self) -> Path:
        folder = Path(self._text("cwd")).expanduser()
        if not folder.is_absolute():
            self._refuse("cwd", "must be a whole path.", "Begin it with / or ~.")
        return folder

    def _seconds(self) -> float:
        value = self._table["timeout"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 3600:
            self._refuse("timeout", "must be between 1 and 3600 seconds.")
        return float(value)

    def _refuse(self, key: str, says: str, hint: str = "") -> NoReturn:
        where = self._origin.place(TABLE, self._name, key)
        raise UsageError(f"{where}: {clean(self._name)}.{clean(key)[:40]} {says}", hint)


def _steers(text: str) -> bool:
    """Whether the text would look other than it is: controls, bidi marks, invisible letters."""
    return clean(text) != text


# ------------------------------------------------------------------------ the JSON file


def _parsed(origin: Origin) -> dict[str, Any]:
    """The file as JSON. Raises `UsageError`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise UsageError(f"{origin.place(name)}: {clean(name)[:40]!r} is there twice.")
            found[name] = value
        return found

    if not origin.text.strip():
        return {}
    try:
        found = json.loads(origin.text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{origin.path}:{error.lineno} is not valid JSON: {error.msg.lower()}."
        ) from None
    except RecursionError:
        raise UsageError(f"{origin.path} is nested too deeply.") from None
    if not isinstance(found, dict):
        raise UsageError(f"{origin.path} must hold an object.", f'Write {{"{TABLE}": {{…}}}}.')
    for name in found:
        if name != TABLE:
            place = origin.place(name)
            raise UsageError(f"{place}: {clean(name)[:40]} is not known.", nearest(name, [TABLE]))
    return found


def add(path: Path, name: str, entry: Mapping[str, object], look_up: LookUp) -> ServerConfig:
    """Write a server into an `mcp.json`; what was there stays. The server as it will be read.

    Raises `UsageError` when the entry is wrong or the name is taken.
    """
    text, status = read_text(path)
    found = _parsed(Origin(path, text, status))
    table = found.setdefault(TABLE, {})
    if isinstance(table, dict) and name in table:
        raise UsageError(
            f"There is an MCP server {name!r} already.", f"Type: voicechat mcp remove {name}"
        )
    servers(Origin(path, text, status), table, look_up)
    table[name] = dict(entry)
    written = _written(found)
    made = servers(Origin(path, written, None), {name: dict(entry)}, look_up)[0]
    _write(path, written)
    return made


def remove(path: Path, name: str) -> bool:
    """Take a server out of an `mcp.json`; False when it is not there."""
    text, status = read_text(path)
    found = _parsed(Origin(path, text, status))
    table = found.get(TABLE)
    if not isinstance(table, dict) or table.pop(name, None) is None:
        return False
    _write(path, _written(found))
    return True


def _written(found: Mapping[str, object]) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        write_private(path, text.encode("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
