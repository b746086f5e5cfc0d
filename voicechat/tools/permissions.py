"""Permissions of tools: from the settings, from stored approvals, from the tool itself.

    permission  =  the settings file's [permissions], by name
                   else `auto` when the user always allows this exact tool
                   else the tool's initial permission
    of a call   =  the rule that covers its arguments (`permission_rules`), else the above

Approvals are stored in one small file by the tool's fingerprint: a tool whose source, description
or parameters changed is another tool and asks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import msgspec
import platformdirs

from voicechat.core.settings import Permission, PermissionRule, ToolSpec
from voicechat.core.text import clean
from voicechat.system.private_files import locked, read_private, write_private
from voicechat.tools.permission_rules import ArgumentRules, is_allowed_pattern
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
    pattern: str = ""
    """Of the calls that it covers; empty for all of them."""


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
        return not tool.asks_always and (tool.fingerprint, "") in self._kept

    def rules(self, tool: Tool) -> tuple[PermissionRule, ...]:
        """Return the patterns of calls of exactly this tool that the user always allows."""
        return tuple(
            PermissionRule(Permission.AUTO, (("", kept.pattern),), is_approved=True)
            for kept in self._kept.values()
            if kept.pattern and kept.fingerprint == tool.fingerprint
        )

    def allow(self, tool: Tool, pattern: str = "") -> bool:
        """Always allow exactly this tool; returns False for one that must ask each time.

        pattern: allow only calls of a shell line that match it.

        Raises `OSError` when it cannot be stored; it then applies to this session only.
        """
        if not (tool.command if pattern else not tool.asks_always):
            return False
        found = Approval(tool.spec.name, tool.source, tool.fingerprint, pattern)
        key = found.fingerprint, pattern
        self._kept[key] = found
        with locked(self._path, self._wait_s):
            self._kept = _read(self._path)
            self._kept.pop(key, None)
            self._kept[key] = found
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


def _read(path: Path) -> dict[tuple[str, str], Approval]:
    """Read the approvals by fingerprint and pattern."""
    try:
        found = msgspec.json.decode(read_private(path, LARGEST), type=list[Approval])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {
        (one.fingerprint, one.pattern): replace(one, name=clean(one.name), source=clean(one.source))
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


def ignored(
    tool: Tool, wanted: Permission | None, rules: tuple[PermissionRule, ...]
) -> Iterator[tuple[str, str]]:
    """Yield a sentence and a hint for each permission in the settings that has no effect."""
    if tool.asks_always and wanted is Permission.AUTO:
        hint = "Use “ask” or “never”."
        if tool.command:
            hint = f'Allow some commands: {tool.spec.name} = {{ auto = ["git status*"] }}.'
        yield "“auto” has no effect; this tool always asks.", hint
    for rule in rules:
        if not _is_effective(tool, rule):
            if tool.command:
                yield f"“{rule.shown}” has no effect.", "Begin it with the name of a program."
            else:
                yield f"“{rule.shown}” has no effect; this tool always asks.", ""
    names = ArgumentRules(rules, tool.spec.parameters).unknown_arguments()
    for name in names:
        yield f"{tool.spec.name} has no argument {name!r}.", "voicechat tools --json lists them."


def _is_effective(tool: Tool, rule: PermissionRule) -> bool:
    """Return True unless the rule allows calls of a tool that must ask."""
    if rule.permission is not Permission.AUTO or not tool.asks_always:
        return True
    patterns = [text for name, text in rule.patterns if name in {"", tool.command}]
    return bool(tool.command) and any(map(is_allowed_pattern, patterns))


def permitted(
    tools: Iterable[Tool],
    wanted: Mapping[str, Permission],
    approvals: Approvals,
    rules: Mapping[str, tuple[PermissionRule, ...]] = MappingProxyType({}),
) -> tuple[ToolSpec, ...]:
    """Return the specs for the conversation, each with its permission and source."""
    return tuple(
        replace(
            tool.spec,
            permission=effective(tool, wanted, approvals),
            source=tool.source,
            asks_always=tool.asks_always,
            remark=tool.remark,
            rules=_argument_rules(tool, rules.get(tool.spec.name, ()), approvals),
        )
        for tool in tools
    )


def _argument_rules(
    tool: Tool, wanted: tuple[PermissionRule, ...], approvals: Approvals
) -> ArgumentRules | None:
    """Return the rules for the arguments of a tool; None when it has none and offers none."""
    rules = tuple(rule for rule in (*wanted, *approvals.rules(tool)) if _is_effective(tool, rule))
    if not rules and not tool.command:
        return None
    return ArgumentRules(rules, tool.spec.parameters, tool.command)
