"""Prices of models, and the estimated cost of a usage.

Prices change and contracts differ, so every amount is an estimate. Codecs turn a provider's
running totals into differences, so usages can be added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voicechat.core.items import Usage

PRICES_READ = "2026-11-28"
"""Day on which the list prices were last compared with those of the providers."""

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
    image_cached: float | None = None
    minute: float = 0.0
    paused_minute: float | None = None
    """A minute in which the session is paused; None if it costs as much as other minutes."""
    dated: str = ""
    """Day the price was read, as YYYY-MM-DD."""


def estimate(usage: Usage, price: Price) -> float:
    """Return the estimated cost of a usage in US dollars.

    Tokens of unknown kind count as text. Cached tokens are part of the input; those of unknown
    kind are split in the proportion of text, audio and images in the input.
    """
    tokens = (
        _reduced(_text_in(usage), price.text_in, _cached(usage, "text"), price.text_cached)
        + _reduced(
            usage.input_audio_tokens, price.audio_in, _cached(usage, "audio"), price.audio_cached
        )
        + _reduced(
            usage.input_image_tokens, price.image_in, _cached(usage, "image"), price.image_cached
        )
        + usage.output_audio_tokens * price.audio_out
        + (usage.output_tokens - usage.output_audio_tokens) * price.text_out
    )
    seconds = _reduced(usage.seconds, price.minute, usage.paused_seconds, price.paused_minute)
    return max(0.0, tokens) / _MILLION + seconds / 60


def dollars(amount: float) -> str:
    """Format an amount of US dollars: "$1.20", "$0.004", "under $0.001"."""
    if amount < 0.001:
        return "under $0.001"
    return f"${amount:.3f}" if amount < 0.1 else f"${amount:,.2f}"


def _text_in(usage: Usage) -> int:
    """Input tokens that are text or of unknown kind."""
    named = usage.input_text_tokens + usage.input_audio_tokens + usage.input_image_tokens
    return usage.input_text_tokens + max(0, usage.input_tokens - named)


def _reduced(amount: float, price: float, cheaper: float, reduced: float | None) -> float:
    """Return the price of an amount of which a part is cheaper."""
    known = min(cheaper, amount)
    return (amount - known) * price + known * (price if reduced is None else reduced)


def _cached(usage: Usage, kind: Literal["text", "audio", "image"]) -> float:
    named = {
        "text": usage.cached_text_tokens,
        "audio": usage.cached_audio_tokens,
        "image": usage.cached_image_tokens,
    }
    tokens = {
        "text": _text_in(usage),
        "audio": usage.input_audio_tokens,
        "image": usage.input_image_tokens,
    }
    unnamed = max(0, usage.cached_tokens - sum(named.values()))
    return named[kind] + unnamed * tokens[kind] / (sum(tokens.values()) or 1)
