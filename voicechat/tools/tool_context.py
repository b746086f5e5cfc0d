"""The part of a session that built-in tools may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _silent(*_: object) -> None:
    """Announce nothing."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The folders and callbacks that a session gives to the built-in tools."""

    folders: tuple[Path, ...] = ()
    """Folders that the user named; tools read and list nothing outside of them."""
    kept: Path | None = None
    """The folder for notes and lists; None keeps nothing beyond the session."""
    announce: Callable[[str], None] = _silent
    """Ring aloud, show this sentence and tell the model. Called on the event loop."""
