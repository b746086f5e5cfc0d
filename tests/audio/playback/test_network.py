"""Sound in bursts, on real PortAudio and a virtual card."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from sound_rig import Rig, spans
from virtual_audio import VirtualCard, tone

from voicechat.audio.messages import Underrun
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import PlaybackFinished

pytestmark = pytest.mark.sound
PIECE_S = 0.1


def deliver(rig: Rig, item: str, count: int, late: dict[int, float]) -> None:
    """Send chunks at the pace of the sound, some late, with those behind them."""
    began = time.monotonic()
    sound = tone(count * PIECE_S)
    size = len(sound) // count
    due = began
    for number in range(count):
        due = max(due, began + number * PIECE_S + late.get(number, 0.0))
        rig.collect(due - time.monotonic())
        rig.send(Play(item, sound[number * size : (number + 1) * size]))
    rig.send(EndItem(item))
    rig.wait(PlaybackFinished, lambda finished: finished.item_id == item)
    rig.collect(0.3)


def counted(rig: Rig) -> tuple[int, float]:
    reported: Sequence[Underrun] = rig.of(Underrun)
    return (reported[-1].gaps, reported[-1].lost_ms) if reported else (0, 0.0)


def test_a_late_network_gets_a_larger_buffer(
    card: VirtualCard, make_rig: Callable[..., Rig]
) -> None:
    rig = make_rig(latency_ms=200, barge_in="off")
    rig.open()
    recording = card.record()
    deliver(rig, "first", 15, {5: 0.15, 10: 0.25})
    gaps, lost = counted(rig)
    side = recording.stop()[:, 1]
    heard = spans(side, gap_ms=400)
    assert gaps >= 1
    assert len(heard) == 1
    took = (heard[0][1] - heard[0][0]) / 48
    assert took == pytest.approx(1_500 + lost, abs=25), "as much later as was counted"
    deliver(rig, "second", 15, {5: 0.15, 10: 0.2})
    assert counted(rig) == (gaps, lost)
