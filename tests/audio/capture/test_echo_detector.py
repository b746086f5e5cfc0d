"""The canceller is bypassed for headphones, and only for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from user_speech import spoken

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_detector import BypassableCanceller, EchoDetector, EchoState
from voicechat.speech.pcm import Samples

RATE = 16_000


def talker(seed: int, seconds: float, level: float = 4_000.0) -> Samples:
    """Return noise with the rhythm and level of speech."""
    random = np.random.default_rng(seed)
    count = int(16_000 * seconds)
    steps = np.repeat(random.uniform(0.02, 1.0, count // 1_600 + 1) ** 2, 1_600)[:count]
    return (random.normal(0, 1, count) * level * steps).astype(np.int16)


def watch(near: Samples, far: Samples) -> EchoState:
    detector = EchoDetector()
    for start in range(0, len(far) - FRAME, FRAME):
        detector.observe(near[start : start + FRAME], far[start : start + FRAME])
    return detector.verdict


def echo_of(far: Samples, delay_ms: int, gain_db: float) -> Samples:
    delay = 16 * delay_ms
    return (np.r_[np.zeros(delay), far[: len(far) - delay]] * 10 ** (gain_db / 20)).astype(np.int16)


def test_a_silent_microphone_under_a_loud_speaker_means_headphones() -> None:
    far = talker(1, 2)
    assert watch(np.zeros_like(far), far) is EchoState.DRY


def test_a_short_cue_is_enough() -> None:
    far = talker(1, 2)
    far[16_000 // 5 :] = 0
    assert watch(np.zeros_like(far), far) is EchoState.DRY


@pytest.mark.parametrize(
    ("delay_ms", "gain_db"), [(25, -12), (60, -6), (60, -24), (150, -12), (400, -12)]
)
def test_an_echo_is_found_soon_at_any_delay(delay_ms: int, gain_db: float) -> None:
    far = talker(1, 0.75 + delay_ms / 1000)
    assert watch(echo_of(far, delay_ms, gain_db), far) is EchoState.ECHO


@pytest.mark.parametrize("delay_ms", [0, 25, 60, 150, 400])
def test_with_an_echo_its_delay_is_found(delay_ms: int) -> None:
    far, voice = talker(1, 1.2 + delay_ms / 1000), talker(2, 1.2 + delay_ms / 1000)
    near = echo_of(far, delay_ms, -12.0) + voice // 4
    canceller = BypassableCanceller(Deaf())
    assert canceller.delay is None
    for start in range(0, len(far) - FRAME, FRAME):
        canceller.process(near[start : start + FRAME], far[start : start + FRAME])
    assert canceller.delay == 16 * delay_ms


def test_an_echo_is_found_during_double_talk() -> None:
    far, voice = talker(1, 1.2), talker(2, 1.2)
    assert watch(echo_of(far, 60, -12.0) + voice // 2, far) is EchoState.ECHO


@pytest.mark.parametrize("seed", range(2, 7))
def test_a_second_talker_is_not_taken_for_an_echo(seed: int) -> None:
    far, near = talker(1, 12), talker(seed, 12)
    for begin in range(0, 16_000 * 10, 16_000 * 2):
        assert watch(near[begin:], far[begin:]) is EchoState.DRY


def test_taking_the_headphones_off_is_noticed() -> None:
    far = talker(1, 5)
    near = echo_of(far, 80, -12.0)
    near[: 16_000 * 4] = 0
    assert watch(near, far) is EchoState.ECHO


def test_putting_them_on_is_noticed_too() -> None:
    far = talker(1, 8)
    near = echo_of(far, 80, -12.0)
    near[16_000 * 2 :] = 0
    assert watch(near, far) is EchoState.DRY


class Deaf:
    """A canceller that removes everything."""

    name = "deaf"
    full_duplex = True

    def process(self, near: Samples, far: Samples) -> Samples:
        return np.zeros_like(near)


def test_without_an_echo_the_voice_is_unchanged() -> None:
    canceller = BypassableCanceller(Deaf())
    silence = np.zeros(FRAME, np.int16)
    step: Callable[[Samples, Samples], Samples] = canceller.process
    far = talker(1, 1)
    voice = talker(2, 1)[:FRAME]
    assert not step(voice, silence).any()
    for start in range(0, len(far) - FRAME, FRAME):
        step(silence, far[start : start + FRAME])
    assert (step(voice, far[:FRAME]) == voice).all()


@pytest.mark.parametrize("moved_ms", [-40, -10, 10, 40, 300])
@pytest.mark.parametrize("gain_db", [-6.0, -20.0])
def test_an_echo_at_another_delay_is_found_and_a_voice_over_it_is_none(
    moved_ms: int, gain_db: float
) -> None:
    far, voice = talker(1, 3.0), talker(2, 3.0)
    path = np.zeros(3_840, np.float32)
    path[16 * 60] = 10 ** (gain_db / 20)
    known, moved = echo_of(far, 60, gain_db), echo_of(far, 60 + moved_ms, gain_db)
    for near, shifts in (
        (known, (0,)),
        (known + voice // 4, (0, None)),
        (known + voice, (None,)),
        (np.concatenate((known[:32_000], moved[32_000:])), (16 * moved_ms,)),
    ):
        detector = EchoDetector()
        for start in range(0, 34_000, FRAME):
            detector.observe(near[start : start + FRAME], far[start : start + FRAME])
        assert detector.shift_of(path) in shifts


@pytest.mark.parametrize("moved", [-160, -5, -2, 2, 5, 160])
def test_an_echo_of_speech_that_moved_by_little_is_found(moved: int) -> None:
    far = spoken("There was once a little old lady who lived in a wooden house.", rate=16_000)
    path = np.zeros(3_840, np.float32)
    path[960] = 0.3
    known, delayed = (
        (np.r_[np.zeros(delay), far[:-delay]] * 0.3).astype(np.int16)
        for delay in (960, 960 + moved)
    )
    found = []
    for cut in range(RATE, len(far) - RATE // 4, 1_600):
        near = np.concatenate((known[:cut], delayed[cut:]))
        detector = EchoDetector()
        for start in range(0, cut + 1_280, FRAME):
            detector.observe(near[start : start + FRAME], far[start : start + FRAME])
        found.append(detector.shift_of(path))
    assert found.count(moved) >= 0.7 * len(found)
    assert set(found) <= {moved, 0, None}
