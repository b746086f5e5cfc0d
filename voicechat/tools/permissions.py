"""Who decides whether a tool runs: the person's settings, what they always allow, the tool itself.

    permission  =  the settings file's [permissions], by name
                   else `auto` where the person always allows this exact tool
                   else what the tool starts with

What is always allowed is kept in one small file, by the tool's fingerprint: a tool whose source,
description or parameters changed is another tool and asks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import platformdirs

from voicechat.core.settings import Permission, ToolSpec
from voicechat.core.text import clean
from voicechat.system.private_files import read_private, write_private
from voicechat.tools.registry import Tool

LARGEST = 1 << 20
"""Bytes of the file in which they are kept."""

MOST = 1_000
"""Approvals that are kept; the oldest makes room."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A tool that the person always allows."""

    name: str
    source: str
    fingerprint: str


def approvals_path() -> Path:
    """Where approvals are kept. The file need not exist."""
    return platformdirs.user_state_path("voicechat", appauthor=False) / "approvals.json"


class Approvals:
    """The tools that the person always allows, on disk.

    It is read when this is made and before every change, so that what was taken back elsewhere
    stays taken back. A file that is missing, broken or writable by others approves
    nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        """`path` is `approvals_path()` unless said otherwise."""
        self._path = path or approvals_path()
        self._kept = _read(self._path)

    def __iter__(self) -> Iterator[Approval]:
        return iter(tuple(self._kept.values()))

    def allows(self, tool: Tool) -> bool:
        """Whether the person always allows exactly this tool."""
        return not tool.asks_always and tool.fingerprint in self._kept

    def allow(self, tool: Tool) -> bool:
        """Always allow exactly this tool. False for one that must ask each time.

        Raises `OSError` when that cannot be written down; it is in force until the end then.
        """
        if tool.asks_always:
            return False
        found = Approval(tool.spec.name, tool.source, tool.fingerprint)
        self._kept = _read(self._path)
        self._kept.pop(found.fingerprint, None)
        self._kept[found.fingerprint] = found
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
        self._write()
        return True

    def revoke(self, name: str) -> bool:
        """Ask again for every tool of this name. False when none was always allowed.

        Raises `OSError` when that cannot be written down.
        """
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
    """What is kept, by fingerprint."""
    try:
        found = msgspec.json.decode(read_private(path, LARGEST), type=list[Approval])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {
        one.fingerprint: Approval(clean(one.name), clean(one.source), one.fingerprint)
        for one in found[-MOST:]
    }


def effective(tool: Tool, wanted: Mapping[str, Permission], approvals: Approvals) -> Permission:
    """Who decides on calls of this tool. `wanted` is what the settings file says, by name."""
    permission = wanted.get(tool.spec.name)
    if permission is None:
        permission = Permission.AUTO if approvals.allows(tool) else tool.spec.permission
    if permission is Permission.AUTO and tool.asks_always:
        return Permission.ASK
    return permission


def permitted(
    tools: Iterable[Tool], wanted: Mapping[str, Permission], approvals: Approvals
) -> tuple[ToolSpec, ...]:
    """The tools as a conversation is to know them: each with who decides, and its source."""
    return tuple(
        replace(
            tool.spec,
            permission=effective(tool, wanted, approvals),
            source=tool.source,
            asks_always=tool.asks_always,
        )
        for tool in tools
    )
