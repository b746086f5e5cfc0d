"""Arithmetic and unit conversion."""

from __future__ import annotations

import re

from voicechat.skills import arithmetic, units
from voicechat.skills.wording import readable
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

POSITION = 30

_LONGEST = 200
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**"})


def calculate(expression: str) -> str:
    """Work out arithmetic exactly, like 17*23, (2+3)/4, 2**10, 15/100*80, sqrt(2) or 5 % 3.

    Known are + - * / % ** and sqrt, cbrt, abs and fact (factorial).
    """
    text = expression.strip().rstrip("=? ").translate(_SIGNS)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    plain = re.sub(r"\s+", "", text)
    if not plain or len(plain) > _LONGEST:
        raise ToolError("This is not a calculation, or it is too long.")
    try:
        return arithmetic.answer(plain)
    except arithmetic.ArithmeticFailed as problem:
        raise ToolError(problem.message) from None
    except (TypeError, AttributeError, SyntaxError):
        raise ToolError("This is not a calculation.") from None


def convert_units(value: float, from_unit: str, to_unit: str) -> str:
    """Convert an amount from one unit into another, like 5 kilometers to miles or cups to ml."""
    source, target = _unit(from_unit), _unit(to_unit)
    found = units.convert(value, source, target)
    if found is None:
        raise ToolError(f"I can't convert {units.spoken(source)} to {units.spoken(target)}.")
    before = f"{readable(value)} {units.spoken(source, value)}"
    return units.conversion_sentence(before, found, target)


def _unit(text: str) -> str:
    """Return the unit's name in the table. Raises `ToolError` for an unknown unit."""
    plain = re.sub(r"[\s_]+", " ", text.strip().casefold())
    signs = {"°c": "celsius", "°f": "fahrenheit", "km/h": "kmh", "m/s": "meter per second",
             "m²": "square meter", "µm": "micrometer"}  # fmt: skip
    found = units.unit(signs.get(plain, plain).split())
    if found is None:
        raise ToolError(f"There is no unit called {text[:40]!r} here.")
    return found


def tools(context: ToolContext) -> tuple[Tool, ...]:
    """Create the tools that calculate."""
    return (tool(permission="auto")(calculate), tool(permission="auto")(convert_units))
