"""Presses and repeats of a held key."""

from __future__ import annotations

import pytest

from voicechat.tui.key_repeat import HeldKey, Press


@pytest.mark.parametrize("first_delay", [0.25, 0.5, 0.66, 0.8, 1.0, 1.15])
@pytest.mark.parametrize("interval", [0.02, 0.033, 0.1])
def test_a_held_key_is_one_press(first_delay: float, interval: float) -> None:
    key = HeldKey()
    assert key.press(5.0) is Press.NEW
    assert key.press(5.0 + first_delay) is Press.UNSURE
    assert not key.held
    for number in range(1, 20):
        assert key.press(5.0 + first_delay + number * interval) is Press.REPEAT
        assert key.held


def test_a_press_after_a_hold_is_new() -> None:
    key = HeldKey()
    for time in (0.0, 0.5, 0.53, 0.56):
        key.press(time)
    assert key.held
    assert key.press(0.9) is Press.REPEAT, "a repeat may be late on a busy machine"
    assert key.press(1.4) is Press.NEW
    assert not key.held


def test_taps_are_presses() -> None:
    key = HeldKey()
    assert [key.press(time) for time in (0.0, 2.0, 2.6, 4.0)] == [
        Press.NEW,
        Press.NEW,
        Press.UNSURE,
        Press.NEW,
    ]


def test_a_double_tap_is_one_press() -> None:
    key = HeldKey()
    assert key.press(0.0) is Press.NEW
    assert key.press(0.12) is Press.REPEAT
    assert not key.held
