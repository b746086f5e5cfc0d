"""What a skill is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random

from voicechat.server.engines.notebook import Notebook
from voicechat.server.engines.timers import Timers


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


def joined(items: list[str], word: str = "and") -> str:
    """Items as one would say them: "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {word} {items[-1]}"


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else ".")


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
