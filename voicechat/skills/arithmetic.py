"""Arithmetic: evaluate an expression, exactly where possible, and say the result in words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction

from voicechat.errors import VoicechatError
from voicechat.skills.wording import readable, sentence

Value = int | float | Fraction

_BITS = 2048
"""Largest size of an integer in a calculation."""


class ArithmeticFailed(VoicechatError):
    """The calculation has no result, or one that is too large."""


def _divide(a: Value, b: Value) -> Value:
    if b == 0:
        raise ArithmeticFailed("You can't divide by zero.")
    exact = not isinstance(a, float) and not isinstance(b, float)
    return Fraction(a) / Fraction(b) if exact else a / b


def _power(a: Value, b: Value) -> Value:
    size = abs(float(b)) * abs(math.log2(abs(float(a)))) if a not in (0, 1, -1) else 0.0
    if size > _BITS:
        raise ArithmeticFailed("That number is too large for me.")
    if a == 0 and b < 0:
        raise ArithmeticFailed("You can't divide by zero.")
    if a < 0 and Fraction(b).denominator != 1:
        raise ArithmeticFailed("That has no real answer.")
    return Fraction(a) ** int(b) if Fraction(b).denominator == 1 else float(a) ** float(b)


def _multiply(a: Value, b: Value) -> Value:
    if max(_bits(a), _bits(b)) > _BITS:
        raise ArithmeticFailed("That number is too large for me.")
    return a * b


def _bits(value: Value) -> int:
    return 0 if isinstance(value, float) else Fraction(value).numerator.bit_length()


def _root(value: Value) -> Value:
    if value < 0:
        raise ArithmeticFailed("A negative number has no real square root.")
    exact = math.isqrt(int(value)) if value == int(value) else None
    return exact if exact is not None and exact * exact == value else math.sqrt(value)


def _cube_root(value: Value) -> Value:
    near = round(math.cbrt(value))
    return near if near**3 == value else math.cbrt(value)


def _factorial(value: Value) -> int:
    if value != int(value) or not 0 <= value <= 170:
        raise ArithmeticFailed("I only know factorials of whole numbers up to 170.")
    return math.factorial(int(value))


_FUNCTIONS: dict[str, Callable[[Value], Value]] = {
    "sqrt": _root,
    "cbrt": _cube_root,
    "abs": lambda value: value if value >= 0 else -value,
    "fact": _factorial,
    "twice": lambda value: value * 2,
    "thrice": lambda value: value * 3,
    "halve": lambda value: _divide(value, 2),
}


def evaluate(text: str) -> Value:
    """Evaluate a Python arithmetic expression, exactly where possible.

    Raises `ArithmeticFailed` with a sentence for the user.
    """
    import ast

    import simpleeval

    calculator = simpleeval.SimpleEval(functions=_FUNCTIONS)
    calculator.operators |= {ast.Div: _divide, ast.Pow: _power, ast.Mult: _multiply}
    try:
        value: Value = calculator.eval(text)
        return value
    except ZeroDivisionError:
        raise ArithmeticFailed("You can't divide by zero.") from None
    except (OverflowError, RecursionError, MemoryError, ValueError):
        raise ArithmeticFailed("That number is too large for me.") from None
    except simpleeval.InvalidExpression:
        raise ArithmeticFailed("I can't calculate that.") from None


def shown(value: Value) -> tuple[str, bool]:
    """Return the value as text, and whether that text is exact."""
    if not isinstance(value, float) and _bits(value) > 200:
        return _rounded(Fraction(value)), False
    exact = not isinstance(value, float) and Fraction(value) * 10_000 == int(value * 10_000)
    return readable(value), exact


def _rounded(value: Fraction) -> str:
    """Return the value with three digits; it may be too large for a float."""
    context = Context(prec=3)
    rounded = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    digits, _, exponent = f"{rounded.normalize(context):g}".partition("e")
    return f"{digits} times 10 to the {int(exponent)}" if exponent else digits


def _fraction(text: str, above: int, below: int) -> str:
    """Return the fraction as a decimal number if that is exact, else the text unchanged."""
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


def in_words(expression: str) -> str:
    """Return a short expression in words; empty for a long or nested one.

    Repeating the question lets the user notice a misheard number.
    """
    for pattern, words in _SAID:
        expression = re.sub(pattern, words, expression)
    plain = not re.search(r"[()*+]|twice|thrice|halve|fact|abs", expression)
    return expression if plain and len(expression) < 60 else ""


def answer(expression: str) -> str:
    """Evaluate an expression and return the sentence to say. Raises `ArithmeticFailed`."""
    result, exact = shown(evaluate(expression))
    return sentence(f"{in_words(expression) or 'That'} {'is' if exact else 'is about'} {result}")
