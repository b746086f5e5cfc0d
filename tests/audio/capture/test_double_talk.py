"""Double talk: the delivered sound has the user's voice, not a garbled one."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import RATE, Room, SimulatedCard
from sound_measures import LONG_TEXT
from user_speech import spoken

from voicechat.audio.capture.double_talk import DoubleTalkSwitch, extend_back
from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.messages import Cue
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import MicBlock
from voicechat.speech.pcm import Samples, amplitude, dbfs

EARLY, LATE = (6.0, 11.0), (11.0, 16.0)
"""Times in s at which the user speaks."""
AEC3_LATE = 128


def delivered(
    patch: pytest.MonkeyPatch, room: Room, voice: Samples, spots: tuple[float, ...]
) -> tuple[Samples, Samples]:
    """Return what is delivered and what the microphone had when `voice` starts at each spot."""
    card = SimulatedCard(patch, room, seconds=40)
    engine = card.open(barge_in="off")
    for number in range(3):
        engine.command(Play(f"reply{number}", spoken(LONG_TEXT).tobytes()))
        engine.command(EndItem(f"reply{number}"))
    for spot in spots:
        card.say(spot, voice)
    card.run(spots[-1] + 5)
    sound = b"".join(block.pcm for block in card.of(MicBlock))
    return np.frombuffer(sound, np.int16), np.concatenate(card.heard)


def likeness_db(sound: Samples, voice: Samples, begin: float) -> float:
    """Return the level of the voice above everything that differs from it, in dB."""
    at = int(begin * RATE) + AEC3_LATE
    wide = sound[at : at + len(voice)].astype(np.float64)
    return float(20 * np.log10(np.std(voice) / np.std(wide - voice)))


@pytest.mark.parametrize(
    ("room", "spots"),
    [
        pytest.param(Room(), EARLY, id="-12 dB"),
        pytest.param(Room(gain_db=-6), EARLY, id="-6 dB"),
        pytest.param(Room(delay_ms=150), EARLY, id="150 ms"),
        pytest.param(Room(drift_ppm=100), LATE, id="100 ppm"),
        pytest.param(Room(drift_ppm=100), EARLY, id="100 ppm, early"),
    ],
)
def test_a_voice_over_the_assistant_keeps_its_shape(
    monkeypatch: pytest.MonkeyPatch, room: Room, spots: tuple[float, ...]
) -> None:
    said = spoken("No, wait a moment, I have a question.", "user", RATE)
    voice = (said * amplitude(-6.0)).astype(np.int16)
    sound, heard = delivered(monkeypatch, room, voice, spots)
    for spot in spots:
        before = likeness_db(np.roll(heard, AEC3_LATE), voice, spot)
        assert likeness_db(sound, voice, spot) >= max(12.0, before + 8.0)
    alone = slice(int((spots[0] - 3) * RATE), int(spots[0] * RATE))
    assert dbfs(heard[alone]) - dbfs(sound[alone]) >= 30


DRY, ECHO = Room(gain_db=-100, noise=1), Room(noise=1)


@pytest.mark.parametrize(
    ("room", "pause_ms"),
    [(DRY, -160), *((room, pause) for room in (DRY, ECHO) for pause in (700, 900, 2000))],
)
def test_the_first_word_around_a_cue_is_whole(
    monkeypatch: pytest.MonkeyPatch, room: Room, pause_ms: int
) -> None:
    voice = spoken("What is seven plus five?", "user", RATE)
    card = SimulatedCard(monkeypatch, room, seconds=20)
    engine = card.open(barge_in="off")
    card.run(2)
    engine.command(Cue("ready"))
    begin = 2.31 + pause_ms / 1000
    card.say(begin, voice)
    card.run(begin + 2)
    sound = np.frombuffer(b"".join(block.pcm for block in card.of(MicBlock)), np.int16)
    first = voice[: RATE // 10]
    late = [0, AEC3_LATE]  # without an echo, nothing delays the sound
    assert max(likeness_db(np.roll(sound, AEC3_LATE - by), first, begin) for by in late) > 12


def test_the_echo_of_a_cue_alone_is_not_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-6), seconds=20)
    engine = card.open(barge_in="off")
    card.run(2)
    engine.command(Cue("ready"))
    card.run(4)
    sound = np.frombuffer(b"".join(block.pcm for block in card.of(MicBlock)), np.int16)
    assert dbfs(np.concatenate(card.heard)) - dbfs(sound) > 6


def frame(value: int) -> Samples:
    return np.full(FRAME, value, np.int16)


def test_the_residue_is_faded_in_and_out_and_waits_for_the_canceller() -> None:
    switch = DoubleTalkSwitch()
    steps = [frame(at) for at in range(0, 8_000, 1_000)]
    alone = [switch.choose(frame(0), rest, True, False) for rest in steps[:2]]
    assert not np.concatenate(alone).any()
    over = [switch.choose(frame(0), frame(5_000), True, True) for _ in range(4)]
    assert not np.concatenate(over[:2]).any()
    assert 0 <= over[2][0] < 50 < 4_900 < over[2][-1]
    assert (over[3] == 5_000).all()
    changed = switch.choose(frame(0), frame(7_000), True, True)
    assert (changed == 5_000).sum() == AEC3_LATE
    after = switch.choose(frame(0), frame(7_000), False, False)
    assert np.max(np.abs(np.diff(after.astype(int)))) < 200
    assert not switch.choose(frame(0), frame(7_000), False, False).any()


def test_a_short_pause_of_the_user_changes_nothing() -> None:
    switch = DoubleTalkSwitch()
    for _ in range(4):
        switch.choose(frame(0), frame(3_000), True, True)
    pause = [switch.choose(frame(0), frame(3_000), True, False) for _ in range(60)]
    assert all((each == 3_000).all() for each in pause[:30])
    assert not pause[-1].any()


def test_held_frames_before_a_certain_voice_belong_to_it() -> None:
    alone = [True, True, False] * 10
    assert extend_back(alone) == alone, "never three in a row"
    said = [False] * 50 + [True] * 3 + [False] * 5
    assert extend_back(said) == [False] * 20 + [True] * 33 + [False] * 5
    assert extend_back([True] * 3 + [False]) == [True] * 3 + [False]
    assert extend_back([]) == []
