"""Guardrails: checks of what the assistant and the user say, and what a check decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DEADLINE_S = 2.0
"""Seconds for one check, unless the guardrail has its own deadline."""

MAX_GUARDRAILS = 32
"""Most guardrails of a session."""


class GuardrailSide(StrEnum):
    """Whose words a guardrail checks."""

    ASSISTANT = "assistant"
    USER = "user"
    BOTH = "both"


class GuardrailPolicy(StrEnum):
    """What happens to words whose check is late or fails."""

    OPEN = "open"
    """They are heard at once; a trip stops the rest."""
    CLOSED = "closed"
    """They are heard and shown after the check only; without an answer, the reply is stopped."""


@dataclass(frozen=True, slots=True)
class GuardrailSpec:
    """A guardrail as the conversation knows it."""

    name: str
    policy: GuardrailPolicy = GuardrailPolicy.OPEN
    deadline_s: float = DEADLINE_S
    """Seconds for one check."""
    watches: GuardrailSide = GuardrailSide.ASSISTANT

    def covers(self, side: str) -> bool:
        """Return True if it checks the words of this side."""
        return self.watches in {GuardrailSide.BOTH, side}

    @property
    def closed(self) -> bool:
        """True if words wait for their check."""
        return self.policy is GuardrailPolicy.CLOSED


@dataclass(frozen=True, slots=True)
class GuardrailTrip:
    """The decision of a guardrail to stop a reply. Without `say` and `instructions` it only stops.

    Exported as `voicechat.GuardrailTrip`.
    """

    reason: str = ""
    """Why, for the user: a sentence without its period, such as `it names a price`."""
    say: str = ""
    """A sentence for the assistant to say instead, word for word."""
    instructions: str = ""
    """Instructions for another reply instead."""
