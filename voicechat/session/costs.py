"""What a session used and about what that costs, model by model, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from voicechat.core import effects, events
from voicechat.core.items import Usage
from voicechat.core.price import Price, estimate
from voicechat.core.text import clean
from voicechat.core.usage_meter import left


class CostTally:
    """Adds up usage over every conversation and model of a session."""

    def __init__(self, own: Mapping[str, Price]) -> None:
        """`own` are the user's prices, by PROVIDER/MODEL."""
        self.total = Usage()
        """Everything used, except for transcripts of the user."""
        self.last = Usage()
        """What the last answer used."""
        self.cost = 0.0
        """About so many US dollars, as far as prices are known."""
        self._written = Usage()
        self._own = own
        self._prices: dict[str, Price | None] = {}

    def add(self, model: str, change: effects.UsageChanged) -> None:
        """This model used that."""
        if change.what == "transcription":
            # It is billed apart, at the price of an unnamed model.
            self._written += change.added
            return
        self.total += change.added
        if change.what == "response":
            self.last = change.added
        from voicechat.providers.catalog import price_of

        if model not in self._prices:
            self._prices[model] = price_of(model, self._own)
        price = self._prices[model]
        if price is not None:
            self.cost += estimate(change.added, price)

    @property
    def shown_cost(self) -> str:
        """The cost for a narrow place, like "$0.04"; empty when there is none to show."""
        return dollars(self.cost) if self.cost > 0 else ""

    def lines(self, limits: Iterable[events.RateLimit]) -> list[str]:
        """All of it in full, one sentence each."""
        if self.total == self._written == Usage():
            return ["Nothing used yet.", *_limits(limits)]
        found = []
        if self.last != Usage():
            found.append(f"Last answer: {_told(self.last)}.")
        if self.total != Usage():
            found.append(f"Session: {_told(self.total)}.")
        if self._written != Usage():
            found.append(f"For transcribing your speech: {_told(self._written)}.")
        return [*found, *self._costs(), *_limits(limits)]

    def _costs(self) -> list[str]:
        known = {model: price for model, price in self._prices.items() if price}
        found = [
            f"The price of {clean(model)} is unknown; set one in the settings file."
            for model in self._prices
            if model not in known
        ]
        if self.cost > 0:
            dates = sorted({price.dated or "your own" for price in known.values()})
            rest = ", transcription not included" if self._written != Usage() else ""
            told = f"about {dollars(self.cost)} at prices of {' and '.join(dates)}{rest}"
            found.insert(0, f"Estimated cost: {told.replace('of your own', 'of your own list')}.")
        elif known and not found:
            found.append("It is free.")
        return found


def dollars(amount: float) -> str:
    """An amount as one reads it: "$1.20", "$0.004", "under $0.001"."""
    if amount < 0.001:
        return "under $0.001"
    return f"${amount:.3f}" if amount < 0.1 else f"${amount:,.2f}"


def _told(usage: Usage) -> str:
    """Tokens by kind, and seconds."""
    parts = []
    if tokens := usage.total_tokens or usage.input_tokens + usage.output_tokens:
        inward = _kinds(
            ("text", usage.input_text_tokens),
            ("sound", usage.input_audio_tokens),
            ("pictures", usage.input_image_tokens),
        )
        outward = _kinds(("text", usage.output_text_tokens), ("sound", usage.output_audio_tokens))
        told = f"{tokens:,} tokens, {usage.input_tokens:,} in{inward}"
        if usage.cached_tokens:
            told += f", {usage.cached_tokens:,} of them cached"
        parts.append(f"{told}, {usage.output_tokens:,} out{outward}")
    if usage.seconds:
        parts.append(f"{usage.seconds:,.0f} seconds")
    return " and ".join(parts) or "nothing"


def _kinds(*kinds: tuple[str, int]) -> str:
    told = [f"{count:,} {name}" for name, count in kinds if count]
    return f" ({', '.join(told)})" if told and told != [f"{kinds[0][1]:,} text"] else ""


def _limits(limits: Iterable[events.RateLimit]) -> list[str]:
    return [
        f"Limit of {clean(limit.name)}: {left(limit)} % of {limit.limit:,} left,"
        f" resets in {max(1, round(limit.reset_seconds))} s."
        for limit in limits
    ]
