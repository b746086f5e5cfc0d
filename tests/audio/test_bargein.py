from __future__ import annotations

import pytest

from voicechat.audio.bargein import BargeIn, Step


def run(
    barge: BargeIn, frames: str, sounding: bool = True, converged: bool = True, at: float = 0.0
) -> list[tuple[int, Step]]:
    """Feed v(oiced) and .(silent) frames; the steps with the frame they came at."""
    steps = []
    for index, letter in enumerate(frames):
        step = barge.frame(letter == "v", sounding, converged, at + index * 0.02)
        if step is not None:
            steps.append((index, step))
    return steps


def test_three_of_four_lower_and_five_of_six_hold() -> None:
    assert run(BargeIn("normal"), "vvvvvvvv") == [(2, Step.LOWER), (4, Step.HOLD)]


def test_a_cough_comes_back() -> None:
    assert run(BargeIn("normal"), "vvv" + "." * 12) == [(2, Step.LOWER), (12, Step.RESTORE)]


def test_silence_on_the_speaker_needs_no_decision() -> None:
    assert run(BargeIn("normal"), "v" * 30, sounding=False) == []


def test_off_is_off() -> None:
    assert run(BargeIn("off"), "v" * 30) == []


def test_low_takes_longer_than_high() -> None:
    first = {s: run(BargeIn(s), "v" * 20)[0][0] for s in ("low", "normal", "high")}
    assert first["high"] < first["normal"] < first["low"]


def test_more_careful_before_the_canceller_converged() -> None:
    assert run(BargeIn("normal"), "v" * 20, converged=False)[0][0] >= 6


@pytest.mark.parametrize("false_alarm", [True, False])
def test_the_conversation_decides_about_held_sound(false_alarm: bool) -> None:
    barge = BargeIn("normal")
    run(barge, "vvvvv")
    assert run(barge, "v" * 30, at=0.1) == []
    barge.decided(false_alarm, now=0.7)
    after = run(barge, "v" * 10 + "." * 30, at=0.7)
    assert after == ([] if false_alarm else [(29, Step.ENDED)])


def test_held_sound_that_nobody_decides_about_plays_on() -> None:
    barge = BargeIn("normal")
    run(barge, "vvvvv")
    steps = run(barge, "." * 300, at=0.1)
    assert [step for _, step in steps] == [Step.RESTORE]
