"""Clock drift: estimated from the residue of a filter, compensated by fractional reading."""

from __future__ import annotations

import numpy as np
import pytest
from talkers import RATE, echo_of, frames, talker

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.far_end import FractionalReader, SampleQueue
from voicechat.audio.capture.linear_aec import LinearFilter
from voicechat.speech.pcm import Samples, dbfs


def stretched(sound: Samples, ppm: float) -> Samples:
    """Return the sound as recorded by a clock that runs faster by `ppm`."""
    spots = np.arange(int(len(sound) / (1 + abs(ppm) / 1e6)) - 1) * (1 + ppm / 1e6)
    return np.interp(spots, np.arange(len(sound)), sound).astype(np.int16)


def read(sound: Samples, rate: float) -> Samples:
    """Read the whole sound at a constant rate."""
    line = SampleQueue()
    line.put(sound)
    reader, taken = FractionalReader(line), []
    while (frame := reader.take(rate)) is not None:
        taken.append(frame)
    return np.concatenate(taken)


@pytest.mark.parametrize("ppm", [-400.0, -100.0, 0.0, 30.0, 500.0])
def test_the_reader_reads_between_the_samples(ppm: float) -> None:
    tone = np.sin(2 * np.pi * 3_000 * np.arange(4 * RATE) / RATE)
    taken = read((8_000 * tone).astype(np.int16), ppm * FRAME / 1e6) / 8_000
    spots = np.arange(len(taken)) * (1 + ppm / 1e6) - 8
    wanted = np.sin(2 * np.pi * 3_000 * spots / RATE)
    assert np.max(np.abs(taken - wanted)[200:]) < 0.05
    assert len(taken) == pytest.approx(4 * RATE / (1 + ppm / 1e6), abs=FRAME + 8)


def test_missing_samples_are_not_consumed() -> None:
    line = SampleQueue()
    reader = FractionalReader(line)
    line.put(np.full(FRAME - 1, 7, np.int16))
    assert reader.take(0.0) is None
    assert len(line) == FRAME - 1
    line.put(np.full(1, 7, np.int16))
    assert reader.take(0.0) is not None


@pytest.mark.parametrize("ppm", [100.0, -60.0])
def test_the_filter_estimates_the_drift_and_then_cancels_the_echo(ppm: float) -> None:
    far = talker(1, 20)
    near = stretched(echo_of(far, 40, -12), ppm)
    gone, rates = [], []
    for followed in (False, True):
        line = SampleQueue()
        line.put(far)
        linear, reader, rests = LinearFilter(), FractionalReader(line), []
        for heard in frames(near)[:-5]:
            played = reader.take(linear.drift.rate if followed else 0.0)
            assert played is not None
            parts = linear.residue(heard, played)
            assert parts is not None
            rests.append(parts[0])
        left = (np.concatenate(rests[1_200:]) * 32768).astype(np.int16)
        gone.append(dbfs(near[12 * RATE :]) - dbfs(left))
        rates.append(linear.drift.rate / FRAME * 1e6)
    assert rates[1] == pytest.approx(ppm, abs=12)
    assert gone[1] >= gone[0] + 6


def test_a_voice_over_the_echo_is_no_drift() -> None:
    far, voice = talker(1, 20), talker(5, 20)
    near = (echo_of(far, 40, -12) + (voice * 0.7) * (np.arange(len(voice)) > 4 * RATE)).astype(
        np.int16
    )
    linear = LinearFilter()
    for heard, played in zip(frames(near), frames(far), strict=True):
        linear.residue(heard, played)
    assert abs(linear.drift.rate) / FRAME * 1e6 < 15


@pytest.mark.parametrize("ppm", [0.0, 100.0])
def test_in_silence_only_a_settled_drift_counts(ppm: float) -> None:
    far = talker(1, 8)
    near = echo_of(stretched(far, ppm), 62, -6)
    linear, line = LinearFilter(), SampleQueue()
    reader = FractionalReader(line)
    line.put(far)
    rates = []
    for heard in frames(near):
        played = reader.take(linear.drift.rate)
        if played is None:
            break
        linear.residue(heard, played)
        rates.append(linear.drift.certain_rate / FRAME * 1e6)
    assert np.abs(rates[:60]).max() < 5, "what the filter has not learned yet is no drift"
    assert rates[-1] == pytest.approx(ppm, abs=15)
