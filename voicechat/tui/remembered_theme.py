"""The theme of the screen that the user chose last.

A file that cannot be read or written is ignored.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

AUTO = "auto"
"""The theme that follows the background of the terminal; remembering it forgets a choice."""

_MAX_CHARACTERS = 100


def read(folder: Path | None = None) -> str:
    """Return the name of the remembered theme, or `AUTO`."""
    try:
        name = _path(folder).read_bytes()[:_MAX_CHARACTERS].decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return AUTO
    return name or AUTO


def write(name: str, folder: Path | None = None) -> None:
    """Remember the theme of this name."""
    from voicechat.system.private_files import write_private

    with suppress(OSError):
        write_private(_path(folder), name.encode("ascii", "replace"))


def _path(folder: Path | None) -> Path:
    import platformdirs

    return (folder or platformdirs.user_state_path("voicechat", appauthor=False)) / "theme.txt"
