from __future__ import annotations

import numpy as np

from voicechat.audio.devices.streams import SampleRing
from voicechat.speech.pcm import Samples


def ramp(frames: int, start: int = 0) -> Samples:
    return ((np.arange(start, start + frames) % 20_000) + 5_000).astype(np.int16)


def test_the_capture_ring_keeps_the_newest() -> None:
    ring = SampleRing(1_000)
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


def test_a_ring_that_overflowed_can_be_read() -> None:
    ring = SampleRing(1_000)
    for start in range(0, 2_000, 500):
        ring.write(ramp(500, start), 1.0)
    newest = ring.read(ring.available // 160 * 160)
    assert newest is not None
    assert np.array_equal(newest, ramp(960, 2_000 - 1_024))
