from __future__ import annotations

import random

import pytest

from voicechat.audio.capture.barge_in import BargeIn, BargeInStep


def run(
    barge: BargeIn, frames: str, sounding: bool = True, converged: bool = True, at: float = 0.0
) -> list[tuple[int, BargeInStep]]:
    """Feed v(oiced) and .(silent) frames; return the steps with the index of their frame."""
    steps = []
    for index, letter in enumerate(frames):
        step = barge.frame(letter == "v", sounding, converged, at + index * 0.01)
        if step is not None:
            steps.append((index, step))
    return steps


def test_four_of_five_duck_and_nine_of_twelve_hold() -> None:
    assert run(BargeIn("normal"), "v" * 12) == [(3, BargeInStep.DUCK), (8, BargeInStep.HOLD)]


def test_playback_is_restored_after_a_cough() -> None:
    assert run(BargeIn("normal"), "vvvv" + "." * 22) == [
        (3, BargeInStep.DUCK),
        (21, BargeInStep.RESTORE),
    ]


def test_no_barge_in_without_playback() -> None:
    assert run(BargeIn("normal"), "v" * 30, sounding=False) == []


def test_no_steps_when_off() -> None:
    assert run(BargeIn("off"), "v" * 30) == []


def test_low_takes_longer_than_high() -> None:
    first = {s: run(BargeIn(s), "v" * 20)[0][0] for s in ("low", "normal", "high")}
    assert first["high"] < first["normal"] < first["low"]


def test_more_careful_before_the_canceller_converged() -> None:
    assert run(BargeIn("normal"), "v" * 20, converged=False)[0][0] >= 12


@pytest.mark.parametrize("false_alarm", [True, False])
def test_the_conversation_decides_about_held_sound(false_alarm: bool) -> None:
    barge = BargeIn("normal")
    run(barge, "v" * 9)
    assert run(barge, "v" * 30, at=0.1) == []
    barge.decided(false_alarm, now=0.7)
    after = run(barge, "v" * 10 + "." * 60, at=0.7)
    assert after == ([] if false_alarm else [(45, BargeInStep.ENDED)])


def test_held_playback_resumes_without_a_decision() -> None:
    barge = BargeIn("normal")
    run(barge, "v" * 9)
    steps = run(barge, "." * 600, at=0.1)
    assert [step for _, step in steps] == [BargeInStep.RESTORE]


def hint(barge: BargeIn, seems: str, sure: str, at: float) -> list[tuple[int, BargeInStep]]:
    """Feed decisions of the fast and the reliable detector, one letter per frame."""
    steps = []
    for index, (quick, certain) in enumerate(zip(seems, sure, strict=True)):
        now = at + index * 0.01
        step = barge.frame(certain == "v", True, True, now, seems=quick == "v")
        if step is not None:
            steps.append((index, step))
    return steps


def test_the_fast_detector_ducks_and_the_reliable_one_holds() -> None:
    steps = hint(BargeIn("normal"), "v" * 20, "." * 8 + "v" * 12, at=0.0)
    assert steps == [(3, BargeInStep.DUCK), (16, BargeInStep.HOLD)]


def test_the_fast_detector_alone_never_holds_and_is_then_distrusted() -> None:
    barge = BargeIn("normal")
    steps = hint(barge, "v" * 60 + "." * 30, "." * 90, at=0.0)
    assert [step for _, step in steps] == [BargeInStep.DUCK, BargeInStep.RESTORE]
    assert hint(barge, "v" * 6 + "." * 24, "." * 30, at=5.0) == []
    steps = hint(barge, "v" * 30 + "." * 30, "." * 60, at=6.0)
    assert steps[0] == (6, BargeInStep.DUCK)
    assert steps[1][1] is BargeInStep.RESTORE
    assert hint(barge, "v" * 30, "." * 30, at=8.0) == []
    assert hint(barge, "." * 20, "v" * 20, at=9.0) == [
        (8, BargeInStep.DUCK),
        (17, BargeInStep.HOLD),
    ]


@pytest.mark.parametrize("sure", ["." * 40, "v" * 6 + "." * 34])
def test_frequent_false_alarms_extend_the_distrust(sure: str) -> None:
    barge = BargeIn("normal")
    lowered = 0
    for tenth in range(0, 3_000, 10):
        steps = hint(barge, "v" * 10 + "." * 30, sure, at=tenth / 10)
        lowered += sum(step is BargeInStep.DUCK for _, step in steps)
    assert lowered <= 3


def test_frames_without_voice_may_be_left_out_while_it_rests() -> None:
    chance = random.Random(3)
    every, some = BargeIn("normal"), BargeIn("normal")
    left_out = 0
    for index in range(20_000):
        now, sounding = index * 0.01, index // 700 % 2 == 1
        voiced = index // 90 % 3 == 0 and chance.random() < 0.7
        step = every.frame(voiced, sounding, True, now, voiced)
        if some.can_skip and not voiced:
            left_out += 1
            assert step is None
        else:
            assert some.frame(voiced, sounding, True, now, voiced) is step
        if step is BargeInStep.HOLD:
            for barge in (every, some):
                barge.decided(false_alarm=index % 2 == 0, now=now)
    assert left_out > 5_000
