"""A program that only listens does little: counts of work in a simulated room."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import RATE, SPEAKER_RATE, Room, SimulatedCard, Sound, formant_voice

from voicechat.audio.engine import Engine
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import LocalSpeech, MicBlock, PlaybackFinished
from voicechat.speech.pcm import Samples, dbfs

REPLY_S = 1.2
SILENT_S = 3.5
"""Longer than the echo of a reply and the time until the microphone counts as quiet."""


@pytest.fixture(scope="module")
def voice() -> Sound:
    return formant_voice()[: int(REPLY_S * SPEAKER_RATE)]


def reply(card: SimulatedCard, voice: Sound) -> None:
    """Play a reply to its end."""
    seen = len(card.events)
    card.engine.command(Play(f"item {seen}", voice.tobytes()))
    card.engine.command(EndItem(f"item {seen}"))
    assert card.run(10, lambda: any(isinstance(e, PlaybackFinished) for _, e in card.events[seen:]))


class Counted:
    """Counts the frames that the canceller processes."""

    def __init__(self, card: SimulatedCard) -> None:
        canceller = card.engine._capture._bypassable
        assert canceller is not None
        self.frames = 0
        self._process = canceller.inner.process
        canceller.inner.process = self.process  # type: ignore[method-assign]

    def process(self, near: Samples, far: Samples) -> Samples:
        self.frames += 1
        return self._process(near, far)


def test_a_silent_speaker_needs_no_canceller_and_few_wake_ups(
    monkeypatch: pytest.MonkeyPatch, voice: Sound
) -> None:
    card = SimulatedCard(monkeypatch, Room(noise=4.0))
    engine = card.open()
    card.run(0.2)
    reply(card, voice)
    card.run(SILENT_S)
    counted = Counted(card)
    card.run(0.3)
    assert counted.frames == 0
    assert engine.pause(card.now - 1) == pytest.approx(0.2)

    engine.command(Play("next", voice.tobytes()))
    engine.tick(card.now)
    assert engine.pause(card.now - 1) == pytest.approx(0.01), "the echo is kept aligned"
    seen = len(card.events), len(card.heard)
    card.run(REPLY_S)
    assert counted.frames >= REPLY_S * 95
    assert not any(isinstance(event, LocalSpeech) for _, event in card.events[seen[0] :])
    delivered = b"".join(e.pcm for _, e in card.events[seen[0] :] if isinstance(e, MicBlock))
    echo = np.concatenate(card.heard[seen[1] :])
    assert dbfs(np.frombuffer(delivered, np.int16)) < dbfs(echo) - 20


def test_a_voice_in_silence_is_delivered_unchanged(
    monkeypatch: pytest.MonkeyPatch, voice: Sound
) -> None:
    card = SimulatedCard(monkeypatch, Room(noise=4.0))
    card.open()
    card.run(2.2)
    begin = len(card.heard)
    card.say(card.elapsed + 0.1, voice[:: SPEAKER_RATE // RATE][: RATE // 2])
    card.run(0.8)
    heard = np.concatenate(card.heard[begin:])
    delivered = b"".join(block.pcm for block in card.of(MicBlock))
    assert delivered[-RATE:] in heard.tobytes()


def within_second_reply(
    monkeypatch: pytest.MonkeyPatch, voice: Sound, seconds: int
) -> tuple[SimulatedCard, Engine]:
    """Return a card without an echo, a second into a reply of so many seconds."""
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=4.0))
    engine = card.open()
    card.run(0.2)
    reply(card, voice)
    card.run(SILENT_S)
    engine.command(Play("next", np.resize(voice, seconds * SPEAKER_RATE).tobytes()))
    card.run(1.0)
    return card, engine


def test_quiet_in_the_middle_of_a_reply_costs_a_tenth_of_the_ticks(
    monkeypatch: pytest.MonkeyPatch, voice: Sound
) -> None:
    card, engine = within_second_reply(monkeypatch, voice, 5)
    assert engine._capture.can_batch, "the room has no echo"
    complete: list[float] = []
    tick = engine._streams.tick
    monkeypatch.setattr(engine._streams, "tick", lambda now: (complete.append(now), tick(now)))
    card.run(1.0)
    assert 9 <= len(complete) <= 12

    assert engine._streams.speaker is not None
    engine._streams.speaker.close_calls += 1
    began = len(complete)
    card.run(0.02)
    assert len(complete) > began, "trouble of the speaker is looked at at once"

    card.say(card.elapsed + 0.1, formant_voice()[:: SPEAKER_RATE // RATE][:RATE])
    complete.clear()
    began = card.now + 0.1
    assert card.run(1.0, lambda: bool(card.of(LocalSpeech)))
    assert card.now - began < 0.2
    engine.command(EndItem("next"))
    assert card.run(0.05, lambda: card.now in complete), "a command is carried out at once"


def test_the_microphone_wakes_the_loop_for_a_loud_block_only(
    monkeypatch: pytest.MonkeyPatch, voice: Sound
) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=4.0))
    card.paced = True
    engine = card.open()
    card.run(0.2)
    reply(card, voice)
    card.run(SILENT_S)
    card.ticks = 0
    card.run(2.0)
    assert card.ticks <= 12, "idle"

    engine.command(Play("next", np.resize(voice, 5 * SPEAKER_RATE).tobytes()))
    card.run(0.5)
    card.ticks = 0
    card.run(2.0)
    assert card.ticks <= 24, "during a reply"

    card.say(card.elapsed + 0.1, formant_voice()[:: SPEAKER_RATE // RATE][:RATE])
    began = card.now + 0.1
    assert card.run(1.0, lambda: bool(card.of(LocalSpeech)))
    assert card.now - began < 0.15, "no tick later than with a tick every 10 ms"


def test_silence_under_a_reply_without_an_echo_is_not_processed_frame_by_frame(
    monkeypatch: pytest.MonkeyPatch, voice: Sound
) -> None:
    card, engine = within_second_reply(monkeypatch, voice, 20)
    capture, cleaned = engine._capture, []
    clean = capture._clean
    monkeypatch.setattr(capture, "_clean", lambda *pair: (cleaned.append(1), clean(*pair))[1])
    delivered = sum(len(block.pcm) for block in card.of(MicBlock))
    card.run(2.0)
    assert not cleaned
    sound = b"".join(block.pcm for block in card.of(MicBlock))
    assert len(sound) - delivered == pytest.approx(4 * RATE, abs=RATE)
    assert sound[delivered:] in np.concatenate(card.heard).tobytes()

    card.room = Room(gain_db=-12, noise=4.0)
    assert card.run(7.0, lambda: capture.may_echo), "an echo is found"
    assert cleaned
