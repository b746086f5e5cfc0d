"""Microphones that are cold, late or jittery, in simulated time: no reopening, no lost word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from needs import SOUND, need
from simulated_card import RATE, Hang, Room, SimulatedCard, Stall
from sound_rig import Rig
from virtual_audio import VirtualCard, tone

from voicechat.audio.devices import default_device_watch, device_list
from voicechat.audio.devices.default_device_watch import NO_DEVICE, DefaultDevice
from voicechat.audio.messages import Opened, Problem
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import MicBlock, PlaybackFinished


class Server:
    """A sound server that knows none of the devices, and reports a missing microphone or not."""

    reopens = False

    def __init__(self, microphone: DefaultDevice | None = None) -> None:
        self._microphone = microphone

    def target(self, kind: str) -> DefaultDevice | None:
        return self._microphone if kind == "input" else None

    def devices(self) -> object:
        return ()


MakeCard = Callable[..., SimulatedCard]
REFUSED = (OSError,) * 3
"""One attempt to open the speaker, at all rates."""


@pytest.fixture
def make_card(monkeypatch: pytest.MonkeyPatch) -> MakeCard:
    """Make a simulated card with these stalls; `opened` counts the streams of each side."""

    def make(
        *stalls: Stall, refuses: Sequence[type[Exception]] = (), **settings: object
    ) -> SimulatedCard:
        card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=20), stalls)
        card.refusals = list(refuses)
        library = device_list.library()
        for name in card.opened:
            setattr(library, name, counted(card, name, getattr(library, name)))
        monkeypatch.setattr(device_list, "library", lambda: library)
        card.open(**{"barge_in": "off", **settings})
        return card

    return make


def counted(card: SimulatedCard, name: str, stream: Callable[..., object]) -> Callable[..., object]:
    def opens(**how: object) -> object:
        card.opened[name] += 1
        return stream(**how)

    return opens


def streams(card: SimulatedCard) -> tuple[int, int]:
    """Return how many streams were opened so far: microphone, speaker."""
    return card.opened["RawInputStream"], card.opened["RawOutputStream"]


def captured_s(card: SimulatedCard) -> float:
    return sum(len(each.pcm) for each in card.of(MicBlock)) / 2 / RATE


@pytest.mark.parametrize("seconds", [0.3, 0.7, 2.0, 3.8])
def test_a_cold_microphone_is_waited_for(make_card: MakeCard, seconds: float) -> None:
    card = make_card(Stall(0, seconds, "microphone"))
    card.run(8)
    assert streams(card) == (1, 1)
    ((at, opened),) = [(at, each) for at, each in card.events if isinstance(each, Opened)]
    assert opened.input_name
    assert opened.output_name
    first = next(at for at, each in card.events if isinstance(each, MicBlock))
    assert seconds <= at - 1000.0 <= first - 1000.0 < seconds + 0.1, "reported once it delivers"
    assert not card.of(Problem)


def test_a_reply_plays_while_the_microphone_is_cold(make_card: MakeCard) -> None:
    card = make_card(Stall(0, 3, "microphone"))
    card.engine.command(Play("a", tone(0.5)))
    card.engine.command(EndItem("a"))
    assert card.run(1, lambda: bool(card.of(PlaybackFinished)))


def test_a_microphone_that_never_delivers_is_reported_and_retried_ever_less(
    make_card: MakeCard,
) -> None:
    card = make_card(Stall(0, 60, "microphone"))
    card.run(4.2)
    (opened,) = card.of(Opened)
    assert opened.input_name is None
    assert opened.output_name
    assert opened.problem == "The microphone Room does not respond."
    assert not card.of(Problem), "it never ran, so it did not stop"
    card.run(55)
    microphones, speakers = streams(card)
    assert microphones <= 12, "at most one attempt in four seconds"
    assert speakers == 1, "the speaker goes on"
    assert card.run(5, lambda: bool(card.of(Opened)[-1].input_name))
    assert len(card.of(Opened)) == 2


def test_the_microphone_goes_on_while_a_call_for_the_speaker_hangs(
    make_card: MakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_device_watch, "_source_here", lambda selections: Server())
    card = make_card(Stall(3, 0.6, "speaker"))
    card.refusals = [*REFUSED, Hang]
    card.run(8.5)
    assert card.of(Opened)[-1].output_name is None
    assert card.of(Opened)[-1].problem == "The speaker does not respond."
    assert card.of(Opened)[-1].input_name
    captured = captured_s(card)
    card.run(20)
    assert captured_s(card) - captured == pytest.approx(20, abs=0.2)
    assert not card.engine.hung
    assert card.run(12, lambda: card.engine.hung), "only a new process can open it again"


def test_the_process_is_replaced_at_once_when_the_other_side_is_silent_too(
    make_card: MakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_device_watch, "_source_here", lambda selections: Server())
    card = make_card(Stall(3, 60, "speaker"), Stall(3.8, 60, "microphone"))
    card.refusals = [Hang]
    assert card.run(9, lambda: card.engine.hung)
    assert card.of(Opened)[-1].problem == "The sound server does not answer."


def test_a_speaker_is_not_retried_before_the_first_report(make_card: MakeCard) -> None:
    card = make_card(Stall(0, 2, "microphone"), refuses=[*REFUSED, Hang])
    card.run(3)
    (opened,) = card.of(Opened)
    assert (bool(opened.input_name), opened.output_name) == (True, None)


def test_a_jittery_microphone_is_not_reopened(make_card: MakeCard) -> None:
    gaps = [Stall(1 + 1.0 * number, 0.25 + 0.1 * number, "microphone") for number in range(7)]
    card = make_card(*gaps)
    card.run(12)
    assert streams(card) == (1, 1)
    assert not card.of(Problem)


def test_a_stopped_microphone_is_reopened_alone(make_card: MakeCard) -> None:
    card = make_card(Stall(2, 0.8, "microphone"))
    card.run(2)
    card.engine.command(Play("a", tone(3)))
    card.engine.command(EndItem("a"))
    heard = len(card.spoken)
    card.run(4)
    assert streams(card) == (2, 1)
    loud = [np.abs(block).max() > 5_000 for block in card.spoken[heard:]]
    assert sum(loud) == pytest.approx(300, abs=5)
    assert len(loud) - loud[::-1].index(True) - loud.index(True) <= 305, "in one piece"


def test_a_larger_buffer_of_the_speaker_costs_no_word(make_card: MakeCard) -> None:
    stalls = [Stall(1 + number / 4, 0.06, "speaker") for number in range(6)]
    card = make_card(*stalls, echo_cancel=False)
    spoken = np.frombuffer(tone(6, 700, RATE), np.int16)
    card.say(0, spoken)
    card.run(5)
    microphones, speakers = streams(card)
    assert microphones == 1
    assert speakers > 1
    heard = np.frombuffer(b"".join(each.pcm for each in card.of(MicBlock)), np.int16)
    assert len(heard) / RATE == pytest.approx(card.elapsed, abs=0.1)
    frames = np.abs(heard[RATE // 2 : -RATE // 10]).reshape(-1, RATE // 100)[:400].max(axis=1)
    assert frames.min() > 3_000


def test_a_microphone_that_the_server_does_not_know_is_not_reopened_for_ever(
    make_card: MakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_device_watch, "_source_here", lambda selections: Server(NO_DEVICE))
    monkeypatch.setattr(device_list, "is_direct", lambda device: False)
    card = make_card()
    card.run(10)
    assert streams(card) == (2, 1)
    assert {each.input_name for each in card.of(Opened)} == {"Room"}


@pytest.mark.sound
def test_a_suspended_source_opens_once(
    monkeypatch: pytest.MonkeyPatch, make_rig: Callable[..., Rig]
) -> None:
    need(SOUND)
    with VirtualCard(cold=True) as card:
        for name, value in card.environment.items():
            monkeypatch.setenv(name, value)
        rig = make_rig(barge_in="off")
        opened = rig.open()
        assert opened.input_name
        assert opened.output_name
        rig.wait(MicBlock)
        assert not rig.of(Problem)
        assert len(rig.of(Opened)) == 1
