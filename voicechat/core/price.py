"""Prices of models, and the estimated cost of a usage.

Prices change and contracts differ, so every amount is an estimate. Codecs turn a provider's
running totals into differences, so usages can be added up.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.core.items import Usage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, by kind, and per minute if time is billed."""

    text_in: float = 0.0
    text_cached: float | None = None
    """Cached input; None if it costs as much as other input."""
    text_out: float = 0.0
    audio_in: float = 0.0
    audio_cached: float | None = None
    audio_out: float = 0.0
    image_in: float = 0.0
    minute: float = 0.0
    dated: str = ""
    """Day the price was read, as YYYY-MM-DD."""


def estimate(usage: Usage, price: Price) -> float:
    """Return the estimated cost of a usage in US dollars.

    Tokens of unknown kind count as text. Cached tokens are part of the input; those of unknown
    kind are split in the proportion of text to audio in the input.
    """
    tokens = (
        _input(_text_in(usage), price.text_in,
               _cached(usage, "text"), price.text_cached)
        + _input(usage.input_audio_tokens, price.audio_in,
                 _cached(usage, "audio"), price.audio_cached)
        + usage.input_image_tokens * price.image_in
        + usage.output_audio_tokens * price.audio_out
        + (usage.output_tokens - usage.output_audio_tokens) * price.text_out
    )  # fmt: skip
    return max(0.0, tokens) / _MILLION + usage.seconds / 60 * price.minute


def _text_in(usage: Usage) -> int:
    """Input tokens that are text or of unknown kind."""
    named = usage.input_text_tokens + usage.input_audio_tokens + usage.input_image_tokens
    return usage.input_text_tokens + max(0, usage.input_tokens - named)


def _input(tokens: int, price: float, cached: float, reduced: float | None) -> float:
    known = min(cached, tokens)
    return (tokens - known) * price + known * (price if reduced is None else reduced)


def _cached(usage: Usage, kind: str) -> float:
    is_text = kind == "text"
    named = usage.cached_text_tokens if is_text else usage.cached_audio_tokens
    unnamed = usage.cached_tokens - usage.cached_text_tokens - usage.cached_audio_tokens
    text, audio = _text_in(usage), usage.input_audio_tokens
    part = text if is_text else audio
    return named + max(0, unnamed) * part / (text + audio or 1)
