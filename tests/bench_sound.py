"""What the sound does, measured on a virtual card: `python tests/bench_sound.py [trials]`.

Stop: from `Stop` sent to silence at the speaker. Heard: the reported position against what the
recording has. Peers' figures are beside ours, taken with the same kind of rig.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from sound_rig import Rig, milliseconds, spans
from virtual_audio import RATE, VirtualCard, tone

from voicechat.audio.dsp import Resampler
from voicechat.audio.messages import (
    AudioSettings,
    EndItem,
    ItemFinished,
    Opened,
    Play,
    Progress,
    SpeechHeard,
    Stop,
    Stopped,
    Underrun,
)

PEERS_STOP = (
    "peers, median ms: Agents SDK demo 97, HF 116, pipecat 134, pydantic-ai 257, LiveKit 261"
)
PEERS_HEARD = "peers, ms off: pipecat -5..+11, Agents SDK +75..+100, LiveKit +236..+290"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def spread(values: Sequence[float]) -> str:
    return (
        f"median {statistics.median(values):.0f}, worst {max(values, key=abs):.0f}, n {len(values)}"
    )


def start(**settings: object) -> Rig:
    rig = Rig(AudioSettings(**settings))  # type: ignore[arg-type]
    opened: Opened = rig.open()
    say(f"  device latency {opened.output_latency_ms:.0f} ms, echo {opened.echo}")
    return rig


def stops(card: VirtualCard, trials: int, latency_ms: int) -> None:
    """Stop latency and the exactness of what was heard."""
    rig = start(latency_ms=latency_ms, barge_in="off")
    late, off = [], []
    for trial in range(trials):
        recording = card.record()
        rig.send(Play("lead", tone(0.2, 500)))
        rig.send(EndItem("lead"))
        rig.send(Play(f"t{trial}", tone(20, 440)))
        wanted = 250 + 37 * (trial % 10)
        rig.wait(Progress, lambda p, w=wanted, t=trial: p.item_id == f"t{t}" and p.heard_ms > w)
        time.sleep(0.003 * (trial % 7))
        asked = time.monotonic()
        rig.send(Stop())
        stopped = rig.wait(Stopped)
        rig.collect(0.25 + latency_ms / 500)
        ended = time.monotonic()
        side = recording.stop()[:, 1]
        heard = spans(side)
        silence = len(side) - heard[-1][1]
        late.append((ended - asked) * 1000 - silence * 1000 / RATE)
        off.append(stopped.heard_ms[f"t{trial}"] + 200 - milliseconds(heard))
    rig.process.close()
    say(f"  stop sent -> silence, ms: {spread(late)}")
    say(f"  heard - truly audible, ms: {spread(off)}")


def load(card: VirtualCard, seconds: float) -> None:
    """A long reply while two threads hold the interpreter and both cores work."""
    rig = start(barge_in="off")
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(i * i for i in range(20_000))

    for _ in range(3):
        threading.Thread(target=burn, daemon=True).start()
    recording = card.record()
    sound = tone(seconds)
    for at in range(0, len(sound), 9_600):
        rig.send(Play("long", sound[at : at + 9_600]))
    rig.send(EndItem("long"))
    rig.wait(ItemFinished, patience=seconds + 20)
    stop.set()
    rig.collect(0.3)
    heard = spans(recording.stop()[:, 1])
    lost = rig.of(Underrun)
    played = milliseconds(heard)
    pauses = [(after[0] - before[1]) // 48 for before, after in pairwise(heard)]
    lost_ms = seconds * 1000 - played
    say(f"  {seconds:.0f} s: {len(pauses)} pauses {pauses[:20]}, {lost_ms:.0f} ms lost")
    say(f"  counted: {lost[-1] if lost else 'no underrun'}")
    rig.process.close()


def barge(card: VirtualCard, speech: np.ndarray, trials: int, gain_db: float) -> None:
    """The person's onset to the lowered and to the silent speaker, echo in the room."""
    rig = start()
    ducks, silences, wrong, missed = [], [], 0, 0
    voice = np.frombuffer(espeak(LONG_TEXT), np.int16)
    with card.echo(60, gain_db):
        for trial in range(trials):
            rig.send(Play(f"v{trial}", voice.tobytes()))
            rig.send(EndItem(f"v{trial}"))
            rig.wait(Progress, lambda p, t=trial: p.item_id == f"v{t}" and p.heard_ms > 2500)
            wrong += sum(event.confirmed for event in rig.of(SpeechHeard))
            rig.events.clear()
            recording = card.record()
            spoken = card.say(speech)
            try:
                rig.wait(SpeechHeard, lambda e: e.confirmed, patience=6)
            except AssertionError:
                missed += 1
                rig.send(Stop())
                recording.stop()
                spoken.wait(10)
                rig.collect(1.0)
                continue
            rig.collect(0.25)
            sides = recording.stop()
            rig.send(Stop())
            rig.wait(Stopped)
            rig.events.clear()
            onset = first_speech(sides)
            silent = spans(sides[:, 1], level=60, gap_ms=120)[-1][1]
            silences.append((silent - onset) / 48)
            ducks.append((lowered(sides[:, 1], onset) - onset) / 48)
            spoken.wait(10)
            rig.collect(1.0)
    rig.process.close()
    say(f"  onset -> lowered, ms: {spread(ducks)}")
    say(f"  onset -> silent, ms: {spread(silences)}")
    say(f"  stops without a person: {wrong}, missed: {missed}")


