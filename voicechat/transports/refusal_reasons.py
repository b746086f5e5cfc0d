"""Reasons of a provider that no other attempt changes: the key, the account, the region, the model.

A provider gives such a reason in the body of an HTTP answer, or in a close frame, whose code says
little: Gemini closes with 1007, 1008 or 1011. The wordings come from public reports of these
answers. A reason that may pass, such as a rate limit, is not among them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from voicechat.errors import ConnectError, KeyMissing, VoicechatError

_LONGEST = 2_000
"""Characters of a reason that are read."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of reason: its wordings, and the error that ends the session."""

    wordings: re.Pattern[str]
    error: type[VoicechatError]
    sentence: str
    hint: str


def _any_of(*wordings: str) -> re.Pattern[str]:
    return re.compile("|".join(wordings), re.IGNORECASE)


_KINDS = (
    _Kind(
        _any_of(r"reported as leaked", r"key was leaked"),
        KeyMissing,
        "{host} blocked the key because it was found in public",
        "Create another key and use that one.",
    ),
    _Kind(
        _any_of(
            r"exceeded your current quota",
            r"insufficient[_ ]quota",
            r"\bbilling\b",
            r"credit balance",
            r"credits (are )?depleted",
            r"(out of|no|insufficient) credits?\b",
        ),
        ConnectError,
        "The account at {host} has no quota left",
        "Check the plan and the billing of the account.",
    ),
    _Kind(
        _any_of(
            r"location is not supported",
            r"unsupported_country",
            r"country, region",
            r"not (available|supported) in your (country|region|location)",
        ),
        ConnectError,
        "{host} does not serve your region",
        "The provider lists the supported regions.",
    ),
    _Kind(
        _any_of(
            r"\bmodels?/\S+ is not (found|supported)",
            r"model_not_found",
            r"\bmodel\b[^.]{0,80}(not found|does not exist)",
            r"(unknown|invalid) model\b",
        ),
        ConnectError,
        "{host} does not have this model",
        "Check --model.",
    ),
    _Kind(
        _any_of(r"beta_api_shape_disabled", r"realtime beta api is no longer"),
        ConnectError,
        "{host} no longer takes the protocol of the beta",
        "Leave out --wire beta.",
    ),
    _Kind(
        _any_of(
            r"api[_ -]?key (is )?(not valid|not found|invalid|expired|missing)",
            r"(invalid|incorrect|missing|expired)[_ ]api[_ -]?key",
            r"\bunauthenticated\b",
            r"invalid authentication",
            r"permission[_ ]denied",
            r"valid api key",
        ),
        KeyMissing,
        "{host} refused the key",
        "Check the key and its permissions.",
    ),
)


def refusal(host: str, reason: str, quote: str) -> VoicechatError | None:
    """Return the error for a reason that no other attempt changes; None for any other one.

    `quote` is the clean reason as a clause to append to the sentence.
    """
    for kind in _KINDS:
        if kind.wordings.search(reason[:_LONGEST]):
            return kind.error(f"{kind.sentence.format(host=host)}{quote}.", kind.hint)
    return None
