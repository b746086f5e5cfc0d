"""Detection of the chirp in recordings."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.devices.chirp import CHIRP_S, CallbackTimes, chirp, find_chirp
from voicechat.speech.pcm import dbfs


def room(rate: int, at: int, gain_db: float, noise: float = 0.0) -> np.ndarray:
    """Return two seconds of white noise of this RMS with a chirp in it."""
    heard = np.zeros(2 * rate)
    sound = chirp(rate)
    heard[at : at + len(sound)] = sound * 10 ** (gain_db / 20)
    heard += np.random.default_rng(7).normal(0, noise * 32_768, len(heard))
    return heard.clip(-32_768, 32_767).astype(np.int16)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("gain_db", [0.0, -12.0, -40.0])
def test_the_position_and_gain_of_the_chirp_are_measured(rate: int, gain_db: float) -> None:
    echo = find_chirp(room(rate, rate // 3, gain_db), rate)
    assert echo is not None
    assert abs(echo.frame - rate // 3) <= 1
    assert echo.gain_db == pytest.approx(gain_db, abs=0.3)


def test_the_chirp_is_found_below_the_noise() -> None:
    heard = room(24_000, 9_000, -30.0, noise=0.01)
    assert dbfs(chirp(24_000)) - 30 < dbfs(room(24_000, 0, -100.0, noise=0.01))
    echo = find_chirp(heard, 24_000)
    assert echo is not None
    assert abs(echo.frame - 9_000) <= 3
    assert echo.gain_db == pytest.approx(-30, abs=2)


def test_an_inverted_chirp_is_as_loud() -> None:
    echo = find_chirp(-room(24_000, 5_000, -6.0), 24_000)
    assert echo is not None
    assert echo.gain_db == pytest.approx(-6, abs=0.3)


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.1])
def test_noise_alone_is_no_chirp(noise: float) -> None:
    assert find_chirp(room(24_000, 0, -200.0, noise), 24_000) is None


def test_a_hum_is_no_chirp() -> None:
    at = np.arange(48_000) / 24_000
    hum = (8_000 * np.sin(2 * np.pi * 50 * at)).astype(np.int16)
    assert find_chirp(hum, 24_000) is None


def test_a_recording_shorter_than_the_chirp_has_none() -> None:
    assert find_chirp(chirp(24_000)[:-1], 24_000) is None
    assert find_chirp(np.zeros(0, np.int16), 24_000) is None


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_the_chirp_is_short_quiet_and_has_no_click(rate: int) -> None:
    sound = chirp(rate)
    assert len(sound) == int(CHIRP_S * rate)
    assert abs(int(sound[0])) < 20
    assert abs(int(sound[-1])) < 20
    assert -18 < dbfs(sound) < -14


def test_late_callbacks_do_not_move_a_frame() -> None:
    callback_times = CallbackTimes(1_000)
    for block in range(100):
        late = 0.08 if block % 7 == 0 else 0.0
        callback_times.record(50.0 + block * 0.01 + late, block * 10)
    assert callback_times.time_of(0) == pytest.approx(50.0)
    assert callback_times.time_of(500) == pytest.approx(50.5)


def test_further_callbacks_are_ignored() -> None:
    callback_times = CallbackTimes(1_000, max_callbacks=2)
    for at in (1.0, 1.0, 9.0):
        callback_times.record(at, 0)
    assert callback_times.count == 2
    assert callback_times.time_of(0) == 1.0
