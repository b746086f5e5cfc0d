"""Numbers, times and lists in words that can be spoken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction


def readable(value: Fraction | float | int) -> str:
    """Format a number to be read or heard: few decimals, separators from 10,000 up.

    Whole numbers keep all digits; others get four decimals, six below 0.1. Values from 1e15
    and below 1e-4 are given as "1.5 times 10 to the 20".
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, Fraction) and value.denominator == 1:
        value = int(value)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    plain = float(value)
    if plain and (abs(plain) >= 1e15 or abs(plain) < 1e-4):
        mantissa, _, exponent = f"{plain:.4e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')} times 10 to the {int(exponent)}"
    text = f"{plain:,.4f}" if abs(plain) >= 10_000 else f"{plain:.4f}"
    if abs(plain) < 0.1:
        text = f"{plain:.6f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def lasting(seconds: float) -> str:
    """Format a duration: "1 hour and 5 minutes". At most three units."""
    left = max(0, round(seconds))
    pieces = []
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            pieces.append(f"{count} {name}{'' if count == 1 else 's'}")
    pieces = pieces[:3] or ["0 seconds"]
    return pieces[0] if len(pieces) == 1 else ", ".join(pieces[:-1]) + " and " + pieces[-1]


def remaining(seconds: float) -> str:
    """Format a time that is left: to the second below an hour, else to the minute."""
    return lasting(seconds if seconds < 3600 else 60 * round(seconds / 60))


def spoken_clock(moment: datetime) -> str:
    """Format a time of day: "6:30 PM", "12 noon"."""
    if moment.minute == 0 and moment.hour in (0, 12):
        return "midnight" if moment.hour == 0 else "12 noon"
    return f"{moment.hour % 12 or 12}:{moment.minute:02} {'AM' if moment.hour < 12 else 'PM'}"


def clock_sentence(moment: datetime, here: datetime, place: str = "") -> str:
    """Return a sentence that tells the time, and the day where it differs from that of `here`."""
    day = f" on {moment:%A}" if moment.date() != here.date() else ""
    return f"{f'In {place} it' if place else 'It'}'s {spoken_clock(moment)}{day}."


def joined(items: Sequence[str], word: str = "and") -> str:
    """Join items as in speech: "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {word} {items[-1]}"


def sentence(text: str) -> str:
    """Return the text with a capital at its start and a period at its end."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else ".")
