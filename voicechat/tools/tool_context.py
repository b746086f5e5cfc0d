"""What tools get of the world: the folders, the addresses and the voice they may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _silent(*_: object) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Given to the built-in tools by whoever joins them to a session."""

    folders: tuple[Path, ...] = ()
    """Folders the person named: what is read or listed lies in one of them."""
    kept: Path | None = None
    """The folder for what tools keep: notes, lists. None keeps nothing beyond the session."""
    announce: Callable[[str], None] = _silent
    """Ring aloud, show this sentence, and tell the model so, now. Called on the event loop."""
