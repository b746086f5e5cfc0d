"""The part of a session that built-in tools may use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from voicechat.skills.undo_stack import UndoStack


def _silent(*_: object) -> None:
    """Announce nothing."""


@dataclass(frozen=True, slots=True)
class AppCommand:
    """A command of the app that the model may run."""

    name: str
    argument: str
    """The argument as the help shows it; empty when it takes none."""
    summary: str
    asks: bool
    """True if the user must allow each run."""
    run: Callable[[str], Awaitable[str]]
    """Run with an argument, on the event loop; returns the text that the user would see.

    Raises `VoicechatError` if the command cannot run.
    """


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The folders and callbacks that a session gives to the built-in tools."""

    folders: tuple[Path, ...] = ()
    """Folders that the user named; tools read and list nothing outside of them."""
    kept: Path | None = None
    """The folder for notes and lists; None keeps nothing beyond the session."""
    announce: Callable[[str], None] = _silent
    """Ring aloud, show this sentence and tell the model. Called on the event loop."""
    commands: tuple[AppCommand, ...] = ()
    """The commands of the app that the model may run; a program without commands has none."""
    undo_stack: UndoStack = field(default_factory=UndoStack)
    """The changes of the session to timers, lists and notes."""
    losses: list[Callable[[], str]] = field(default_factory=list)
    """Each returns a sentence about what the end of the session loses; empty if that is nothing."""
