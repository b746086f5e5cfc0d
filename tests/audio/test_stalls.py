"""Streams that stall or do not open, on a simulated card: reports, and recovery."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from simulated_card import RATE, Room, SimulatedCard, Stall, speak
from virtual_audio import tone

from voicechat.audio.devices import default_device_watch, device_list
from voicechat.audio.messages import DigitalSilence, Levels, Opened, Problem
from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import MicBlock, PlaybackFinished, PlaybackStarted, PlaybackStopped

HOPELESS_S = 2.5
"""Longest wait in s for something after a stall."""
NOTICED_S = 1.0
REOPENED_S = 2.0


def stalled(patch: pytest.MonkeyPatch, *stalls: Stall) -> SimulatedCard:
    card = SimulatedCard(patch, Room(gain_db=-100, noise=0), stalls)
    card.open(barge_in="off")
    return card


def say(card: SimulatedCard, name: str, seconds: float) -> None:
    card.engine.command(Play(name, tone(seconds)))
    card.engine.command(EndItem(name))


def sides(card: SimulatedCard) -> list[tuple[bool, bool]]:
    """Return the pairs of working microphone and speaker in the order of their reports."""
    return [(bool(each.input_name), bool(each.output_name)) for each in card.of(Opened)]


def finished(card: SimulatedCard) -> list[str]:
    return [each.item_id for each in card.of(PlaybackFinished)]


@pytest.mark.parametrize(
    ("still", "left", "problem"),
    [
        (["speaker"], (True, False), "The speaker Room does not respond."),
        (["microphone"], (False, True), "The microphone Room does not respond."),
        (["speaker", "microphone"], (False, False), "The sound device does not respond."),
    ],
)
def test_a_stalled_stream_counts_as_missing_until_it_runs(
    monkeypatch: pytest.MonkeyPatch, still: list[str], left: tuple[bool, bool], problem: str
) -> None:
    card = stalled(monkeypatch, *(Stall(1, 30, side) for side in still))
    began = card.now
    say(card, "a", 3)
    assert card.run(1 + HOPELESS_S, lambda: len(sides(card)) > 1 and sides(card)[-1] == left)
    assert card.of(Opened)[-1].problem == problem
    assert card.of(Opened)[-1].hint
    ((at, reported),) = [each for each in card.events if isinstance(each[1], Problem)]
    assert at <= began + 1 + NOTICED_S
    assert reported.text == problem.replace("does not respond", "stopped; it is being reopened")
    assert card.run(5, lambda: finished(card) == ["a"]), "the text goes on"
    count = len(card.of(Opened))
    card.run(15)
    assert len(card.of(Opened)) == count, "reported once, however often it is retried"
    assert card.run(15, lambda: sides(card)[-1] == (True, True))
    assert card.elapsed >= 31
    assert sides(card)[count:] == [(True, True)]
    heard = len(card.spoken)
    say(card, "b", 0.5)
    assert card.run(2, lambda: finished(card) == ["a", "b"])
    assert np.abs(np.concatenate(card.spoken[heard:])).max() > 5_000
    captured = len(card.of(MicBlock))
    assert card.run(1, lambda: len(card.of(MicBlock)) > captured)


def test_capture_continues_while_the_speaker_is_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = stalled(monkeypatch, Stall(1, 30, "speaker"))
    library = device_list.library()
    opened: list[float] = []

    def count(**how: object) -> object:
        opened.append(card.elapsed)
        return listen(**how)

    listen, library.RawInputStream = library.RawInputStream, count
    monkeypatch.setattr(device_list, "library", lambda: library)
    card.run(1 + HOPELESS_S)
    assert sides(card)[-1] == (True, False)
    begin = card.elapsed
    voice = np.frombuffer(tone(8, 700, RATE), np.int16)
    card.say(begin, voice)
    before = len(card.of(MicBlock))
    card.run(8)
    blocks = [np.frombuffer(each.pcm, np.int16) for each in card.of(MicBlock)[before:]]
    loud = np.abs(np.concatenate(blocks)[RATE // 2 :]).reshape(-1, RATE // 100).max(axis=1) > 1_000
    assert loud.mean() > 0.99
    assert not opened, "only the silent side is reopened"


def test_without_a_running_speaker_a_stop_and_later_items_end_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = stalled(monkeypatch, Stall(1, 30, "speaker"))
    card.run(1 + HOPELESS_S)
    say(card, "a", 5)
    assert card.run(0.5, lambda: finished(card) == ["a"])
    card.engine.command(Play("b", tone(5)))
    card.engine.command(StopPlayback())
    assert card.run(0.5, lambda: bool(card.of(PlaybackStopped)))
    card.run(35, lambda: sides(card)[-1] == (True, True))
    heard = len(card.spoken)
    card.run(1)
    assert not np.concatenate(card.spoken[heard:]).any(), "nothing of long ago is said"
    assert not card.of(PlaybackStarted)


def test_devices_that_open_slowly_are_reported_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = stalled(monkeypatch, Stall(1, 30, "speaker"), Stall(1, 30, "microphone"))
    library = device_list.library()

    def slowly(**how: object) -> object:
        card.now += 0.2
        return speak(**how)

    speak, library.RawOutputStream = library.RawOutputStream, slowly
    monkeypatch.setattr(device_list, "library", lambda: library)
    card.run(15)
    assert set(sides(card)) == {(True, True), (False, False)}


@pytest.mark.parametrize("seconds", [2.05, 2.2, 2.6, 3.4])
def test_dropped_sound_does_not_play_when_the_speaker_runs_again(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    card = stalled(monkeypatch, Stall(1, seconds, "speaker"))
    say(card, "a", 10)
    card.run(1 + seconds)
    assert sides(card)[-1] == (True, False)
    heard = len(card.spoken)
    assert card.run(1.5, lambda: sides(card)[-1] == (True, True))
    card.run(2)
    assert finished(card) == ["a"]
    assert np.abs(np.concatenate(card.spoken[heard:])).max() < 100


@pytest.mark.parametrize("seconds", [0.8, 1.4])
def test_a_short_stall_leaves_nothing_missing(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    card = stalled(monkeypatch, Stall(1, seconds, "speaker"))
    say(card, "a", 4)
    assert card.run(1 + seconds + REOPENED_S + 4, lambda: finished(card) == ["a"])
    assert set(sides(card)) == {(True, True)}
    assert len(card.of(Problem)) == 1
    loud = [number for number, block in enumerate(card.spoken) if np.abs(block).max() > 5_000]
    assert len(loud) == pytest.approx(400, abs=12), "nothing was lost, nothing said twice"


@pytest.mark.parametrize("noise", [0.0, 400.0], ids=["in silence", "in a loud room"])
@pytest.mark.parametrize("side", ["output", "input"])
def test_a_new_device_is_checked_at_once(
    monkeypatch: pytest.MonkeyPatch, side: str, noise: float
) -> None:
    arrives_s = 28.0  # long before the next retry
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=noise))

    def here() -> bool:
        return card.elapsed >= arrives_s

    monkeypatch.setattr(default_device_watch, "_source_here", lambda selections: NewDevice(here))
    library = device_list.library()
    opens = "RawOutputStream" if side == "output" else "RawInputStream"
    stream = getattr(library, opens)

    def refuse(**how: object) -> object:
        if not here():
            raise OSError("Error: Device gone")
        return stream(**how)

    setattr(library, opens, refuse)
    monkeypatch.setattr(device_list, "library", lambda: library)
    card.open(barge_in="off")
    card.run(arrives_s)
    left = (side == "output", side == "input")
    assert sides(card) == [left], "reported once, however often it is retried"
    assert card.run(1.0, lambda: sides(card) == [left, (True, True)])


def test_a_microphone_of_zeros_is_reported_within_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = stalled(monkeypatch)
    card.say(7, np.frombuffer(tone(0.5, 700, RATE), np.int16))
    assert not card.run(3.9, lambda: bool(card.of(DigitalSilence)))
    assert card.run(1.1, lambda: bool(card.of(DigitalSilence)))
    (silence,) = card.of(DigitalSilence)
    assert not silence.ended
    assert silence.text == "The microphone Room delivers only silence."
    assert "mute switch" in silence.hint
    assert card.run(3.3, lambda: len(card.of(DigitalSilence)) == 2)
    assert card.of(DigitalSilence)[-1].ended


def test_zeros_between_words_are_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=0))
    for at in (1, 3, 5):
        card.say(at, np.frombuffer(tone(0.5, 700, RATE), np.int16))
    card.open(barge_in="off")
    card.run(20)
    assert not card.of(DigitalSilence)
    assert card.run(50, lambda: bool(card.of(DigitalSilence)))


def test_a_quiet_microphone_with_noise_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=0.8))
    card.open(barge_in="off")
    card.run(6)
    assert not card.of(DigitalSilence)


def test_the_default_replaces_a_remembered_device_until_it_appears(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=0))

    def here() -> bool:
        return card.elapsed >= 5

    source = NewDevice(here)
    source.reopens = True
    monkeypatch.setattr(default_device_watch, "_source_here", lambda selections: source)
    library = device_list.library()
    room = library.query_devices("input")
    desk = {**room, "name": "Desk", "index": 1, "max_output_channels": 0}
    library.query_devices = lambda kind=None: room if kind else [room, desk][: 1 + here()]
    monkeypatch.setattr(device_list, "library", lambda: library)
    card.open(barge_in="off", input_device="desk", preferred=("input",))
    card.run(4)
    assert [each.input_name for each in card.of(Opened)] == ["Room"]
    (problem,) = card.of(Problem)
    assert problem.text == "The microphone 'desk' is absent. Using Room."
    card.run(3)
    assert [each.input_name for each in card.of(Opened)] == ["Room", "Desk"]


class NewDevice:
    """A source of `DefaultDeviceWatch` in which a device appears."""

    reopens = False

    def __init__(self, here: Callable[[], bool]) -> None:
        self.devices = here

    def target(self, kind: str) -> None:
        return None


def test_after_sleep_nothing_is_lost_and_old_sound_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = stalled(monkeypatch, Stall(2, 5, "engine"))
    card.say(0, np.frombuffer(tone(6.5, 700, RATE), np.int16))
    card.run(2)
    before = len(card.of(MicBlock))
    card.run(8)
    assert not card.of(Problem)
    assert len(card.of(Opened)) == 1
    late = np.frombuffer(b"".join(b.pcm for b in card.of(MicBlock)[before + 1 :]), np.int16)
    assert len(late) / RATE == pytest.approx(3, abs=0.3), "up to 0.2 s of quiet waits"
    assert np.abs(late[RATE // 5 :]).max() < 1_000


def test_a_pause_of_the_whole_program_reopens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    card = stalled(monkeypatch, Stall(1, 30, "speaker"), Stall(6, 0.4, "engine"))
    card.run(20)
    assert sides(card)[-1] == (True, False)
    assert sides(card).count((True, False)) == 1


def test_later_stalls_are_reported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    card = stalled(monkeypatch, Stall(1, 0.8, "speaker"), Stall(10, 0.8, "speaker"))
    card.run(15)
    assert len(card.of(Problem)) == 2


def test_levels_that_stay_the_same_are_sent_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=0))
    card.open(barge_in="off")
    card.run(5)
    assert len(card.of(Levels)) <= 8
    say(card, "a", 1)
    before = len(card.of(Levels))
    card.run(0.5)
    assert len(card.of(Levels)) > before


@pytest.mark.parametrize("seconds", [1.2, 1.6, 2.5, 2.9, 3.5])
def test_a_late_loop_hears_again_and_hears_no_echo(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    card = SimulatedCard(monkeypatch, Room(), [Stall(10.0, seconds, "engine")])
    card.open()
    heard = speak(card, 30)
    blocks = [at for at, event in card.events if isinstance(event, MicBlock)]
    assert card.now - blocks[-1] < NOTICED_S
    assert not any(heard)
