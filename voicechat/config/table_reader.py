"""Reading of one table that describes an MCP server or an endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from voicechat.config.setting_place import SettingPlace, similar
from voicechat.config.variables import References, without_references
from voicechat.core.text import clean, one_of
from voicechat.errors import Secret, UsageError

HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
"""A field name of HTTP (RFC 9110, section 5.6.2)."""


class TableReader:
    """Checks the values of a table. Every method raises `UsageError` for a wrong value."""

    def __init__(
        self, place: SettingPlace, table: Mapping[str, object], look_up: Mapping[str, str | Secret]
    ) -> None:
        self.place = place
        self.table = table
        self.references = References(look_up)
        """The references in `secrets`, and those that have no value."""

    def check_keys(self, known: Iterable[str], what: str) -> None:
        """Refuse keys that do not exist."""
        names = list(known)
        for key in self.table:
            if key not in names:
                raise self.place.unknown(clean(key)[:40], names, what)

    def text(self, key: str) -> str:
        """A text without control and invisible characters."""
        value = self.table[key]
        if not isinstance(value, str) or not value.strip() or clean(value) != value:
            self.refuse(key, "must be text in quotes")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty when the key is absent."""
        value = self.table.get(key, [])
        if not isinstance(value, list) or any(
            not isinstance(each, str) or clean(each) != each for each in value
        ):
            self.refuse(key, "must be a list of texts in quotes")
        return value

    def one_of(self, key: str, known: Iterable[str], default: str) -> str:
        """One of these words, in any case."""
        value = self.table.get(key, default)
        words = list(known)
        folded = {word.lower(): word for word in words}
        if not isinstance(value, str) or value.lower() not in folded:
            hint = similar(value, words) if isinstance(value, str) else ""
            self.refuse(key, f"must be {one_of(words)}", hint)
        return folded[value.lower()]

    def seconds(self, key: str, most: int) -> float:
        """A time between 1 and `most` seconds."""
        value = self.table[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= most:
            self.refuse(key, f"must be between 1 and {most} seconds")
        return float(value)

    def secrets(self, key: str, name_pattern: str) -> dict[str, Secret]:
        """A table of texts with the references in them replaced.

        A text that may itself hold a key makes the file private.
        """
        value = self.table.get(key, {})
        if not isinstance(value, dict) or any(not isinstance(v, str) for v in value.values()):
            self.refuse(key, "must be a table of texts in quotes")
        for name, text in value.items():
            if not re.fullmatch(name_pattern, name) or clean(text) != text or "\n" in text:
                self.refuse(key, f"holds {clean(name)[:40]!r}, which cannot be sent")
        if any(without_references(text).strip() for text in value.values()):
            self.place.file.keep_private()
        return {name: self.references.filled(text) for name, text in value.items()}

    def refuse(self, key: str, says: str, hint: str = "") -> NoReturn:
        """Raise the error for a key with a wrong value."""
        raise UsageError(f"{self.place(clean(key)[:40])} {says}.", hint)
