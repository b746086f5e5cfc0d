"""Usage meter: usage of a conversation, and the rate limits of the account."""

from __future__ import annotations

from voicechat.core import effects, events
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Usage

NEAR = 0.2
"""Remaining share of a limit below which the user is warned."""


class UsageMeter:
    """Adds up usage. Codecs turn running totals into differences."""

    def __init__(self, buffer: EffectBuffer) -> None:
        self.total = Usage()
        """All usage except transcription, which another model is billed for."""
        self.written = Usage()
        """Usage of transcription."""
        self.response = Usage()
        """Usage of the last response."""
        self.limits: tuple[events.RateLimit, ...] = ()
        """Latest rate limits; empty once all of them are reset."""
        self._buffer = buffer
        self._reported_at = 0.0
        self._warned: dict[str, float] = {}

    def responded(self, usage: Usage) -> None:
        """Add the usage of a response."""
        self.response = usage
        self._add(usage, "response")

    def transcribed(self, usage: Usage) -> None:
        """Add the usage of a transcription."""
        self.written += usage
        self._buffer.do(effects.UsageChanged(self.total, usage, "transcription"))

    def other(self, usage: Usage, *, delegated: bool = False) -> None:
        """Add usage without a known source, or of a model that work was delegated to."""
        self._add(usage, "delegation" if delegated else "other")

    def _add(self, usage: Usage, source: str) -> None:
        self.total += usage
        self._buffer.do(effects.UsageChanged(self.total, usage, source))

    # ----------------------------------------------------------------- limits

    @property
    def due(self) -> float | None:
        """Time (s) when the latest limits are reset."""
        if not self.limits:
            return None
        return self._reported_at + max(limit.reset_seconds for limit in self.limits)

    def limited(self, event: events.RateLimits, now: float) -> None:
        """Apply new limits; warn about those that are near."""
        self.limits, self._reported_at = event.limits, now
        for limit in event.limits:
            until = now + limit.reset_seconds
            if not is_near(limit):
                self._warned.pop(limit.name, None)
            elif self._warned.get(limit.name, now) <= now:
                self._warned[limit.name] = until
                self._buffer.do(effects.Notice(_warning(limit), effects.Level.WARNING))
        self._buffer.do(effects.LimitsChanged(self.limits))

    def tick(self, now: float) -> None:
        """Check the deadlines at the time `now` (s)."""
        if self.due is not None and self.due <= now:
            self.limits = ()
            self._buffer.do(effects.LimitsChanged(()))


def is_near(limit: events.RateLimit) -> bool:
    """Return True if little of the limit is left."""
    return limit.limit > 0 and limit.remaining / limit.limit < NEAR


def left(limit: events.RateLimit) -> int:
    """Return the remaining share of a limit, in percent."""
    return round(100 * max(0, limit.remaining) / limit.limit) if limit.limit else 0


def _warning(limit: events.RateLimit) -> str:
    seconds = max(1, round(limit.reset_seconds))
    return f"{left(limit)} % of the limit of {limit.name} is left; it resets in {seconds} s."
