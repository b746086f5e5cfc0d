"""Larger buffers on a machine that falls behind, smaller ones again when it is calm."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from simulated_card import Stall
from simulated_speaker import SimulatedSpeaker

from voicechat.audio.devices import buffer_sizing
from voicechat.audio.devices.buffer_sizing import BufferSizing, is_overloaded
from voicechat.audio.devices.streams import BUFFER_SIZES
from voicechat.audio.messages import Cue, Opened


@pytest.fixture(autouse=True)
def idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_sizing, "is_overloaded", lambda: False)


def speaker(underflows: int = 0, close_calls: int = 0) -> SimpleNamespace:
    return SimpleNamespace(underflows=underflows, close_calls=close_calls)


@pytest.mark.parametrize(
    ("underflows", "close_calls", "busy", "quiet", "steps"),
    [
        (0, 2, False, True, 0),
        (0, 3, False, True, 1),
        (1, 0, False, True, 1),
        (4, 9, True, True, 0),
        (5, 0, True, True, 2),
        (4, 9, False, False, 0),
        (5, 0, False, False, 2),
    ],
)
def test_when_buffers_grow(
    underflows: int, close_calls: int, busy: bool, quiet: bool, steps: int
) -> None:
    sizing = BufferSizing()
    assert sizing.changes(speaker(underflows, close_calls), busy, quiet, 1.0) == bool(steps)
    assert sizing.size == BUFFER_SIZES[steps]


def test_blocks_of_the_speaker_stay_short() -> None:
    assert {size.block_ms for size in BUFFER_SIZES} == {10}


def test_the_largest_buffers_are_kept_under_any_load() -> None:
    sizing = BufferSizing()
    for number in range(len(BUFFER_SIZES) - 1):
        assert sizing.changes(speaker(1), False, True, 1.0 + number)
    assert not sizing.changes(speaker(99), False, True, 9.0)
    assert sizing.size == BUFFER_SIZES[-1]


def changed(sizing: BufferSizing, begin: float, end: float, *, busy: bool = False) -> list[float]:
    """Return the seconds at which the size changed without any trouble."""
    times = [begin + second for second in range(int(end - begin))]
    return [now for now in times if sizing.changes(speaker(), busy, True, now)]


def test_shorter_blocks_are_tried_after_ever_longer_calm_times() -> None:
    sizing = BufferSizing()
    now, waits = 1.0, []
    for _ in range(3):
        assert sizing.changes(speaker(1), False, True, now)
        back = changed(sizing, now, now + 3_000)[0]
        assert sizing.size == BUFFER_SIZES[0]
        waits.append(back - now)
        now = back + 5
    assert waits == [pytest.approx(wait, abs=2) for wait in (120, 480, 1920)]


@pytest.mark.parametrize(
    ("load", "shrinks"), [((9.0, 0.0, 0.0), False), ((0.5, 9.0, 9.0), True), (OSError(), True)]
)
def test_an_overloaded_machine_does_not_try_the_shortest_buffers(
    monkeypatch: pytest.MonkeyPatch, load: tuple[float, ...] | OSError, shrinks: bool
) -> None:
    def measure() -> tuple[float, ...]:
        if isinstance(load, OSError):
            raise load
        return load

    monkeypatch.setattr(buffer_sizing, "is_overloaded", is_overloaded)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", measure, raising=False)
    sizing = BufferSizing()
    assert sizing.changes(speaker(5), True, True, 1.0)
    assert sizing.size == BUFFER_SIZES[2]
    assert changed(sizing, 2.0, 200.0)
    assert sizing.size == BUFFER_SIZES[1]
    assert bool(changed(sizing, 200.0, 500.0)) is shrinks
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 9.0, 9.0), raising=False)
    assert bool(changed(sizing, 500.0, 502.0)) is not shrinks


def test_buffers_do_not_shrink_while_busy_or_in_trouble() -> None:
    sizing = BufferSizing()
    assert sizing.changes(speaker(1), False, True, 1.0)
    assert not changed(sizing, 2.0, 500.0, busy=True)
    assert not sizing.changes(speaker(), False, False, 500.0), "the microphone hears sound"
    assert not sizing.changes(speaker(close_calls=1), False, True, 501.0)
    assert not sizing.changes(speaker(close_calls=1), False, True, 600.0)
    assert sizing.changes(speaker(close_calls=1), False, True, 622.0)


@pytest.mark.parametrize("asked_ms", [0, 35])
def test_a_device_gets_longer_blocks_and_later_shorter_ones(
    monkeypatch: pytest.MonkeyPatch, asked_ms: int
) -> None:
    monkeypatch.setattr(buffer_sizing, "_CALM_S", 20.0)
    stalls = [Stall(1 + at / 4, 0.06, "speaker") for at in range(6)]
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, asked_ms, stalls)
    card.run(5)
    slow = [opened.output_latency_ms for opened in card.of(Opened)]
    assert slow[0] < slow[1] < slow[2]
    card.run(70)
    assert card.of(Opened)[-1].output_latency_ms == pytest.approx(slow[0], abs=1)


def test_reopening_cuts_no_cue(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedSpeaker(monkeypatch, 24_000, 24_000, 0, [Stall(0.6, 0.06, "speaker")])
    card.run(0.5)
    card.engine.command(Cue("alarm"))
    card.run(1.5)
    assert len(card.of(Opened)) == 1
    card.run(2)
    assert len(card.of(Opened)) == 2