LONG_TEXT = (
    "The quick brown fox jumps over the lazy dog while seven wizards judge the boxing match. "
    "Meanwhile the weather in the north stays cold and cloudy with a little rain in the evening."
)


def espeak(text: str, voice: str = "en-us") -> bytes:
    """24 kHz PCM16 of a text."""
    spoken = subprocess.run(
        ["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True
    ).stdout
    samples = np.frombuffer(spoken[44:], np.int16)
    mover = Resampler(22_050, 24_000)
    return np.concatenate((mover.convert(samples), mover.finish())).tobytes()


def first_speech(sides: np.ndarray) -> int:
    """Where the near voice begins: 400 ms after the 18 kHz mark that is fed before it."""
    clock = np.arange(960) * 2 * np.pi * MARK_HZ / RATE
    side = sides[:, 0].astype(np.float64)
    along = np.hypot(
        np.convolve(side, np.cos(clock), "valid"), np.convolve(side, np.sin(clock), "valid")
    )
    return int(np.argmax(along)) + int(0.4 * RATE)


def lowered(side: np.ndarray, after: int) -> int:
    """The first frame after which 30 ms of the speaker stay 12 dB below what was before."""
    window = 10 * 48
    blocks = side[: len(side) // window * window].reshape(-1, window).astype(np.float64)
    level = np.sqrt((blocks**2).mean(axis=1)) + 1
    first = after // window
    before = np.percentile(level[max(0, first - 60) : first], 70)
    for index in range(first, len(level) - 6):
        if (level[index : index + 6] < before / 4).all():
            return index * window
    return len(side)


MARK_HZ = 18_000


def marked_speech() -> np.ndarray:
    """A near voice at 48 kHz, 400 ms after a mark that the microphone's rate does not carry."""
    samples = np.frombuffer(espeak("No, wait a moment, I have a question.", "en-gb"), np.int16)
    samples = Resampler(24_000, RATE).convert(samples)
    onset = int(np.flatnonzero(np.abs(samples.astype(np.int32)) > 400)[0])
    mark = 3_000 * np.sin(np.arange(960) * 2 * np.pi * MARK_HZ / RATE)
    quiet = np.zeros(int(0.4 * RATE) - 960, np.int16)
    return np.concatenate((mark.astype(np.int16), quiet, samples[onset:]))


PARTS: dict[str, Callable[[VirtualCard, int], None]] = {
    "stop, default settings": lambda card, n: stops(card, n, 0),
    "stop, a device that buffers 200 ms": lambda card, n: stops(card, max(3, n // 3), 200),
    "load": lambda card, n: load(card, 60 if n >= 30 else 15),
    "barge-in, echo 60 ms at -12 dB": lambda card, n: barge(card, marked_speech(), n // 2, -12),
    "barge-in, echo 60 ms at -6 dB": lambda card, n: barge(card, marked_speech(), n // 2, -6),
}


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    for name, part in PARTS.items():
        if wanted in name:
            say(name)
            with VirtualCard() as card:
                os.environ.update(card.environment)
                part(card, trials)
    say(PEERS_STOP)
    say(PEERS_HEARD)


if __name__ == "__main__":
    main()
