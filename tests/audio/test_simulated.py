"""The real engine in simulated rooms: half a minute of sound in seconds, reproducible."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import RATE, Hang, Room, SimulatedCard, Sound, Stall, formant_voice, speak
from sound_measures import LONG_TEXT
from user_speech import spoken

from voicechat.audio.capture.barge_in import BargeInStep
from voicechat.audio.devices import buffer_sizing
from voicechat.audio.devices.streams import BUFFER_SIZES, BufferSize
from voicechat.audio.messages import Cue, Underrun
from voicechat.core.effects import Play, StopPlayback
from voicechat.core.inputs import LocalSpeech, LocalSpeechEnded, MicBlock, VoiceEnded
from voicechat.speech.pcm import Samples, dbfs

QUESTION = "No, wait a moment, I have a question."


def question() -> Samples:
    """Return speech near the microphone from the first sample on, at 16 kHz."""
    said = spoken(QUESTION, "user", RATE)
    return said[np.flatnonzero(np.abs(said) > 400)[0] :]


def left(card: SimulatedCard) -> float:
    """Return the attenuation of the microphone's signal in dB, from the third second on."""
    settled = slice(2 * RATE, None)
    delivered = np.frombuffer(b"".join(block.pcm for block in card.of(MicBlock)), np.int16)
    return dbfs(np.concatenate(card.heard)[settled]) - dbfs(delivered[settled])


@pytest.mark.parametrize(
    "room",
    [
        Room(),
        Room(gain_db=-6),
        Room(delay_ms=150),
        Room(drift_ppm=100),
        Room(jump_ms=20, jump_at=20),
    ],
    ids=["-12 dB", "-6 dB", "150 ms", "100 ppm", "jump"],
)
def test_no_barge_in_on_the_assistants_own_echo(
    monkeypatch: pytest.MonkeyPatch, room: Room
) -> None:
    card = SimulatedCard(monkeypatch, room)
    card.open()
    heard = speak(card, room.jump_at + 20)
    assert not any(heard)
    assert len(heard) <= 1
    assert len(heard) == len(card.of(LocalSpeechEnded)), "every false alarm is undone"
    assert left(card) >= 30


def storm(seed: int, seconds: float) -> list[Stall]:
    """Return stalls of the whole program for 30 to 150 ms, about every four seconds."""
    chance = np.random.default_rng(seed)
    begins = 3.0 + np.cumsum(chance.exponential(4.0, int(seconds)))
    return [Stall(at, chance.uniform(0.03, 0.15)) for at in begins if at < seconds]


@pytest.mark.parametrize("seed", [3, 6])
@pytest.mark.parametrize("voice", [formant_voice(), None], ids=["formants", "built-in"])
def test_no_barge_in_on_a_machine_that_drops_sound(
    monkeypatch: pytest.MonkeyPatch, voice: Sound | None, seed: int
) -> None:
    monkeypatch.setattr(buffer_sizing, "BUFFER_SIZES", BUFFER_SIZES[:1])  # drops go on
    card = SimulatedCard(monkeypatch, Room(gain_db=-6), storm(seed, 30))
    card.open()
    heard = speak(card, 30, voice)
    assert card.of(Underrun)[-1].lost_ms > 100
    assert not any(heard)
    assert len(heard) <= 1
    assert left(card) >= 15


@pytest.mark.parametrize("gain_db", [-20, -6])
def test_late_callbacks_of_the_speaker_change_nothing(
    monkeypatch: pytest.MonkeyPatch, gain_db: float
) -> None:
    monkeypatch.setattr(buffer_sizing, "BUFFER_SIZES", BUFFER_SIZES[2:3])
    chance = np.random.default_rng(2)
    late = [Stall(at / 10, chance.uniform(0.02, 0.07), "speaker") for at in range(5, 300, 7)]
    card = SimulatedCard(monkeypatch, Room(delay_ms=120, gain_db=gain_db), late)
    card.open()
    heard = speak(card, 30)
    assert not any(underrun.lost_ms for underrun in card.of(Underrun)), "the sound did not stop"
    assert not heard
    assert left(card) >= 30


