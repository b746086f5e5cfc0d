"""Names of OpenAI's models that other APIs than Realtime serve."""

from __future__ import annotations

import re

LIVE_VOICES = (
    "marin", "cedar", "alloy", "ash", "ballad", "beacon", "bossa", "cinder", "coral", "delta",
    "echo", "gleam", "meridian", "quartz", "ripple", "sage", "shida", "shimmer", "stone", "tempo",
    "verse", "vesper", "willow",
)  # fmt: skip
"""Voices of Live models."""

_LIVE = re.compile(r"gpt-live-\d")


def is_live(model: str) -> bool:
    """Return True for a model that only `live/sessions` serves."""
    return _LIVE.match(model) is not None


def is_translator(model: str) -> bool:
    """Return True for a model that only `realtime/translations` serves."""
    return model.startswith("gpt-realtime-translate")
