"""A speaker that takes sound faster than it can play it: the response is heard all the same."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import SPEAKER_RATE, Room, Runaway, SimulatedCard, Sound

from voicechat.audio.engine import PARK_S
from voicechat.audio.messages import Problem
from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import Heard, PlaybackFinished

SECONDS = 6
PITCHES = 300 + 50 * np.arange(60)
"""The response: 100 ms of each frequency in Hz, so that what is heard tells where it comes from."""


def ladder() -> bytes:
    steps = 2 * np.pi * np.repeat(PITCHES, SPEAKER_RATE // 10) / SPEAKER_RATE
    return (np.sin(np.cumsum(steps)) * 8000).astype(np.int16).tobytes()


def played(card: SimulatedCard) -> Sound:
    return np.concatenate(card.spoken)


def pitches(sound: Sound) -> list[float]:
    """Return the frequency of each 20 ms that are not silent, in Hz."""
    blocks = sound[: len(sound) // 480 * 480].reshape(-1, 480).astype(np.float64)
    loud = blocks[blocks.std(axis=1) > 500]
    spectra = np.abs(np.fft.rfft(loud * np.hanning(480), 4800))
    return list(np.argmax(spectra, axis=1) * SPEAKER_RATE / 4800)


def missing(sound: Sound) -> list[int]:
    """Return the frequencies of which less than 80 ms are heard."""
    heard = np.array(pitches(sound))
    return [int(each) for each in PITCHES if np.count_nonzero(np.abs(heard - each) < 25) < 4]


def repeated_ms(sound: Sound) -> float:
    return 20 * len(pitches(sound)) - 1000 * SECONDS


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SimulatedCard:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100))
    card.open(barge_in="off")
    card.run(1)
    return card


def answer(card: SimulatedCard) -> None:
    card.engine.command(Play("a", ladder()))
    card.engine.command(EndItem("a"))


@pytest.mark.parametrize("blocks", [35, 47, 100, 200, 430, 600])
@pytest.mark.parametrize("after", [0.0, 0.02, 0.5, 3.0])
def test_no_sound_is_lost(card: SimulatedCard, after: float, blocks: int) -> None:
    card.runaways = [Runaway(card.elapsed + after, blocks)]
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    card.run(0.5)
    assert missing(played(card)) == []
    assert repeated_ms(played(card)) < 150


def test_a_short_one_reopens_nothing(card: SimulatedCard) -> None:
    card.runaways = [Runaway(card.elapsed + 0.2, 300)]
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    assert not card.of(Problem)


def test_a_parked_speaker_that_starts_so_loses_nothing(card: SimulatedCard) -> None:
    card.run(PARK_S + 30)
    card.runaways = [Runaway(card.elapsed + 0.02)]
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    card.run(0.5)
    assert missing(played(card)) == []


def test_the_heard_position_waits_for_it(card: SimulatedCard) -> None:
    began = card.now
    card.runaways = [Runaway(card.elapsed + 1)]
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    heard = [(at - began, event.ms) for at, event in card.events if isinstance(event, Heard)]
    assert max(ms - at * 1000 for at, ms in heard) < 100


def test_what_was_stopped_does_not_return(card: SimulatedCard) -> None:
    answer(card)
    card.run(1)
    card.runaways = [Runaway(card.elapsed + 0.05)]
    card.engine.command(StopPlayback())
    card.run(0.05)
    before = len(card.spoken)
    card.run(6)
    assert np.abs(np.concatenate(card.spoken[before + 10 :])).max() < 20


def test_a_fast_clock_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, drift_ppm=20_000))
    card.open(barge_in="off")
    card.run(120)
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    card.run(0.5)
    assert missing(played(card)) == []
    assert abs(repeated_ms(played(card))) < 50
