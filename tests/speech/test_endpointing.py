"""Turn detection on the clock of the audio."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Loud, silence, tone

from voicechat.speech.endpointing import Endpointer, SpeechEnd, SpeechStart

WINDOW_MS = 32


def quiet(ms: int) -> bytes:
    return silence(ms, 16_000)


def loud(ms: int) -> bytes:
    return tone(ms, 16_000)


def run(sound: bytes, step_ms: int = 20, end_chance: float = 0.0, **turns: Any) -> list[Any]:
    """Return the changes over a whole sound."""
    endpointer = Endpointer(Loud())
    endpointer.configure(turns)
    changes: list[Any] = []
    size = step_ms * 32
    for start in range(0, len(sound), size):
        end_ms = min(start + size, len(sound)) / 32
        changes += endpointer.feed(sound[start : start + size], end_ms)
        endpointer.end_chance = end_chance
    return changes


@pytest.mark.parametrize(
    ("turns", "end_chance", "silence_ms"),
    [
        ({"type": "semantic_vad", "eagerness": "auto"}, 1.0, 190),
        ({"type": "semantic_vad", "eagerness": "auto"}, 0.2, 350),
        ({"type": "semantic_vad", "eagerness": "auto"}, 0.01, 520),
        ({"type": "semantic_vad", "eagerness": "auto"}, 0.0, 700),
        ({"type": "semantic_vad", "eagerness": "low"}, 1.0, 400),
        ({"type": "semantic_vad", "eagerness": "low"}, 0.0, 1500),
        ({"type": "semantic_vad", "eagerness": "high"}, 0.0, 450),
        ({"type": "server_vad", "silence_duration_ms": 300}, 0.0, 300),
        ({"type": "server_vad", "silence_duration_ms": 1200}, 1.0, 1200),
    ],
)
def test_silence_that_ends_a_turn(
    turns: dict[str, Any], end_chance: float, silence_ms: int
) -> None:
    began, ended = run(quiet(512) + loud(1024) + quiet(2000), end_chance=end_chance, **turns)
    assert began == SpeechStart(512.0)
    assert ended.at_ms == 1536.0
    assert 0 <= ended.until_ms - ended.at_ms - silence_ms < WINDOW_MS
    assert ended.spoken_ms == 1024.0


@pytest.mark.parametrize("step_ms", [5, 20, 40, 3000])
def test_block_size_does_not_matter(step_ms: int) -> None:
    sound = quiet(512) + loud(1024) + quiet(1500)
    assert run(sound, step_ms) == run(sound)


def test_a_click_is_not_speech_and_a_short_pause_is_not_an_end() -> None:
    assert run(quiet(512) + loud(32) + quiet(1000)) == []
    sound = loud(512) + quiet(320) + loud(512) + quiet(1000)
    assert [type(change) for change in run(sound)] == [SpeechStart, SpeechEnd]


def test_endless_noise_is_cut_after_a_minute() -> None:
    changes = run(loud(125_000), step_ms=1000)
    assert [type(change) for change in changes[:4]] == [
        SpeechStart,
        SpeechEnd,
        SpeechStart,
        SpeechEnd,
    ]
    assert changes[1].until_ms - changes[0].at_ms == pytest.approx(60_000, abs=100)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 900)), max_size=12))
def test_turns_always_alternate_and_never_run_backwards(parts: list[tuple[bool, int]]) -> None:
    sound = b"".join(loud(ms) if speech else quiet(ms) for speech, ms in parts)
    before = 0.0
    changes = run(sound, type="server_vad", silence_duration_ms=200)
    assert changes or all(ms < 200 for speech, ms in parts if speech)
    for place, change in enumerate(changes):
        assert isinstance(change, SpeechEnd if place % 2 else SpeechStart)
        assert before <= change.at_ms
        before = change.at_ms


def test_a_pause_within_a_turn_is_reported() -> None:
    endpointer = Endpointer(Loud())
    endpointer.feed(loud(512), 512.0)
    assert endpointer.speaking
    assert not endpointer.pausing
    endpointer.feed(quiet(96), 608.0)
    assert endpointer.pausing
    endpointer.feed(loud(64), 672.0)
    assert endpointer.speaking
    assert not endpointer.pausing
    endpointer.feed(quiet(1024), 1696.0)
    assert not endpointer.speaking
    assert not endpointer.pausing
