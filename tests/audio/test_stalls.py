"""Streams that are open and do not run, on a simulated card: what is told, and what goes on."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import RATE, Room, SimulatedCard, Stall
from virtual_audio import tone

from voicechat.audio.messages import (
    Captured,
    EndItem,
    ItemFinished,
    ItemStarted,
    Opened,
    Play,
    Problem,
    Stop,
    Stopped,
)

HOPELESS_S = 2.5
"""From a stall on, no longer than this it is waited for."""


def stalled(patch: pytest.MonkeyPatch, *stalls: Stall) -> SimulatedCard:
    card = SimulatedCard(patch, Room(gain_db=-100, noise=0), stalls)
    card.open(barge_in="off")
    return card


def say(card: SimulatedCard, name: str, seconds: float) -> None:
    card.engine.command(Play(name, tone(seconds)))
    card.engine.command(EndItem(name))


def sides(card: SimulatedCard) -> list[tuple[bool, bool]]:
    """Whether there was a microphone and a speaker, each time that this was told."""
    return [(bool(each.input_name), bool(each.output_name)) for each in card.of(Opened)]


def finished(card: SimulatedCard) -> list[str]:
    return [each.item_id for each in card.of(ItemFinished)]


@pytest.mark.parametrize(
    ("still", "left", "problem"),
    [
        (["speaker"], (True, False), "The speaker Room does not run."),
        (["microphone"], (False, True), "The microphone Room does not run."),
        (["speaker", "microphone"], (False, False), "The sound device does not run."),
    ],
)
def test_what_stays_stalled_counts_as_missing_until_it_runs(
    monkeypatch: pytest.MonkeyPatch, still: list[str], left: tuple[bool, bool], problem: str
) -> None:
    card = stalled(monkeypatch, *(Stall(1, 30, side) for side in still))
    say(card, "a", 3)
    assert card.run(1 + HOPELESS_S, lambda: len(sides(card)) > 1 and sides(card)[-1] == left)
    assert card.of(Opened)[-1].problem == problem
    assert card.of(Opened)[-1].hint
    (told,) = card.of(Problem)
    assert told.text == problem.replace("does not run", "stopped; it is being reopened")
    assert card.run(5, lambda: finished(card) == ["a"]), "the text goes on"
    count = len(card.of(Opened))
    card.run(15)
    assert len(card.of(Opened)) == count, "told once, however often it is tried"
    assert card.run(15, lambda: sides(card)[-1] == (True, True))
    assert card.elapsed >= 31
    assert sides(card)[count:] == [(True, True)]
    heard = len(card.spoken)
    say(card, "b", 0.5)
    assert card.run(2, lambda: finished(card) == ["a", "b"])
    assert np.abs(np.concatenate(card.spoken[heard:])).max() > 5_000
    captured = len(card.of(Captured))
    assert card.run(1, lambda: len(card.of(Captured)) > captured)


def test_while_the_speaker_is_stalled_the_person_is_heard_without_a_break(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = stalled(monkeypatch, Stall(1, 30, "speaker"))
    card.run(1 + HOPELESS_S)
    assert sides(card)[-1] == (True, False)
    begin = card.elapsed
    voice = np.frombuffer(tone(8, 700, RATE), np.int16)
    card.say(begin, voice)
    before = len(card.of(Captured))
    card.run(8)
    blocks = [np.frombuffer(each.pcm, np.int16) for each in card.of(Captured)[before:]]
    loud = np.abs(np.concatenate(blocks)[RATE // 2 :]).reshape(-1, RATE // 100).max(axis=1) > 1_000
    assert loud.mean() > 0.99


def test_without_a_running_speaker_a_stop_and_later_items_end_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = stalled(monkeypatch, Stall(1, 30, "speaker"))
    card.run(1 + HOPELESS_S)
    say(card, "a", 5)
    assert card.run(0.5, lambda: finished(card) == ["a"])
    card.engine.command(Play("b", tone(5)))
    card.engine.command(Stop())
    assert card.run(0.5, lambda: bool(card.of(Stopped)))
    card.run(35, lambda: sides(card)[-1] == (True, True))
    heard = len(card.spoken)
    card.run(1)
    assert not np.concatenate(card.spoken[heard:]).any(), "nothing of long ago is said"
    assert not card.of(ItemStarted)


def test_a_stall_that_reopening_mends_leaves_nothing_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = stalled(monkeypatch, Stall(1, 0.8, "speaker"))
    say(card, "a", 4)
    card.run(8)
    assert set(sides(card)) == {(True, True)}
    assert finished(card) == ["a"]
    assert len(card.of(Problem)) == 1


def test_a_pause_of_everything_wakes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    card = stalled(monkeypatch, Stall(1, 30, "speaker"), Stall(6, 0.4, "engine"))
    card.run(20)
    assert sides(card)[-1] == (True, False)
    assert sides(card).count((True, False)) == 1


def test_later_stalls_are_told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    card = stalled(monkeypatch, Stall(1, 0.8, "speaker"), Stall(10, 0.8, "speaker"))
    card.run(15)
    assert len(card.of(Problem)) == 2
