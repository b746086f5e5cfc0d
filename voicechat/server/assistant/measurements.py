"""Spoken measurements: amounts of units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from voicechat.server.assistant.numerals import number
from voicechat.skills import units
from voicechat.skills.units import spoken, unit
from voicechat.skills.wording import readable

_CONVERTIBLE_PAIRS = {
    "length": "millimeter centimeter meter kilometer inch foot yard mile",
    "weight": "gram kilogram ounce pound stone",
    "volume": "milliliter liter gallon pint cup tablespoon teaspoon",
    "heat": "degree_Celsius degree_Fahrenheit",
    "time": "second minute hour day week",
    "speed": "kilometer_per_hour mile_per_hour",
}
_KINDS = {
    "length": "millimeter centimeter meter kilometer inch foot yard mile nautical_mile light_year",
    "weight": "milligram gram kilogram tonne ton ounce pound stone",
    "volume": "milliliter centiliter deciliter liter gallon quart pint cup fluid_ounce tablespoon"
    " teaspoon",
    "heat": "degree_Celsius degree_Fahrenheit kelvin",
    "time": "second minute hour day week month year",
    "speed": "kilometer_per_hour mile_per_hour meter_per_second knot",
    "area": "square_meter square_kilometer square_foot square_mile acre hectare",
    "memory": "byte bit kilobyte megabyte gigabyte terabyte",
    "energy": "calorie kilocalorie joule kilojoule kilowatt_hour",
    "power": "watt kilowatt horsepower",
    "pressure": "pascal bar psi",
    "angle": "degree radian",
}
_KIND_OF = {unit: kind for kind, units in _KINDS.items() for unit in units.split()}
FAMILIES = tuple(tuple(names.split()) for names in _CONVERTIBLE_PAIRS.values())
"""Units that convert into each other, to sample sentences that make sense."""


@dataclass(frozen=True, slots=True)
class Measure:
    """An amount in one unit, or in a large and a small one ("five foot eleven")."""

    parts: tuple[tuple[Fraction, str], ...]

    def __str__(self) -> str:
        return " ".join(f"{readable(amount)} {spoken(name, amount)}" for amount, name in self.parts)


def measure(words: Sequence[str]) -> Measure | None:
    """Parse "five miles", "a pound", "5 foot 11" or "six pounds four ounces"; None otherwise."""
    for cut in range(1, len(words)):
        amount = _amount(words[:cut])
        if amount is None:
            continue
        name = unit(words[cut:])
        if name is not None:
            return Measure(((amount, name),))
        if words[cut] in ("foot", "feet", "pounds", "pound", "stone", "hours", "hour"):
            return _with_small(amount, words, cut)
    return None


def _amount(words: Sequence[str]) -> Fraction | None:
    """Parse the number before a unit, including "a", "half a" and "a quarter of a"."""
    if words[-1] not in ("a", "an"):
        return number(words)
    front = words[:-2] if words[-2:-1] == ["of"] else words[:-1]
    part = number(front) if front else Fraction(1)
    return part if part is not None and 0 < part <= 1 else None


_SMALLER = {"foot": "inch", "pound": "ounce", "stone": "pound", "hour": "minute"}


def _with_small(amount: Fraction, words: Sequence[str], cut: int) -> Measure | None:
    large = units.FORMS[words[cut]]
    rest = [word for word in words[cut + 1 :] if word != "and"]
    named = rest[-1:] and unit(rest[-1:]) == _SMALLER[large]
    small = number(rest[:-1] if named else rest)
    return None if small is None else Measure(((amount, large), (small, _SMALLER[large])))


def alike(amount: Measure, target: str) -> bool:
    """Return True if the measurement and the unit are of the same kind."""
    return all(_KIND_OF[name] == _KIND_OF[target] for _, name in amount.parts)


def warm() -> None:
    """Load Pint, which takes half a second, so that the first conversion is fast."""
    convert(Measure(((Fraction(1), "mile"),)), "kilometer")


def convert(amount: Measure, target: str) -> float | None:
    """Convert the measurement to the target unit; None if their kinds differ."""
    parts = [units.convert(float(value), name, target) for value, name in amount.parts]
    return None if None in parts else sum(part for part in parts if part is not None)
