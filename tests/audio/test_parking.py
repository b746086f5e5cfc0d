"""An unused microphone is closed after a while, and is ready again at once."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import RATE, Room, SimulatedCard, Stall
from virtual_audio import tone

from voicechat.audio.engine import PARK_S
from voicechat.audio.messages import Levels, Mute, Opened, Problem
from voicechat.core.effects import CloseMic, EndItem, Play
from voicechat.core.inputs import MicBlock, PlaybackFinished

COMMANDS = {"muted": (Mute(True), Mute(False)), "closed": (CloseMic(True), CloseMic(False))}
READY_S = 0.15


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SimulatedCard:
    """A card whose microphone hears a tone all the time."""
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=20))
    card.say(0, np.frombuffer(tone(60, 700, RATE), np.int16))
    card.open(barge_in="off")
    card.run(1)
    return card


def is_open(card: SimulatedCard) -> bool:
    return card._in is not None


def loud(block: MicBlock) -> bool:
    return bool(np.abs(np.frombuffer(block.pcm, np.int16)).max() > 3_000)


@pytest.mark.parametrize("how", COMMANDS)
def test_an_unused_microphone_is_closed_after_a_while(card: SimulatedCard, how: str) -> None:
    off, on = COMMANDS[how]
    card.engine.command(off)
    card.run(PARK_S - 0.1)
    assert is_open(card)
    card.run(0.3)
    assert not is_open(card)
    card.run(20)
    assert not is_open(card)
    before = len(card.of(MicBlock))
    card.engine.command(on)
    assert card.run(READY_S, lambda: any(map(loud, card.of(MicBlock)[before:])))
    assert not card.of(Problem)
    assert {(each.input_name, each.output_name) for each in card.of(Opened)} == {("Room", "Room")}


@pytest.mark.parametrize("how", COMMANDS)
@pytest.mark.parametrize("cold_s", [0.0, 0.5, 1.5])
def test_a_microphone_that_opens_slowly_is_reported(
    monkeypatch: pytest.MonkeyPatch, how: str, cold_s: float
) -> None:
    again_s = 1 + PARK_S + 1
    stalls = [Stall(again_s, cold_s, "microphone")] if cold_s else []
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=20), stalls)
    card.say(0, np.frombuffer(tone(60, 700, RATE), np.int16))
    card.open(barge_in="off")
    off, on = COMMANDS[how]
    card.run(1)
    card.engine.command(off)
    card.run(again_s - card.elapsed)
    assert not is_open(card)
    before = len(card.of(Levels))
    card.engine.command(on)
    card.run(0.4)
    assert card.of(Levels)[-1].hears == (cold_s < 0.2)
    card.run(cold_s + 0.2)
    assert card.of(Levels)[-1].hears
    assert len({each.hears for each in card.of(Levels)[before:]}) == 1 + (cold_s > 0.2)
    assert not card.of(Problem)


@pytest.mark.parametrize("how", COMMANDS)
@pytest.mark.parametrize("phase", [0.0, 0.05, 0.11, 0.15, 0.19])
def test_a_microphone_that_opens_at_once_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, how: str, phase: float
) -> None:
    again_s = 1 + PARK_S + 1 + phase
    stalls = [Stall(again_s, 0.15, "microphone")]
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=20), stalls)
    card.open(barge_in="off")
    card.paced = True
    off, on = COMMANDS[how]
    card.run(1)
    card.engine.command(off)
    card.run(again_s - card.elapsed)
    assert not is_open(card)
    card.engine.command(on)
    card._wake()
    card.run(1)
    assert is_open(card)
    assert all(each.hears for each in card.of(Levels))


def test_a_short_break_does_not_close_it(card: SimulatedCard) -> None:
    for _ in range(4):
        card.engine.command(Mute(True))
        assert not card.run(PARK_S - 0.5, lambda: not is_open(card))
        card.engine.command(Mute(False))
        card.run(0.1)


def test_a_muted_microphone_without_a_stream_delivers_silence(card: SimulatedCard) -> None:
    card.engine.command(Mute(True))
    card.run(PARK_S + 0.5)
    before = len(card.of(MicBlock))
    card.run(4)
    blocks = card.of(MicBlock)[before:]
    assert not any(any(block.pcm) for block in blocks)
    assert sum(len(block.pcm) for block in blocks) / 2 / RATE == pytest.approx(4, abs=0.15)
    assert np.diff([block.at for block in blocks]).min() > 0


def test_a_closed_microphone_without_a_stream_delivers_nothing(card: SimulatedCard) -> None:
    card.engine.command(CloseMic(True))
    card.run(PARK_S + 0.5)
    before = len(card.of(MicBlock))
    card.run(4)
    assert len(card.of(MicBlock)) == before


def test_the_pre_roll_is_not_older_than_the_stream(card: SimulatedCard) -> None:
    card.engine.command(CloseMic(True))
    card.run(PARK_S + 10)
    before, pressed_at = len(card.of(MicBlock)), card.now
    card.engine.command(CloseMic(False))
    card.run(0.5)
    assert card.of(MicBlock)[before].at > pressed_at


def test_replies_play_while_the_microphone_is_closed(card: SimulatedCard) -> None:
    card.engine.command(CloseMic(True))
    card.run(PARK_S + 1)
    heard = len(card.spoken)
    card.engine.command(Play("a", tone(1)))
    card.engine.command(EndItem("a"))
    assert card.run(1.5, lambda: bool(card.of(PlaybackFinished)))
    assert sum(np.abs(block).max() > 5_000 for block in card.spoken[heard:]) >= 95


def test_a_missing_microphone_is_looked_for_though_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=20), [Stall(0, 30, "microphone")])
    card.open(barge_in="off")
    card.engine.command(CloseMic(True))
    card.run(29)
    assert card.of(Opened)[-1].input_name is None
    assert card.run(5, lambda: card.of(Opened)[-1].input_name == "Room")
    card.run(1)
    assert not is_open(card)
    assert card.of(Opened)[-1].input_name == "Room"


def test_a_device_that_refuses_to_close_is_reopened(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=20), [Stall(1, 0.8, "microphone")])
    card.open(barge_in="off")
    card.run(1)

    def refuse() -> None:
        raise OSError("Unanticipated host error")

    card._in.abort = refuse  # type: ignore[union-attr, method-assign]
    card.run(2)
    assert card.of(Opened)[-1].input_name == "Room"
    assert not any(each.problem for each in card.of(Opened))


def test_the_microphone_is_closed_while_nothing_reads_its_events(card: SimulatedCard) -> None:
    card.engine.unheard = True
    card.run(0.5)
    assert not is_open(card)
    card.engine.unheard = False
    before = len(card.of(MicBlock))
    assert card.run(READY_S, lambda: any(map(loud, card.of(MicBlock)[before:])))
