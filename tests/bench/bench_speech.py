"""Accuracy of STT and intents on synthetic speech: `python tests/bench/bench_speech.py`.

Several voices speak every sentence of the corpora, clean and with light noise; the real STT engine
and the real intents process it. The latency of answers is in `bench_turns.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from figures import Figure, Table
from meanings import right

from voicechat.server.assistant import intents
from voicechat.server.engine_worker import Worker
from voicechat.server.stt.pocketsphinx_stt import PocketsphinxStt
from voicechat.speech.vad import VAD_RATE

CORPUS = Path(__file__).parents[1] / "support/corpus"
PEOPLE = {
    "klatt": ("en-us+klatt3", 45, 1.0),
    "quick": ("en-us+klatt3", 60, 1.15),
    "plain": ("en-us", 50, 0.95),
    "mike": ("en-us+michael", 45, 1.0),
    "fay": ("en-us+f5", 40, 0.9),
    "fran": ("en-us+f2", 50, 0.95),
}
"""name -> (espeak-ng voice, pitch, speed)."""
ROOMS = (None, 30.0, 20.0)
"""Signal to noise in dB."""
LEAD, TAIL = 0.25, 0.35


@dataclass
class Tally:
    right: int = 0
    asked: int = 0
    errors: int = 0
    words: int = 0
    wrong: list[str] = field(default_factory=list)


class Speaker:
    """Speaks sentences in a room, PCM16 mono at `rate` Hz."""

    def __init__(self, rate: int = VAD_RATE) -> None:
        self._rate = rate
        voices = {name: (voice, pitch) for name, (voice, pitch, _) in PEOPLE.items()}
        self._worker = Worker(
            "voicechat.server.tts.espeak:Synthesizer",
            "The person",
            rate=rate,
            voices=voices,
        )

    async def open(self) -> None:
        await self._worker.start()

    async def close(self) -> None:
        await self._worker.stop()

    async def say(
        self,
        text: str,
        name: str,
        noise: float | None,
        chance: random.Random,
        lead: float = LEAD,
        tail: float = TAIL,
    ) -> bytes:
        stream = self._worker.stream("speak", text, name, PEOPLE[name][2], deadline=10)
        pcm = b"".join([pcm async for _, pcm in stream])
        sound = np.frombuffer(pcm, "<i2").astype(np.float32) * chance.uniform(0.35, 1.0)
        loud = np.flatnonzero(abs(sound) > 100)
        sound = sound[: loud[-1] + 1] if len(loud) else sound
        level = np.sqrt(np.mean(sound**2)) * 10 ** (-(noise if noise is not None else 50) / 20)
        sound = np.pad(sound, (int(lead * self._rate), int(tail * self._rate)))
        hiss = pink(len(sound), chance.getrandbits(32)) * level
        return np.clip(sound + hiss, -32768, 32767).astype("<i2").tobytes()


def pink(count: int, seed: int) -> np.ndarray:
    """Return pink noise with level 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    sound = np.fft.irfft(spectrum, count)
    return sound / np.sqrt(np.mean(sound**2))


async def hear(stt: PocketsphinxStt, pcm: bytes) -> str:
    """Return the recognized text."""
    stt.begin()
    for at in range(0, len(pcm), 1024):
        stt.feed(pcm[at : at + 1024])
    return await stt.finish()


