"""The worker's side of `hibari_tts.py`: text to phonemes to sound, word by word.

The model predicts how long each phoneme lasts. Without that the sound is divided by the length of
the words. A voice whose file is a Kokoro model takes the same way.

Source: the package hibari-tts, its `Hibari.from_ids`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from textwrap import TextWrapper

import numpy as np
from numpy.typing import NDArray

from voicechat.server.engine_worker_main import Job
from voicechat.server.tts.kokoro_model import KokoroModel, is_kokoro
from voicechat.server.tts.packed_dictionary import PackedDictionary
from voicechat.server.tts.timed_model import timed_model
from voicechat.server.tts.word_timing import aligned, divided
from voicechat.speech.pcm import Samples

RATE = 24_000
"""Sample rate of the sound, in Hz."""
DURATIONS = "/Cast_32_output_0"
"""Name of the tensor with the duration of each phoneme."""
_STEP = 600
"""Samples in one step of a duration, 25 ms."""
_PIECES = TextWrapper(width=400, break_on_hyphens=False)
"""Divides phonemes among calls of the model."""
_LONG_NUMBER = re.compile(r"\d(?:,?\d){15,}")
"""A number without a name, which is read digit by digit."""
_POWERS = "\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}"
_GAIN, _PEAK = 3.0, 0.92
"""Gain of the model's quiet sound, and the highest amplitude; full scale is 1."""
_BRITISH = ("emma", "fable", "bf_", "bm_")
"""Beginnings of the names of British voices, the last two of Kokoro."""


class HibariSynthesizer:
    """Voices by name, loaded on first use; the first one is loaded at once and warmed up."""

    def __init__(self, voices: dict[str, str]) -> None:
        """voices: name -> model file. Raises OSError or an exception of onnxruntime."""
        from hibari.tts import ASSETS

        self._vocabulary: dict[str, int] = json.loads(
            Path(ASSETS, "vocab.json").read_text(encoding="utf-8")
        )
        self._files = voices
        self._models: dict[str, _HibariModel | KokoroModel] = {}
        first = next(iter(voices))
        for _ in self._spoken("Warm up, please, 12 times.", first, 1.0):
            pass

    def speak(self, job: Job, text: str, voice: str, speed: float) -> None:
        """Send each word of the text with its spaces, and its sound as PCM16 mono at 24 kHz."""
        for word, sound in self._spoken(text, voice, speed):
            if job.cancelled:
                return
            job.send_item((word, sound.tobytes()))

    def pronounce(self, job: Job, words: list[str]) -> list[str]:
        """Return the phonemes of each word."""
        american = _pronunciation(british=False)
        return [american.phonemes(word) for word in words]

    def _spoken(self, text: str, voice: str, speed: float) -> Iterator[tuple[str, Samples]]:
        words = _words(text)
        if not words:
            return
        converter = pronunciation(voice)
        sounds: list[Samples] = []
        spoken_ends: list[int] = []
        start = 0
        for phonemes in _PIECES.wrap(converter.phonemes(text)) or [""]:
            sound, lengths = self._sound(phonemes, voice, speed)
            if lengths is not None:
                ends = self._word_ends(phonemes.split(" "), lengths)
                spoken_ends += [start + end for end in ends]
            sounds.append(sound)
            start += len(sound)
        sound = np.concatenate(sounds)
        if spoken_ends:
            counts = [len(converter.phonemes(word).split()) for word in words]
            ends = aligned(counts, spoken_ends, words)
        else:
            ends = divided(words, len(sound))
        start = 0
        for word, end in zip(words, ends, strict=True):
            yield word, sound[start:end]
            start = end

    def _sound(
        self, phonemes: str, voice: str, speed: float
    ) -> tuple[Samples, Sequence[int] | None]:
        """Return the sound, and the samples of each phoneme with the pauses around them."""
        ids = [0, *self._ids(phonemes), 0]
        if len(ids) < 3:
            return np.zeros(0, np.int16), [0, 0]
        wave, steps = self._model(voice).sound(ids, voice, speed)
        loudest = float(np.abs(wave).max(initial=0.0))
        wave = wave * (32767 * min(_GAIN, _PEAK / loudest if loudest else 1.0))
        lengths = None if steps is None else [int(step) * _STEP for step in steps]
        return wave.astype(np.int16), lengths

    def _word_ends(self, spoken: list[str], lengths: Sequence[int]) -> list[int]:
        """Return the sample at which each phoneme word ends, with the space after it."""
        ends = np.cumsum(lengths)
        found, at = [], 0
        for word in spoken:
            at += len(self._ids(f"{word} "))
            found.append(int(ends[min(at, len(ends) - 1)]))
        found[-1] = int(ends[-1])
        return found

    def _ids(self, phonemes: str) -> list[int]:
        return [self._vocabulary[letter] for letter in phonemes if letter in self._vocabulary]

    def _model(self, voice: str) -> _HibariModel | KokoroModel:
        name = self._files[voice]
        if name not in self._models:
            file = Path(name)
            self._models[name] = KokoroModel(file) if is_kokoro(file) else _HibariModel(file)
        return self._models[name]


class _HibariModel:
    """One voice of hibari."""

    def __init__(self, file: Path) -> None:
        self._session, self._timed = timed_model(file.read_bytes(), DURATIONS)
        self._random = np.random.default_rng()

    def sound(
        self, ids: list[int], voice: str, speed: float
    ) -> tuple[NDArray[np.float32], Sequence[float] | None]:
        """Return the sound at 24 kHz, and the 25 ms steps that each phoneme lasts."""
        from hibari import dsp

        feed = {"ids": np.array([ids]), "speed": np.array([speed], np.float32)}
        outputs = self._session.run(None, feed)
        parts = (output[0] for output in outputs[:6])
        return np.asarray(dsp.synth(*parts, self._random)), outputs[6] if self._timed else None


class _Pronunciation:
    """Text to phonemes, in one variety of English."""

    def __init__(self, *, british: bool) -> None:
        from hibari.g2p import G2P

        self._convert = G2P(british=british)
        lexicon, tagger = self._convert.lexicon, self._convert.tagger
        for words in (lexicon.golds, lexicon.silvers):
            words.d = PackedDictionary(words.d)
        tagger.weights = PackedDictionary(tagger.weights)

    def phonemes(self, text: str) -> str:
        """Return the phonemes. Digits that the converter does not accept become ordinary ones."""
        text = _LONG_NUMBER.sub(lambda number: " ".join(number[0]), text)
        return str(self._convert("".join(map(_plain_digit, text))))


def pronunciation(voice: str) -> _Pronunciation:
    """Return the converter to phonemes for a voice; loaded once for each variety of English."""
    return _pronunciation(british=voice.startswith(_BRITISH))


@cache
def _pronunciation(*, british: bool) -> _Pronunciation:
    return _Pronunciation(british=british)


def _plain_digit(letter: str) -> str:
    """Return the value of a circled, subscript or similar digit, and any other letter as it is."""
    if letter.isdigit() and not letter.isdecimal() and letter not in _POWERS:
        return f" {unicodedata.digit(letter)}"
    return letter


def _words(text: str) -> list[str]:
    """Split a text into words, each with the spaces after it. Joined, they are the text."""
    words: list[str] = []
    for piece in text.split(" "):
        if piece or not words:
            words.append(f"{piece} ")
        else:
            words[-1] += " "
    words[-1] = words[-1][:-1]
    return [word for word in words if word]
