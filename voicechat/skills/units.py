"""Units: spoken names and conversion. Pint is loaded at the first conversion."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from voicechat.skills.wording import readable

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


FORMS = _forms()


def unit(words: Sequence[str]) -> str | None:
    """Return the unit that these words name ("square feet", "km", "degrees fahrenheit")."""
    return FORMS.get(" ".join(words))


def spoken(name: str, count: float | Fraction = 2) -> str:
    """Return the spoken name of a unit with this count."""
    if count != 1 and name in _PLURALS:
        return _PLURALS[name]
    plain = name.replace("_", " ")
    return plain if count == 1 else plain + "s"


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(cache_folder=None)


def convert(value: float, unit: str, target: str) -> float | None:
    """Convert a value; None when the units measure different things.

    unit, target: names from `unit()`.
    """
    import pint

    registry = _registry()
    try:
        amount = registry.Quantity(value, _NEEDS_PINT_NAME.get(unit, unit))
        return float(amount.to(_NEEDS_PINT_NAME.get(target, target)).magnitude)
    except pint.DimensionalityError:
        return None


def conversion_sentence(amount: str, value: float, target: str) -> str:
    """Return the sentence to say: `amount` in words is `value` in the unit `target`."""
    tolerance = 1e-9 * max(1.0, abs(value))
    digits = (3, 2) if abs(value) >= 1 else (4,)
    exact = abs(round(value, digits[0]) - value) < tolerance
    rounded = round(value, digits[0] if exact else digits[-1]) or value
    verb = "is" if exact else "is about"
    return f"{amount} {verb} {readable(rounded)} {spoken(target, rounded)}."
