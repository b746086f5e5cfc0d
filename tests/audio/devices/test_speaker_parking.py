"""A speaker that plays nothing is stopped, and started before it is needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
from needs import SOUND, need
from simulated_card import RATE, SPEAKER_RATE, Room, SimulatedCard, Sound, formant_voice
from virtual_audio import VirtualCard, tone

from voicechat.audio.capture import capture
from voicechat.audio.devices import device_list, speaker_parking
from voicechat.audio.devices.speaker_parking import UNUSED_S
from voicechat.audio.engine import Engine
from voicechat.audio.messages import AudioEvent, AudioSettings, EchoGuarded, Opened, Problem
from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStarted, PlaybackStopped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only streams of Linux are parked")

REPLY_S = 1.2
PARKED_S = UNUSED_S + 2.6
"""The microphone counts as quiet two seconds after the start."""


@pytest.fixture(scope="module")
def voice() -> Sound:
    return formant_voice()[: int(REPLY_S * SPEAKER_RATE)]


def opened(patch: pytest.MonkeyPatch, room: Room, **settings: object) -> SimulatedCard:
    """Return a card behind a sound server, ticked as often as the audio process does."""
    patch.setattr(device_list, "is_direct", lambda device: False)
    card = SimulatedCard(patch, room)
    card.paced = True
    card.open(**settings)
    return card


def play(card: SimulatedCard, name: str, voice: Sound) -> float:
    """Play to the end; return the simulated seconds until the speaker sounds."""
    began, seen = card.now, len(card.spoken)
    card._due = card.now  # as a command does
    card.engine.command(Play(name, voice.tobytes()))
    card.engine.command(EndItem(name))
    assert card.run(5, lambda: bool(card.spoken[seen:]) and bool(card.spoken[-1].any()))
    sounded = card.now - began
    assert card.run(5, lambda: PlaybackFinished(name) in card.of(PlaybackFinished))
    return sounded


def test_a_parked_speaker_costs_no_callbacks_and_plays_at_once(
    monkeypatch: pytest.MonkeyPatch, voice: Sound
) -> None:
    card = opened(monkeypatch, Room(gain_db=-100, noise=4.0))
    card.run(0.2)
    usual = play(card, "first", voice)
    assert not card.run(UNUSED_S - 0.5, lambda: not card._outs)
    assert card.run(3, lambda: not card._outs)
    ticks = card.ticks
    card.run(10)
    assert card.ticks - ticks <= 60, "six wake-ups per second"
    assert not card._outs
    assert len(card.of(Opened)) == 1
    assert not card.of(Problem)

    seen = sum(map(len, card.spoken))
    assert play(card, "second", voice) <= usual + 0.021
    whole = np.concatenate(card.spoken).tobytes()[2 * seen :]
    assert voice[SPEAKER_RATE // 10 : SPEAKER_RATE].tobytes() in whole, "nothing is lost"
    assert card.of(Heard)[-1] == Heard("second", pytest.approx(REPLY_S * 1000, abs=1))
    assert [each.item_id for each in card.of(PlaybackStarted)] == ["first", "second"]
    assert not card.of(EchoGuarded)
    assert len(card.of(Opened)) == 1


def test_a_voice_starts_the_speaker_before_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    card = opened(monkeypatch, Room(noise=4.0))
    card.run(PARKED_S)
    assert not card._outs
    card.say(card.elapsed + 0.1, formant_voice()[:: SPEAKER_RATE // RATE][:RATE])
    assert card.run(0.3, lambda: bool(card._outs))
    assert card.run(UNUSED_S + 4, lambda: not card._outs), "and it is parked after it"


def test_a_stop_of_nothing_is_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    card = opened(monkeypatch, Room(noise=4.0))
    card.run(PARKED_S)
    assert not card._outs
    card.engine.command(StopPlayback())
    card._due = card.now
    assert card.run(0.05, lambda: bool(card.of(PlaybackStopped)))


def test_a_speaker_with_an_echo_or_a_recording_runs_on(
    monkeypatch: pytest.MonkeyPatch, voice: Sound
) -> None:
    card = opened(monkeypatch, Room(noise=4.0))
    card.run(0.2)
    play(card, "first", voice)
    assert card.engine._capture.may_echo
    assert not card.run(PARKED_S, lambda: not card._outs)

    recorded = opened(monkeypatch, Room(noise=4.0), monitor=True)
    assert not recorded.run(PARKED_S, lambda: not recorded._outs)


def test_a_parked_speaker_that_does_not_start_is_reopened(
    monkeypatch: pytest.MonkeyPatch, voice: Sound
) -> None:
    card = opened(monkeypatch, Room(gain_db=-100, noise=4.0))
    card.run(PARKED_S)
    speaker = card.engine._streams.speaker
    assert speaker is not None
    assert speaker.parked

    def refuse() -> None:
        raise device_list.NoSound("The device is gone.", "Connect it.")

    monkeypatch.setattr(speaker._stream, "start", refuse)
    play(card, "first", voice)
    assert card.engine._streams.speaker is not speaker


@pytest.mark.sound
@pytest.mark.parametrize("cold", [False, True], ids=["warm", "suspended meanwhile"])
def test_a_parked_stream_of_a_sound_server_starts_again(
    monkeypatch: pytest.MonkeyPatch, cold: bool
) -> None:
    need(SOUND)
    monkeypatch.setattr(speaker_parking, "UNUSED_S", 0.2)
    monkeypatch.setattr(capture, "_ACTIVE_FRAMES", 20)
    with VirtualCard(cold=cold) as card:
        for name, value in card.environment.items():
            monkeypatch.setenv(name, value)
        events: list[AudioEvent] = []
        engine = Engine(AudioSettings(barge_in="off", latency_ms=200), events.append, lambda: None)

        def run(until: Callable[[], object], seconds: float = 10.0) -> None:
            give_up = time.monotonic() + seconds
            while not until():
                assert time.monotonic() < give_up, events
                time.sleep(min(0.02, engine.pause(time.monotonic())))
                engine.tick(time.monotonic())

        def is_parked() -> bool:
            speaker = engine._streams.speaker
            return speaker is not None and speaker.parked and not engine._parking.active

        def reply(name: str) -> None:
            engine.command(Play(name, tone(0.4)))
            engine.command(EndItem(name))
            run(lambda: PlaybackFinished(name) in events)

        try:
            run(lambda: any(isinstance(event, Opened) for event in events))
            reply("first")
            run(is_parked)
            reply("second")
            heard = [event for event in events if isinstance(event, Heard)]
            assert heard[-1] == Heard("second", pytest.approx(400, abs=1))
            assert not any(isinstance(event, Problem) for event in events)
        finally:
            engine.close()
