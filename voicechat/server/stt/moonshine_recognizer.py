"""The worker's side of `moonshine_stt.py`: the sound of each open utterance, and its text so far.

The model hears at most 14 s at once, or what the caller says. A longer utterance is cut at its
quietest moment, and the text before the cut no longer changes.
"""

from __future__ import annotations

import re
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voicechat.server.engine_worker_main import Job
from voicechat.server.stt.biased_search import BiasedSearch
from voicechat.server.stt.moonshine_model import Features, MoonshineModel, Sound
from voicechat.server.stt.word_followers import WordFollowers
from voicechat.speech.pcm import Resampler
from voicechat.speech.vad import VAD_RATE
from voicechat.system.process_memory import release_memory

LONGEST_S = 14.0
"""Seconds that the model hears at once."""
_CUT_FROM = 4 / 7
"""Share of the longest sound from which it may be cut."""
_CUT_WINDOW = VAD_RATE // 10
_SHORTEST = VAD_RATE // 10
"""The model needs about 80 ms of sound."""
_SILENCE = int(0.3 * VAD_RATE)
"""Silence added after the speech: the model is more often right about a last word that has some."""
_LEVEL_WINDOW = VAD_RATE // 50
_LEVEL = 0.2
"""RMS of the loud half of a sound, of full scale 1: the model hears it best."""
_MOST_GAIN = 100.0
_OTHER_SPEEDS = ((9, 10), (10, 9))
"""Lengths at which a sound is heard once more, as fractions of its own: faster, and slower."""
_UNLIKELY, _UNLIKELY_IN_REQUEST = 8.0, 3.0
"""Difference of log probabilities between an alternative and the most likely text: one that is no
request, or a request with unusual words."""
_CLEAR = -0.5
"""Log probability of a piece of a text that was clear."""
_NOTE = "\N{EIGHTH NOTE}"
_OLD_SPELLING = re.compile(r"\b(to)-(day|morrow|night)\b", re.IGNORECASE)
"""The model learned from old books too."""
_INVENTED = frozenset({"you"})
"""Texts that the model writes for silence, hiss and clicks."""


@dataclass(slots=True)
class _Utterance:
    sound: list[Sound] = field(default_factory=list)
    size: int = 0
    start: int = 0
    """Samples before this one have their final text."""
    settled: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    fixed: int = 0
    """Tokens at the start that two results agree on."""
    features: Features | None = None
    open_words: int = 0

    def rest(self) -> Sound:
        """Return the sound from `start` on."""
        whole = np.concatenate(self.sound) if len(self.sound) > 1 else self.sound[0]
        self.sound = [whole]
        return whole[self.start :]


