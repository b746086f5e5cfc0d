"""Echo, voice activity and barge-in in simulated rooms: minutes of sound in seconds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from user_speech import spoken

from voicechat.audio.capture.barge_in import BargeIn, BargeInStep
from voicechat.audio.capture.capture import Capture
from voicechat.audio.capture.echo_detector import EchoDetector
from voicechat.audio.capture.frame_pair import VoiceActivity
from voicechat.audio.devices.streams import SampleRing
from voicechat.audio.messages import AudioSettings, Mute
from voicechat.speech.pcm import amplitude

RATE = 16_000
STEP = 160
Sound = NDArray[np.int16]


def assistant(seconds: float) -> Sound:
    text = (
        "The weather tomorrow is mild, with light winds from the west. You have two meetings, one "
        "at nine and one at half past three. The kettle was on the list, and so were the apples."
    )
    once = np.concatenate((spoken(text, rate=RATE), np.zeros(RATE // 2, np.int16)))
    return np.resize(once, int(seconds * RATE))


def room(far: Sound, delay_ms: float, gain_db: float, drift_ppm: float = 0.0) -> Sound:
    """Return the far end as the microphone hears it: later, softer, with a short tail."""
    noise = np.random.default_rng(7).standard_normal(int(0.08 * RATE))
    tail = noise * np.exp(-np.arange(len(noise)) / (0.012 * RATE)) * 0.12
    tail[0] = 1.0
    size = 1 << (len(far) + len(tail) - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(far, size) * np.fft.rfft(tail, size), size)[: len(far)]
    spots = np.arange(len(far)) * (1 + drift_ppm / 1e6) - delay_ms * RATE / 1000
    echo = np.interp(spots, np.arange(len(wet)), wet, left=0.0)
    hiss = np.random.default_rng(1).standard_normal(len(far)) * 8
    return (echo * amplitude(gain_db) + hiss).clip(-32768, 32767).astype(np.int16)


class Listener:
    """Capture and barge-in connected as in the engine, fed 10 ms at a time."""

    def __init__(self, **settings: object) -> None:
        self.settings = AudioSettings(input_rate=RATE, **settings)  # type: ignore[arg-type]
        self.barge = BargeIn(self.settings.barge_in)
        self.hearing = Capture(self.settings, self.barge.above_floor_db)
        self.microphone, self.reference = SampleRing(RATE), SampleRing(RATE)
        self.steps: list[tuple[float, BargeInStep]] = []
        self.out: list[Sound] = []

    def run(self, near: Sound, far: Sound) -> Sound:
        for at in range(0, len(near) - STEP + 1, STEP):
            now = at / RATE
            self.reference.write(far[at : at + STEP], now)
            self.microphone.write(near[at : at + STEP], now)
            self.hearing.take_far_end(self.reference)
            for voice in self.hearing.frames(self.microphone):
                converged = self.hearing.converged
                step = self.barge.frame(voice.sure, True, converged, now, voice.seems)
                if step is not None:
                    self.steps.append((now, step))
            self.out += [np.frombuffer(b.pcm, np.int16) for b in self.hearing.blocks(now)]
        return np.concatenate(self.out)


@pytest.mark.parametrize("gain_db", [-12, -6])
def test_speech_over_the_assistant_is_detected_soon(gain_db: float) -> None:
    far = assistant(32)
    near = room(far, 60, gain_db).astype(np.int32)
    voice = spoken("No, wait a moment, I have a question.", "user", RATE)
    voice = voice[np.flatnonzero(np.abs(voice) > 400)[0] :]
    onsets = [8.0 + 4.1 * n for n in range(5)]
    for onset in onsets:
        spot = int(onset * RATE)
        near[spot : spot + len(voice)] += voice
    listener = Listener()
    held = []
    original = listener.barge.frame

    def frame(
        voiced: bool, sounding: bool, converged: bool, now: float, seems: bool = False
    ) -> BargeInStep | None:
        step = original(voiced, sounding, converged, now, seems)
        if step is BargeInStep.HOLD:
            held.append(now)
            listener.barge.decided(false_alarm=False, now=now)
        return step

    listener.barge.frame = frame  # type: ignore[method-assign]
    listener.run(near.clip(-32768, 32767).astype(np.int16), far)
    delays = [min((t - onset for t in held if t >= onset), default=9.0) for onset in onsets]
    assert np.median(delays) <= 0.2
    length = len(voice) / RATE + 0.2
    assert all(any(t <= at <= t + length for t in onsets) for at in held), "only the user stops it"


def test_quiet_is_delivered_in_long_blocks_and_sound_at_once() -> None:
    listener = Listener()
    silence = np.zeros(RATE * 605 // 100, np.int16)
    listener.run(silence, silence)
    waits = len(silence) - sum(map(len, listener.out))
    assert len(listener.out[-1]) == RATE // 5
    assert waits > 2 * RATE // 50
    sound = (np.random.default_rng(3).standard_normal(STEP) * 3_000).astype(np.int16)
    listener.out.clear()
    listener.run(sound, silence[:STEP])
    sizes = [len(block) for block in listener.out]
    assert sizes == [RATE // 50] * ((waits + STEP) // (RATE // 50)), "all of it that is a block"


def test_only_sound_without_a_possible_voice_waits() -> None:
    listener = Listener(echo_cancel=False)
    silence = np.zeros(RATE * 3, np.int16)
    hiss = (np.random.default_rng(5).standard_normal(STEP) * 8).astype(np.int16)
    assert not listener.hearing.can_wait(listener.microphone), "at first nothing is known"
    listener.run(silence, silence)
    listener.microphone.write(hiss, 3.0)
    assert listener.hearing.can_wait(listener.microphone)
    listener.microphone.write(100 * hiss, 3.01)
    listener.microphone.write(hiss, 3.02)
    assert not listener.hearing.can_wait(listener.microphone)
    assert len(list(listener.hearing.frames(listener.microphone))) == 3, "nothing was taken"
    assert not listener.hearing.quiet


def test_held_frames_stay_silent_if_muted() -> None:
    hearing = Capture(AudioSettings(input_rate=RATE), 9.0)
    microphone, speaker = SampleRing(2 * RATE), SampleRing(2 * RATE)
    hearing.reconfigure(RATE, RATE)
    hiss, tone = np.random.default_rng(1), np.sin(2 * np.pi * 300 * np.arange(STEP) / RATE)
    private, nothing = (6_000 * tone).astype(np.int16), np.zeros(STEP, np.int16)
    louder: list[float] = []
    at = 0.0

    def advance(steps: int, near: Sound, loud: float) -> None:
        nonlocal at
        for _ in range(steps):
            at += STEP / RATE
            speaker.write((loud * hiss.standard_normal(STEP)).astype(np.int16), at)
            microphone.write(near, at)
            hearing.take_far_end(speaker)
            list(hearing.frames(microphone))
            louder.extend(
                block.at for block in hearing.blocks(at) if np.frombuffer(block.pcm, np.int16).any()
            )

    advance(100, nothing, 0)
    hearing.apply(Mute(on=True))
    advance(40, private, 6_000)
    hearing.apply(Mute(on=False))
    opened = at
    advance(150, nothing, 0)
    assert not louder
    advance(40, private, 0)
    assert min(louder) > opened + 1.5, "and afterwards all is heard"


def test_the_echo_detector_decides_the_same_without_the_frames_of_a_silent_far_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    far = np.zeros(22 * RATE, np.int16)
    noise = np.random.default_rng(5).standard_normal(len(far)) * 3_000
    for begin in (4, 11, 18):
        part = slice(begin * RATE + 40, (begin + 2) * RATE)
        far[part] = noise[part].clip(-32768, 32767)
    listener = Listener()
    every = EchoDetector()
    clean, compared = listener.hearing._clean, 0
    pass_through, passed = listener.hearing._pass_through, 0

    def observed_in_silence() -> Iterator[VoiceActivity]:
        nonlocal passed
        count = len(listener.hearing._near) // STEP
        yield from pass_through()
        for pair in list(listener.hearing._past)[-count:]:
            every.observe(pair.near, pair.far)
            passed += 1

    def observed(near: Sound, far_end: Sound) -> Sound:
        nonlocal compared
        cleaned = clean(near, far_end)
        every.observe(near, far_end)
        bypassable = listener.hearing._bypassable
        assert bypassable is not None
        detector = bypassable._detector
        assert detector.verdict is every.verdict
        assert detector.delay == every.delay
        assert bypassable.undecided == every.waiting
        if far_end.any():
            compared += 1
            assert np.array_equal(detector._near, every._near)
        return cleaned

    monkeypatch.setattr(listener.hearing, "_clean", observed)
    monkeypatch.setattr(listener.hearing, "_pass_through", observed_in_silence)
    listener.run(room(far, 40, -10), far)
    assert compared > 500
    assert passed
    assert every.verdict is not EchoDetector().verdict


@pytest.mark.parametrize("echo_db", [-10.0, None], ids=["echo", "dry"])
def test_frames_that_pass_through_together_are_heard_as_each_by_itself(
    monkeypatch: pytest.MonkeyPatch, echo_db: float | None
) -> None:
    """The speaker sounds, then the user speaks while it is silent, and then it sounds again."""
    far = np.zeros(9 * RATE, np.int16)
    far[: 2 * RATE] = assistant(2)
    far[8 * RATE :] = assistant(1)
    near = room(far if echo_db is not None else far * 0, 40, echo_db or 0.0).astype(np.int32)
    voice = spoken("No, wait a moment, I have a question.", "user", RATE)
    near[5 * RATE : 5 * RATE + len(voice)] += voice
    near = near.clip(-32768, 32767).astype(np.int16)

    def heard(together: bool) -> tuple[Capture, Sound, list[tuple[float, ...]]]:
        capture = Capture(AudioSettings(input_rate=RATE), 9.0)
        if not together:
            monkeypatch.setattr(Capture, "_passes_through", False)
        microphone, reference = SampleRing(RATE), SampleRing(RATE)
        sound, found = [], []
        for at in range(0, len(near), 5 * STEP):
            reference.write(far[at : at + 5 * STEP], at / RATE)
            microphone.write(near[at : at + 5 * STEP], at / RATE)
            capture.take_far_end(reference)
            for each in capture.frames(microphone):
                levels = capture.level, capture.peak, capture._gate.floor_db
                found.append((*each, capture.quiet, *levels))
            sound += [np.frombuffer(block.pcm, np.int16) for block in capture.blocks(at / RATE)]
        return capture, np.concatenate(sound), found

    together, sound, found = heard(True)
    one_by_one, expected_sound, expected = heard(False)
    assert np.allclose(found, expected, atol=0.01)
    assert any(each[0] for each in found[500:700]), "the user was heard"
    assert np.array_equal(sound, expected_sound)
    assert together._far.silent_frames == one_by_one._far.silent_frames
    assert len(together._far._queue) == len(one_by_one._far._queue)
