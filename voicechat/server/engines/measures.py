"""Units: their spoken names, and conversion (by Pint, loaded when first needed)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from voicechat.server.engines.numerals import number, readable

_SPOKEN = {
    "millimeter": "millimeter millimetre mm",
    "centimeter": "centimeter centimetre cm",
    "meter": "meter metre m",
    "kilometer": "kilometer kilometre km kilometers kay",
    "inch": "inch inches in",
    "foot": "foot feet ft",
    "yard": "yard yd",
    "mile": "mile mi",
    "nautical_mile": "nautical_mile",
    "light_year": "light_year",
    "milligram": "milligram milligramme mg",
    "gram": "gram gramme g",
    "kilogram": "kilogram kilogramme kilo kg kgs",
    "tonne": "tonne metric_ton",
    "ton": "ton",
    "ounce": "ounce oz",
    "pound": "pound lb lbs",
    "stone": "stone stones",
    "milliliter": "milliliter millilitre ml",
    "centiliter": "centiliter centilitre cl",
    "deciliter": "deciliter decilitre dl",
    "liter": "liter litre l",
    "gallon": "gallon gal",
    "quart": "quart",
    "pint": "pint",
    "cup": "cup",
    "fluid_ounce": "fluid_ounce",
    "tablespoon": "tablespoon tbsp",
    "teaspoon": "teaspoon tsp",
    "degree_Celsius": "degree_celsius celsius centigrade degree_centigrade c degree_c",
    "degree_Fahrenheit": "degree_fahrenheit fahrenheit f degree_f",
    "kelvin": "kelvin",
    "second": "second sec",
    "minute": "minute min",
    "hour": "hour hr",
    "day": "day",
    "week": "week",
    "month": "month",
    "year": "year",
    "kilometer_per_hour": "kilometer_per_hour kilometre_per_hour kilometer_an_hour kmh kph",
    "mile_per_hour": "mile_per_hour mile_an_hour mph",
    "meter_per_second": "meter_per_second metre_per_second",
    "knot": "knot",
    "square_meter": "square_meter square_metre",
    "square_kilometer": "square_kilometer square_kilometre",
    "square_foot": "square_foot square_feet",
    "square_mile": "square_mile",
    "acre": "acre",
    "hectare": "hectare",
    "byte": "byte",
    "bit": "bit",
    "kilobyte": "kilobyte kb",
    "megabyte": "megabyte mb",
    "gigabyte": "gigabyte gb",
    "terabyte": "terabyte tb",
    "calorie": "calorie",
    "kilocalorie": "kilocalorie kcal",
    "joule": "joule",
    "kilojoule": "kilojoule",
    "kilowatt_hour": "kilowatt_hour",
    "watt": "watt",
    "kilowatt": "kilowatt",
    "horsepower": "horsepower",
    "pascal": "pascal",
    "bar": "bar",
    "psi": "psi",
    "degree": "degree",
    "radian": "radian",
}
_NEEDS_PINT_NAME = {
    "square_meter": "meter**2", "square_kilometer": "kilometer**2", "square_foot": "foot**2",
    "square_mile": "mile**2", "kilometer_per_hour": "kilometer/hour", "mile_per_hour": "mile/hour",
    "meter_per_second": "meter/second", "tonne": "metric_ton", "stone": "stone",
    "fluid_ounce": "fluid_ounce",
}  # fmt: skip
_PLURALS = {
    "foot": "feet", "inch": "inches", "degree_Celsius": "degrees Celsius", "stone": "stone",
    "degree_Fahrenheit": "degrees Fahrenheit", "kelvin": "kelvin", "square_foot": "square feet",
    "kilometer_per_hour": "kilometers per hour", "mile_per_hour": "miles per hour", "psi": "psi",
    "meter_per_second": "meters per second", "horsepower": "horsepower",
}  # fmt: skip
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
"""Units that convert into each other, for sentences that make sense."""


def _forms() -> dict[str, str]:
    table: dict[str, str] = {}
    for unit, names in _SPOKEN.items():
        for name in names.split():
            table[name.replace("_", " ")] = unit
            first, _, rest = name.partition("_")
            plurals = (f"{first}s_{rest}", f"{name}s") if rest else (f"{name}s",)
            for plural in plurals:
                table.setdefault(plural.replace("_", " "), unit)
    return table


_TABLE = _forms()


def unit(words: Sequence[str]) -> str | None:
    """The unit these words name ("square feet", "km", "degrees fahrenheit")."""
    return _TABLE.get(" ".join(words))


def spoken(name: str, count: float | Fraction = 2) -> str:
    """The name of a unit as said with this count."""
    if count != 1 and name in _PLURALS:
        return _PLURALS[name]
    plain = name.replace("_", " ")
    return plain if count == 1 else plain + "s"


@dataclass(frozen=True, slots=True)
class Measure:
    """An amount in one unit, or in a large and a small one ("five foot eleven")."""

    parts: tuple[tuple[Fraction, str], ...]

    def __str__(self) -> str:
        return " ".join(f"{readable(amount)} {spoken(name, amount)}" for amount, name in self.parts)


def measure(words: Sequence[str]) -> Measure | None:
    """ "five miles", "a pound", "5 foot 11", "six pounds four ounces"."""
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
    """The number before a unit: also "a", "half a", "a quarter of a"."""
    if words[-1] not in ("a", "an"):
        return number(words)
    front = words[:-2] if words[-2:-1] == ["of"] else words[:-1]
    part = number(front) if front else Fraction(1)
    return part if part is not None and 0 < part <= 1 else None


_SMALLER = {"foot": "inch", "pound": "ounce", "stone": "pound", "hour": "minute"}


def _with_small(amount: Fraction, words: Sequence[str], cut: int) -> Measure | None:
    large = _TABLE[words[cut]]
    rest = [word for word in words[cut + 1 :] if word != "and"]
    named = rest[-1:] and unit(rest[-1:]) == _SMALLER[large]
    small = number(rest[:-1] if named else rest)
    return None if small is None else Measure(((amount, large), (small, _SMALLER[large])))


def alike(amount: Measure, target: str) -> bool:
    """Whether the measure and the unit are of one kind, so that one can become the other."""
    return all(_KIND_OF[name] == _KIND_OF[target] for _, name in amount.parts)


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(cache_folder=None)


def warm() -> None:
    """Load Pint, half a second of work, so that the first conversion is quick."""
    convert(Measure(((Fraction(1), "mile"),)), "kilometer")


def convert(amount: Measure, target: str) -> float | None:
    """The measure in the target unit; None when the two do not measure the same thing."""
    import pint

    registry = _registry()
    try:
        total = sum(
            registry.Quantity(float(value), _NEEDS_PINT_NAME.get(name, name))
            .to(_NEEDS_PINT_NAME.get(target, target))
            .magnitude
            for value, name in amount.parts
        )
    except pint.DimensionalityError:
        return None
    return float(total)
