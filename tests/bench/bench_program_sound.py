"""The whole program on a terminal and a virtual card: pauses in a reply, and barge-in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import pairwise

import numpy as np
from bench_sound_playback import busy
from figures import Figure, Table, spread, trials
from on_terminal import OnTerminal
from program_costs import load
from scripted import ScriptedTts
from sound_measures import LONG_TEXT, a_card, first_speech, lowered, marked_speech
from sound_rig import milliseconds, spans
from spoken_screen import spoken_screen
from user_speech import spoken
from virtual_audio import RATE, STEADY_RATE, VirtualCard

PEERS_PAUSES = "at load 2-6: Agents SDK demo 0…10, pydantic-ai 0…22"
PEERS_BARGE = (
    "none detects speech without a server; from its detection: Agents SDK demo 111, pydantic-ai 217"
)
LIMITS_MS = {0: 0, 4: 0, 6: 0, 11: 30}
"""Busy processes -> most ms of pauses in a reply."""
_QUIET = 60
_ECHO = (60, -12.0)
_BEFORE_S = 3.0
"""Seconds of a reply before the user speaks over it."""
_STOPPED_S = 3.0
"""Seconds in which a barge-in must stop the reply to count."""
_PAUSE_MS = 5.0
"""Shortest pause: a sine crosses zero, and a fade is no pause."""


def pauses(seconds: float, processes: int, replies: int) -> Iterator[Figure]:
    """Record replies beside busy processes; measure the pauses and the lost sound."""
    limit, found, lost, silent = LIMITS_MS[processes], [], [], 0
    with a_card() as card:
        card.hiss()
        with spoken_screen(card, seconds) as terminal, busy(processes):
            for _ in range(replies):
                recording = card.record()
                terminal.type("Tell me\n")
                terminal.see("▶ speaking", 30)
                terminal.see("● listening", seconds + 30)
                heard = spans(recording.stop()[:, 1], gap_ms=_PAUSE_MS)
                silent += not heard
                each = [(after[0] - before[1]) / (RATE / 1000) for before, after in pairwise(heard)]
                found.append([round(pause) for pause in each])
                lost.append(seconds * 1000 - milliseconds(heard) if heard else seconds * 1000)
    total = max(map(sum, found))
    longest = sorted((pause for each in found for pause in each), reverse=True)[:8]
    ours = f"{total}, longest {longest}, n {replies}, {processes} busy"
    what = f"pauses in a reply of {seconds:.0f} s, ms"
    yield Figure(what, ours, str(limit), total <= limit, PEERS_PAUSES)
    yield Figure("lost, ms; silent replies", f"{max(lost):.0f}; {silent}", "; 0", not silent, "")


def barge_in(count: int, *, echo: bool) -> Iterator[Figure]:
    """Measure from the onset of speech over a reply to a ducked and to a silent speaker."""
    ducked, silent, missed, stopped_alone = [], [], 0, 0
    speech = marked_speech()
    voice = spoken(LONG_TEXT, rate=ScriptedTts.rate)
    with a_card(STEADY_RATE) as card:
        card.hiss()
        room = card.echo(*_ECHO) if echo else nullcontext()
        with spoken_screen(card, 20.0, voice=voice) as terminal, room:
            for trial in range(count):
                if not _speaks_on(terminal, _BEFORE_S + 0.037 * trial):
                    stopped_alone += 1
                    continue
                sides = _talk_over(card, terminal, speech)
                onset = first_speech(sides)
                end = spans(sides[:, 1], level=_QUIET, gap_ms=120)[-1][1]
                if end >= len(sides) - RATE // 10:
                    missed += 1
                    continue
                ducked.append((lowered(sides[:, 1], onset, end) - onset) / (RATE / 1000))
                silent.append((end - onset) / (RATE / 1000))
    p95 = float(np.percentile(ducked, 95)) if ducked else np.inf
    ours = f"{spread(ducked)}, {load()}"
    yield Figure("onset → ducked, ms", ours, "p95 230", p95 <= 230, PEERS_BARGE)
    yield Figure("onset → silent, ms", spread(silent), peers="")
    met = missed == stopped_alone == 0
    yield Figure("missed, stops without a user", f"{missed}, {stopped_alone}", "0, 0", met, "")


def _speaks_on(terminal: OnTerminal, seconds: float) -> bool:
    """Start a reply; return False if it stops by itself within this time."""
    terminal.see("● listening", 30)
    terminal.type("Tell me\n")
    terminal.see("▶ speaking")
    return terminal.until(lambda: "▶ speaking" not in terminal.reading, seconds) is None


def _talk_over(card: VirtualCard, terminal: OnTerminal, speech: np.ndarray) -> np.ndarray:
    """Return both sides while a user speaks over the reply, which is then ended."""
    recording = card.record()
    player = card.say(speech)
    terminal.until(lambda: "▶ speaking" not in terminal.reading, _STOPPED_S)
    time.sleep(0.4)
    sides = recording.stop()
    player.wait(10)
    terminal.type("\x1b")
    return sides


TABLE = Table(
    "Sound of the program",
    {
        **{
            f"pauses-{processes}: 60 s, {processes} busy processes": partial(
                lambda effort, busy: pauses(6 * round(10 * effort), busy, 1), busy=processes
            )
            for processes in LIMITS_MS
        },
        "barge-in-quiet: no echo": lambda effort: barge_in(trials(12, effort), echo=False),
        "barge-in-echo: 60 ms at -12 dB": lambda effort: barge_in(trials(12, effort), echo=True),
    },
)
