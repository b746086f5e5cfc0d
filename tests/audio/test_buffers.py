"""The rings, driven block by block as a callback does."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.buffers import CaptureRing, PlaybackQueue
from voicechat.audio.dsp import Samples

RATE = 24_000
BLOCK = 240


class Device:
    """Pulls blocks; what it got and when each block is heard (latency 30 ms)."""

    def __init__(self, queue: PlaybackQueue) -> None:
        self.queue = queue
        self.now = 0.0
        self.heard: list[Samples] = []

    def pull(self, blocks: int = 1) -> Samples:
        fresh = []
        for _ in range(blocks):
            block = np.zeros(BLOCK, np.int16)
            self.queue.render(block, self.now + 0.030)
            self.now += BLOCK / RATE
            fresh.append(block)
        self.heard += fresh
        return np.concatenate(fresh)


def ramp(frames: int, start: int = 0) -> Samples:
    return ((np.arange(start, start + frames) % 20_000) + 5_000).astype(np.int16)


@pytest.fixture
def device() -> Device:
    return Device(PlaybackQueue(RATE, seconds=2.0))


def test_plays_what_was_written_bit_by_bit_after_the_rise(device: Device) -> None:
    sound = ramp(BLOCK * 20)
    device.queue.write(sound)
    assert np.array_equal(device.pull(20)[BLOCK:], sound[BLOCK:])
    assert not device.pull(2).any()
    assert device.queue.gaps == 0


def test_wraps_for_ever(device: Device) -> None:
    for round_ in range(300):
        sound = ramp(BLOCK * 3, round_ * BLOCK * 3)
        assert device.queue.write(sound) == len(sound)
        got = device.pull(3)
        assert np.array_equal(got[BLOCK:], sound[BLOCK:])
    assert device.queue.written == 300 * BLOCK * 3


def test_heard_subtracts_the_latency(device: Device) -> None:
    device.queue.write(ramp(BLOCK * 10))
    device.pull(5)
    assert device.queue.heard(0.030) == 0
    assert device.queue.heard(0.030 + 0.0255) == pytest.approx(0.0255 * RATE, abs=1)
    assert device.queue.heard(10.0) == 5 * BLOCK


def test_hold_loses_nothing(device: Device) -> None:
    sound = ramp(BLOCK * 20)
    device.queue.write(sound)
    before = device.pull(6)
    device.queue.hold()
    faded = device.pull(1)
    assert faded[0] > 4_000
    assert not faded[-40:].any()
    assert not device.pull(5).any()
    device.queue.resume()
    after = device.pull(14)
    assert np.array_equal(after[BLOCK:], sound[7 * BLOCK :])
    assert np.array_equal(before[BLOCK:], sound[BLOCK : 6 * BLOCK])
    assert device.queue.heard(99.0) == len(sound)


def test_flush_fades_and_reports_the_frame(device: Device) -> None:
    device.queue.write(ramp(BLOCK * 50))
    device.pull(5)
    device.queue.flush()
    assert device.queue.flushing
    faded = device.pull(1).astype(np.int32)
    assert not device.queue.flushing
    assert device.queue.flushed_at == 5 * BLOCK + 192
    assert np.abs(np.diff(faded)).max() < 300
    assert not device.pull(3).any()
    assert device.queue.waiting == 0


def test_rewind_finds_what_the_device_threw_away(device: Device) -> None:
    sound = ramp(BLOCK * 40)
    device.queue.write(sound)
    device.pull(20)
    device.queue.hold()
    device.pull(1)
    audible = device.queue.heard(0.03 + 0.1)
    device.queue.rewind(audible)
    device.queue.resume()
    assert np.array_equal(device.pull(5)[BLOCK:], sound[audible + BLOCK : audible + 5 * BLOCK])


def test_running_dry_inside_an_item_fades_counts_and_waits(device: Device) -> None:
    queue = device.queue
    queue.closed = False
    queue.start_frames = 2 * BLOCK
    queue.write(ramp(BLOCK))
    assert not device.pull(1).any(), "waits for the prebuffer"
    queue.write(ramp(BLOCK * 2 + 100))
    got = device.pull(4).astype(np.int32)
    assert queue.gaps == 1
    assert np.abs(np.diff(got)).max() < 300, "no click at either end"
    assert queue.gap_frames > 0
    queue.write(ramp(BLOCK))
    assert not device.pull(1).any()
    queue.closed = True
    assert device.pull(1).any(), "the end needs no prebuffer"


def test_quiet_gain_is_reached_without_a_step(device: Device) -> None:
    device.queue.write(np.full(BLOCK * 10, 10_000, np.int16))
    device.pull(3)
    device.queue.set_gain(0.1)
    got = device.pull(2).astype(np.int32)
    assert np.abs(np.diff(got)).max() < 60
    assert got[-1] == pytest.approx(1_000, abs=2)


def test_a_cue_sounds_over_silence_and_over_sound(device: Device) -> None:
    cue = np.full(BLOCK + 10, 1_000, np.float32)
    device.queue.play_cue(cue)
    assert (device.pull(1) == 1_000).all()
    assert device.pull(1).sum() == 10_000
    device.queue.write(np.full(BLOCK * 4, 500, np.int16))
    device.pull(1)
    device.queue.play_cue(cue)
    assert (device.pull(1) == 1_500).all()


def test_the_capture_ring_keeps_the_newest() -> None:
    ring = CaptureRing(1_000)
    ring.write(ramp(600), 1.0)
    assert ring.read(700) is None
    first = ring.read(400)
    assert first is not None
    assert np.array_equal(first, ramp(400))
    ring.write(ramp(900, 600), 2.0)
    ring.write(ramp(900, 1_500), 3.0)
    newest = ring.read(1_000)
    assert newest is not None
    assert np.array_equal(newest, ramp(1_000, 2_400 - 1_024))
    assert ring.lost == 2_400 - 400 - 1_024
    assert ring.last_at == 3.0
