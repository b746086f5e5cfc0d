"""The buffer grows in the middle of a response: the sound goes on without a gap."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import Sound, Stall
from simulated_speaker import SimulatedSpeaker
from virtual_audio import tone

from voicechat.audio.devices import speaker_change
from voicechat.audio.messages import Opened
from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStopped

RATE = 24_000
BUSY = [Stall(1 + at / 5, 0.06, "speaker") for at in range(2)]
"""A machine that twice does not fill the shortest buffer in time."""


def playing(patch: pytest.MonkeyPatch, seconds: float) -> SimulatedSpeaker:
    card = SimulatedSpeaker(patch, RATE, RATE, 0, BUSY)
    card.engine.command(Play("a", tone(seconds)))
    card.engine.command(EndItem("a"))
    return card


def silences(sound: Sound) -> list[int]:
    """Return the lengths in ms of the silences of at least 2 ms inside the sound."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 200)
    gaps = np.diff(loud)
    return [int(gap) * 1000 // RATE for gap in gaps if gap >= RATE // 500]


def test_a_larger_buffer_leaves_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    card = playing(monkeypatch, 5)
    assert card.run(8, lambda: bool(card.of(PlaybackFinished)))
    latencies = [opened.output_latency_ms for opened in card.of(Opened)]
    assert latencies[-1] > 150 > latencies[0]
    dry = silences(card.sound[: int(1.5 * RATE)])
    assert silences(card.sound) == dry, "only the machine's own stalls are heard"
    assert np.count_nonzero(np.abs(card.sound) > 200) == pytest.approx(5 * RATE, rel=0.05)


def test_the_heard_position_keeps_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    card = playing(monkeypatch, 5)
    card.run(4)
    positions = [(at, event.ms) for at, event in card.events if isinstance(event, Heard)]
    offsets = [ms - (at - 1000) * 1000 for at, ms in positions if at > 1001.4]
    assert max(offsets) - min(offsets) < 25
    assert len(card.of(Opened)) == 2


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_a_stop_while_both_streams_play_ends_both(
    monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    card = playing(monkeypatch, 20)
    monkeypatch.setattr(speaker_change, "_close", lambda stream, after: None)
    assert card.run(4, lambda: len(card.of(Opened)) == 2)
    card.run(steps / 100)
    card.engine.command(StopPlayback())
    assert card.run(0.2, lambda: bool(card.of(PlaybackStopped)))
    card.run(0.3)
    assert not np.any(np.abs(np.concatenate(card.spoken[-20:])) > 50)


def test_a_device_with_one_stream_is_reopened(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedSpeaker(
        monkeypatch, RATE, RATE, 0, [Stall(1 + at / 5, 0.06, "speaker") for at in range(6)]
    )
    card.exclusive = True
    card.engine.command(Play("a", tone(5)))
    card.engine.command(EndItem("a"))
    assert card.run(10, lambda: bool(card.of(PlaybackFinished)))
    assert not card.engine._streams.gapless
    assert card.of(Opened)[-1].output_latency_ms > 150
    assert not card.of(Opened)[-1].problem