def word_errors(said: list[str], heard: list[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1]


def means(text: str, entry: dict) -> bool:
    """Return True if the text parses to the intent and values of the corpus."""
    return intents.parse(text) is None if entry.get("intent") is None else right(text, entry)


def corpora(only: str) -> dict[str, list[dict]]:
    found = {}
    for path in sorted(CORPUS.glob("*.json")):
        if only in path.stem:
            found[path.stem] = [
                {"text": entry, "intent": None} if isinstance(entry, str) else entry
                for entry in json.loads(path.read_text("utf-8"))
                if isinstance(entry, str)
                or not any(sign in entry["text"] for sign in "0123456789*^")
            ]
    return found


async def accuracy(stt, speaker, name, entries, times) -> tuple[dict[str, Tally], int]:
    """Measure recognition overall and per voice and room, and the number of wrong actions."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    chance = random.Random(name)
    actions = 0
    for number, entry in enumerate(entries):
        for turn in range(times):
            who = list(PEOPLE)[(number + turn * 2) % len(PEOPLE)]
            noise = ROOMS[(number // len(PEOPLE) + turn) % len(ROOMS)]
            pcm = await speaker.say(entry["text"], who, noise, chance)
            heard = await hear(stt, pcm)
            right = means(heard, entry)
            meaning = None if right else intents.parse(heard)
            actions += meaning is not None and meaning.intent in intents.CHANGING
            said = entry["text"].split()
            for key in ("all", who, "clean" if noise is None else f"{noise:.0f} dB"):
                tallies[key].right += right
                tallies[key].asked += 1
                tallies[key].errors += word_errors(said, heard.split())
                tallies[key].words += len(said)
            if not right:
                tallies["all"].wrong.append(f"{who:6} {noise} {entry['text']!r} -> {heard!r}")
    return tallies, actions


def tell(name: str, entries: list[dict], tallies: dict[str, Tally], actions: int, show: bool):
    """Print the results of a corpus."""
    out(f"\n{name}: {len(entries)} sentences, {typed_right(entries):.0f} % right typed")
    if name == "open_questions":
        out(f"  wrong actions: {actions}")
    for key, tally in tallies.items():
        share, errors = 100 * tally.right / tally.asked, 100 * tally.errors / tally.words
        out(f"  {key:6} {tally.asked:4} heard  {share:5.1f} % right  {errors:5.1f} % word errors")
    for line in tallies["all"].wrong if show else ():
        out(f"    {line}")


def typed_right(entries: list[dict]) -> float:
    """Return the percentage understood when typed."""
    return 100 * sum(means(entry["text"], entry) for entry in entries) / len(entries)


def out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def bench(options: argparse.Namespace, reported: Callable[..., None]) -> None:
    """Report every corpus: its name, sentences, tallies and wrong actions."""
    with tempfile.TemporaryDirectory() as fresh:
        stt, speaker = PocketsphinxStt(options.cache or Path(fresh)), Speaker()
        await asyncio.gather(stt.open(), speaker.open())
        try:
            await stt.grown()
            for name, all_entries in corpora(options.only).items():
                entries = all_entries[:: options.every]
                reported(name, entries, *await accuracy(stt, speaker, name, entries, options.times))
        finally:
            await asyncio.gather(stt.close(), speaker.close())


def rows(effort: float) -> Iterator[Figure]:
    figures: list[Figure] = []

    def reported(name: str, entries: list[dict], tallies: dict[str, Tally], actions: int) -> None:
        every = tallies["all"]
        share, errors = 100 * every.right / every.asked, 100 * every.errors / every.words
        ours = f"{share:.0f} heard, {typed_right(entries):.0f} typed, n {every.asked}"
        figures.append(Figure(f"{name}: right, %", ours))
        figures.append(Figure(f"{name}: wrong words, %", f"{errors:.0f}"))
        if name == "open_questions":
            figures.append(Figure(f"{name}: wrong actions", str(actions)))

    every = max(1, round(8 / effort))
    asyncio.run(bench(argparse.Namespace(only="", every=every, times=1, cache=None), reported))
    yield from figures


TABLE = Table("Understanding", {"speech of six voices in three rooms": rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only corpora with this in their name")
    parser.add_argument("--every", type=int, default=1, help="take every nth sentence")
    parser.add_argument("--times", type=int, default=1, help="voices per sentence")
    parser.add_argument("--show", action="store_true", help="show what was misunderstood")
    parser.add_argument("--cache", type=Path, help="keep the language model here")
    options = parser.parse_args()
    asyncio.run(bench(options, lambda *found: tell(*found, show=options.show)))


if __name__ == "__main__":
    main()
