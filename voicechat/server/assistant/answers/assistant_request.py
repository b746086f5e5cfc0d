"""What a skill is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

from voicechat.skills.notebook import Notebook
from voicechat.skills.timers import Timers


@dataclass(frozen=True, slots=True)
class Ask:
    """One understood request and what a skill may use to answer it."""

    values: Mapping[str, object]
    """The values of the intent, by name."""
    notebook: Notebook
    timers: Timers
    now: Callable[[], datetime]
    """The local time, aware of its zone."""
    random: Random
    last_answer: str = ""
    """What was said before this request."""
    own_name: str = ""
    """What the session wants the assistant to be called."""

    def text(self, name: str) -> str:
        """A text value; empty when it was not said."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def whole(self, name: str, default: int) -> int:
        """A number value as a whole number."""
        value = self.values.get(name)
        return default if value is None else int(float(str(value_of(value))))


def value_of(value: object) -> float:
    """A number value as a float."""
    from fractions import Fraction

    return float(value) if isinstance(value, int | float | Fraction) else 0.0


Skill = Callable[[Ask], str]


def to_listener(text: str) -> str:
    """What a person said of themselves, said back to them: "my car" becomes "your car"."""
    turned = {
        "my": "your", "mine": "yours", "i": "you", "me": "you", "am": "are", "myself": "yourself",
        "our": "your", "we": "you", "us": "you", "i'm": "you're", "i've": "you've",
        "was": "was", "your": "my", "yours": "mine",
    }  # fmt: skip
    words = text.split(" ")
    swapped = [turned.get(word.lower(), word) for word in words]
    return " ".join(swapped).replace("you was", "you were")
