"""Changes of the settings file that keep its comments, its order and everything else in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicechat.config import loader
from voicechat.config.setting_place import ConfigFile
from voicechat.errors import UsageError
from voicechat.system.private_files import locked, read_text, write_private

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def write_settings(changes: Mapping[str, object], path: Path | None = None) -> Path:
    """Change settings in the user's file, or make the file; return its path.

    changes: values by key. `embedded.chat` is a key in a table; None removes a key. The file stays
    as it is if a value is wrong. Raises `UsageError` for a wrong value, and for a file that cannot
    be read, is not TOML or cannot be written.
    """
    path = loader.settings_path() if path is None else path
    try:
        with locked(path):
            text, status = read_text(path)
            changed = _changed(path, text, changes)
            loader.check_file(ConfigFile(path, changed, status))
            if changed != text:
                write_private(path, changed.encode())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"{path} cannot be written: {reason}.") from None
    return path


def _changed(path: Path, text: str, changes: Mapping[str, object]) -> str:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        for name, value in changes.items():
            _set(document, name, value)
        return tomlkit.dumps(document)
    except (TOMLKitError, RecursionError, AttributeError, TypeError, ValueError):
        raise UsageError(
            f"{path} cannot be changed by voicechat.", "Write the setting into the file yourself."
        ) from None


def _set(document: TOMLDocument, name: str, value: object) -> None:
    import tomlkit

    *tables, key = name.split(".")
    place: Any = document
    for table in tables:
        if table not in place:
            if value is None:
                return
            place[table] = tomlkit.table()
        place = place[table]
    if value is None:
        place.pop(key, None)
    elif place.get(key) != value:
        place[key] = value
