"""Session events: beginning and end, limits, errors.

These are events like those in `events`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voicechat.core.commands import CommandName


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A new connection is ready for commands: an epoch begins."""

    session_id: str = ""
    expires_at: float | None = None
    """Unix time in seconds at which the provider will end the session."""
    resumed: bool = False
    """The provider still knows what was said before: it need not be told again."""


@dataclass(frozen=True, slots=True)
class SessionEnding:
    """The provider will close this connection soon; go on with a new one before that."""

    seconds_left: float


@dataclass(frozen=True, slots=True)
class ResumptionHandle:
    """With this handle the session can be gone on with as it is now; the newest one counts."""

    handle: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """The last `UpdateSession` took effect. Correlate by order."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit of the account: requests or tokens."""

    name: str
    limit: int
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Remaining part of the account's limits."""

    limits: tuple[RateLimit, ...]


@dataclass(frozen=True, slots=True)
class ProviderError:
    """The provider refused something. Most errors leave the session usable."""

    message: str
    code: str | None = None
    command: CommandName | None = None
    """Command at fault, if the provider says which."""
    fatal: bool = False
    """True when the provider ends the session with it."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A frame with no meaning in this vocabulary: kept for the event console, otherwise ignored."""

    wire_type: str
    """Empty for a frame that cannot be read at all."""
    broken: bool = False
    """Its kind is known, but what it has to hold cannot be read: sound that is no base64."""

    @property
    def unreadable(self) -> bool:
        """True if no peer in order would send it."""
        return self.broken or not self.wire_type
