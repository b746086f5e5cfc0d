"""Warm start of the linear canceller in the first response, in simulated rooms."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_card import RATE, Room, SimulatedCard
from sound_measures import LONG_TEXT
from user_speech import spoken

from voicechat.audio.capture.aec_warm_start import PAST, FramePair, WarmOnsetDetector
from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.linear_aec import OnsetDetector
from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import LocalSpeech, MicBlock
from voicechat.speech.pcm import Samples, dbfs

BEGINS = 0.54
"""Seconds until the first response leaves the speaker."""
REPLIES = {
    "long": (LONG_TEXT, "assistant"),
    "greeting": ("Good morning! I found three restaurants near you.", "guest"),
    "short": ("Yes. It is half past nine.", "user"),
}


def question() -> Samples:
    """Return speech near the microphone from the first sample on, at 16 kHz."""
    said = spoken("No, wait a moment, I have a question.", "user", RATE)
    return said[np.flatnonzero(np.abs(said) > 400)[0] :]


def interrupted(
    patch: pytest.MonkeyPatch, room: Room, voice: Samples | None, after: float, reply: str = "long"
) -> tuple[Samples, list[tuple[float, bool]]]:
    """Return what is delivered from the start of `voice`, `after` seconds into the first response,
    and the time of detection.

    The response stops once the voice is confirmed.
    """
    card = SimulatedCard(patch, room, seconds=20)
    card.open()
    card.run(0.5)
    card.engine.command(Play("first", spoken(*REPLIES[reply]).tobytes()))
    card.engine.command(EndItem("first"))
    begin = int((BEGINS + after) * RATE)
    if voice is not None:
        card.say(begin / RATE, voice)
    heard: list[tuple[float, bool]] = []
    seen = 0

    def watch() -> bool:
        nonlocal seen
        new, seen = card.events[seen:], len(card.events)
        for at, event in new:
            if isinstance(event, LocalSpeech):
                heard.append((at - 1000.0 - begin / RATE, event.confirmed))
                if event.confirmed:
                    card.engine.command(StopPlayback())
        return False

    card.run(6, watch)
    sound = np.frombuffer(b"".join(block.pcm for block in card.of(MicBlock)), np.int16)
    return sound[begin:], heard


def lost_ms(sound: Samples, voice: Samples) -> int:
    """Return the share of the first second of the voice that is missing or masked."""
    lost = 0
    for at in range(0, RATE, RATE // 10):
        word = voice[at : at + RATE // 10].astype(np.float64)
        ratios = []
        for late in (0, 128):
            other = sound[at + late : at + late + RATE // 10] - word
            ratios.append(np.std(word) / (np.std(other) + 1.0))
        lost += 100 * (max(ratios) < 1.0)
    return lost


@pytest.mark.parametrize("after", [0.0, 0.2, 0.5])
@pytest.mark.parametrize(
    ("room", "most"),
    [(Room(), 200), (Room(gain_db=-20), 100), (Room(gain_db=-20, delay_ms=150), 100)],
    ids=["-12 dB", "-20 dB", "-20 dB late"],
)
def test_a_first_word_over_an_echo_is_kept_and_stops_the_response(
    monkeypatch: pytest.MonkeyPatch, room: Room, most: int, after: float
) -> None:
    voice = question()
    sound, heard = interrupted(monkeypatch, room, voice, after)
    assert lost_ms(sound, voice) <= most
    stops = [at for at, confirmed in heard if confirmed]
    assert stops
    assert 0 < stops[0] < 0.9
    assert all(at > 0 for at, _ in heard), "no detection before the voice"


@pytest.mark.parametrize("reply", list(REPLIES))
@pytest.mark.parametrize(
    "room",
    [Room(gain_db=-6), Room(delay_ms=150), Room(gain_db=-9, drift_ppm=100)],
    ids=["-6 dB", "150 ms", "100 ppm"],
)
def test_the_first_response_alone_is_neither_stopped_nor_delivered(
    monkeypatch: pytest.MonkeyPatch, room: Room, reply: str
) -> None:
    sound, heard = interrupted(monkeypatch, room, None, 0.0, reply)
    assert not any(confirmed for _, confirmed in heard)
    assert len(heard) <= 1
    assert dbfs(sound) < -42


def frame_pairs(delay: int, gain: float, seconds: float, *, ahead: float = 0.3) -> list[FramePair]:
    """Return the response and its echo; the user is silent for the first `ahead` seconds."""
    count = int(seconds * RATE) // FRAME * FRAME
    said = spoken(LONG_TEXT, rate=RATE)
    far = np.concatenate((np.zeros(int(ahead * RATE), np.int16), said))[:count]
    hiss = np.random.default_rng(4).normal(0, 8, count)
    late = np.concatenate((np.zeros(delay), far[: count - delay])) * gain + hiss
    near = late.astype(np.int16)
    return list(zip(near.reshape(-1, FRAME), far.reshape(-1, FRAME), strict=True))


@pytest.mark.parametrize("delay", [0, 250, 1_000, 3_000, 6_000])
def test_held_frames_are_clean_at_once(delay: int) -> None:
    pairs = frame_pairs(delay, 0.5, 1.2)
    past, waited = pairs[12:48], pairs[48:]
    trained, fresh = WarmOnsetDetector(delay, past, waited), OnsetDetector()
    for near, far in past:
        fresh.voiced(near, far, near)
    residual_db = []
    for linear in (trained, fresh):
        rests = []
        for near, far in waited:
            linear.voiced(near, far, near)
            rests.append(linear.residue)
        residual_db.append(dbfs(np.concatenate(rests)))
    echo = dbfs(np.concatenate([near for near, _ in waited]))
    assert echo - residual_db[0] > 12
    assert residual_db[0] < residual_db[1] - 3


def test_an_unknown_gain_is_tolerated() -> None:
    nothing = np.zeros(FRAME, np.int16)
    linear = WarmOnsetDetector(800, [], [])
    assert linear.warm
    assert not linear.voiced(nothing, nothing, nothing)
    silent = WarmOnsetDetector(800, [(nothing, nothing)] * PAST, [(nothing, nothing)] * 20)
    assert not silent.voiced(nothing, nothing, nothing)
