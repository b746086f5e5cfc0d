"""Writes settings into the settings file and keeps its comments, its order and its style.

The file is read, changed, checked and replaced under its lock, so two instances lose nothing of
each other, and a file that voicechat could not read again is never written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from voicechat.config import loader
from voicechat.config.options import FILE_SETTINGS
from voicechat.config.setting_place import ConfigFile
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.system.private_files import locked, read_text, write_private

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.container import Container

WAIT_S = 1.0
"""Seconds to wait for another process that changes the file."""

_UNCHANGED = "No setting was saved."
_CORRECT = "Correct the file, then save again."


def write_settings(
    changes: Mapping[str, object], path: Path | None = None, profile: str | None = None
) -> Path:
    """Write settings, by name, into the file, and return its path. None removes a setting.

    profile: name of the profile in use; a setting that it has is changed there. Blocks on the
    disk, at most `WAIT_S` on another process. Raises `UsageError` when the file is not valid or
    cannot be written; it is unchanged then.
    """
    path = loader.settings_path() if path is None else path
    try:
        with locked(path, WAIT_S):
            text, status = read_text(path)
            if status is not None and os.name == "posix":
                _require_writable(path, status)
            changed = _changed(ConfigFile(path, text, status), changes, profile)
            if changed != text:
                write_private(path, changed.encode())
    except TimeoutError:
        raise UsageError(
            f"Another program is using {path}. {_UNCHANGED}", "Save again in a moment."
        ) from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(
            f"{path} cannot be written: {reason}. {_UNCHANGED}", "Check its folder and the disk."
        ) from None
    return path


def _require_writable(path: Path, status: os.stat_result) -> None:
    """Refuse a file that its owner made read-only: replacing it would ignore that."""
    if not status.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(f"{path} is read-only. {_UNCHANGED}", f"Type: chmod u+w {path}")


def _changed(file: ConfigFile, changes: Mapping[str, object], profile: str | None) -> str:
    """Return the text of the file with the changes. Raises `UsageError` if it is not valid."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        loader.check_file(file)
        document = tomlkit.parse(file.text)
        for name, value in changes.items():
            _set(document, name, value, profile)
        text = tomlkit.dumps(document)
        loader.check_file(ConfigFile(file.path, text, file.status or os.stat_result((0,) * 10)))
    except UsageError as error:
        raise UsageError(f"{error.message} {_UNCHANGED}", error.hint or _CORRECT) from None
    except TOMLKitError as error:
        reason = clean(str(error))[:200].rstrip(".")
        sentence = f"{file.path} cannot be edited: {reason}. {_UNCHANGED}"
        raise UsageError(sentence, _CORRECT) from None
    return text


def _set(document: TOMLDocument, name: str, value: object, profile: str | None) -> None:
    """Set or remove one setting where the file has it, or else in the first place for it."""
    import tomlkit

    keys = FILE_SETTINGS[name].keys if name in FILE_SETTINGS else (name,)
    places = [tuple(key.split(".")) for key in keys]
    if profile is not None:
        places = [("profiles", profile, *place) for place in places] + places
    place = next((each for each in places if _has(document, each)), None)
    if place is None:
        if value is None:
            return
        place = next(each for each in places if each[0] != "profiles")
    *tables, key = place
    table = cast("Container", document)
    for each in tables:
        if each not in table:
            table[each] = tomlkit.table()
        table = cast("Container", table[each])
    if value is None:
        table.remove(key)
    else:
        table[key] = value


def _has(document: TOMLDocument, place: tuple[str, ...]) -> bool:
    table: object = document
    for key in place:
        if not isinstance(table, Mapping) or key not in table:
            return False
        table = table[key]
    return True