class MoonshineRecognizer:
    """Recognizes any number of utterances with one model.

    longest_s: seconds that the model hears at once: 26 MB of memory for 14 s, 13 MB for 10 s.
    encoders: lanes that encode sound at the same time, about half of a lane's work; None: all.
    """

    def __init__(
        self,
        folder: str,
        tokens_per_second: float = 6.5,
        longest_s: float = LONGEST_S,
        encoders: int | None = None,
    ) -> None:
        self._longest = round(longest_s * VAD_RATE)
        self._encoding = nullcontext() if encoders is None else threading.Semaphore(encoders)
        self._model = MoonshineModel(Path(folder), tokens_per_second)
        self._search = BiasedSearch(self._model, WordFollowers())
        self._open: dict[int, _Utterance] = {}
        self._model.transcribe(self._model.encode(np.zeros(VAD_RATE, np.float32)))

    def decode(
        self, job: Job, number: int, offset: int, pcm: bytes, ended: bool, open_words: int
    ) -> tuple[str, str, bool]:
        """Add sound to an utterance and recognize it.

        number: identifies the utterance; an unknown number opens one.
        offset: bytes sent before. pcm: PCM16 mono at 16 kHz. ended: the user pauses.
        open_words: words at the end of a partial text that more sound may change.
        Returns the text, the part of it that will not change, and True if sound is left to
        recognize. Raises ValueError if sound before `offset` is missing.
        """
        utterance = self._open.setdefault(number, _Utterance())
        if offset != utterance.size * 2:
            self._open.pop(number)
            raise ValueError("the sound of the utterance is incomplete")
        if pcm:
            sound = np.frombuffer(pcm, "<i2").astype(np.float32)
            sound *= 1 / 32768
            utterance.sound.append(sound)
            utterance.size += len(sound)
        if utterance.size - utterance.start < _SHORTEST:
            return " ".join(utterance.settled), "", False
        utterance.open_words = open_words
        left = self._recognize(job, utterance, ended=ended)
        text, committed = self._texts(utterance)
        return text, committed, left

    def expect(self, job: Job, words: list[str], rows: list[bytes]) -> None:
        """Prefer words that follow each other like these, of `WordFollowers`, in `alternatives`."""
        self._search = BiasedSearch(self._model, WordFollowers(words, rows))

    def alternatives(
        self, job: Job, number: int, to_request: bool, again: bool
    ) -> tuple[list[str], bool]:
        """Return other texts for the sound of the last `decode`, the best first.

        The sound supports each nearly as well as the most likely one, and each begins with the
        committed text. to_request: the most likely text is a request; return more usual ones only.
        again: hear the sound at two other speeds, which takes twice as long; the model makes other
        mistakes there. The second value is True if each piece of the most likely text was
        clear.
        """
        utterance = self._open.get(number)
        if utterance is None or utterance.features is None or utterance.settled:
            return [], True
        features, fixed = [utterance.features], utterance.fixed
        if again:
            features = self._at_other_speeds(utterance)
        likely = self._search.rate(features, utterance.tokens, fixed)
        found = self._search.run(features, utterance.tokens[:fixed], lambda: job.cancelled)
        best = max(one.likelihood for one in (likely, *found))
        least = best - (_UNLIKELY_IN_REQUEST if to_request else _UNLIKELY)
        texts = [
            cleaned(self._model.text(one.tokens))
            for one in found
            if one.likelihood > least and (one.score > likely.score or not to_request)
        ]
        return list(dict.fromkeys(filter(None, texts))), likely.least > _CLEAR

    def drop(self, job: Job, number: int) -> None:
        """Forget an utterance."""
        if self._open.pop(number, None) is not None:
            release_memory()

    def _recognize(self, job: Job, utterance: _Utterance, *, ended: bool) -> bool:
        """Recognize the next part; return True if more sound is left."""
        rest, longest = utterance.rest(), self._longest
        left = len(rest) > longest
        part = rest[: quietest(rest[:longest], round(longest * _CUT_FROM))] if left else rest
        part = leveled(part)
        if ended or left:
            part = np.pad(part, (0, _SILENCE))
        with self._encoding:
            utterance.features = self._model.encode(part)
        tokens = self._model.transcribe(
            utterance.features, utterance.tokens, utterance.fixed, lambda: job.cancelled
        )
        if job.cancelled:
            return False
        if left:
            text = cleaned(self._model.text(tokens))
            utterance.settled += [text] if text else []
            utterance.start += len(part) - _SILENCE
            utterance.tokens, utterance.fixed = [], 0
        else:
            utterance.fixed = max(utterance.fixed, self._stable(utterance, tokens))
            utterance.tokens = tokens
        return left

    def _at_other_speeds(self, utterance: _Utterance) -> list[Features]:
        """Return the features of the rest of an utterance at each of `_OTHER_SPEEDS`."""
        sound = (leveled(utterance.rest()) * 32767).astype(np.int16)
        found = []
        for longer, own in _OTHER_SPEEDS:
            resampler = Resampler(own * 1_000, longer * 1_000)
            heard = np.concatenate((resampler.convert(sound), resampler.finish()))
            part = np.pad(heard.astype(np.float32), (0, _SILENCE))
            part *= 1 / 32768
            with self._encoding:
                found.append(self._model.encode(part))
        return found

    def _stable(self, utterance: _Utterance, now: list[int]) -> int:
        """Return how many tokens two results agree on, without the last words."""
        before, kept = utterance.tokens, utterance.open_words
        pairs = zip(before, now, strict=False)
        agreed = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(before), len(now)))
        starts = [at for at in range(len(now)) if self._model.begins_word(now[at])]
        end = starts[-kept] if len(starts) > kept else 0
        whole = [at for at in (*starts, len(now)) if at <= min(agreed, end)]
        return whole[-1] if whole else 0

    def _texts(self, utterance: _Utterance) -> tuple[str, str]:
        """Return the whole text and the committed part, which it begins with."""
        alone = not (utterance.settled or utterance.fixed)
        fixed = cleaned(self._model.text(utterance.tokens[: utterance.fixed]), alone=False)
        text = cleaned(self._model.text(utterance.tokens), alone=alone)
        return (
            " ".join(filter(None, (*utterance.settled, text))),
            " ".join(filter(None, (*utterance.settled, fixed))),
        )


def cleaned(text: str, *, alone: bool = True) -> str:
    """Return the text without what the model writes for sound that is not speech.

    alone: the text is the whole utterance.
    """
    text = _OLD_SPELLING.sub(r"\1\2", " ".join(text.replace(_NOTE, " ").split()))
    if not any(letter.isalnum() for letter in text):
        return ""
    return "" if alone and text.strip(".,!? ").lower() in _INVENTED else text


def leveled(sound: Sound) -> Sound:
    """Return the sound at the level that the model hears best; its loud half decides."""
    count = len(sound) // _LEVEL_WINDOW
    windows = sound[: count * _LEVEL_WINDOW].reshape(count, _LEVEL_WINDOW)
    powers = np.sort(np.einsum("ij,ij->i", windows, windows)) / _LEVEL_WINDOW
    rms = float(np.sqrt(powers[count // 2 :].mean())) if count else 0.0
    gain = min(_MOST_GAIN, _LEVEL / rms) if rms else 1.0
    made: Sound = np.clip(sound * np.float32(gain), -1, 1)
    return made


def quietest(sound: NDArray[np.float32], begin: int) -> int:
    """Return the middle of the quietest 100 ms of the sound after the sample `begin`."""
    count = (len(sound) - begin) // _CUT_WINDOW
    windows = sound[begin : begin + count * _CUT_WINDOW].reshape(count, _CUT_WINDOW)
    energy = np.einsum("ij,ij->i", windows, windows)
    return begin + int(energy.argmin()) * _CUT_WINDOW + _CUT_WINDOW // 2
