"""Stopping: from `StopPlayback` to silence at the speaker, and the reported position."""

from __future__ import annotations

import time
from collections.abc import Iterator

from figures import Figure, Table, at_most, spread, trials
from sound_measures import a_card, paces, start
from sound_rig import milliseconds, spans
from virtual_audio import RATE, tone

from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import Heard, PlaybackStopped

PEERS_STOP = (
    "Agents SDK demo 97, HF talk 116, pipecat 134, pydantic-ai 257, LiveKit console 261,"
    " OpenAI's push-to-talk example 16,998"
)
PEERS_HEARD = (
    "pipecat -5…+11, Agents SDK demo +75…+100, LiveKit +236…+290, pydantic-ai +255;"
    " HF talk and the push-to-talk example tell none"
)


def stops(
    count: int, latency_ms: int, median: float, worst: float, *, cold: bool = False
) -> Iterator[Figure]:
    """Measure both with a device buffer of this size; 0 is the default."""
    with a_card(cold=cold) as card:
        rig = start(latency_ms=latency_ms, barge_in="off")
        late, off = [], []
        for trial in range(count):
            recording = card.record()
            rig.send(Play("lead", tone(0.2, 500)))
            rig.send(EndItem("lead"))
            rig.send(Play(f"t{trial}", tone(20, 440)))
            least = 250 + 37 * (trial % 10)
            rig.wait(Heard, lambda p, w=least, t=trial: p.item_id == f"t{t}" and p.ms > w)
            time.sleep(0.003 * (trial % 7))
            asked = time.monotonic()
            rig.send(StopPlayback())
            stopped = rig.wait(PlaybackStopped)
            rig.collect(0.25 + latency_ms / 500)
            ended = time.monotonic()
            side = recording.stop()[:, 1]
            heard = spans(side)
            silence = len(side) - heard[-1][1]
            late.append((ended - asked) * 1000 - silence * 1000 / RATE)
            off.append(stopped.heard[f"t{trial}"] + 200 - milliseconds(heard))
        rig.process.close()
    yield Figure("device latency of each opening, ms", paces(rig), peers="")
    reported = f"median {median:.0f}" + (f", worst {worst:.0f}" if worst < 1e6 else "")
    met = at_most(late, median=median, worst=worst)
    yield Figure("stop sent → silence, ms", spread(late), reported, met, PEERS_STOP)
    met = at_most([abs(each) for each in off], worst=5)
    yield Figure("reported - actually heard, ms", spread(off), "worst 5", met, PEERS_HEARD)


TABLE = Table(
    "Stop",
    {
        "default settings": lambda effort: stops(trials(30, effort), 0, 40, 60),
        "a cold microphone": lambda effort: stops(trials(20, effort), 0, 40, 60, cold=True),
        "a device that buffers 200 ms": lambda effort: stops(trials(10, effort), 200, 60, 1e9),
    },
)
