"""Accuracy of STT and intents on synthetic speech: `python tests/bench/bench_speech.py`.

Voices of other synthesizers speak every sentence of the corpora in three rooms; the built-in STT
engine and the offline assistant process it. The latency of answers is in `bench_turns.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import synthetic_voices
from figures import Figure, Table
from meanings import changes_at_once, right

from voicechat.cli._roundtrip_run import word_differences
from voicechat.server.assistant import confirmation, intents, sentence_words
from voicechat.server.assistant.nearest_request import NearestRequest
from voicechat.server.engine_startup import create_engines
from voicechat.server.serve_options import ServeOptions
from voicechat.server.stt.moonshine_stt import MoonshineStt
from voicechat.speech.pcm import Resampler
from voicechat.speech.vad import VAD_RATE

CORPUS = Path(__file__).parents[1] / "support/corpus"
PEOPLE = synthetic_voices.voices()
ROOMS = (None, 20.0, 10.0)
"""Signal to noise in dB; None is a quiet room without reverberation."""
QUIET_DB = 50.0
OPEN = ("open_questions", "open_talk")
"""Corpora of sentences that are no requests."""
TARGETS = {"clean": 96, "20 dB": 94, "10 dB": 85}
"""Right commands in %."""
HELD_OUT = "held-out voices"
LEAD, TAIL = 0.25, 0.35
REVERBERATION_S, REFLECTIONS_DB = 0.3, -8.0
"""Time in which the reflections fade by 60 dB, and their level relative to the direct sound."""


@dataclass
class Tally:
    right: int = 0
    transcribed: int = 0
    """Right from the transcript alone."""
    wrong_values: int = 0
    """The right intent with other values."""
    questions: int = 0
    """Answered with a question because the recognizer was unsure; not right, and not wrong."""
    asked: int = 0
    errors: int = 0
    words: int = 0
    wrong: list[str] = field(default_factory=list)


class Speaker:
    """Speaks sentences in a room, PCM16 mono at `rate` Hz."""

    def __init__(self, rate: int = VAD_RATE) -> None:
        self._rate = rate
        taps = int(REVERBERATION_S * rate)
        tail = np.random.default_rng(5).standard_normal(taps)
        tail *= np.exp(-6.9 * np.arange(taps) / taps)
        tail[: rate // 200] = 0
        self._reflections = tail / np.sqrt(np.sum(tail**2)) * 10 ** (REFLECTIONS_DB / 20)
        self._reflections[0] = 1.0

    async def open(self) -> None:
        for name in synthetic_voices.missing():
            out(f"  the voice {name} is not installed; its share goes to the others")

    async def close(self) -> None:
        return None

    async def say(
        self,
        text: str,
        name: str,
        noise: float | None,
        chance: random.Random,
        lead: float = LEAD,
        tail: float = TAIL,
    ) -> bytes:
        sound, rate = await asyncio.to_thread(PEOPLE[name], text)
        loudest = chance.uniform(4_000, 16_000)
        pcm = (sound * (loudest / np.abs(sound).max())).astype(np.int16)
        mover = Resampler(rate, self._rate)
        speech = np.concatenate((mover.convert(pcm), mover.finish())).astype(np.float32)
        loud = np.flatnonzero(abs(speech) > loudest / 100)
        soft = self._rate // 20  # a first or last consonant
        speech = speech[max(0, loud[0] - soft) : loud[-1] + soft]
        if noise is not None:
            speech = np.convolve(speech, self._reflections)[: len(speech)]
        level = np.sqrt(np.mean(speech**2)) * 10 ** (-(noise or QUIET_DB) / 20)
        speech = np.pad(speech, (int(lead * self._rate), int(tail * self._rate)))
        hiss = pink(len(speech), chance.getrandbits(32)) * level
        return np.clip(speech + hiss, -32768, 32767).astype("<i2").tobytes()


def pink(count: int, seed: int) -> np.ndarray:
    """Return pink noise with level 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    sound = np.fft.irfft(spectrum, count)
    return sound / np.sqrt(np.mean(sound**2))


class Listener:
    """The built-in STT engine, and the search for the nearest request after it."""

    def __init__(self) -> None:
        self._engines = create_engines(ServeOptions())
        self._nearest = NearestRequest(self._engines.tts.pronounce)  # type: ignore[attr-defined]

    async def open(self) -> None:
        await self._engines.stt.open()

    async def close(self) -> None:
        await self._nearest.close()
        await self._engines.close()

    async def transcribe(self, pcm: bytes) -> str:
        utterance = self._engines.stt.utterance(lambda _partial: None)
        utterance.feed(pcm)
        return await utterance.finish()

    async def request(self, transcript: str) -> str:
        """Return what the assistant understands."""
        return await self._nearest.correct(transcript)

    def doubts(self, transcript: str, request: str) -> bool:
        """Return True if the assistant asks whether the user said this."""
        stt = self._engines.stt
        unsure = isinstance(stt, MoonshineStt) and stt.is_unsure(transcript)
        return unsure and bool(confirmation.doubt(request, intents.parse_all(request)))


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


