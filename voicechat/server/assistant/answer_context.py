"""The context of one answer of the offline assistant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

from voicechat.skills.notebook import Notebook
from voicechat.skills.timers import Timers
from voicechat.skills.undo_stack import Record, no_record


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """One understood request, and everything an answer function may use."""

    values: Mapping[str, object]
    """The slot values of the intent, by name."""
    notebook: Notebook
    timers: Timers
    now: Callable[[], datetime]
    """The local time, aware of its zone."""
    random: Random
    last_answer: str = ""
    """The previous reply of the assistant."""
    own_name: str = ""
    """The name that the session instructions give the assistant."""
    unheard: str = ""
    """The part of an interrupted reply that the user did not hear."""
    just_changed: bool = False
    """True if the previous request changed something."""
    record: Record = no_record
    """Records the inverse of a change."""

    def text(self, name: str) -> str:
        """Return a text value; empty when it is absent."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def whole(self, name: str, default: int) -> int:
        """Return a number value as an integer."""
        value = self.values.get(name)
        return default if value is None else int(float(str(value_of(value))))


def value_of(value: object) -> float:
    """Return a number value as a float; 0.0 for anything else."""
    from fractions import Fraction

    return float(value) if isinstance(value, int | float | Fraction) else 0.0


Answer = Callable[[AnswerContext], str]
"""Answers one intent with the sentence to say. Raises `VoicechatError` for the disk only."""


def to_listener(text: str) -> str:
    """Turn the user's own words around to address the user: "my car" becomes "your car"."""
    replacements = {
        "my": "your", "mine": "yours", "i": "you", "me": "you", "am": "are", "myself": "yourself",
        "our": "your", "we": "you", "us": "you", "i'm": "you're", "i've": "you've",
        "was": "was", "your": "my", "yours": "mine",
    }  # fmt: skip
    words = text.split(" ")
    replaced = [replacements.get(word.lower(), word) for word in words]
    return " ".join(replaced).replace("you was", "you were")
