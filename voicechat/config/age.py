"""Ages in words: "90 days", "6 weeks", "1 year"."""

from __future__ import annotations

import re
from typing import Final

_DAYS: Final = {"day": 1, "week": 7, "month": 30, "year": 365}
_AGE: Final = re.compile(r"(\d{1,6})\s*([a-z]+?)s?")


def age_in_days(text: str) -> float | None:
    """Return the days in an age; None if it is not an age or is zero."""
    found = _AGE.fullmatch(text.strip().lower())
    days = int(found[1]) * _DAYS.get(found[2], 0) if found else 0
    return float(days) or None
