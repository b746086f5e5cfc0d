"""Expiry of one session: the time at which the provider ends it, and when to renew it before that.

All times are monotonic seconds. The start of the session counts, not the clock of this computer: a
session is never renewed in the first half of its life, whatever the provider announces.
"""

from __future__ import annotations

RENEW_BEFORE_S = 120.0
"""Seconds before the provider's limit at which a session may be renewed between two turns."""

RENEW_AT_LAST_S = 15.0
"""Seconds before the limit at which a session is renewed in any case."""

SHORTEST_SESSION_S = 30.0
"""Shortest plausible lifetime of a session in seconds; a shorter one is not believed."""

YOUNG_SHARE = 0.5
"""Share of its lifetime in which a session is not renewed."""


class SessionExpiry:
    """The announced end of one session."""

    def __init__(self, began_at: float) -> None:
        """Start without an announced end; the session began at `began_at`."""
        self.began_at = began_at
        """Start of the session."""
        self._ends_at: float | None = None
        self.is_implausible = False
        """The provider announced an end right after the beginning; it is ignored."""

    def ends_in(self, seconds: float, now: float) -> None:
        """Note that the provider will end the session in `seconds`."""
        self.is_implausible = now - self.began_at + seconds < SHORTEST_SESSION_S
        self._ends_at = None if self.is_implausible else now + seconds

    def is_due(self, now: float, *, between_turns: bool) -> bool:
        """Return True if the session must be renewed now."""
        if self._ends_at is None:
            return False
        lifetime = self._ends_at - self.began_at
        share = 1 - YOUNG_SHARE if between_turns else (1 - YOUNG_SHARE) / 2
        before = RENEW_BEFORE_S if between_turns else RENEW_AT_LAST_S
        return self._ends_at - now < min(before, lifetime * share)
