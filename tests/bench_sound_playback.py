"""Playback: a long reply on a busy machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

from figures import Figure, Table
from sound_measures import a_card, loudest_click, paces, start
from sound_rig import milliseconds, spans
from virtual_audio import tone

from voicechat.audio.messages import EndItem, ItemFinished, Play, Underrun

PEERS_LOST = (
    "a callback in the screen's process 1,910…7,110 in 30 s; pydantic-ai 5,100 in 60 s,"
    " push-to-talk example 230"
)


def load(seconds: float) -> Iterator[Figure]:
    """A long reply while both cores work and this process stalls 200 ms of every second."""
    with a_card() as card:
        rig = start(barge_in="off", latency_ms=40)
        burn = [sys.executable, "-c", "while True: pass"]
        busy = [subprocess.Popen(burn) for _ in range(os.cpu_count() or 2)]
        try:
            recording = card.record()
            sound = tone(seconds)
            for at in range(0, len(sound), 9_600):
                rig.send(Play("long", sound[at : at + 9_600]))
            rig.send(EndItem("long"))
            stalls = threading.Event()
            threading.Thread(target=_stall, args=(stalls,), daemon=True).start()
            rig.wait(ItemFinished, patience=seconds + 20)
            stalls.set()
            rig.collect(0.3)
            side = recording.stop()[:, 1]
        finally:
            for each in busy:
                each.kill()
        rig.process.close()
    heard = spans(side)
    pauses = [(after[0] - before[1]) // 48 for before, after in pairwise(heard)]
    lost = seconds * 1000 - milliseconds(heard)
    ours = f"{lost:.0f}, pauses {pauses[:20]}"
    yield Figure(f"lost in {seconds:.0f} s, ms", ours, "0", round(lost) <= 0, PEERS_LOST)
    click = loudest_click(side[heard[0][0] : heard[-1][1]])
    yield Figure("loudest click, dBFS", f"{click:.0f}", "-30", click <= -30)
    told = rig.of(Underrun)
    counted = f"{told[-1].gaps} gaps, {told[-1].lost_ms:.0f} ms" if told else "none"
    yield Figure("underruns counted", counted, peers="")
    yield Figure("device latency of each opening, ms", paces(rig), peers="")


def _stall(over: threading.Event) -> None:
    while not over.wait(0.8):
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            sum(range(2_000))


TABLE = Table("Playback", {"load: 60 s, both cores busy": lambda effort: load(60 * effort)})
