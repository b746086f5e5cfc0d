"""Word times for speech whose engine reports none: an estimate by the number of letters.

While the sound of a text still arrives, its length is unknown. A word then takes the pace of the
texts spoken before. At the end, the sound that is left is divided among the words that are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from voicechat.server.engine_protocols import SpokenWords
from voicechat.server.tts.word_timing import divided
from voicechat.speech.pcm import Samples

_WORD = re.compile(r"\s*\S+\s*")
_SECONDS_PER_LETTER = 0.06
"""Typical of English at normal speed, with spaces."""
_SHARE = 0.5
"""Weight of the newest text in the pace."""


def split_words(text: str) -> list[str]:
    """Split a text into words, each with the spaces around it. Joined, they are the text."""
    return _WORD.findall(text) or ([text] if text else [])


def spread_words(text: str, samples: Samples) -> list[SpokenWords]:
    """Divide the whole sound of a text among its words by the number of letters.

    The joined texts are the text, the joined sounds are the samples.
    """
    words = split_words(text)
    ends = [0, *divided(words, len(samples))] if words else []
    sounds = (samples[start:end].astype("<i2").tobytes() for start, end in pairwise(ends))
    return [SpokenWords(word, sound) for word, sound in zip(words, sounds, strict=True)]


class SpeakingPace:
    """The pace of a voice, learned from the texts that it has spoken. rate: in Hz."""

    def __init__(self, rate: int) -> None:
        self.samples_per_letter = _SECONDS_PER_LETTER * rate

    def learn(self, letters: int, samples: int) -> None:
        """Take in a text that was spoken to its end."""
        if letters and samples:
            self.samples_per_letter += _SHARE * (samples / letters - self.samples_per_letter)


class StreamedWords:
    """Divides sound that still arrives among the words of a text.

    The last word waits for the end. The joined texts are the text, the joined sounds are the
    sound.
    """

    def __init__(self, text: str, pace: SpeakingPace) -> None:
        self._text = text
        self._words = split_words(text)
        self._pace = pace
        self._sound: Samples = np.empty(0, np.int16)
        self.total = 0
        """Samples received."""

    def add(self, samples: Samples) -> Iterator[SpokenWords]:
        """Add sound; yield the words that it completes."""
        self.total += len(samples)
        self._sound = np.concatenate((self._sound, samples))
        while len(self._words) > 1:
            size = int(len(self._words[0]) * self._pace.samples_per_letter)
            if size > len(self._sound):
                return
            sound, self._sound = self._sound[:size], self._sound[size:]
            yield SpokenWords(self._words.pop(0), sound.astype("<i2").tobytes())

    def finish(self) -> Iterator[SpokenWords]:
        """Yield the words that are left, with the sound that is left."""
        self._pace.learn(len(self._text), self.total)
        rest, self._words = "".join(self._words), []
        yield from spread_words(rest, self._sound)
