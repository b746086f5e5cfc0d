"""Spelling, repeating and counting aloud."""

from __future__ import annotations

from voicechat.server.assistant.answers.assistant_request import Ask
from voicechat.skills.wording import sentence

_MOST_COUNTED = 200


def _repeat(ask: Ask) -> str:
    return sentence(ask.text("text"))


def _spell(ask: Ask) -> str:
    word = ask.text("word")
    return f"{word}: {', '.join(word.upper())}."


def _again(ask: Ask) -> str:
    return ask.last_answer or "I haven't said anything yet."


def _count(ask: Ask) -> str:
    if "down" in ask.values:
        low, high = ask.whole("down", 10), 0
    else:
        low, high = ask.whole("low", 1), ask.whole("high", 10)
    if abs(high - low) > _MOST_COUNTED:
        return f"That would take too long. I count up to {_MOST_COUNTED} numbers."
    step = 1 if high >= low else -1
    return ", ".join(str(number) for number in range(low, high + step, step)) + "."


SKILLS = {"repeat": _repeat, "spell": _spell, "again": _again, "count": _count}
