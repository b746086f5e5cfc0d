"""Pins of MCP servers: the commands that the user allowed, and the definitions of tools.

A definition is pinned when it is first seen. When it changes, the user sees the difference, and
the tool asks for every call until the user allows it again.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from voicechat.config.mcp_server import ServerConfig
from voicechat.system.private_files import locked, read_private, write_private
from voicechat.tools.mcp.mcp_text import Definition

MAX_BYTES = 64 << 20
"""Bytes of the file."""

MAX_DEFINITIONS = 500
"""Definitions of one server that are kept; the oldest is dropped first."""


class _Pin(msgspec.Struct, frozen=True):
    description: str
    parameters: dict[str, object]


class _ServerPins(msgspec.Struct):
    """The pins of one server."""

    fingerprint: str = msgspec.field(default="", name="leave")
    """`ServerConfig.fingerprint` of the command that may run."""
    tools: dict[str, _Pin] = {}
    """Definitions by the server's own names."""


def pins_path() -> Path:
    """Return the path of the pins, which need not exist."""
    import platformdirs

    return platformdirs.user_state_path("voicechat", appauthor=False) / "mcp-seen.json"


class Pins:
    """The pins on disk, read at construction and before every change, under a lock.

    With a file that is missing, broken or writable by others, everything is new and asks. A change
    that cannot be stored applies to this session only.
    """

    def __init__(self, path: Path | None = None, wait_s: float = 1.0) -> None:
        """Read the file. `path` is `pins_path()` by default.

        wait_s: seconds to wait for another process that changes the file.
        """
        self._path = path or pins_path()
        self._wait_s = wait_s
        self._known = self._read()
        self._all_stored = True

    def allows(self, config: ServerConfig) -> bool:
        """Return True when the user allowed exactly this command, or it is an address."""
        return bool(config.url) or self._pins_of(config.name).fingerprint == config.fingerprint

    def allow(self, config: ServerConfig) -> None:
        """Allow this command from now on."""

        def change(known: dict[str, _ServerPins]) -> None:
            known.setdefault(config.name, _ServerPins()).fingerprint = config.fingerprint

        self._edit(change)

    def tools(self, server: str) -> tuple[str, ...]:
        """Return the pinned tools of a server, by the server's own names."""
        return tuple(self._pins_of(server).tools)

    def differences(self, server: str, found: Iterable[Definition]) -> dict[str, str]:
        """Describe each definition that differs from its pin, by the server's own names.

        New definitions are pinned.
        """
        found = list(found)
        if any(each.name not in self._pins_of(server).tools for each in found):
            self._edit(lambda known: _pin_new(known, server, found))
        pinned = self._pins_of(server).tools
        return {
            each.name: difference(old, _pin(each))
            for each in found
            if (old := pinned.get(each.name)) is not None and old != _pin(each)
        }

    def accept(self, server: str, found: Definition) -> None:
        """Pin a changed definition after the user saw the difference and allowed it."""

        def change(known: dict[str, _ServerPins]) -> None:
            known.setdefault(server, _ServerPins()).tools[found.name] = _pin(found)

        self._edit(change)

    def forget(self, server: str) -> None:
        """Delete the pins of a server that is no longer configured."""
        self._edit(lambda known: known.pop(server, None))

    def _pins_of(self, server: str) -> _ServerPins:
        return self._known.get(server) or _ServerPins()

    def _edit(self, change: Callable[[dict[str, _ServerPins]], object]) -> None:
        """Apply a change to the newest contents of the file, or to this session only."""
        try:
            with locked(self._path, self._wait_s):
                known = self._read()
                if not self._all_stored:
                    known |= self._known
                change(known)
                write_private(self._path, msgspec.json.encode(known))
        except OSError:
            change(self._known)
            self._all_stored = False
        else:
            self._known = known
            self._all_stored = True

    def _read(self) -> dict[str, _ServerPins]:
        try:
            return msgspec.json.decode(
                read_private(self._path, MAX_BYTES), type=dict[str, _ServerPins]
            )
        except (OSError, msgspec.MsgspecError):
            return {}


def _pin(found: Definition) -> _Pin:
    return _Pin(found.description, found.parameters)


def _pin_new(known: dict[str, _ServerPins], server: str, found: Iterable[Definition]) -> None:
    """Pin the definitions of this server that have no pin; drop the oldest above the limit."""
    tools = known.setdefault(server, _ServerPins()).tools
    for each in found:
        tools.setdefault(each.name, _pin(each))
    while len(tools) > MAX_DEFINITIONS:
        del tools[next(iter(tools))]


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
        removed, added = " ".join(old[a:b]), " ".join(new[c:d])
        found.append(f"after {before!r}: {removed!r} became {added!r}")
    return _short("; ".join(found) or "changed further on", 2_000)


def _short(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
