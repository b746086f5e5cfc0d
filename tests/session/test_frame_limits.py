"""Limits of what a provider may send."""

from __future__ import annotations

import pytest

from voicechat.core import events
from voicechat.errors import ConnectError
from voicechat.session.frame_limits import TEXT_AT_ONCE, TEXT_PER_S, FrameLimits


class Provider:
    """Counts what it sends at a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limits = FrameLimits(lambda: self.now)
        self.limits.connected("h")

    def sends(self, *sent: events.Event) -> None:
        for event in sent:
            self.limits.check(event, had_session=True)


def test_a_long_conversation_is_no_flood() -> None:
    provider = Provider()
    for turn in range(5_000):
        provider.now += 2
        reply = "and so on " * 200
        provider.sends(
            events.ResponseCreated(f"r{turn}"),
            events.TextDelta(f"r{turn}", "i", reply, spoken=True),
            events.AudioDelta(f"r{turn}", "i", bytes(100_000)),
        )


@pytest.mark.parametrize(
    "event",
    [
        events.TextDelta("r", "i", "x" * 10_000, spoken=True),
        events.ToolArgumentsDelta("r", "i", "c", "x" * 10_000),
        events.ToolCallReady("r", "i", "c", "name", "x" * 10_000),
        events.UserTranscript("i", "x" * 10_000),
        events.ProviderError("x" * 10_000),
        events.ResponseCreated("r"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_text_of_any_kind_without_end_is_a_flood(event: events.Event) -> None:
    provider = Provider()
    with pytest.raises(ConnectError, match="h sends text without end"):
        provider.sends(*[event] * 10_000)


def test_the_allowance_grows_with_time_up_to_its_limit() -> None:
    provider = Provider()
    half = events.TextDelta("r", "i", "x" * (TEXT_AT_ONCE // 2), spoken=True)
    provider.sends(half, half)
    provider.now += TEXT_AT_ONCE / TEXT_PER_S
    provider.sends(half, half)
    provider.now += 100 * TEXT_AT_ONCE / TEXT_PER_S
    provider.sends(half, half)
    with pytest.raises(ConnectError):
        provider.sends(half)
