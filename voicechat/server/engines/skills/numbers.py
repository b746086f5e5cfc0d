"""Arithmetic and units."""

from __future__ import annotations

from voicechat.everyday import arithmetic
from voicechat.everyday.units import spoken
from voicechat.everyday.wording import readable, sentence
from voicechat.server.engines.measures import Measure, convert
from voicechat.server.engines.skills.ask import Ask


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
