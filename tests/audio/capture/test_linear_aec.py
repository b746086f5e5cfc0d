"""The onset detector on speech-like noise in a simulated room."""

from __future__ import annotations

import numpy as np
import pytest
from talkers import RATE, echo_of, frames, talker

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.linear_aec import LinearFilter, OnsetDetector
from voicechat.speech.pcm import Samples, dbfs


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
