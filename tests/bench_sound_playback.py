"""Playback: a long reply on a busy machine, and what a reply costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import psutil
from figures import Figure, Table
from sound_measures import a_card, loudest_click
from sound_rig import milliseconds, spans
from spoken_screen import PITCH, spoken_screen
from virtual_audio import RATE

PEERS_LOST = (
    "a callback in the screen's process 1,910…7,110 in 30 s; pydantic-ai 5,100 in 60 s,"
    " push-to-talk example 230"
)
PEERS_CPU = (
    "with their start, and without echo cancelling: pydantic-ai 3.5, Agents SDK demo 4.5,"
    " HF talk 5.4, pipecat 8.5, LiveKit console 10.0, push-to-talk example 10.7"
)
PEERS_RSS = (
    "HF talk 109, pydantic-ai 115, push-to-talk example 121, Agents SDK demo 143, pipecat 147,"
    " LiveKit console 455"
)


@contextmanager
def busy() -> Iterator[None]:
    """Every core works on something else."""
    burn = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(burn) for _ in range(os.cpu_count() or 2)]
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()


def load(seconds: float) -> Iterator[Figure]:
    """A long reply while the screen is drawn anew as fast as it can, stalls, and others work."""
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


def cost(seconds: float) -> Iterator[Figure]:
    """What a reply costs on an idle machine: hearing, cancelling, playing and showing it."""
    with a_card() as card, spoken_screen(card, seconds) as terminal:
        before = {process: cpu(process) for process in terminal.family()}
        terminal.type("Tell me\n")
        terminal.see("▶ speaking")
        terminal.see("● listening", seconds + 20)
        spent = {process: cpu(process) - was for process, was in before.items()}
        sizes = {process: process.memory_info().rss / 2**20 for process in before}
        guardian, app = terminal.guardian, terminal.app
    total = sum(spent.values())
    parts = f"{total:.1f} (app {spent[app]:.1f}, sound {total - spent[app] - spent[guardian]:.1f})"
    target = 4.0 * seconds / 60
    yield Figure(f"CPU for {seconds:.0f} s, s", parts, f"{target:.1f}", total <= target, PEERS_CPU)
    total = sum(sizes.values()) - sizes[guardian]
    parts = f"{total:.0f} (app {sizes[app]:.0f}, sound {total - sizes[app]:.0f})"
    yield Figure("RSS of app and sound, MiB", parts, "120", total <= 120, PEERS_RSS)


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU a process took so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


TABLE = Table(
    "Playback",
    {
        "load: 60 s, screen and cores busy": lambda effort: load(6 * round(10 * effort)),
        "cost: 60 s": lambda effort: cost(6 * round(10 * effort)),
    },
)
