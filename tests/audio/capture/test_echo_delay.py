"""The far end of the linear filter moves once for each jump of the echo, however it is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_delay import EchoDelay

PLAYED = np.zeros(14_400, np.int16)


@pytest.mark.parametrize("echo_delay", [3_000, 1_380, 1_000])
@pytest.mark.parametrize(
    ("noticed", "moved"),
    [
        ([("searched", -160), ("detected", -158)], -160),
        ([("detected", -158)], -160),
        ([("detected", 700)], 700),
        ([("searched", -160), ("shifted", -160)], 0),
        ([("detected", -160), ("shifted", -160), ("detected", 0)], 0),
        ([("searched", -160), ("detected", -158), ("shifted", -160), ("detected", -1)], 0),
        ([("shifted", -160)], 0),
        ([("searched", -160), ("searched", -320), ("shifted", -480)], 0),
        ([("searched", 150), ("shifted", 160)], -10),
        ([("detected", 700), ("shifted", -160)], 700),
        ([("drifted", 30), ("detected", 190)], 160),
    ],
)
def test_a_jump_moves_the_far_end_once(
    noticed: list[tuple[str, int]], moved: int, echo_delay: int
) -> None:
    """What the line cannot take is left to the filter: `rest`."""
    delay = EchoDelay(echo_delay)
    before, rest = delay.samples, 0
    for how, samples in noticed:
        match how:
            case "searched":
                assert delay.searched(samples)
            case "shifted":
                delay.shifted(samples, PLAYED)
            case "detected" if not delay.detected(echo_delay + samples):
                continue
            case "drifted":
                delay.drifted(echo_delay + samples)
        rest += delay.rest
    assert delay.samples + rest - before == moved
    assert delay.samples >= 0


def test_a_loss_long_after_a_jump_does_not_undo_it() -> None:
    delay = EchoDelay(3_000)
    before = delay.samples
    delay.searched(-160)
    for _ in range(201):
        delay.take(np.zeros(FRAME, np.int16))
    delay.shifted(-160, PLAYED)
    assert delay.samples == before - 160


def test_after_a_shift_the_line_returns_what_was_moved() -> None:
    delay = EchoDelay(3_000)
    sound = np.arange(14_400).astype(np.int16)
    for frame in sound.reshape(-1, FRAME):
        delay.take(frame)
    delay.shifted(-100, sound + np.int16(100))
    assert delay.newest(1)[-1] == sound[-1] + 100 - delay.samples
    assert delay.take(sound[:FRAME])[0] == sound[-delay.samples] + 100


def test_the_line_returns_what_was_put_in_earlier_also_after_it_moved() -> None:
    delay = EchoDelay(3_000)
    sound = np.arange(100 * FRAME).astype(np.int16).reshape(-1, FRAME)
    taken = [delay.take(frame) for frame in sound]
    assert taken[-1][-1] == sound[-1][-1] - delay.samples
    delay.searched(-100)
    assert (np.diff(delay.newest(25)) == 1).all()
    assert delay.newest(1)[-1] == taken[-1][-1] + 100
    before = delay.samples
    assert not delay.searched(-3_000), "no echo comes before its sound"
    assert delay.samples == before
