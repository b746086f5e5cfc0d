"""Playback: a long response on a busy machine, and responses over a network with jitter."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from figures import Figure, Table, trials
from sound_measures import a_card, loudest_click, start
from sound_rig import Rig, milliseconds, spans
from spoken_screen import PITCH, spoken_screen
from virtual_audio import RATE, tone

from voicechat.audio.messages import Underrun
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import PlaybackFinished, PlaybackStarted

PEERS_LOST = (
    "a callback in the screen's process 1,910…7,110 in 30 s; pydantic-ai 5,100 in 60 s,"
    " push-to-talk example 230"
)
_BUFFER_MS = 100
"""Device buffer in ms, so that only the network causes gaps."""


@contextmanager
def busy(count: int | None = None) -> Iterator[None]:
    """Run this many processes that never wait; by default one for each core."""
    burn = [sys.executable, "-c", "while True: pass"]
    others = [
        subprocess.Popen(burn) for _ in range(os.cpu_count() or 2 if count is None else count)
    ]
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()


def load(seconds: float) -> Iterator[Figure]:
    """Measure a long response while the screen redraws constantly, stalls, and others work."""
    words = ("--barge-in", "off")
    with a_card() as card, spoken_screen(card, seconds, *words, busy=True) as terminal, busy():
        recording = card.record()
        terminal.type("Tell me\n")
        terminal.see("▶ speaking")
        terminal.see("● listening", seconds + 20)
        side = recording.stop()[:, 1]
    heard = spans(side)
    lost = seconds * 1000 - milliseconds(heard)
    pauses = [(after[0] - before[1]) // (RATE // 1000) for before, after in pairwise(heard)]
    ours = f"{lost:.0f}, pauses {pauses[:20]}"
    yield Figure(f"lost in {seconds:.0f} s, ms", ours, "0", round(lost) <= 0, PEERS_LOST)
    click = loudest_click(side[heard[0][0] : heard[-1][1]], PITCH)
    yield Figure("loudest click, dBFS", f"{click:.0f}", "-30", click <= -30)


def network(items: int) -> Iterator[Figure]:
    """Measure responses at the pace of speech over a network with up to 150 ms of jitter."""
    chance = random.Random(1)
    counted = [(0, 0.0)]
    empty = []
    with a_card() as card:
        rig = start(barge_in="off", latency_ms=_BUFFER_MS)
        recording = card.record()
        for number in range(items):
            item = f"i{number}"
            late = {n: 0.15 for n in range(1, 50) if chance.random() < 0.12}
            arrivals = deliver(rig, item, 50, late)
            began = next(e.at for e in rig.of(PlaybackStarted) if e.item_id == item)
            empty.append(lateness(arrivals, began))
            reported = rig.of(Underrun)
            counted.append((reported[-1].gaps, reported[-1].lost_ms) if reported else (0, 0.0))
        side = recording.stop()[:, 1]
        rig.process.close()
    gaps = [after[0] - before[0] for before, after in pairwise(counted)]
    lost = [after[1] - before[1] for before, after in pairwise(counted)]
    over = [ours - theirs for ours, theirs in zip(lost, empty, strict=True)]
    told_as = ", ".join(f"{count} ({ms:.0f} ms)" for count, ms in zip(gaps, lost, strict=True))
    yield Figure("gaps in each reply of 5 s", told_as, peers="")
    worst = max(over)
    yield Figure("heard as gap while there was sound, ms", f"{worst:.0f}", "40", worst <= 40)
    click = loudest_click(side[slice(*spans(side, gap_ms=2_000)[0])])
    yield Figure("loudest click, dBFS", f"{click:.0f}", "-30", click <= -30)


def deliver(rig: Rig, item: str, count: int, late: dict[int, float]) -> list[float]:
    """Send chunks of 100 ms, some late with those behind them; return the send times."""
    began = due = time.monotonic()
    sound = tone(count / 10)
    size = len(sound) // count
    sent = []
    for number in range(count):
        due = max(due, began + number / 10 + late.get(number, 0.0))
        rig.collect(due - time.monotonic())
        sent.append(time.monotonic())
        rig.send(Play(item, sound[number * size : (number + 1) * size]))
    rig.send(EndItem(item))
    rig.wait(PlaybackFinished, lambda finished: finished.item_id == item)
    return sent


def lateness(arrivals: list[float], began: float) -> float:
    """Return the ms without sound of a player that started then."""
    position, empty = began - (_BUFFER_MS + 20) / 1000, 0.0
    for at in arrivals:
        if at > position:
            empty += at - position
            position = at
        position += 0.1
    return empty * 1000


TABLE = Table(
    "Playback",
    {
        "load: 60 s, screen and cores busy": lambda effort: load(6 * round(10 * effort)),
        "network: bursts, 150 ms late": lambda effort: network(trials(4, effort)),
    },
)
