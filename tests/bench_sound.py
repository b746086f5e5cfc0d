"""What the sound does, measured on a virtual card: `python tests/bench_sound.py [trials]`.

Stop: from `Stop` sent to silence at the speaker. Heard: the reported position against what the
recording has. Each figure stands beside its target and the best peer's, taken with the same kind
of rig. 150 trials let the assistant speak alone for five minutes at each loudness of the echo.
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
    Resume,
    SpeechHeard,
    Stop,
    Stopped,
    Underrun,
)

PEERS_STOP = "Agents SDK demo 97 (HF 116, pipecat 134, pydantic-ai 257, LiveKit 261)"
PEERS_HEARD = "pipecat -5..+11 (Agents SDK +75..+100, LiveKit +236..+290)"
UNMEASURED = "not measured"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def row(what: str, ours: str, target: str, peer: str = UNMEASURED) -> None:
    say(f"  {what}: {ours} | target {target} | best peer {peer}")


def paces(rig: Rig) -> str:
    """Device latencies of every opening, in ms: where there are several, the pace changed."""
    return " -> ".join(f"{opened.output_latency_ms:.0f}" for opened in rig.of(Opened))


def spread(values: Sequence[float]) -> str:
    if not values:
        return "none"
    middle, worst = statistics.median(values), max(values, key=abs)
    p95 = float(np.percentile(values, 95))
    return f"median {middle:.0f}, p95 {p95:.0f}, worst {worst:.0f}, n {len(values)}"


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
    say(f"  device latency of each opening, ms: {paces(rig)}")
    target = "median 60" if latency_ms else "median 45, worst 80"
    row("stop sent -> silence, ms", spread(late), target, PEERS_STOP)
    row("heard - truly audible, ms", spread(off), "median 10", PEERS_HEARD)


def load(card: VirtualCard, seconds: float) -> None:
    """A long reply while both cores work and this process stalls 200 ms of every second."""
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
    heard = spans(side)
    pauses = [(after[0] - before[1]) // 48 for before, after in pairwise(heard)]
    lost_ms = seconds * 1000 - milliseconds(heard)
    told = rig.of(Underrun)
    row(f"lost in {seconds:.0f} s, ms", f"{lost_ms:.0f}, pauses {pauses[:20]}", "0")
    row("loudest click, dBFS", f"{loudest_click(side[heard[0][0] : heard[-1][1]]):.0f}", "-30")
    say(f"  counted: {told[-1] if told else 'no underrun'}; latency {paces(rig)} ms")
    rig.process.close()


def _stall(over: threading.Event) -> None:
    while not over.wait(0.8):
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            sum(range(2_000))


def loudest_click(side: np.ndarray, pitch: float = 440.0) -> float:
    """What a sine leaves when it is predicted from its own two last samples, in dBFS."""
    wave = side.astype(np.float64)
    rest = wave[2:] - 2 * np.cos(2 * np.pi * pitch / RATE) * wave[1:-1] + wave[:-2]
    return 20 * float(np.log10(np.abs(rest[480:-480]).max() / 32768 + 1e-9))


def alone(card: VirtualCard, seconds: float, gain_db: float) -> None:
    """The assistant speaks, its echo is heard, nobody else is there."""
    rig = start()
    voice = espeak(LONG_TEXT)
    ends = time.monotonic() + seconds
    count = 0
    with card.echo(60, gain_db):
        while time.monotonic() < ends:
            rig.send(Play(f"v{count}", voice))
            rig.send(EndItem(f"v{count}"))
            while isinstance(_next_of_life(rig), SpeechHeard):
                rig.send(Resume())
            count += 1
    heard = rig.of(SpeechHeard)
    rig.process.close()
    row("stops without a person", str(sum(e.confirmed for e in heard)), "0")
    row("ducks without a person", str(sum(not e.confirmed for e in heard)), "2")
    say(f"  latency {paces(rig)} ms, {rig.of(Underrun)[-1:] or 'no underrun'}")


def _next_of_life(rig: Rig) -> object:
    def matters(event: object) -> bool:
        stopped = isinstance(event, SpeechHeard) and event.confirmed
        return stopped or isinstance(event, ItemFinished | Stopped)

    return rig.wait(object, matters, patience=40)


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
    say(f"  device latency of each opening, ms: {paces(rig)}")
    row("onset -> lowered, ms", spread(ducks), "median 150, p95 230")
    row("onset -> silent, ms", spread(silences), "-")
    row("stops without a person, missed", f"{wrong}, {missed}", "0, 0")


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
    "alone, echo 60 ms at -12 dB": lambda card, n: alone(card, 2 * n, -12),
    "alone, echo 60 ms at -6 dB": lambda card, n: alone(card, 2 * n, -6),
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


if __name__ == "__main__":
    main()
