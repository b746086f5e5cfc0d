"""The onset detector on speech-like noise in a simulated room."""

from __future__ import annotations

import numpy as np
import pytest
from talkers import RATE, echo_of, frames, talker

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_delay import EchoDelay
from voicechat.audio.capture.linear_aec import LinearFilter, OnsetDetector
from voicechat.speech.pcm import Samples, dbfs, decibels, rms


@pytest.mark.parametrize(("delay_ms", "gain_db"), [(25, -12), (62, -6), (130, -6)])
def test_most_of_the_echo_is_gone_after_three_seconds(delay_ms: float, gain_db: float) -> None:
    far = talker(1, 5)
    near = echo_of(far, delay_ms, gain_db)
    linear = LinearFilter()
    rests = []
    for heard, played in zip(frames(near), frames(far), strict=True):
        parts = linear.residue(heard, played)
        assert parts is not None
        rests.append(parts[0])
    left = (np.concatenate(rests[300:]) * 32768).astype(np.int16)
    assert dbfs(near[3 * RATE :]) - dbfs(left) >= 15


def test_without_sound_there_is_no_work() -> None:
    nothing = np.zeros(FRAME, np.int16)
    assert LinearFilter().residue(talker(1, 0.01), nothing) is None


def listen(near: Samples, far: Samples) -> list[bool]:
    """Return its decision per frame while the other canceller removes everything."""
    onset = OnsetDetector()
    gone = np.zeros(FRAME, np.int16)
    pairs = zip(frames(near), frames(far), strict=True)
    return [onset.voiced(heard, played, gone) for heard, played in pairs]


def test_a_voice_over_a_loud_echo_is_noticed_at_once_and_the_echo_is_not() -> None:
    far = talker(1, 12)
    near = echo_of(far, 62, -6).astype(np.int32)
    voice = talker(2, 0.5)
    near[10 * RATE : 10 * RATE + len(voice)] += voice
    said = listen(near.clip(-32768, 32767).astype(np.int16), far)
    assert sum(said[:1_000]) <= 5
    assert sum(said[1_000:1_008]) >= 4


def test_a_changed_echo_path_is_learned_with_few_false_alarms() -> None:
    far = talker(1, 16)
    near = np.concatenate((echo_of(far, 62, -6)[: 8 * RATE], echo_of(far, 93, -6)[8 * RATE :]))
    said = listen(near, far)
    assert sum(said[:800]) <= 5
    assert sum(said[1_000:]) <= 10


@pytest.mark.parametrize("delays_ms", [(62, 162, 122), (310, 410, 370), (62, 52, 112)])
def test_what_was_learned_stays_valid_when_the_echo_moves(delays_ms: tuple[int, ...]) -> None:
    far = talker(1, 12)
    onset = OnsetDetector(delay=EchoDelay(16 * delays_ms[0]))
    gone = np.zeros(FRAME, np.int16)
    said, left = [], []
    for number, delay_ms in enumerate(delays_ms):
        if number:
            assert onset.delay.detected(16 * delay_ms)
            onset.move()
        seconds = slice(number * 4 * RATE, (number + 1) * 4 * RATE)
        near = echo_of(far, delay_ms, -6)[seconds]
        for heard, played in zip(frames(near), frames(far[seconds]), strict=True):
            said.append(onset.voiced(heard, played, gone))
            left.append(dbfs(heard) - dbfs(onset.residue))
    assert not any(said[400:])
    assert np.median(left[200:400]) > 15
    for at in (400, 800):
        assert np.median(left[at + 5 : at + 30]) > 12, "it cancels at once"


