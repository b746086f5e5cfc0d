"""Levels in dBFS and the fade-in gain."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.speech.pcm import amplitude, dbfs, fade_in, interpolated_percentile, peak_dbfs, rms


def test_levels() -> None:
    sine = (20_000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)
    assert dbfs(np.zeros(100, np.int16)) == -100
    assert dbfs(np.empty(0, np.int16)) == peak_dbfs(np.empty(0, np.int16)) == -100
    assert peak_dbfs(np.array([-32768], np.int16)) == pytest.approx(0, abs=0.01)
    assert dbfs(sine) == pytest.approx(-7.3, abs=0.1)
    assert amplitude(-6.0206) == pytest.approx(0.5, abs=1e-4)
    assert rms(np.full(4, 0.5, np.float32)) == pytest.approx(0.5)


def test_the_fade_rises_from_nothing_to_all() -> None:
    curve = fade_in(192)
    assert curve[0] < 0.001
    assert curve[-1] > 0.999
    assert (np.diff(curve) > 0).all()


@pytest.mark.parametrize("count", [1, 2, 9, 50])
def test_a_percentile_is_that_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    for percent in (0, 25, 75, 100):
        expected = np.percentile(values, percent)
        assert interpolated_percentile(values, percent) == pytest.approx(expected)
