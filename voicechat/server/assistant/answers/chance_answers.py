"""Coins, dice, random numbers and choices."""

from __future__ import annotations

import re

from voicechat.server.assistant.answers.assistant_request import Ask
from voicechat.skills.wording import joined, sentence

_MOST_DICE = 20
_MOST_SIDES = 1000
_LARGEST = 10**12


def _coin(ask: Ask) -> str:
    return ask.random.choice(("Heads.", "Tails."))


def _dice(ask: Ask) -> str:
    count, sides = ask.whole("count", 1), ask.whole("sides", 6)
    if not 1 <= count <= _MOST_DICE or not 2 <= sides <= _MOST_SIDES:
        return f"I can roll up to {_MOST_DICE} dice with 2 to {_MOST_SIDES} sides."
    rolls = [ask.random.randint(1, sides) for _ in range(count)]
    if count == 1:
        return f"You rolled {_article(rolls[0])} {rolls[0]}."
    return f"You rolled {joined([str(roll) for roll in rolls])}. Together that's {sum(rolls)}."


def _article(number: int) -> str:
    return "an" if str(number).startswith("8") or number in (11, 18) else "a"


def _random(ask: Ask) -> str:
    low, high = sorted((ask.whole("low", 1), ask.whole("high", 100)))
    if abs(low) > _LARGEST or abs(high) > _LARGEST:
        return "Those numbers are too large for me."
    return f"{ask.random.randint(low, high)}."


def options(text: str) -> list[str]:
    """The things to choose from in "red, green or blue"."""
    word = "or" if re.search(r"\bor\b", text) else "and"
    pieces = re.split(rf"\s*,\s*(?:{word}\s+)?|\s+{word}\s+", text)
    return [piece.strip() for piece in pieces if piece.strip()]


def _choose(ask: Ask) -> str:
    choices = options(ask.text("options"))
    return sentence(f"I say {ask.random.choice(choices)}")


SKILLS = {"coin": _coin, "dice": _dice, "random": _random, "choose": _choose}