@pytest.mark.parametrize("size", BUFFER_SIZES[2:])
@pytest.mark.parametrize("gain_db", [-100, -20, -10, -6])
def test_speech_over_a_reply_is_ducked_at_once_with_a_large_buffer(
    monkeypatch: pytest.MonkeyPatch, gain_db: float, size: BufferSize
) -> None:
    monkeypatch.setattr(buffer_sizing, "BUFFER_SIZES", (size,))
    card = SimulatedCard(monkeypatch, Room(gain_db=gain_db))
    card.open()
    for _ in range(2):
        before = len(card.events)
        card.engine.command(Play("story", spoken(LONG_TEXT).tobytes()))
        card.run(4)
        assert not [e for _, e in card.events[before:] if isinstance(e, LocalSpeech)]
        began, began_at = len(card.spoken), card.now
        card.say(card.elapsed, question())
        card.run(0.7)
        sound = [dbfs(block) for block in card.spoken[began - 100 :]]
        noted = [(at, e) for at, e in card.events[before:] if isinstance(e, LocalSpeech)]
        suspected_at = noted[0][0]
        assert [event.confirmed for _, event in noted] == [False, True]
        soft_db = np.mean(sound[:100]) - 9
        soft = (at for at in range(100, len(sound)) if max(sound[at : at + 6]) < soft_db)
        assert began_at + (next(soft) - 100) / 100 <= suspected_at + 0.03
        card.engine.command(StopPlayback())
        card.run(1.5)


@pytest.mark.parametrize("size", [BUFFER_SIZES[0], *BUFFER_SIZES[2:]])
def test_a_latency_of_the_device_itself_is_not_discarded_on_suspicion(
    monkeypatch: pytest.MonkeyPatch, size: BufferSize
) -> None:
    monkeypatch.setattr(buffer_sizing, "BUFFER_SIZES", (size,))
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, delay_ms=310))
    card.latency_s = 0.25  # as a Bluetooth speaker's, which plays on after an abort
    card.open()
    speaker = card.engine._streams.speaker
    assert speaker is not None
    card.engine.command(Play("story", spoken(LONG_TEXT).tobytes()))
    card.run(2)
    drops = speaker.reference.drops
    assert speaker.has_large_buffer
    suspected = iter([BargeInStep.DUCK])
    monkeypatch.setattr(card.engine._barge_in, "frame", lambda *_: next(suspected, None))
    monkeypatch.setattr(card.engine._barge_in, "can_skip", False)
    assert card.run(0.1, lambda: bool(card.of(LocalSpeech)))
    assert (speaker.reference.drops, speaker.reference.discarded) == (drops, (0, 0))
    card.engine.command(StopPlayback())
    assert speaker.reference.drops == drops + 1, "how much was lost is unknown"
    assert speaker.reference.discarded == (0, 0)


def test_a_speaker_that_another_one_continues_is_not_discarded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100))
    card.open()
    card.run(0.5)
    card.engine.command(Play("story", spoken(LONG_TEXT).tobytes()))
    card.run(2)
    card.engine._streams.resize_speaker(BUFFER_SIZES[3])
    playback = card.engine._playback
    assert card.run(1, lambda: playback.is_handing_over)
    suspected = iter([BargeInStep.DUCK])
    monkeypatch.setattr(card.engine._barge_in, "frame", lambda *_: next(suspected, None))
    monkeypatch.setattr(card.engine._barge_in, "can_skip", False)
    assert card.run(0.1, lambda: bool(card.of(LocalSpeech)))
    speaker = card.engine._streams.speaker
    assert speaker is not None
    assert speaker.has_large_buffer
    assert speaker.reference.discarded == (0, 0)


def test_a_speaker_is_not_replaced_while_its_buffer_is_discarded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100))
    card.open()
    card.run(0.5)
    engine = card.engine
    speaker = engine._streams.speaker
    assert speaker is not None
    monkeypatch.setattr(engine._buffer_sizing, "changes", lambda *_, **__: True)

    def hang() -> float:
        raise Hang

    monkeypatch.setattr(speaker, "abort", hang)
    monkeypatch.setattr(speaker, "latency", 0.4)
    engine._discard_large_buffer()
    card.run(0.2)
    assert engine._streams.speaker is speaker
    assert not engine._streams.is_changing
    card.run(5)
    assert engine._streams.is_changing or engine._streams.speaker is not speaker


@pytest.mark.parametrize("gain_db", [-12, -6])
def test_no_barge_in_on_the_first_response_after_a_cue(
    monkeypatch: pytest.MonkeyPatch, gain_db: float
) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=gain_db))
    card.open()
    card.run(0.5)
    card.engine.command(Cue("ready"))
    card.say(3.0, question())
    card.run(6.0 - card.elapsed)
    before = len(card.of(LocalSpeech))
    assert card.of(VoiceEnded), "the voice of the user was detected"
    card.engine.command(Play("first", spoken("It's half past ten in the morning.").tobytes()))
    card.run(4)
    assert not any(event.confirmed for event in card.of(LocalSpeech)[before:])


