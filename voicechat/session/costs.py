"""Usage of a session and its estimated cost, by model, in numbers and sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final
from urllib.parse import urlsplit

from voicechat.core import events
from voicechat.core.budget import Spending
from voicechat.core.items import Usage
from voicechat.core.price import PRICES_READ, Price, dollars, estimate
from voicechat.core.text import clean
from voicechat.core.usage_meter import left
from voicechat.system.loopback import is_loopback
from voicechat.system.text_table import counted

TRANSCRIPTION = "transcription"
"""Kind of usage of the transcription model; see `core.effects.UsageChanged`."""

TOKEN = "token"
"""Kind of usage of a session that a token opens in another program, with an assumed length."""

BILLED_APART: Final = {
    TRANSCRIPTION: "transcription",
    "delegation": "delegated work",
    TOKEN: "sessions of tokens",
}
"""Kinds of usage of other models, whose prices are not known here, with their names."""


class CostTally:
    """Usage and estimated cost of a session, over all its conversations and models."""

    def __init__(self, own: Mapping[str, Price], chat_url: str | None = None) -> None:
        """`own` holds the user's prices by PROVIDER/MODEL.

        chat_url: of the chat server of the embedded voice, which may charge for its work.
        """
        self.used: defaultdict[tuple[str, str], Usage] = defaultdict(Usage)
        """Usage by model and kind: "response", "transcription", "delegation" or "other"."""
        self.last = Usage()
        """Usage of the last response."""
        self._own = own
        host = urlsplit(chat_url or "").hostname or ""
        self._chat_host = "" if is_loopback(host) else host
        self._prices: dict[str, Price | None] = {}

    @property
    def total(self) -> Usage:
        """All usage of models that charge, except transcription of the user's speech."""
        return _sum(
            usage
            for (model, source), usage in self.used.items()
            if source != TRANSCRIPTION and not self.is_free(model)
        )

    @property
    def cost(self) -> float:
        """Estimated cost in US dollars of everything with a known price.

        Transcription and delegated work are billed separately, at the prices of other models.
        """
        costs = (self.cost_of(*key, usage) for key, usage in self.used.items())
        return sum(cost for cost in costs if cost is not None)

    def add(self, model: str, source: str, usage: Usage) -> None:
        """Add a usage of a model."""
        self.used[model, source] += usage
        if source == "response":
            self.last = usage

    def cost_of(self, model: str, source: str, usage: Usage) -> float | None:
        """Return the estimated cost of a usage in US dollars; None if the price is unknown."""
        price = None if source in BILLED_APART else self._price(model)
        return None if price is None else estimate(usage, price)

    def spending(self, unknown: Price) -> Spending:
        """Return the whole cost and all tokens; `unknown` is the price of what has none."""
        found = Spending()
        for (model, source), usage in self.used.items():
            if not self.is_free(model):
                cost = self.cost_of(model, source, usage)
                found += spending_of(usage, cost, unknown)
        return found

    def is_free(self, model: str) -> bool:
        """Return True for the embedded voice, unless it uses a chat server that may charge."""
        return _is_embedded(model) and not self._chat_host

    def _price(self, model: str) -> Price | None:
        from voicechat.providers.catalog import price_of

        if model not in self._prices:
            charges = _is_embedded(model) and not self.is_free(model) and model not in self._own
            self._prices[model] = None if charges else price_of(model, self._own)
        return self._prices[model]

    @property
    def shown_cost(self) -> str:
        """The cost for the status line, like "$0.04"; empty if it is zero."""
        cost = self.cost
        return dollars(cost) if cost > 0 else ""

    def lines(self, limits: Iterable[events.RateLimit]) -> list[str]:
        """Return usage, cost and limits in full, one sentence each."""
        total, last = self.total, self.last
        transcribed = _sum(u for (_, source), u in self.used.items() if source == TRANSCRIPTION)
        if not any(usage != Usage() for usage in self.used.values()):
            return ["Nothing used yet.", *_limits(limits)]
        if all(self.is_free(model) for model, _ in self.used):
            return ["No cost: local.", *_limits(limits)]
        found = []
        if last != Usage():
            found.append(f"Last answer: {_amounts(last)}.")
        if total != Usage():
            found.append(f"Session: {_amounts(total)}.")
        if transcribed != Usage():
            found.append(f"For transcribing your speech: {_amounts(transcribed)}.")
        return [*found, *self._cost_lines(), *_limits(limits)]

    def _cost_lines(self) -> list[str]:
        models = dict.fromkeys(
            model
            for model, source in self.used
            if source not in BILLED_APART and not self.is_free(model)
        )
        apart = [
            name
            for kind, name in BILLED_APART.items()
            if any(source == kind and used != Usage() for (_, source), used in self.used.items())
        ]
        known = {model: price for model in models if (price := self._price(model)) is not None}
        found = [
            f"The price of the chat server at {clean(self._chat_host)} is unknown."
            if _is_embedded(model)
            else f"The price of {clean(model)} is unknown (list of {PRICES_READ});"
            " set one in the settings file."
            for model in models
            if model not in known
        ]
        cost = self.cost
        if cost > 0:
            dates = sorted({price.dated or "your own" for price in known.values()})
            rest = f", {' and '.join(apart)} not included" if apart else ""
            about = "about " if cost >= 0.001 else ""
            text = f"{about}{dollars(cost)} at prices of {' and '.join(dates)}{rest}"
            found.insert(0, f"Estimated cost: {text.replace('of your own', 'of your own list')}.")
        elif known and not found:
            found.append("Cost: none.")
        return found