@pytest.mark.parametrize("rt60_s", [0.4, 0.7, 1.0])
def test_the_reverberation_after_its_last_partition_is_predicted(rt60_s: float) -> None:
    chance, quiet_at = np.random.default_rng(3), 6 * RATE
    far = chance.normal(0, 3_000, 8 * RATE)
    far[quiet_at:] = 0
    path = chance.normal(0, 1, RATE) * np.exp(-6.9 * np.arange(RATE) / (rt60_s * RATE))
    near = np.convolve(far, 0.01 * path)[: len(far)]
    linear, left, told = LinearFilter(), [], []
    for heard, played in zip(frames(near), frames(far.astype(np.int16)), strict=True):
        parts = linear.residue(heard, played)
        if parts is not None:
            left.append(decibels(rms(parts[0])))
            told.append(linear.tail_db)
    after = slice(quiet_at // FRAME, quiet_at // FRAME + 20)
    assert np.mean(told[after]) == pytest.approx(np.mean(left[after]), abs=4)
    linear.residue(*frames(far[: 2 * FRAME].astype(np.int16)))
    assert linear.tail_db < told[after][0] - 30, "nothing is left of it after a silence"


def test_without_reverberation_there_is_nothing_after_the_last_partition() -> None:
    far = talker(1, 6)
    linear = LinearFilter()
    for heard, played in zip(frames(echo_of(far, 62, -6)), frames(far), strict=True):
        parts = linear.residue(heard, played)
    assert parts is not None
    assert linear.tail_db < dbfs(heard) - 25


def test_of_two_echo_paths_only_the_newest_is_known() -> None:
    far = talker(1, 20)
    near = np.concatenate((echo_of(far, 62, -6)[: 8 * RATE], echo_of(far, 93, -6)[8 * RATE :]))
    onset, gone = OnsetDetector(), np.zeros(FRAME, np.int16)
    known = []
    for heard, played in zip(frames(near), frames(far), strict=True):
        onset.voiced(heard, played, gone)
        known.append(int(np.argmax(np.abs(onset.echo_path))) // 16 if onset.reliable else None)
    assert set(known[780:800]) == {62}
    again = next(at for at in range(820, 2_000) if known[at] is not None)
    assert set(known[again + 45 :]) <= {93, None}


@pytest.mark.parametrize("louder_db", [6, 10])
def test_an_echo_that_gets_louder_is_no_voice(louder_db: float) -> None:
    far = talker(1, 12)
    near = np.concatenate(
        (echo_of(far, 62, -16)[: 8 * RATE], echo_of(far, 62, louder_db - 16)[8 * RATE :])
    )
    onset, gone, heard_frames = OnsetDetector(), np.zeros(FRAME, np.int16), 0
    for number, (heard, played) in enumerate(zip(frames(near), frames(far), strict=True)):
        heard_frames += onset.voiced(heard, played, gone) and onset.reliable and number >= 800
    assert heard_frames < 12, "fewer than what stops a reply"


def test_the_other_canceller_that_removes_a_long_voice_does_not_hide_it() -> None:
    far = talker(1, 12)
    near = echo_of(far, 62, -6).astype(np.int32)
    voice = talker(2, 4) // 2
    near[8 * RATE :] += voice
    said = listen(near.clip(-32768, 32767).astype(np.int16), far)
    assert sum(said[:800]) <= 5
    assert sum(said[900:1_000]) >= 80, "in the second second"


def test_after_a_disturbance_the_filter_proves_itself_again() -> None:
    far = talker(1, 12)
    near = echo_of(far, 62, -6)
    onset, gone = OnsetDetector(), np.zeros(FRAME, np.int16)
    for count, (heard, played) in enumerate(zip(frames(near), frames(far), strict=True)):
        onset.voiced(heard, played, gone)
        if count == 1_000:
            assert onset.reliable
            onset.doubt()
        assert count not in range(1_000, 1_039) or not onset.reliable
    assert onset.reliable


def test_an_echo_that_moved_by_a_part_of_a_sample_in_silence_is_no_voice() -> None:
    far = talker(1, 14)
    far[8 * RATE : 9 * RATE] = 0
    late = (far.astype(np.float32) * 0.6 + np.roll(far, 1) * 0.4).astype(np.int16)
    near = np.concatenate((echo_of(far, 62, -6)[: 9 * RATE], echo_of(late, 62, -6)[9 * RATE :]))
    assert sum(listen(near, far)[900:930]) < 4, "too few to duck the playback"


def test_a_voice_hissing_over_a_hissing_echo_is_not_certain() -> None:
    chance = np.random.default_rng(4)
    hiss = np.diff(np.diff(chance.normal(0, 300, 4 * RATE))).astype(np.int16)
    low = np.convolve(chance.normal(0, 900, 4 * RATE), np.ones(16) / 16, "same").astype(np.int16)
    far = talker(1, 4)
    onset = OnsetDetector()
    gone = np.zeros(FRAME, np.int16)
    for sound, expected in ((hiss, False), (low, True)):
        certain = []
        for heard, played in zip(frames(echo_of(far, 62, -6)), frames(far), strict=True):
            onset.voiced(heard, played, gone)
        near = echo_of(sound, 62, -6) + np.roll(sound, 7)
        for heard, played in zip(frames(near), frames(sound), strict=True):
            onset.voiced(heard, played, gone)
            certain.append(onset.has_voice)
        assert any(certain[10:40]) == expected
