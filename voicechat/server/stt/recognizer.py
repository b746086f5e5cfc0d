"""A pocketsphinx decoder. Runs in a worker process because it holds the interpreter lock."""

from __future__ import annotations

import importlib
import math
import os
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pocketsphinx import Decoder, get_model_path

from voicechat.server.engine_worker_main import Job
from voicechat.server.stt.language_model import (
    Language,
    kept,
    language,
    pairs,
    polite,
    version_of,
    write_atomically,
)
from voicechat.server.stt.phonetic_neighbors import PhoneticNeighbors, phonetic_neighbors
from voicechat.speech.vad import VAD_RATE

FIRST_SENTENCES = 25_000
"""Size of a model that is built within a second, for the very first start."""
SENTENCES = 150_000
"""Size of the full model of `Builder`; it makes a tenth fewer errors."""
_STOCK_DICTIONARY = Path(get_model_path("en-us/cmudict-en-us.dict"))
_SEED = 1
_OTHERS = 60
_VARIANTS = 400
_FLOOR = 30.0
_ROOM = "room.txt"
_LONGEST = 60 * VAD_RATE * 2
_CEPSTRA = 13
_LOUDNESS_RANGE = (5.0, 100.0)
_COLOUR_LIMIT = 60.0

Guess = tuple[str, bool, float]
"""A text, True if all its word pairs are expected, and its log-likelihood."""
_NOTHING: Guess = ("", False, -math.inf)


