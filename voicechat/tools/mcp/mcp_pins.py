"""Pins of MCP servers: the commands that the user allowed, and the definitions of tools.

A definition is pinned when it is first seen. When it changes, the user sees the difference, and
the tool asks for every call until the user allows it again.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from voicechat.config.mcp_server import ServerConfig
from voicechat.system.private_files import read_private, write_private
from voicechat.tools.mcp.mcp_text import Definition

LARGEST = 64 << 20
"""Bytes of the file."""

MOST = 500
"""Definitions of one server that are kept; the oldest is dropped first."""


class _Pin(msgspec.Struct, frozen=True):
    description: str
    parameters: dict[str, object]


class _Known(msgspec.Struct):
    """Of one server."""

    leave: str = ""
    """`ServerConfig.leave` of the command that may run."""
    tools: dict[str, _Pin] = {}
    """Definitions by the server's own names."""


def pins_path() -> Path:
    """Return the path of the pins, which need not exist."""
    import platformdirs

    return platformdirs.user_state_path("voicechat", appauthor=False) / "mcp-seen.json"


class Pins:
    """The pins on disk, read at construction and before every change.

    With a file that is missing, broken or writable by others, everything is new and asks. A change
    that cannot be stored applies to this session only.
    """

    def __init__(self, path: Path | None = None) -> None:
        """`path` is `pins_path()` unless said otherwise."""
        self._path = path or pins_path()
        self._known = self._read()

    def may_run(self, config: ServerConfig) -> bool:
        """Return True when the user allowed exactly this command, or it is an address."""
        return bool(config.url) or self._of(config.name).leave == config.leave

    def let_run(self, config: ServerConfig) -> None:
        """Allow this command from now on."""
        self._change(config.name).leave = config.leave
        self._write()

    def tools(self, server: str) -> tuple[str, ...]:
        """Return the pinned tools of a server, by the server's own names."""
        return tuple(self._of(server).tools)

    def differences(self, server: str, found: Iterable[Definition]) -> dict[str, str]:
        """Describe each definition that differs from its pin, by the server's own names.

        New definitions are pinned.
        """
        pinned = self._of(server).tools
        found = list(found)
        new = [each for each in found if each.name not in pinned]
        if new:
            known = self._change(server).tools
            known |= {each.name: _pin(each) for each in new}
            while len(known) > MOST:
                del known[next(iter(known))]
            self._write()
        return {
            each.name: difference(old, _pin(each))
            for each in found
            if (old := pinned.get(each.name)) is not None and old != _pin(each)
        }

    def accept(self, server: str, found: Definition) -> None:
        """Pin a changed definition after the user saw the difference and allowed it."""
        self._change(server).tools[found.name] = _pin(found)
        self._write()

    def forget(self, server: str) -> None:
        """Delete the pins of a server that is no longer configured."""
        self._known = self._read() | self._known
        if self._known.pop(server, None) is not None:
            self._write()

    def _of(self, server: str) -> _Known:
        return self._known.get(server) or _Known()

    def _change(self, server: str) -> _Known:
        """Return this server's entry to change, after reading the changes of other processes."""
        self._known = self._read() | self._known
        return self._known.setdefault(server, _Known())

    def _read(self) -> dict[str, _Known]:
        try:
            return msgspec.json.decode(read_private(self._path, LARGEST), type=dict[str, _Known])
        except (OSError, msgspec.MsgspecError):
            return {}

    def _write(self) -> None:
        with suppress(OSError):
            write_private(self._path, msgspec.json.encode(self._known))


def _pin(found: Definition) -> _Pin:
    return _Pin(found.description, found.parameters)


# ------------------------------------------------------------------------- the difference


def difference(old: _Pin, new: _Pin) -> str:
    """Describe how two definitions of a tool differ, one line per place."""
    before, after = dict(_places(old)), dict(_places(new))
    lines = []
    for place in [*before, *(place for place in after if place not in before)]:
        was, now = before.get(place), after.get(place)
        if was == now:
            continue
        if was is None:
            lines.append(f"{place} is new: {_short(now or '')}")
        elif now is None:
            lines.append(f"{place} is gone: {_short(was)}")
        else:
            lines.append(f"{place}: {_changed(was, now)}")
    return "\n".join(lines)


def _places(pin: _Pin) -> Iterator[tuple[str, str]]:
    yield "description", pin.description
    yield from _below("", pin.parameters)


def _below(place: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield every text, number and list of a schema with its path."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            skipped = name == "properties" and isinstance(inner, Mapping)
            yield from _below(place if skipped else f"{place} {name}".strip(), inner)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield place or "parameters", text


_CONTEXT = 4
"""Words around a change that are shown."""


def _changed(was: str, now: str) -> str:
    """Describe the difference of two texts word by word, with some context for long ones."""
    if len(was) + len(now) <= 160:
        return f"{was!r} became {now!r}"
    old, new = was.split()[:1_000], now.split()[:1_000]
    found = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        before = " ".join(old[max(0, a - _CONTEXT) : a])
        gone, come = " ".join(old[a:b]), " ".join(new[c:d])
        found.append(f"after {before!r}: {gone!r} became {come!r}")
    return _short("; ".join(found) or "changed further on", 2_000)


def _short(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
