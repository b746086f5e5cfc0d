from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simulated_card import Room, SimulatedCard

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


@pytest.mark.parametrize("began", [0.0, 0.5])
@pytest.mark.parametrize(("loudness", "wakes"), [(0.9, False), (1.2, True)])
def test_ten_loud_milliseconds_of_a_block_wake_the_loop(
    monkeypatch: pytest.MonkeyPatch, began: float, loudness: float, *, wakes: bool
) -> None:
    card = SimulatedCard(monkeypatch, Room(gain_db=-100, noise=0))
    card.open()
    card.run(0.5)
    microphone = card.engine._streams.card.microphone
    assert microphone is not None
    woken: list[bool] = []
    microphone.wake_above(1_000, lambda: woken.append(True))
    frames = microphone.rate * microphone.block_ms // 1_000
    block = np.zeros(frames, np.int16)
    block[int(began * frames) : int((began + 0.5) * frames)] = 1_000 * loudness
    stream: Any = microphone._stream
    stream._fifo = block
    stream.give()
    assert bool(woken) == wakes
