"""A speaker that takes sound faster than it can play it: the response is heard all the same."""

from __future__ import annotations

import numpy as np
import pytest
import simulated_card
from simulated_card import SPEAKER_RATE, Room, Runaway, SimulatedCard, Sound, Stall

from voicechat.audio.devices import buffer_sizing
from voicechat.audio.devices.speaker_parking import UNUSED_S
from voicechat.audio.devices.streams import BUFFER_SIZES, BufferSize
from voicechat.audio.messages import Problem, Underrun
from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStopped

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


def answer(card: SimulatedCard, item: str = "a") -> None:
    card.engine.command(Play(item, ladder()))
    card.engine.command(EndItem(item))


@pytest.mark.parametrize("blocks", [20, 47, 100, 200, 430, 600])
@pytest.mark.parametrize("after", [0.0, 0.02, 0.5, 3.0])
@pytest.mark.parametrize("flags", [False, True], ids=["empty", "underflow"])
def test_no_sound_is_lost(card: SimulatedCard, after: float, blocks: int, flags: bool) -> None:
    card.runaways = [Runaway(card.elapsed + after, blocks, flags)]
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    card.run(0.5)
    assert missing(played(card)) == []
    assert repeated_ms(played(card)) < 150


@pytest.mark.parametrize("steps", [3, 5, 8])
def test_pauses_in_between_lose_nothing(card: SimulatedCard, steps: int) -> None:
    card.runaways = [Runaway(card.elapsed + 1, 500, pause_steps=steps)]
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    card.run(0.5)
    assert missing(played(card)) == []
    assert not card.of(Problem)


@pytest.mark.parametrize("size", BUFFER_SIZES[2:])
def test_a_discard_just_before_it_is_counted(
    monkeypatch: pytest.MonkeyPatch, size: BufferSize
) -> None:
    monkeypatch.setattr(buffer_sizing, "BUFFER_SIZES", (size,))
    card = SimulatedCard(monkeypatch, Room(gain_db=-100))
    card.open(barge_in="off")
    card.run(1)
    began = len(card.spoken)
    answer(card)
    card.run(2)
    card.runaways = [Runaway(card.elapsed)]
    card.engine._discard_large_buffer()
    card.run(0.1)
    card.engine.command(StopPlayback())
    card.run(2)
    loud = sum(np.abs(block).max() > 60 for block in card.spoken[began:])
    (stopped,) = card.of(PlaybackStopped)
    assert stopped.heard["a"] == pytest.approx(10 * loud, abs=30)


def test_a_short_one_reopens_nothing(card: SimulatedCard) -> None:
    card.runaways = [Runaway(card.elapsed + 0.2, 300)]
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    assert not card.of(Problem)


@pytest.mark.parametrize("after", [0.02, 0.3])
def test_a_parked_speaker_that_starts_so_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, card: SimulatedCard, after: float
) -> None:
    speaker = card.engine._streams.speaker
    assert speaker is not None
    monkeypatch.setattr(speaker, "is_direct", False)  # only those of a sound server are parked
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    card.run(UNUSED_S + 2)
    assert speaker.parked
    began = len(card.spoken)
    card.runaways = [Runaway(card.elapsed + after)]
    answer(card, "b")
    assert card.run(20, lambda: len(card.of(PlaybackFinished)) == 2)
    card.run(0.5)
    sound = np.concatenate(card.spoken[began:])
    assert missing(sound) == []
    assert repeated_ms(sound) < 150


def test_nothing_is_heard_again_in_a_pause(card: SimulatedCard) -> None:
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    card.run(2)
    began = len(card.spoken)
    card.runaways = [Runaway(card.elapsed)]
    card.run(3)
    assert np.abs(np.concatenate(card.spoken[began:])).max() < 20


class Batches(simulated_card._Out):
    """A device that takes many blocks at once, though it reports a short latency."""

    blocks = 30

    def fill(self) -> None:
        if len(self._fifo) < self._block:
            for _ in range(self.blocks):
                self._fifo = np.concatenate((self._fifo, self._call()))


class AlwaysEmpty(Batches):
    """The same, and it always reports an empty buffer."""

    blocks = 20

    def fill(self) -> None:
        if len(self._fifo) < self._block:
            held, self._fifo = self._fifo, self._fifo[:0]
            taken = [self._call() for _ in range(self.blocks)]
            self._fifo = np.concatenate((held, *taken))


class Flagged(simulated_card._Out):
    """A device that takes 70 ms at once, all with the flag of their first block.

    PortAudio hands one `statusFlags` to every callback of a host buffer (pa_process.c).
    """

    def fill(self) -> None:
        if (self.latency * self._rate - len(self._fifo)) * 1000 < 70 * self._rate:
            return
        self._whole = self._flag
        super().fill()
        self._whole = False

    def _call(self) -> Sound:
        self._flag = getattr(self, "_whole", False)
        return super()._call()


class Fast(simulated_card._Out):
    """A device whose clock runs at 2.5 times the speed."""

    def due(self, steps: int) -> int:
        return int(super().due(steps) * 2.5)


@pytest.mark.parametrize(
    ("device", "again_ms"), [(Batches, 150), (Fast, 150), (AlwaysEmpty, 1_500)]
)
def test_a_strange_device_plays_everything(
    monkeypatch: pytest.MonkeyPatch, device: type[simulated_card._Out], again_ms: int
) -> None:
    monkeypatch.setattr(simulated_card, "_Out", device)
    card = SimulatedCard(monkeypatch, Room(gain_db=-100))
    card.open(barge_in="off")
    card.run(1)
    answer(card)
    assert card.run(8, lambda: bool(card.of(PlaybackFinished)))
    card.run(0.5)
    if device is not Fast:
        assert missing(played(card)) == []
    assert repeated_ms(played(card)) < again_ms


def test_an_underrun_whose_flag_comes_with_many_blocks_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulated_card, "_Out", Flagged)
    monkeypatch.setattr(buffer_sizing, "BUFFER_SIZES", BUFFER_SIZES[2:3])
    card = SimulatedCard(monkeypatch, Room(gain_db=-100), [Stall(3.0, 0.3, "speaker")])
    card.open(barge_in="off")
    card.run(1)
    answer(card)
    assert card.run(20, lambda: bool(card.of(PlaybackFinished)))
    loud = np.flatnonzero([np.abs(block).max() > 60 for block in card.spoken])
    assert 10 * (np.ptp(loud) + 1 - len(loud)) <= 200, "the sound pauses only while it is late"
    assert repeated_ms(played(card)) < 60
    assert card.of(Underrun)[-1].gaps <= 3


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
