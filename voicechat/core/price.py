"""What a model costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, by kind, and per minute where time is billed."""

    text_in: float = 0.0
    text_cached: float | None = None
    """What the provider remembers of the input; None costs as if it were new."""
    text_out: float = 0.0
    audio_in: float = 0.0
    audio_cached: float | None = None
    audio_out: float = 0.0
    image_in: float = 0.0
    minute: float = 0.0
    dated: str = ""
    """The day on which this was the price, as YYYY-MM-DD."""
