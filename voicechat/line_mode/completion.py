"""Completion of slash commands and their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicechat.core.text import clean
from voicechat.line_mode.slash_commands import COMMANDS

if TYPE_CHECKING:
    from voicechat.session.session import Session

MAX_COMPLETIONS = 50
"""Most completions that are offered."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One way to complete a line."""

    line: str
    """The completed line; ends in a space if an argument may follow."""
    label: str
    """The command or the argument to show."""
    summary: str = ""
    """Description of a command; empty for an argument."""


def completions(session: Session, line: str) -> list[Completion]:
    """Return the completions of a line; none if it is not the start of a command.

    May read the settings file and the disk, so call it in a thread.
    """
    if not line.startswith("/") or "\n" in line:
        return []
    name, separator, argument = line.partition(" ")
    if not separator:
        found = _commands(session, name.lower())
    elif command := COMMANDS.get(name):
        values = _matches(command.choices(session, argument), argument)
        found = [Completion(f"{name} {each}", each) for each in values[:MAX_COMPLETIONS]]
    else:
        return []
    return [] if [each.line for each in found] == [line] else found


def _commands(session: Session, start: str) -> list[Completion]:
    return [
        Completion(f"{name} " if command.argument else name, name, command.summary)
        for name, command in COMMANDS.items()
        if name.startswith(start) and command.available(session)
    ]


def _matches(values: Sequence[str], argument: str) -> list[str]:
    """Return the values that begin like the argument, then those that contain it."""
    wanted = argument.strip().lower()
    clean_values = [value for value in values if value and clean(value) == value]
    first = [value for value in clean_values if value.lower().startswith(wanted)]
    return first + [v for v in clean_values if wanted in v.lower() and v not in first]
