"""The linear filter over the life of an echo: what it rules out, and when its echo is in place."""

from __future__ import annotations

import numpy as np
import pytest
from talkers import RATE, echo_of, frames, talker

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_detector import BypassableCanceller
from voicechat.audio.capture.frame_pair import FramePair, LinearResult
from voicechat.audio.capture.linear_echo import LinearEcho
from voicechat.speech.pcm import Samples, dbfs


class Gone:
    """A canceller that removes everything."""

    name = "gone"
    full_duplex = True

    def process(self, near: Samples, far: Samples) -> Samples:
        return np.zeros_like(near)


class Room:
    """An echo of 62 ms at -6 dB that the filter has learned in five seconds."""

    def __init__(self) -> None:
        self.far = talker(1, 12)
        self.near = echo_of(self.far, 62, -6)
        self.canceller = BypassableCanceller(Gone())
        self.linear = LinearEcho()
        self._at = 0
        self.run(5.0)
        assert self.linear.detector.knows_echo

    def run(self, seconds: float) -> list[bool | None]:
        """Pass on so much sound; return the judgment of each frame."""
        judged: list[bool | None] = []
        silence = np.zeros(FRAME, np.int16)
        spots = slice(self._at, self._at + int(seconds * RATE))
        self._at = spots.stop
        for near, far in zip(frames(self.near[spots]), frames(self.far[spots]), strict=True):
            cleaned = self.canceller.process(near, far)
            self.linear.follow(self.canceller.delay, [], [])
            result = self.linear.run(FramePair(near, far, cleaned, False), silence)
            judged.append(self.linear.judge(near, result, self.canceller))
        return judged


def test_an_echo_in_its_place_is_trusted_at_once() -> None:
    room = Room()
    room.linear.detector.doubt()
    assert room.run(0.02)[-1] is None
    room.run(0.2)
    assert room.linear.detector.reliable


def test_what_is_found_just_after_a_stream_was_opened_is_the_echo_of_the_old_one() -> None:
    room = Room()
    room.linear.detector.doubt()
    room.linear.reopened()
    room.run(0.2)
    assert not room.linear.detector.reliable
    room.run(0.6)
    assert room.linear.detector.reliable


@pytest.mark.parametrize("moved", [-3, 2, 160])
def test_an_echo_that_moves_by_little_is_followed(moved: int) -> None:
    room = Room()
    room.near = np.roll(room.near, moved)
    before = room.linear.detector.delay.samples + room.linear.detector.delay.rest
    room.linear.detector.doubt()
    room.run(0.3)
    after = room.linear.detector.delay.samples + room.linear.detector.delay.rest
    assert after - before == pytest.approx(moved, abs=1)


def test_a_filter_that_works_rules_out_a_voice_in_an_echo() -> None:
    room = Room()
    judged = room.run(2.0)
    assert judged.count(False) > 150
    assert judged.count(True) <= 3


def result(
    residue: Samples, *, has_voice: bool = False, clean: bool = True, tail_db: float = -100.0
) -> LinearResult:
    return LinearResult(residue, clean, has_voice, False, False, True, tail_db)


def test_what_only_the_other_canceller_leaves_is_no_voice() -> None:
    loud, soft = (np.full(FRAME, level, np.int16) for level in (2_000, 50))
    assert not result(soft).allows(loud)
    assert result(soft, clean=False).allows(loud)
    assert result(loud).allows(loud)
    assert not result(loud, tail_db=dbfs(loud)).allows(loud)
    assert result(soft, has_voice=True).allows(loud)
    assert result(soft).rules_out
    assert not result(loud, has_voice=True).rules_out
