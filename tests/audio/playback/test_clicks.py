"""No clicks: a tone in chunks of any size, stopped, ducked, late or held at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_card import Stall
from simulated_speaker import SimulatedSpeaker

from voicechat.audio.messages import Volume
from voicechat.core.effects import EndItem, Play, ResumePlayback, StopPlayback
from voicechat.core.inputs import PlaybackFinished

LOUD = 16_000
EDGE_S = 0.005
RATES = (8_000, 16_000, 24_000)
PITCHES = (110.0, 170.0, 233.0, 301.0)
LATENCIES = (0, 10, 20, 40, 60, 110, 200)

moments = st.integers(0, 6)
acts = st.one_of(
    st.tuples(st.just("play"), st.integers(1, 9_600), st.integers(1, 6), moments),
    st.tuples(st.just("play"), st.integers(1, 300), st.integers(1, 3), moments),
    st.tuples(st.sampled_from(["end", "stop", "interrupt", "resume", "lower"]), moments),
    st.tuples(st.just("volume"), st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0]), moments),
)
lags = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=6)
stalls = st.lists(
    st.builds(Stall, st.floats(0.0, 2.0), st.floats(0.02, 0.4), st.just("engine")), max_size=2
)


@dataclass
class TonePlayer:
    """A tone in items that begin and end in silence, as speech does."""

    card: SimulatedSpeaker
    rate: int
    pitch: float
    item: int = 0
    reported: int = 0

    def play(self, size: int, count: int) -> None:
        for _ in range(count):
            self._send(size, np.ones(size))

    def end(self) -> None:
        if self.reported:
            size = int(EDGE_S * self.rate)
            self._send(size, np.linspace(1, 0, size) ** 2)
            self.card.engine.command(EndItem(str(self.item)))
            self.begin()

    def begin(self) -> None:
        self.item, self.reported = self.item + 1, 0

    def _send(self, size: int, shape: np.ndarray) -> None:
        at = np.arange(self.reported, self.reported + size)
        wave = np.sin(2 * np.pi * self.pitch / self.rate * at)
        wave *= LOUD * np.minimum(1, at / (EDGE_S * self.rate)) ** 2 * shape
        self.reported += size
        pcm = wave.astype(np.int16).tobytes()
        for part in (pcm[: size | 1], pcm[size | 1 :]):
            self.card.engine.command(Play(str(self.item), part))


def do(player: TonePlayer, act: tuple[Any, ...]) -> None:
    card = player.card
    match act:
        case ("play", size, count, _):
            player.play(size, count)
        case ("end", _):
            player.end()
        case ("stop", _):
            card.engine.command(StopPlayback())
            player.begin()
        case ("interrupt", _):
            card.interrupt()
        case ("resume", _):
            card.engine.command(ResumePlayback())
        case ("lower", _):
            card.playback.duck(True)
        case ("volume", gain, _):
            card.engine.command(Volume(gain))
    card.run(act[-1] / 100)


@given(
    st.sampled_from(RATES),
    st.sampled_from((16_000, 24_000, 44_100, 48_000)),
    st.sampled_from(LATENCIES),
    st.sampled_from(PITCHES),
    st.lists(acts, min_size=10, max_size=40),
    stalls,
    lags,
)
def test_no_interruption_clicks(
    rate: int,
    device_rate: int,
    latency_ms: int,
    pitch: float,
    actions: list[tuple[Any, ...]],
    stalls: list[Stall],
    lags: list[tuple[int, int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        card = SimulatedSpeaker(patch, rate, device_rate, latency_ms, stalls, lags)
        player = TonePlayer(card, rate, pitch)
        for act in actions:
            do(player, act)
        card.run(0.4)
        loudest = max([1.0, *(act[1] for act in actions if act[0] == "volume")])
        assert card.click(pitch) < -30 + 20 * np.log10(loudest), "a louder fade is steeper"


@pytest.mark.parametrize("latency_ms", [0, 60, 200])
def test_a_device_closes_after_a_fade(monkeypatch: pytest.MonkeyPatch, latency_ms: int) -> None:
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, latency_ms)
    TonePlayer(card, 24_000, 110.0).play(48_000, 1)
    card.run(0.73)
    card.move(24_000)
    card.run(1.8)
    left = card.cuts[0]
    assert np.abs(card.sound[left - 2_400 :][:300]).max() > LOUD / 2, "until then it was heard"
    assert not card.sound[left - 10 : left].any()
    assert card.click(110.0) < -30
    assert card.of(PlaybackFinished) == []
    heard_ms = np.count_nonzero(card.sound) / 24
    assert heard_ms == pytest.approx(2_000 + 60, abs=15), "all of it, and then its tail"