@pytest.mark.parametrize("after", [0.0, 0.15, 0.3])
def test_a_first_word_over_the_first_response_is_kept(
    monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100))
    card.open()
    card.run(0.5)
    card.engine.command(Play("first", spoken(LONG_TEXT).tobytes()))
    said = question()
    begin = int((card.elapsed + 0.05 + after) * RATE)
    card.say(begin / RATE, said)
    card.run(4)
    delivered = np.frombuffer(b"".join(block.pcm for block in card.of(MicBlock)), np.int16)
    for at in range(0, RATE, RATE // 10):
        word, received = said[at : at + RATE // 10], delivered[begin + at : begin + at + RATE // 10]
        assert dbfs(received) == pytest.approx(dbfs(word), abs=3)
    assert any(event.confirmed for event in card.of(LocalSpeech))


def test_no_barge_in_when_off(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100))
    card.open(barge_in="off")
    card.say(2.0, question())
    speak(card, 5)
    assert not card.of(LocalSpeech)
    loudness = [dbfs(block) for block in card.spoken]
    assert loudness[220:300] == pytest.approx(undisturbed(monkeypatch)[220:300], abs=0.1)


def undisturbed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the level of the speaker per 10 ms while the user is silent."""
    card = SimulatedCard(monkeypatch, Room(gain_db=-100))
    card.open()
    speak(card, 5)
    return [dbfs(block) for block in card.spoken]


@pytest.mark.parametrize(
    "room",
    [Room(gain_db=-10), Room(delay_ms=120, gain_db=-6), Room(delay_ms=310, gain_db=-6)],
    ids=str,
)
def test_every_voice_over_an_echo_is_a_barge_in(
    monkeypatch: pytest.MonkeyPatch, room: Room
) -> None:
    card = SimulatedCard(monkeypatch, room)
    engine = card.open()
    story = spoken(LONG_TEXT).tobytes()
    engine.command(Play("first", story))
    card.run(6)
    said = ("stop", "what can you do", "what day is it today", "how many feet are in a mile")
    for number, words in enumerate(said * 3):
        voice = spoken(words, ("user", "guest", "assistant")[number % 3], RATE)
        count = len(card.of(LocalSpeech))
        card.say(card.elapsed, voice)
        card.run(len(voice) / RATE + 0.3, lambda count=count: confirmed(card, count))
        assert confirmed(card, count), f"{words} was not heard"
        assert not engine._capture.guard.unproved, "it was taken for an echo that moved"
        card.run(1)
        engine.command(StopPlayback())
        card.run(1)
        engine.command(Play(f"{number}", story))
        card.run(2 + number / 7)


@pytest.mark.parametrize("side", ["both", "speaker", "microphone"])
@pytest.mark.parametrize("delay_ms", [60, 200])
def test_a_voice_soon_after_a_loss_of_sound_is_a_barge_in(
    monkeypatch: pytest.MonkeyPatch, delay_ms: float, side: str
) -> None:
    losses = (6.2, 14.1, 22.3, 30.4)
    card = SimulatedCard(
        monkeypatch, Room(delay_ms=delay_ms, gain_db=-6), [Stall(at, 0.1, side) for at in losses]
    )
    engine = card.open()
    story = spoken(LONG_TEXT).tobytes()
    for number, at in enumerate(losses):
        before = len(card.of(LocalSpeech))
        engine.command(Play(f"{at}", story))
        card.run(at + 1.8 - card.elapsed)
        assert not confirmed(card, before), "an echo stopped it"
        voice = spoken("how many feet are in a mile", ("user", "guest")[number % 2], RATE)
        count = len(card.of(LocalSpeech))
        card.say(card.elapsed, voice)
        card.run(len(voice) / RATE, lambda count=count: confirmed(card, count))
        assert confirmed(card, count), f"not heard after the loss at {at}"
        engine.command(StopPlayback())
        card.run(2)


def confirmed(card: SimulatedCard, after: int) -> bool:
    """Return True if the engine reported a voice, beyond the first `after` reports."""
    return any(event.confirmed for event in card.of(LocalSpeech)[after:])