async def accuracy(
    listener: Listener, speaker: Speaker, name: str, entries: list[dict], times: int
) -> tuple[dict[str, Tally], int]:
    """Measure recognition overall and per voice and room, and the number of wrong actions."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    chance = random.Random(name)
    actions = 0
    for number, entry in enumerate(entries):
        for turn in range(times):
            who = list(PEOPLE)[(number + turn * 2) % len(PEOPLE)]
            noise = ROOMS[(number // len(PEOPLE) + turn) % len(ROOMS)]
            pcm = await speaker.say(entry["text"], who, noise, chance)
            heard = await listener.transcribe(pcm)
            taken = await listener.request(heard)
            doubted = listener.doubts(heard, taken)
            right, wanted = means(taken, entry) and not doubted, entry["intent"]
            meaning = None if right or doubted else intents.parse(taken)
            actions += not right and not doubted and bool(changes_at_once(taken))
            said = sentence_words.read(entry["text"]).plain
            room = "clean" if noise is None else f"{noise:.0f} dB"
            held_out = [HELD_OUT] if who in synthetic_voices.HELD_OUT else []
            for key in ("all", who, room, *held_out):
                tally = tallies[key]
                tally.right += right
                tally.transcribed += means(heard, entry)
                tally.asked += 1
                tally.questions += doubted
                tally.wrong_values += meaning is not None and meaning.intent == wanted
                heard_words = " ".join(sentence_words.read(heard).plain)
                tally.errors += sum(word_differences(" ".join(said), heard_words))
                tally.words += len(said)
            if not right:
                taken = "" if taken == heard else f" -> {taken!r}"
                tallies["all"].wrong.append(
                    f"{who:12} {noise} {entry['text']!r} -> {heard!r}{taken}"
                )
    return tallies, actions


def tell(name: str, entries: list[dict], tallies: dict[str, Tally], actions: int, show: bool):
    """Print the results of a corpus."""
    out(f"\n{name}: {len(entries)} sentences, {typed_right(entries):.0f} % right typed")
    out(f"  wrong actions: {actions}")
    for key, tally in tallies.items():
        each = 100 / tally.asked
        out(
            f"  {key:12} {tally.asked:4} said  {tally.right * each:5.1f} % right "
            f"({tally.transcribed * each:5.1f} as transcribed)  "
            f"{100 * tally.errors / tally.words:5.1f} % word errors  "
            f"{tally.wrong_values * each:4.1f} % wrong values  "
            f"{tally.questions * each:4.1f} % asked"
        )
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
    listener, speaker = Listener(), Speaker()
    await asyncio.gather(listener.open(), speaker.open())
    try:
        for name, all_entries in corpora(options.only).items():
            entries = all_entries[:: options.every]
            measured = await accuracy(listener, speaker, name, entries, options.times)
            reported(name, entries, *measured)
    finally:
        await asyncio.gather(listener.close(), speaker.close())


def rows(effort: float) -> Iterator[Figure]:
    figures: list[Figure] = []

    def reported(name: str, entries: list[dict], tallies: dict[str, Tally], actions: int) -> None:
        every, held_out = tallies["all"], tallies[HELD_OUT]
        errors = f"{100 * every.errors / every.words:.0f}"
        if name in OPEN:
            figures.append(
                Figure(f"{name}: wrong actions", f"{actions} of {every.asked}", "0", not actions)
            )
            figures.append(Figure(f"{name}: wrong words, %", errors))
            return
        for room, target in (TARGETS if name == "commands" else {"all": 90}).items():
            tally = tallies[room]
            share = 100 * tally.right / max(1, tally.asked)
            ours = f"{share:.0f}, n {tally.asked}"
            figures.append(Figure(f"{name}, {room}: right, %", ours, f"{target}", share >= target))
        ours = f"{held_out.right * 100 / max(1, held_out.asked):.0f}, n {held_out.asked}"
        figures.append(Figure(f"{name}, {HELD_OUT}: right, %", ours))
        typed = f"{typed_right(entries):.0f}; {100 * every.transcribed / every.asked:.0f}; {errors}"
        figures.append(Figure(f"{name}: right typed, as transcribed, wrong words, %", typed))
        share = 100 * every.wrong_values / every.asked
        figures.append(Figure(f"{name}: wrong values, %", f"{share:.1f}", "1", share <= 1))
        share = 100 * every.questions / every.asked
        figures.append(Figure(f"{name}: asked back, %", f"{share:.1f}"))

    every = max(1, round(8 / effort))
    asyncio.run(bench(argparse.Namespace(only="", every=every, times=1), reported))
    yield from figures


TABLE = Table("Understanding", {"speech of eight voices in three rooms": rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only corpora with this in their name")
    parser.add_argument("--every", type=int, default=1, help="take every nth sentence")
    parser.add_argument("--times", type=int, default=1, help="voices per sentence")
    parser.add_argument("--show", action="store_true", help="show what was misunderstood")
    options = parser.parse_args()
    asyncio.run(bench(options, lambda *found: tell(*found, show=options.show)))


if __name__ == "__main__":
    main()
