"""The reported playout position at an interruption, against what the speaker played."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, Table, at_most, spread, trials
from sound_measures import a_card, start
from sound_rig import Rig, milliseconds, spans
from virtual_audio import VirtualCard, tone

from voicechat.core.effects import EndItem, Play, StopPlayback
from voicechat.core.inputs import Heard, PlaybackStopped

PEERS = (
    "pipecat -5…+11, Agents SDK demo +75…+100, LiveKit +236…+290, pydantic-ai +255;"
    " HF talk and the push-to-talk example tell none"
)

_ONE_RATE = """\
import importlib.util, os, sys
here = os.path.dirname(__file__)
sys.path.remove(here)
spec = importlib.util.find_spec("sounddevice")
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
globals().update(vars(real))
class RawOutputStream(real.RawOutputStream):
    def __init__(self, *, samplerate, **options):
        if samplerate != {rate}:
            raise real.PortAudioError("Invalid sample rate", -9997)
        super().__init__(samplerate=samplerate, **options)
"""


def heard(
    count: int, *, latency_ms: int = 0, rate: int = 24_000, device_rate: int = 0, late_ms: int = 0
) -> Iterator[Figure]:
    """Stop in the third of four items; with `late_ms` its sound was late before."""
    with a_card() as card, tempfile.TemporaryDirectory() as folder:
        if device_rate:
            Path(folder, "sounddevice.py").write_text(_ONE_RATE.format(rate=device_rate), "utf-8")
            os.environ["PYTHONPATH"] = folder
        rig = start(latency_ms=latency_ms, output_rate=rate, barge_in="off")
        os.environ.pop("PYTHONPATH", None)
        off = [_trial(card, rig, number, rate, late_ms) for number in range(count)]
        rig.process.close()
    met = at_most([abs(each) for each in off], median=10)
    yield Figure("reported - actually heard, ms", spread(off), "median 10", met, PEERS)


def _trial(card: VirtualCard, rig: Rig, number: int, rate: int, late_ms: int) -> float:
    recording = card.record()
    first, second, third, fourth = (f"{number}.{n}" for n in range(4))
    for item, seconds in ((first, 0.2), (second, 0.15)):
        rig.send(Play(item, tone(seconds, 500, rate)))
        rig.send(EndItem(item))
    before = 350.0
    if late_ms:
        rig.send(Play(third, tone(0.3, 440, rate)))
        rig.wait(Heard, lambda p: p.item_id == third and p.ms >= 295)
        rig.collect(late_ms / 1000)
        before = -300.0
    rig.send(Play(third, tone(20, 440, rate)))
    rig.send(EndItem(third))
    rig.send(Play(fourth, tone(1, 880, rate)))
    least = 350 + 37 * (number % 10)
    rig.wait(Heard, lambda p: p.item_id == third and p.ms > least)
    rig.collect(0.003 * (number % 7))
    rig.send(StopPlayback())
    stopped = rig.wait(PlaybackStopped)
    rig.collect(0.4)
    sounding = spans(recording.stop()[:, 1])
    assert stopped.heard[fourth] == 0.0
    return stopped.heard[third] + before - milliseconds(sounding[-1:] if late_ms else sounding)


TABLE = Table(
    "Heard, in the third of four items",
    {
        "default settings": lambda effort: heard(trials(10, effort)),
        "after an underrun": lambda effort: heard(trials(5, effort), late_ms=200),
        "a device that buffers 200 ms": lambda effort: heard(trials(5, effort), latency_ms=200),
        "after an underrun, 200 ms": lambda effort: heard(
            trials(5, effort), latency_ms=200, late_ms=400
        ),
        "a telephone's sound, 8 kHz": lambda effort: heard(trials(5, effort), rate=8_000),
        "8 kHz on a card of 44.1 kHz": lambda effort: heard(
            trials(5, effort), rate=8_000, device_rate=44_100
        ),
        "24 kHz on a card of 44.1 kHz": lambda effort: heard(trials(5, effort), device_rate=44_100),
    },
)
