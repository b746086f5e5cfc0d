"""Spoken measurements: amounts of units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from voicechat.server.assistant.numerals import may_start, number
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
    name: str = ""
    """A common name of the amount, such as "a marathon"."""

    def __str__(self) -> str:
        return self.name or " ".join(
            f"{readable(amount)} {spoken(name, amount)}" for amount, name in self.parts
        )


_NAMED: Mapping[str, tuple[str, str]] = {
    "a marathon": ("42.195", "kilometer"),
    "a half marathon": ("21.0975", "kilometer"),
    "half a marathon": ("21.0975", "kilometer"),
    "a fortnight": ("14", "day"),
    "a leap year": ("366", "day"),
    "a decade": ("10", "year"),
    "a century": ("100", "year"),
    "a millennium": ("1000", "year"),
    "the speed of light": ("299792458", "meter_per_second"),
    "the speed of sound": ("343", "meter_per_second"),
    "the boiling point of water": ("100", "degree_Celsius"),
    "the freezing point of water": ("0", "degree_Celsius"),
    "body temperature": ("37", "degree_Celsius"),
    "absolute zero": ("-273.15", "degree_Celsius"),
}
"""Amounts with a common name."""
_NAMED_OPENERS = frozenset(name.split()[0] for name in _NAMED)


def may_begin(word: str) -> bool:
    """Return True if a measurement can start with this word."""
    return may_start(word) or word in _NAMED_OPENERS


def measure(words: Sequence[str]) -> Measure | None:
    """Parse "five miles", "a pound", "5 foot 11" or "six pounds four ounces"; None otherwise."""
    name = " ".join(words)
    if found := _NAMED.get(name) or _NAMED.get(name.replace("the ", "a ", 1)):
        return Measure(((Fraction(found[0]), found[1]),), name)
    for cut in range(1, len(words)):
        amount = _amount(words[:cut])
        if amount is None:
            continue
        kind = unit(words[cut:])
        if kind is not None:
            return Measure(((amount, kind),))
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


_OTHER_SCALE = {"degree_Celsius": "degree_Fahrenheit", "degree_Fahrenheit": "degree_Celsius"}


def other_scale(amount: Measure, target: str) -> Measure:
    """Return the temperature that "98.6 degrees in Celsius" means, in the other scale."""
    value, name = amount.parts[0]
    if name != "degree" or target not in _OTHER_SCALE:
        return amount
    return Measure(((value, _OTHER_SCALE[target]),))


def alike(amount: Measure, target: str) -> bool:
    """Return True if the measurement and the unit are of the same kind."""
    amount = other_scale(amount, target)
    return all(_KIND_OF[name] == _KIND_OF[target] for _, name in amount.parts)


def warm() -> None:
    """Load Pint, which takes half a second, so that the first conversion is fast."""
    convert(Measure(((Fraction(1), "mile"),)), "kilometer")


def convert(amount: Measure, target: str) -> float | None:
    """Convert the measurement to the target unit; None if their kinds differ."""
    parts = [units.convert(float(value), name, target) for value, name in amount.parts]
    return None if None in parts else sum(part for part in parts if part is not None)
