"""Session events: start and end, rate limits, errors. These are events like those in `events`."""

from __future__ import annotations

from dataclasses import dataclass, field

from voicechat.core.commands import CommandName


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A new connection is ready for commands."""

    session_id: str = ""
    expires_at: float | None = None
    """Unix time in seconds at which the provider will end the session."""
    resumed: bool = False
    """The provider still has the conversation: it does not need seeding."""


@dataclass(frozen=True, slots=True)
class SessionEnding:
    """The provider will close this connection soon; continue on a new one before that."""

    seconds_left: float


@dataclass(frozen=True, slots=True)
class ResumptionHandle:
    """Handle to resume the session in its present state; the newest one is valid."""

    handle: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """The oldest open `UpdateSession` took effect."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit of the account: requests or tokens."""

    name: str
    limit: int
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Remaining rate limits of the account."""

    limits: tuple[RateLimit, ...]


@dataclass(frozen=True, slots=True)
class ProviderError:
    """The provider reported an error. Most errors leave the session usable."""

    message: str
    code: str | None = None
    command: CommandName | None = None
    """The failed command, if the provider names it."""
    fatal: bool = False
    """True if the provider ends the session with it."""
    partial: bool = False
    """True if the provider ignores a part of the command and carries out the rest."""
    part: str | None = None
    """Refused part of the settings: `tools`, `tools.NAME`, `mcp_servers.LABEL` or a setting."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A frame without a meaning here: kept for the event console, otherwise ignored."""

    wire_type: str
    """Empty for an unreadable frame."""
    broken: bool = False
    """The type is known, but the content is invalid, such as audio that is not base64."""

    @property
    def unreadable(self) -> bool:
        """True if a correct peer would never send it."""
        return self.broken or not self.wire_type
