"""Blocks of the speaker at the time they are heard."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.devices.streams import SampleRing
from voicechat.audio.messages import Played
from voicechat.audio.playback.playout_tap import PlayoutTap

RATE = 24_000


def spoken(monitor: PlayoutTap, blocks: int, rate: int = RATE, first: int = 1) -> SampleRing:
    """Return a ring of a speaker with 100 ms latency, with blocks of 10 ms from 5.0 s on."""
    ring = SampleRing(rate)
    monitor.attach(ring, rate)
    for number in range(blocks):
        heard = 5.0 + 0.1 + (number + 1) * 0.01
        ring.write(np.full(rate // 100, first + number, np.int16), heard)
    return ring


def values(blocks: list[Played]) -> list[int]:
    return [int(np.frombuffer(block.pcm, np.int16)[0]) for block in blocks]


def test_a_block_is_delivered_when_it_was_heard() -> None:
    monitor = PlayoutTap(RATE)
    assert list(monitor.blocks(9.0)) == []
    spoken(monitor, 11)
    assert list(monitor.blocks(5.11)) == []
    early = list(monitor.blocks(5.165))
    late = list(monitor.blocks(9.0))
    assert values(early + late) == [1, 3, 5, 7, 9], "whole blocks of 20 ms"
    times = [block.at for block in early + late]
    assert times == pytest.approx([5.12, 5.14, 5.16, 5.18, 5.20])
    assert len(early) == 3


def test_discarded_sound_was_not_heard() -> None:
    monitor = PlayoutTap(RATE)
    ring = spoken(monitor, 10)
    heard = list(monitor.blocks(5.13))
    ring.note_discarded(6 * RATE // 100)
    ring.write(np.full(RATE // 50, 99, np.int16), 5.9)
    heard += monitor.blocks(9.0)
    assert values(heard) == [1, 3, 99]


def test_the_first_sound_after_discarded_sound_may_be_there_already() -> None:
    monitor = PlayoutTap(RATE)
    ring = spoken(monitor, 10)
    heard = list(monitor.blocks(5.13))
    ring.note_discarded(6 * RATE // 100)
    ring.write(np.full(RATE // 50, 99, np.int16), 5.145)
    heard += monitor.blocks(5.13)
    heard += monitor.blocks(9.0)
    assert values(heard) == [1, 3, 99]


def test_another_speaker_continues_at_its_own_rate() -> None:
    monitor = PlayoutTap(RATE)
    spoken(monitor, 10)
    first = list(monitor.blocks(5.125))
    spoken(monitor, 100, rate=48_000, first=1_000)
    rest = list(monitor.blocks(9.0))
    assert values(first) == [1]
    assert len(b"".join(block.pcm for block in rest)) / 2 / RATE == pytest.approx(1.08, abs=0.02)
    assert all(block.at <= 6.11 for block in rest)