class Recognizer:
    """One decoder, one utterance at a time: `begin`, `feed`, `finish`, then `others`.

    `settle` computes the result of `finish` in advance; `resume` undoes it.

    The sound is mixed with faint noise: the acoustic model never saw digital silence.

    model: "domain" for the requests of the assistant, "stock" for general English.
    cache: folder for the domain model and the room acoustics.
    source: "module:function" that returns sentences for (count, seed).
    """

    def __init__(self, model: str, cache: str, source: str, settings: dict[str, Any]) -> None:
        self._cache = Path(cache)
        self._announces = model == "domain"
        self._pairs: frozenset[tuple[str, str]] = frozenset()
        self._alikes = PhoneticNeighbors(())
        self._source, self._settings = source, settings
        self._stale = False
        self._decoder = self._load()
        self._noise = np.random.default_rng(0)
        self._number = -1
        self._running = False
        self._sound = bytearray()
        self._settled: Guess | None = None
        self._partial = ""
        self._warm_up(_plausible(_read(self._cache / _ROOM)))

    def is_first(self, job: Job) -> bool:
        """True if the model of the very first start is in use."""
        return self._announces and kept(self._cache, _version(self._source), SENTENCES) is None

    def reload(self, job: Job) -> None:
        """Load the full model before the next utterance, if it exists by now."""
        self._stale = True
        self._refresh()

    def begin(self, job: Job, number: int) -> None:
        """Start utterance `number`. Drops an unfinished one."""
        self.drop(job)
        self._refresh()
        self._number, self._partial = number, ""
        self._sound.clear()
        self._settled = None
        self._decoder.start_utt()
        self._running = True

    def feed(self, job: Job, pcm: bytes) -> None:
        """Add PCM16 sound at 16 kHz; emit [number, text] when the partial text changes.

        Drops sound after one minute. After `settle`, sound waits for `resume`.
        """
        if not self._running or len(self._sound) >= _LONGEST:
            return
        heard = self._with_floor(pcm)
        self._sound += heard
        if self._settled is not None:
            return
        self._decoder.process_raw(heard, False, False)
        if self._announces and (text := self._text()) != self._partial:
            self._partial = text
            job.send_event([self._number, text])

    def settle(self, job: Job) -> Guess:
        """Return the text so far, True if all its word pairs are expected, and its log-likelihood.

        Saves the room acoustics.
        """
        if self._settled is None and self._running:
            self._decoder.end_utt()
            self._settled = self._guess()
            if self._settled[0] and self._announces:
                self._keep_room()
        return self._settled or _NOTHING

    def resume(self, job: Job) -> None:
        """Continue the utterance after `settle`: decode it again from the start."""
        if self._settled is not None:
            self._settled = None
            self._decoder.start_utt()
            self._decoder.process_raw(bytes(self._sound), False, False)

    def finish(self, job: Job) -> Guess:
        """End the utterance; return the result of `settle`."""
        answer = self.settle(job)
        self._running = False
        return answer

    def weigh(self, job: Job) -> float:
        """Return the log-likelihood of the best text so far. The utterance continues."""
        return self._guess()[2]

    def others(self, job: Job) -> list[str]:
        """Return other texts for the utterance, each group with the most likely first.

        Phonetic neighbors of its text come first, then other guesses of expected word pairs.
        """
        guesses = (guess.hypstr for guess in islice(self._decoder.nbest(), _OTHERS) if guess)
        other = [text for text in dict.fromkeys(guesses) if text and self._expected(text)]
        return self._alikes.variants(self._text(), _VARIANTS) + other

    def again(self, job: Job) -> Guess:
        """Decode the finished utterance again with its own cepstral mean."""
        self._decoder.start_utt()
        self._decoder.process_raw(bytes(self._sound), False, True)
        self._decoder.end_utt()
        return self._guess()

    def drop(self, job: Job) -> None:
        """Discard the current utterance."""
        if self._running and self._settled is None:
            self._decoder.end_utt()
        self._running = False

    def _with_floor(self, pcm: bytes) -> bytes:
        sound = np.frombuffer(pcm, "<i2")
        noise = self._noise.normal(0.0, _FLOOR, len(sound))
        return np.clip(sound + noise, -32768, 32767).astype("<i2").tobytes()

    def _expected(self, text: str) -> bool:
        words = ["<s>", *text.split(), "</s>"]
        return self._pairs.issuperset(pairwise(words))

    def _guess(self) -> Guess:
        found = self._decoder.hyp()
        if not found or not found.hypstr:
            return _NOTHING
        likelihood = math.log(found.score) if found.score > 0 else -math.inf
        return found.hypstr, self._expected(found.hypstr), likelihood

    def _text(self) -> str:
        found = self._decoder.hyp()
        return found.hypstr if found else ""

    def _load(self) -> Decoder:
        files = {}
        if self._announces:
            version = _version(self._source)
            found = kept(self._cache, version, SENTENCES) or _build(
                self._cache, self._source, FIRST_SENTENCES
            )
            self._pairs = pairs(found.model)
            self._alikes = phonetic_neighbors(found.dictionary)
            files = {"lm": str(found.model), "dict": str(found.dictionary)}
        else:
            files = {"dict": str(polite(self._cache, _STOCK_DICTIONARY))}
        return Decoder(loglevel="FATAL", cmn="batch", **files, **self._settings)

    def _refresh(self) -> None:
        if self._stale and not self._running:
            room = self._decoder.get_cmn(False)
            self._decoder, self._stale = self._load(), False
            self._warm_up(room)

    def _warm_up(self, room: str) -> None:
        room = room or self._decoder.get_cmn(False)
        self._decoder.start_utt()
        self._decoder.process_raw(bytes(VAD_RATE // 2), False, False)
        self._decoder.end_utt()
        self._decoder.set_cmn(room)

    def _keep_room(self) -> None:
        if room := _plausible(self._decoder.get_cmn(False)):
            write_atomically(self._cache / _ROOM, room)


class Builder:
    """Builds the full domain model in a process of its own."""

    def __init__(self, cache: str, source: str) -> None:
        if hasattr(os, "nice"):
            os.nice(10)
        self._cache, self._source = Path(cache), source

    def build(self, job: Job) -> list[str]:
        """Build the model into the cache; return the words without a known pronunciation."""
        return list(_build(self._cache, self._source, SENTENCES).unknown)


def _version(source: str) -> str:
    return version_of(Path(__file__).parents[1], source)


def _build(cache: Path, source: str, size: int) -> Language:
    module, _, name = source.partition(":")
    return language(
        cache,
        _STOCK_DICTIONARY,
        lambda count: getattr(importlib.import_module(module), name)(count, _SEED),
        _version(source),
        size,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _plausible(room: str) -> str:
    """Return this cepstral mean, or an empty value if it is implausible for a room."""
    try:
        values = [float(value) for value in room.split(",")]
    except ValueError:
        return ""
    low, high = _LOUDNESS_RANGE
    fits = (
        len(values) == _CEPSTRA
        and all(math.isfinite(value) for value in values)
        and low <= values[0] <= high
        and all(abs(value) <= _COLOUR_LIMIT for value in values[1:])
    )
    return ",".join(f"{value:g}" for value in values) if fits else ""
