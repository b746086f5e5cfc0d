"""Places in configuration files, so that an error names the file, the line and the key."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from voicechat.core.text import clean, one_of
from voicechat.errors import UsageError
from voicechat.system.private_files import require_private

MOST_LISTED = 12
"""Names that an error lists."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file that was read: TOML, or JSON when its name ends in .json."""

    path: Path
    text: str
    status: os.stat_result | None = field(default=None, compare=False)
    """None for a file that is not written yet."""

    def keep_private(self) -> None:
        """Make a file that may hold keys private. Raises `UsageError` when that fails."""
        if self.status is not None:
            require_private(self.path, self.status)

    def line(self, names: Iterable[str]) -> int:
        """The line of the last of these nested keys that is found; 1 when none is."""
        rest = list(names)
        position = 0
        for count in range(len(rest), 0, -1):
            header = r"\s*\.\s*".join(_quotable(name) for name in rest[:count])
            found = self._find(rf"^\s*\[+\s*{header}\s*[.\]]", 0)
            if found:
                position, rest = found, rest[count:]
                break
        separator = ":" if self.path.suffix == ".json" else r"[=.\]]"
        for name in rest:
            found = self._find(rf"(?<![\w-]){_quotable(name)}\s*{separator}", position)
            position = found or position
        return self.text.count("\n", 0, position) + 1

    def _find(self, pattern: str, start: int) -> int:
        found = re.compile(pattern, re.MULTILINE).search(self.text, start)
        return found.end() if found else 0


@dataclass(frozen=True, slots=True)
class SettingPlace:
    """A table in a configuration file. Calling it with a key gives the text for an error."""

    file: ConfigFile
    names: tuple[str, ...] = ()
    """The nested tables from the top of the file."""
    shown: int = 0
    """How many of the last names precede the key in the text."""

    def __call__(self, name: str) -> str:
        """The file, the line and the key: `config.toml:3: turn_detection.threshold`."""
        shown = self.names[len(self.names) - self.shown :]
        return clean(f"{self.at(name)}: {'.'.join((*shown, name))}")

    def at(self, *names: str) -> str:
        """The file and the line of a key in this table, or of the table itself.

        A file that is not written yet has no lines that the user could look up.
        """
        if self.file.status is None:
            return "New entry"
        return clean(f"{self.file.path}:{self.file.line((*self.names, *names))}")

    def table(self, *names: str) -> SettingPlace:
        """A table below this one whose name the text leaves out."""
        return replace(self, names=(*self.names, *names))

    def below(self, name: str) -> SettingPlace:
        """The value of a key that is itself a table; the text names the key."""
        return replace(self, names=(*self.names, name), shown=self.shown + 1)

    def unknown(self, name: str, known: Iterable[str], what: str = "a setting") -> UsageError:
        """The error for a key that does not exist."""
        names = list(known)
        if len(names) > MOST_LISTED:
            hint = similar(name, names) or "See docs/settings.md."
        else:
            hint = nearest(name, names)
        return UsageError(f"{self(name)} is not {what}.", hint)


def _quotable(name: str) -> str:
    return rf"[\"']?{re.escape(name)}[\"']?"


def nearest(name: str, known: list[str]) -> str:
    """The hint for a name that does not exist: the most similar one, or all of them."""
    return similar(name, known) or (f"Use {one_of(known)}." if known else "")


def similar(name: str, known: Iterable[str]) -> str:
    """The hint for a name that does not exist: the most similar one, if there is one."""
    by_case = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.replace("-", "_").lower(), by_case, n=1)
    return f"Did you mean {by_case[close[0]]}?" if close else ""
