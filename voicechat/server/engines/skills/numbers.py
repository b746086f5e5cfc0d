"""Arithmetic and units."""

from __future__ import annotations

import re
from fractions import Fraction

from voicechat.server.engines import sums
from voicechat.server.engines.measures import Measure, convert, spoken
from voicechat.server.engines.numerals import readable
from voicechat.server.engines.skills.ask import Ask, sentence


def _fraction(text: str, above: int, below: int) -> str:
    """A fraction as a decimal number where that is exact, else as it was."""
    return readable(Fraction(above, below)) if above * 10_000 % below == 0 else text


_SAID = (
    (r"\((\d+)/(\d+)\)", lambda part: _fraction(part[0], int(part[1]), int(part[2]))),
    (r"/100\*", " percent of "),
    (r"\*\*2\b(?!\d)", " squared"),
    (r"\*\*3\b(?!\d)", " cubed"),
    (r"\*\*", " to the power of "),
    (r"\*", " times "),
    (r"/", " divided by "),
    (r"%", " modulo "),
    (r"(?<=\d)\+", " plus "),
    (r"(?<=\d)-", " minus "),
    (r"sqrt\((\d+)\)", r"the square root of \1"),
    (r"cbrt\((\d+)\)", r"the cube root of \1"),
)  # fmt: skip


def _calculate(ask: Ask) -> str:
    expression = ask.text("sum")
    answer, exact = sums.shown(sums.evaluate(expression))
    verb = "is" if exact else "is about"
    return sentence(f"{_said(expression) or 'That'} {verb} {answer}")


def _said(expression: str) -> str:
    """A short expression in words, so that a misheard number is noticed; empty for others."""
    for pattern, words in _SAID:
        expression = re.sub(pattern, words, expression)
    plain = not re.search(r"[()*+]|twice|thrice|halve|fact|abs", expression)
    return expression if plain and len(expression) < 60 else ""


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
