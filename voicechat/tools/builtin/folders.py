"""Files and folders, only below the folders that the user named.

A name is searched below each named folder. Links are resolved before the check, and an opened file
is checked again, so that a file swapped in between is refused. Hidden files are never read, because
they often hold keys and settings.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from voicechat.core.settings import Permission
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

POSITION = 50

MAX_BYTES = 60_000
"""Bytes of a file that are returned at a time."""

_MAX_NAMES = 300


class Folders:
    """The folders that the user named."""

    def __init__(self, folders: Sequence[Path]) -> None:
        found = []
        for folder in folders:
            with suppress(OSError):  # the working directory was deleted
                found.append(Path(os.path.realpath(folder.expanduser())))
        self._folders = tuple(found)

    def read_file(self, path: str, start: int = 0) -> str:
        """Read a text file of the user's. path: its name or path. start: from which byte on."""
        found = self._find(path)
        descriptor, status = self._open(found, path)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            problem = (
                "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a file that can be read"
            )
            raise ToolError(f"{path} {problem}.")
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(min(max(start, 0), size))
            raw = file.read(MAX_BYTES)
        if b"\0" in raw:
            raise ToolError(f"{path} is not a text file.")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if error.start < len(raw) - 4 or len(raw) < MAX_BYTES:
                raise ToolError(f"{path} is not a text file.") from None
            raw = raw[: error.start]  # the limit splits a character
            text = raw.decode("utf-8-sig")
        remaining = size - max(start, 0) - len(raw)
        if remaining > 0:
            text += f"\n[{remaining} more bytes; read on with start {max(start, 0) + len(raw)}]"
        return text or "The file is empty."

    def list_folder(self, path: str = "") -> str:
        """List the files in a folder of the user's. path: its name; empty: all named folders."""
        if path.strip() in {"", ".", "./", "/"} and self._folders:
            shown = self._folders
            if len(shown) > 1:
                return "\n".join(f"{folder.name}/" for folder in shown)
            found = shown[0]
        else:
            found = self._find(path)
        if not found.is_dir():
            raise ToolError(f"{path} is not a folder.")
        names = self._names(found, path or found.name)
        more = len(names) - _MAX_NAMES
        text = "\n".join(names[:_MAX_NAMES]) + (f"\n[{more} more]" if more > 0 else "")
        return text or "The folder is empty."

    def _names(self, found: Path, name: str) -> list[str]:
        descriptor = None
        if os.scandir in os.supports_fd:
            descriptor, _ = self._open(found, name)
        try:
            with os.scandir(found if descriptor is None else descriptor) as entries:
                return sorted(
                    f"{entry.name}/" if entry.is_dir() else entry.name
                    for entry in entries
                    if not entry.name.startswith(".")
                )
        except OSError as error:
            raise ToolError(f"{name} cannot be listed: {error.strerror}.") from None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _find(self, name: str) -> Path:
        """Find an existing file or folder below a named folder. Raises `ToolError`."""
        if "\0" in name or len(name) > 1_000:
            raise ToolError("That is not a path.")
        requested = Path(name.strip()).expanduser()
        candidates = [folder / requested for folder in self._folders]
        candidates += [
            folder.joinpath(*requested.parts[1:])
            for folder in self._folders
            if requested.parts[:1] and requested.parts[0].casefold() == folder.name.casefold()
        ]
        if not self._folders:
            raise ToolError("No folder was named: write folders = [...] in the settings file.")
        allowed = [real for real in map(_ignoring_case, candidates) if self._contains(real)]
        for real in allowed:
            if real.exists():
                return real
        if not allowed:  # the message must not reveal whether the file exists
            raise ToolError(f"{name} is not in a folder that may be read.")
        known = ", ".join(str(folder) for folder in self._folders)
        raise ToolError(f"There is no {name} in {known}.")

    def _contains(self, path: Path) -> bool:
        """Return True for a real path in a named folder without hidden names on the way."""
        for folder in self._folders:
            if path == folder:
                return True
            if path.is_relative_to(folder):
                return not any(part.startswith(".") for part in path.relative_to(folder).parts)
        return False

    def _open(self, path: Path, name: str) -> tuple[int, os.stat_result]:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        flags |= getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags)
        except OSError as error:
            raise ToolError(f"{name} cannot be read: {error.strerror}.") from None
        status = os.fstat(descriptor)
        try:
            # The path may have changed since it was checked.
            resolved = Path(os.path.realpath(path))
            same = self._contains(resolved) and os.path.samestat(os.stat(resolved), status)
        except OSError:
            same = False
        if same:
            return descriptor, status
        os.close(descriptor)
        raise ToolError(f"{name} is not a file that can be read.")


def _ignoring_case(path: Path) -> Path:
    """Return the real path, ignoring case: a spoken name has no capitals."""
    real = Path(os.path.realpath(path))
    if real.exists():
        return real
    try:
        names = os.listdir(real.parent)
    except OSError:
        return real
    matches = [name for name in names if name.casefold() == real.name.casefold()]
    return Path(os.path.realpath(real.parent / matches[0])) if len(matches) == 1 else real


def tools(context: ToolContext) -> tuple[Tool, ...]:
    """Create the tools that read files: off until the user names folders, then they ask."""
    folders = Folders(context.folders)
    permission = Permission.ASK if context.folders else Permission.NEVER
    return tuple(
        tool(permission=permission)(one) for one in (folders.read_file, folders.list_folder)
    )
