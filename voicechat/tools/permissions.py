"""Permissions of tools: from the settings, from stored approvals, from the tool itself.

    permission  =  the settings file's [permissions], by name
                   else `auto` when the user always allows this exact tool
                   else the tool's initial permission

Approvals are stored in one small file by the tool's fingerprint: a tool whose source, description
or parameters changed is another tool and asks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import platformdirs

from voicechat.core.settings import Permission, ToolSpec
from voicechat.core.text import clean
from voicechat.system.private_files import locked, read_private, write_private
from voicechat.tools.registry import Tool

LARGEST = 1 << 20
"""Bytes of the file."""

MOST = 1_000
"""Approvals that are stored; the oldest is dropped first."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A tool that the user always allows."""

    name: str
    source: str
    fingerprint: str


def approvals_path() -> Path:
    """Return the path of the approvals, which need not exist."""
    return platformdirs.user_state_path("voicechat", appauthor=False) / "approvals.json"


class Approvals:
    """The tools that the user always allows, on disk.

    The file is read at construction and before every change, so that an approval revoked by
    another process stays revoked. A file that is missing, broken or writable by others approves
    nothing.
    """

    def __init__(self, path: Path | None = None, wait_s: float = 1.0) -> None:
        """Read the file. `path` is `approvals_path()` by default.

        wait_s: seconds to wait for another process that changes the file.
        """
        self._wait_s = wait_s
        self._path = path or approvals_path()
        self._kept = _read(self._path)

    def __iter__(self) -> Iterator[Approval]:
        return iter(tuple(self._kept.values()))

    def allows(self, tool: Tool) -> bool:
        """Return True when the user always allows exactly this tool."""
        return not tool.asks_always and tool.fingerprint in self._kept

    def allow(self, tool: Tool) -> bool:
        """Always allow exactly this tool; returns False for one that must ask each time.

        Raises `OSError` when it cannot be stored; it then applies to this session only.
        """
        if tool.asks_always:
            return False
        found = Approval(tool.spec.name, tool.source, tool.fingerprint)
        self._kept[found.fingerprint] = found
        with locked(self._path, self._wait_s):
            self._kept = _read(self._path)
            self._kept.pop(found.fingerprint, None)
            self._kept[found.fingerprint] = found
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
            self._write()
        return True

    def revoke(self, name: str) -> bool:
        """Ask again for every tool of this name; returns False when none was always allowed.

        Raises `OSError` when it cannot be stored.
        """
        with locked(self._path, self._wait_s):
            found = _read(self._path)
            left = {key: kept for key, kept in found.items() if kept.name != name}
            if len(left) == len(found):
                return False
            self._kept = left
            self._write()
        return True

    def _write(self) -> None:
        write_private(self._path, msgspec.json.encode(list(self._kept.values())))


def _read(path: Path) -> dict[str, Approval]:
    """Read the approvals by fingerprint."""
    try:
        found = msgspec.json.decode(read_private(path, LARGEST), type=list[Approval])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {
        one.fingerprint: Approval(clean(one.name), clean(one.source), one.fingerprint)
        for one in found[-MOST:]
    }


def effective(tool: Tool, wanted: Mapping[str, Permission], approvals: Approvals) -> Permission:
    """Return the permission of a tool. wanted: permissions in the settings file, by name."""
    permission = wanted.get(tool.spec.name)
    if permission is None:
        permission = Permission.AUTO if approvals.allows(tool) else tool.spec.permission
    if permission is Permission.AUTO and tool.asks_always:
        return Permission.ASK
    return permission


def permitted(
    tools: Iterable[Tool], wanted: Mapping[str, Permission], approvals: Approvals
) -> tuple[ToolSpec, ...]:
    """Return the specs for the conversation, each with its permission and source."""
    return tuple(
        replace(
            tool.spec,
            permission=effective(tool, wanted, approvals),
            source=tool.source,
            asks_always=tool.asks_always,
        )
        for tool in tools
    )
