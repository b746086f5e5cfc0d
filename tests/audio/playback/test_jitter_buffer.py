"""Sound over networks with jitter, played at the pace of a simulated clock."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import pytest
from simulated_speaker import SimulatedSpeaker

from voicechat.audio.playback.jitter_buffer import JitterEstimator
from voicechat.audio.playback.playback import Playback
from voicechat.audio.playback.playback_queue import PlaybackQueue
from voicechat.core.effects import Play
from voicechat.core.inputs import PlaybackFinished

RATE = 24_000
BLOCK_MS = 10


@dataclass
class Network:
    """Plays what it delivers; `empty_ms` is how long everything delivered had been played."""

    playback: Playback = field(default_factory=lambda: Playback(RATE))
    now: float = 1.0
    empty_ms: int = 0
    first_ms: float = 0.0

    def __post_init__(self) -> None:
        self.queue = PlaybackQueue(RATE)
        self.playback.attach(self.queue, self.now)

    def deliver(self, item: str, pieces: list[tuple[float, int]]) -> tuple[int, float]:
        """Deliver an item in chunks (ms after its start, length in ms); return gaps and lost ms."""
        gaps_before, lost_before = self.playback.totals()
        began, due, over = self.now, sorted(pieces), False
        heard = 0
        self.first_ms = -1.0
        while not over:
            passed = (self.now - began) * 1000
            while due and due[0][0] <= passed + 0.001:
                _, ms = due.pop(0)
                pcm = np.full(ms * RATE // 1000, 9_000, np.int16).tobytes()
                self.playback.play(item, pcm, self.now)
                if not due:
                    self.playback.end(item)
            self.playback.feed()
            waiting = self.queue.waiting
            played = self._pull()
            heard += played
            if played and self.first_ms < 0:
                self.first_ms = passed
            self.empty_ms += BLOCK_MS * (self.first_ms >= 0 and not waiting and bool(due))
            over = PlaybackFinished(item) in self.playback.events(self.now, progress=False)
            if played:
                self.playback.decay(BLOCK_MS / 1000)
        self._pull()
        assert heard * 1000 // RATE == sum(ms for _, ms in pieces), "all of it was played"
        gaps, lost = self.playback.totals()
        return gaps - gaps_before, lost - lost_before

    def _pull(self) -> int:
        waiting = self.queue.waiting
        self.queue.render(np.zeros(BLOCK_MS * RATE // 1000, np.int16), self.now)
        self.now += BLOCK_MS / 1000
        return waiting - self.queue.waiting


def paced(count: int, ms: int, late: dict[int, float] | None = None) -> list[tuple[float, int]]:
    """Return chunks at the pace of the sound, some late, with those behind them."""
    times = (n * ms + (late or {}).get(n, 0.0) for n in range(count))
    return [(at, ms) for at in accumulate(times, max)]


def test_a_network_ahead_of_the_sound_is_played_at_once() -> None:
    network = Network()
    for number in range(4):
        assert network.deliver(f"i{number}", [(20.0 * n, 100) for n in range(30)]) == (0, 0)
        assert network.first_ms <= BLOCK_MS


def test_a_steady_network_needs_almost_no_buffer() -> None:
    network = Network()
    assert network.deliver("a", paced(100, 20)) == (0, 0)
    assert network.first_ms <= 40


@pytest.mark.parametrize("piece", [20, 60, 200])
def test_after_one_late_item_the_same_lateness_is_not_heard(piece: int) -> None:
    network = Network()
    late = {1200 // piece: 150.0, 2400 // piece: 130.0}
    gaps, lost = network.deliver("a", paced(4_000 // piece, piece, late))
    assert gaps == 1, "the second time it comes no later than what was shifted already"
    assert 90 <= lost <= 160
    for number in range(4):
        assert network.deliver(f"b{number}", paced(4_000 // piece, piece, late)) == (0, 0)
    assert network.first_ms <= 40 + 150 + piece


def test_a_gap_ends_when_sound_arrives() -> None:
    network = Network()
    _, lost = network.deliver("a", paced(30, 100, {10: 400.0}))
    assert lost == pytest.approx(network.empty_ms, abs=BLOCK_MS)


@pytest.mark.parametrize("seed", range(12))
def test_gaps_occur_only_without_received_sound(seed: int) -> None:
    chance = random.Random(seed)
    network = Network()
    for number in range(6):
        piece = chance.choice([20, 40, 100])
        late = {n: chance.expovariate(1 / 60) for n in range(1, 150) if chance.random() < 0.1}
        gaps, lost = network.deliver(f"i{number}", paced(150, piece, late))
        assert lost <= network.empty_ms + gaps * 3 * BLOCK_MS, "40 ms may be collected again"
        network.empty_ms = 0


def test_the_buffer_shrinks_when_the_network_is_steady() -> None:
    network = Network()
    network.deliver("a", paced(50, 100, {10: 200.0}))
    assert network.playback.prebuffer_ms > 200
    for number in range(8):
        network.deliver(f"b{number}", paced(300, 100))
    assert network.playback.prebuffer_ms == 40
    network.deliver("c", paced(10, 100))
    assert network.first_ms <= BLOCK_MS


def test_a_pause_of_the_model_is_not_jitter() -> None:
    jitter = JitterEstimator()
    jitter.arrived("a", 100, 1.0)
    jitter.arrived("a", 100, 4.0)
    jitter.arrived("a", 100, 4.1)
    assert jitter.late_ms == 0
    jitter.arrived("a", 100, 4.3)
    assert jitter.late_ms == pytest.approx(100)


def test_the_buffer_shrinks_during_playback(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimulatedSpeaker(monkeypatch, RATE, RATE, 0)
    for pause in (0.0, 0.3, 1.0):
        card.run(pause)
        card.engine.command(Play("a", bytes(RATE * 2 // 10)))
    late_ms = card.playback.prebuffer_ms - 40
    assert late_ms > 150
    card.engine.command(Play("a", bytes(RATE * 2 * 31)))
    card.run(30)
    assert card.playback.prebuffer_ms - 40 == pytest.approx(late_ms / 2, rel=0.05)
