"""Whole turns in frames of our own, which check the same as the recorded sockets."""

from __future__ import annotations

from collections import Counter

import pytest
from wire_examples import frames

from voicechat.core import events
from voicechat.providers.catalog import codec_of

TURNS = [
    ("openai/gpt-realtime-2.1", "ga", "openai_ga_server", "vad-turn", 0),
    ("openai/gpt-realtime-2.1", "ga", "openai_ga_server", "function-call", 1),
    ("openai/gpt-realtime-2.1", "ga", "openai_ga_server", "preamble-and-call", 1),
    ("openai/gpt-realtime-2.1", "beta", "openai_beta_server", "beta-turn", 0),
    ("azure/mine", "ga", "openai_ga_server", "vad-turn", 0),
    ("azure/mine", "voice-live", "openai_beta_server", "beta-turn", 0),
    ("xai/grok-voice-latest", None, "xai_server", "xai-turn", 0),
    ("xai/grok-voice-latest", None, "xai_server", "xai-tools", 2),
    ("xai/grok-voice-latest", None, "xai_server", "xai-push-to-talk", 0),
    ("google/gemini-3.8-live", None, "gemini_server", "gemini-turn", 2),
    ("gateway/openai/gpt-realtime-2.1", None, "gateway_server", "gateway-turn", 1),
]

SAMPLED = {"beta-turn", "gateway-turn"}
"""Scenarios that hold one example of each event and leave deltas out."""


@pytest.mark.parametrize(
    ("model", "wire", "name", "scenario", "calls"),
    TURNS,
    ids=[f"{model.partition('/')[0]}-{scenario}" for model, _, _, scenario, _ in TURNS],
)
def test_each_turn_is_complete(
    model: str, wire: str | None, name: str, scenario: str, calls: int
) -> None:
    codec = codec_of(model, environ={}, wire=wire)
    seen = [event for frame in frames(name, scenario) for event in codec.decode(frame)]
    counts = Counter(type(event) for event in seen)
    assert not any(event.fatal for event in seen if isinstance(event, events.ProviderError))
    assert counts[events.ResponseCreated] == counts[events.ResponseDone] > 0
    ready = {event.call_id for event in seen if isinstance(event, events.ToolCallReady)}
    assert len(ready) == calls
    unreadable = [e for e in seen if isinstance(e, events.Unmapped) and e.unreadable]
    assert unreadable == []
    live: set[str] = set()
    for event in seen:
        if isinstance(event, events.ResponseCreated):
            live.add(event.response_id)
        elif isinstance(event, events.AudioDelta | events.TextDelta):
            assert event.response_id in live, "nothing is said outside a response"
    if scenario in SAMPLED:
        return
    for done in (event for event in seen if isinstance(event, events.TextDone)):
        said = [
            event.text
            for event in seen
            if isinstance(event, events.TextDelta) and event.item_id == done.item_id
        ]
        assert done.text is None or "".join(said) == done.text
