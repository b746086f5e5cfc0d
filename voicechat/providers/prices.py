"""What a conversation costs, as well as it can be known from the outside.

`PRICES` is a table of list prices with the day they were read; the settings file may put its own
over them:

    [prices."openai/gpt-realtime-2.1"]
    audio_in = 32.0
    audio_out = 64.0

Prices change and contracts differ, so every amount from here is an estimate. A provider's running
totals must be differences by now (the codecs see to that): usage is added up.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicechat.core.items import Usage
from voicechat.core.price import Price

_MILLION = 1_000_000


_FULL = Price(4, 0.4, 16, 32, 0.4, 64, 5, dated="2026-06-22")
_SECOND = Price(4, 0.4, 24, 32, 0.4, 64, 5, dated="2026-05-07")
_SMALL = Price(0.6, 0.06, 2.4, 10, 0.3, 20, 0.8, dated="2026-06-22")

PRICES: Mapping[str, Price] = {
    "openai/gpt-realtime": _FULL,
    "openai/gpt-realtime-1.5": _FULL,
    "openai/gpt-realtime-2": _SECOND,
    "openai/gpt-realtime-mini": _SMALL,
    "xai/grok-voice-latest": Price(minute=0.08, dated="2026-09-24"),
    "xai/grok-voice-think-fast-2.0": Price(minute=0.08, dated="2026-09-24"),
    "xai/grok-voice-think-fast-1.0": Price(minute=0.05, dated="2026-04-06"),
    "local/built-in": Price(),
}
"""List prices by PROVIDER/MODEL. A model that is not here has none that is known."""


def price_of(model: str, own: Mapping[str, Price] | None = None) -> Price | None:
    """The price of PROVIDER/MODEL: the person's own, or the table's; None if neither has it.

    A dated version of a model (`-2026-05-07`) costs what the model costs.
    """
    table = {**PRICES, **(own or {})}
    if model in table:
        return table[model]
    stem, _, day = model.rpartition("-20")
    return table.get(stem) if len(day) == len("26-05-07") else None


def estimate(usage: Usage, price: Price) -> float:
    """About how many US dollars this usage costs.

    Tokens whose kind the provider did not say count as text. Cached tokens are part of the input;
    those whose kind is unknown are shared out as the input is.
    """
    tokens = (
        _input(usage.input_text_tokens + _unnamed_input(usage), price.text_in,
               _cached(usage, "text"), price.text_cached)
        + _input(usage.input_audio_tokens, price.audio_in,
                 _cached(usage, "audio"), price.audio_cached)
        + usage.input_image_tokens * price.image_in
        + usage.output_audio_tokens * price.audio_out
        + (usage.output_tokens - usage.output_audio_tokens) * price.text_out
    )  # fmt: skip
    return max(0.0, tokens) / _MILLION + usage.seconds / 60 * price.minute


def _unnamed_input(usage: Usage) -> int:
    named = usage.input_text_tokens + usage.input_audio_tokens + usage.input_image_tokens
    return max(0, usage.input_tokens - named)


def _input(tokens: int, price: float, cached: float, reduced: float | None) -> float:
    known = min(cached, tokens)
    return (tokens - known) * price + known * (price if reduced is None else reduced)


def _cached(usage: Usage, kind: str) -> float:
    known = usage.cached_text_tokens + usage.cached_audio_tokens
    own = usage.cached_text_tokens if kind == "text" else usage.cached_audio_tokens
    rest = max(0, usage.cached_tokens - known)
    heard = usage.input_audio_tokens
    written = usage.input_text_tokens + _unnamed_input(usage)
    whole = heard + written
    share = 0.0 if not whole else (written if kind == "text" else heard) / whole
    return own + rest * share
