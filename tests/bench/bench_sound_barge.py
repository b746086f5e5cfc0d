"""Barge-in without a server, in a room with echo: speech onsets, and false alarms."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from figures import Figure, Table, at_most, spread, trials
from sound_measures import (
    LONG_TEXT,
    a_card,
    first_speech,
    lowered,
    marked_speech,
    paces,
    start,
)
from sound_rig import Rig, spans
from user_speech import spoken
from virtual_audio import STEADY_RATE, VirtualCard

from voicechat.audio.messages import Underrun
from voicechat.core.effects import EndItem, Play, ResumePlayback, StopPlayback
from voicechat.core.inputs import Heard, LocalSpeech, PlaybackFinished, PlaybackStopped

PEERS_ONSET = "none detects speech without a server; by one: 97…261 and the network's time"
PEERS_ALONE = "LiveKit: 3 s deaf at first; pipecat, Agents SDK, HF, pydantic-ai: no canceller"


def alone(seconds: float, gain_db: float) -> Iterator[Figure]:
    """Count barge-ins during the assistant's own echo, without a user."""
    with a_card() as card:
        rig = start()
        voice = spoken(LONG_TEXT).tobytes()
        ends = time.monotonic() + seconds
        count = 0
        with card.echo(60, gain_db):
            while time.monotonic() < ends:
                rig.send(Play(f"v{count}", voice))
                rig.send(EndItem(f"v{count}"))
                while isinstance(_next_of_life(rig), LocalSpeech):
                    rig.send(ResumePlayback())
                count += 1
        heard = rig.of(LocalSpeech)
        rig.process.close()
    stops = sum(event.confirmed for event in heard)
    ducks = len(heard) - stops
    yield Figure(f"stops in {seconds:.0f} s", str(stops), "0", stops == 0, PEERS_ALONE)
    yield Figure(f"ducks in {seconds:.0f} s", str(ducks), "2 in 5 min", ducks <= 2)
    yield Figure("latency, ms; underruns", f"{paces(rig)}; {len(rig.of(Underrun))}", peers="")


def _next_of_life(rig: Rig) -> object:
    def matters(event: object) -> bool:
        stopped = isinstance(event, LocalSpeech) and event.confirmed
        return stopped or isinstance(event, PlaybackFinished | PlaybackStopped)

    return rig.wait(object, matters, patience=40)


def barge(count: int, gain_db: float) -> Iterator[Figure]:
    """Measure from the speech onset to ducked and to silent playback, with echo."""
    ducks, silences, wrong, missed = [], [], 0, 0
    with a_card(STEADY_RATE) as card:
        rig = start()
        voice, speech = spoken(LONG_TEXT).tobytes(), marked_speech()
        with card.echo(60, gain_db):
            for trial in range(count):
                rig.send(Play(f"v{trial}", voice))
                rig.send(EndItem(f"v{trial}"))
                rig.wait(Heard, lambda p, t=trial: p.item_id == f"v{t}" and p.ms > 2500)
                wrong += sum(event.confirmed for event in rig.of(LocalSpeech))
                sides = _talk_over(card, rig, speech)
                if sides is None:
                    missed += 1
                    continue
                onset = first_speech(sides)
                silent = spans(sides[:, 1], level=60, gap_ms=120)[-1][1]
                silences.append((silent - onset) / 48)
                ducks.append((lowered(sides[:, 1], onset, silent) - onset) / 48)
        rig.process.close()
    met = at_most(ducks, median=150) and float(np.percentile(ducks, 95)) <= 230
    reported = "median 150, p95 230"
    yield Figure("onset → ducked, ms", spread(ducks), reported, met, PEERS_ONSET)
    yield Figure("onset → silent, ms", spread(silences))
    met = wrong == missed == 0
    yield Figure("stops without a person, missed", f"{wrong}, {missed}", "0, 0", met)


def _talk_over(card: VirtualCard, rig: Rig, speech: np.ndarray) -> np.ndarray | None:
    """Return both sides while a user speaks; None if no barge-in was detected."""
    rig.events.clear()
    recording = card.record()
    spoken = card.say(speech)
    try:
        rig.wait(LocalSpeech, lambda event: event.confirmed, patience=6)
        rig.collect(0.25)
    except AssertionError:
        recording.stop()
        sides = None
    else:
        sides = recording.stop()
    rig.send(StopPlayback())
    rig.wait(PlaybackStopped)
    spoken.wait(10)
    rig.collect(1.0)
    rig.events.clear()
    return sides


TABLE = Table(
    "Barge-in",
    {
        "barge-in, echo 60 ms at -12 dB": lambda effort: barge(trials(8, effort), -12),
        "barge-in, echo 60 ms at -6 dB": lambda effort: barge(trials(8, effort), -6),
        "alone, echo 60 ms at -12 dB": lambda effort: alone(20 * effort, -12),
        "alone, echo 60 ms at -6 dB": lambda effort: alone(20 * effort, -6),
    },
)
