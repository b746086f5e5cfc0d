"""The far end of the linear filter moves once for each jump of the echo, however it is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_delay import EchoDelay

DELAY = 3_000
PLAYED = np.zeros(14_400, np.int16)


@pytest.mark.parametrize(
    ("noticed", "moved"),
    [
        ([("searched", -160), ("detected", -158)], -160),
        ([("detected", -158)], -160),
        ([("detected", 700)], 700),
        ([("searched", -160), ("shifted", -160)], 0),
        ([("detected", -160), ("shifted", -160), ("detected", 160)], 0),
        ([("searched", -160), ("detected", -158), ("shifted", -160), ("detected", 159)], 0),
        ([("shifted", -160)], 0),
        ([("searched", -160), ("searched", -320), ("shifted", -480)], 0),
        ([("detected", 700), ("shifted", -160)], 700),
    ],
)
def test_a_jump_moves_the_far_end_once(noticed: list[tuple[str, int]], moved: int) -> None:
    delay = EchoDelay(DELAY)
    before = delay.samples
    for how, later in noticed:
        given = (later, PLAYED) if how == "shifted" else (later,)
        getattr(delay, how)(*given)
    assert delay.samples - before == moved


def test_a_loss_long_after_a_jump_does_not_undo_it() -> None:
    delay = EchoDelay(DELAY)
    before = delay.samples
    delay.detected(-160)
    for _ in range(201):
        delay.take(np.zeros(FRAME, np.int16))
    delay.shifted(-160, PLAYED)
    assert delay.samples == before - 160


def test_the_line_returns_what_was_put_in_earlier_also_after_it_moved() -> None:
    delay = EchoDelay(DELAY)
    sound = np.arange(100 * FRAME).astype(np.int16).reshape(-1, FRAME)
    taken = [delay.take(frame) for frame in sound]
    assert taken[-1][-1] == sound[-1][-1] - delay.samples
    delay.searched(-100)
    assert (np.diff(delay.newest(25)) == 1).all()
    assert delay.newest(1)[-1] == taken[-1][-1] + 100
    before = delay.samples
    assert not delay.searched(-DELAY), "the filter cannot see so far ahead"
    assert delay.samples == before
    delay.detected(-DELAY)
    assert delay.samples == 0
    assert delay.take(sound[0])[0] == sound[0][0]
