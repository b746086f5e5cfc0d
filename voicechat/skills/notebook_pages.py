"""The contents of the notebook."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class NotebookPages:
    """Lists by name, notes, the user's name, and facts to remember."""

    lists: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    name: str = ""
    facts: list[str] = field(default_factory=list)
