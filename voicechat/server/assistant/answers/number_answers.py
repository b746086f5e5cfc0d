"""Arithmetic and units."""

from __future__ import annotations

from voicechat.server.assistant.answers.assistant_request import Ask
from voicechat.server.assistant.measurements import Measure, convert
from voicechat.skills import arithmetic
from voicechat.skills.units import spoken
from voicechat.skills.wording import readable, sentence


def _calculate(ask: Ask) -> str:
    expression = ask.text("sum")
    answer, exact = arithmetic.shown(arithmetic.evaluate(expression))
    verb = "is" if exact else "is about"
    return sentence(f"{arithmetic.in_words(expression) or 'That'} {verb} {answer}")


def _convert(ask: Ask) -> str:
    amount, target = ask.values.get("amount"), ask.text("to")
    assert isinstance(amount, Measure)
    value = convert(amount, target)
    if value is None:
        return f"I can't turn {spoken(amount.parts[0][1])} into {spoken(target)}."
    rounded = round(value, 2 if abs(value) >= 1 else 4)
    shown = rounded if rounded else value
    exact = abs(shown - value) < 1e-9 * max(1.0, abs(value))
    verb = "is" if exact else "is about"
    return f"{amount} {verb} {readable(shown)} {spoken(target, shown)}."


SKILLS = {"calculate": _calculate, "convert": _convert}
