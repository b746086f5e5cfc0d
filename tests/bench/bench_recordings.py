"""A long recording that the embedded recognizer transcribes: its memory and times.

The recording is made of the voices of other synthesizers, with pauses of all lengths.
`--effort 9` makes three hours.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "support"))

import numpy as np
import psutil
import synthetic_voices
from figures import Figure, Table
from program_costs import pss_mib

from voicechat.speech.pcm import Resampler
from voicechat.speech.vad import VAD_RATE

CORPUS = Path(__file__).parents[1] / "support/corpus/open_talk.json"
MINUTES = 20.0
SENTENCES = 60
MOST_MIB = 150
MOST_OFF_S = 0.2
_LONG_PAUSE_S = 0.8
_LOOK_S = 0.1


def recording(path: Path, minutes: float) -> list[float]:
    """Write a recording; return where the sentences after a pause begin, in seconds."""
    rng = random.Random(16)
    texts = json.loads(CORPUS.read_text(encoding="utf-8"))
    every = list(synthetic_voices.voices().values())
    clips = []
    for number, text in enumerate(texts[:SENTENCES]):
        sound, rate = every[number % len(every)](text)
        whole = np.clip(sound * 32_767, -32_768, 32_767).astype(np.int16)
        clips.append(Resampler(rate, VAD_RATE).convert(whole))
    starts, size, pause = [], 0, 1.0
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, VAD_RATE, 0, "NONE", ""))
        while size < minutes * 60 * VAD_RATE:
            clip = rng.choice(clips)
            silence = np.zeros(round(pause * VAD_RATE), np.int16)
            size += len(silence)
            if pause >= _LONG_PAUSE_S:
                loud = int(np.argmax(np.abs(clip) > 300))
                starts.append((size + loud) / VAD_RATE)
            file.writeframes(np.concatenate((silence, clip)).tobytes())
            size += len(clip)
            pause = rng.choice((0.2, 0.3, 0.9, 1.5, 6.0))
    return starts


def rows(effort: float) -> Iterator[Figure]:
    """Measure one run of `voicechat transcribe`."""
    if not synthetic_voices.voices():
        yield Figure("the voices are not installed", "none")
        return
    with tempfile.TemporaryDirectory() as folder:
        path, transcript = Path(folder, "talk.wav"), Path(folder, "talk.json")
        starts = recording(path, MINUTES * effort)
        command = [sys.executable, "-m", "voicechat", "transcribe", str(path), "--model", "local"]
        places = {f"XDG_{name}_HOME": folder for name in ("STATE", "CONFIG", "DATA")}
        spent, began = _cpu_s(), time.monotonic()
        with transcript.open("wb") as out:
            child = psutil.Popen(
                [*command, "--format", "json"], env=os.environ | places, stdout=out
            )
            sums = list(_sizes(child))
        took, spent = time.monotonic() - began, _cpu_s() - spent
        found = json.loads(transcript.read_bytes())
    yield Figure(
        "PSS of all processes, MiB",
        f"median {median(sums):.0f}, most {max(sums):.0f}, n {len(sums)}",
        f"at most {MOST_MIB}",
        max(sums) <= MOST_MIB,
    )
    hour = found["duration"] / 3600
    yield Figure("time for an hour of sound, s", f"{took / hour:.0f}, CPU {spent / hour:.0f}")
    said = [segment["start"] for segment in found["segments"]]
    off = [min(abs(start - each) for each in said) for start in starts]
    yield Figure(
        "sentence after a pause: time off, s",
        f"median {median(off):.2f}, most {max(off):.2f}, n {len(off)}",
        f"at most {MOST_OFF_S:g}",
        max(off) <= MOST_OFF_S,
    )


def _sizes(parent: psutil.Popen) -> Iterator[float]:
    """Yield the memory of a process and its children in MiB while it runs."""
    while parent.poll() is None:
        try:
            yield pss_mib((parent, *parent.children(recursive=True)))
        except psutil.Error:  # one of them has just ended
            continue
        time.sleep(_LOOK_S)


def _cpu_s() -> float:
    """Return the CPU seconds of children that have ended, with theirs."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


TABLE = Table("Recordings", {"a long recording with the embedded recognizer": rows})