def spending_of(usage: Usage, cost: float | None, unknown: Price) -> Spending:
    """Return a usage as dollars and tokens; without a cost it counts at the price `unknown`."""
    tokens = usage.total_tokens or usage.input_tokens + usage.output_tokens
    if cost is None:
        cost = estimate(Usage(input_tokens=tokens, seconds=usage.seconds), unknown)
    return Spending(cost, tokens)


def _is_embedded(model: str) -> bool:
    from voicechat.providers.catalog import provider_named

    provider = provider_named(model.partition("/")[0])
    return provider is not None and provider.is_embedded


def _sum(usages: Iterable[Usage]) -> Usage:
    return reduce(Usage.__add__, usages, Usage())


def _amounts(usage: Usage) -> str:
    """Return the tokens by kind, and the seconds."""
    parts = []
    # Some providers report no total, and some one that counts more than both sides.
    if tokens := usage.input_tokens + usage.output_tokens or usage.total_tokens:
        inward = _kinds(
            usage.input_tokens,
            ("text", usage.input_text_tokens),
            ("sound", usage.input_audio_tokens),
            ("pictures", usage.input_image_tokens),
        )
        outward = _kinds(
            usage.output_tokens,
            ("text", usage.output_text_tokens),
            ("sound", usage.output_audio_tokens),
        )
        text = f"{tokens:,} tokens, {usage.input_tokens:,} in{inward}"
        if usage.cached_tokens:
            text += f", {usage.cached_tokens:,} of them cached"
        parts.append(f"{text}, {usage.output_tokens:,} out{outward}")
    if usage.seconds:
        paused = f", {usage.paused_seconds:,.0f} of them paused" if usage.paused_seconds else ""
        parts.append(f"{counted(round(usage.seconds), 'second')}{paused}")
    return " and ".join(parts) or "nothing"


def _kinds(total: int, *kinds: tuple[str, int]) -> str:
    """Return the counts by kind; those of unknown kind are "other", so that they add up."""
    known = sum(count for _, count in kinds)
    kinds = (*kinds, ("other", total - known)) if 0 < known < total else kinds
    texts = [f"{count:,} {name}" for name, count in kinds if count]
    return f" ({', '.join(texts)})" if texts and texts != [f"{kinds[0][1]:,} text"] else ""


def _limits(limits: Iterable[events.RateLimit]) -> list[str]:
    return [
        f"Limit of {clean(limit.name)}: {left(limit)} % of {limit.limit:,} left,"
        f" resets in {max(1, round(limit.reset_seconds))} s."
        for limit in limits
    ]
