"""Beam search for the texts of a sound, biased to the requests that the assistant understands.

A word that never follows the previous one in sample requests costs a fixed amount of log
probability ("shallow fusion" with a language model that knows pairs of words). The result carries
the probability of the sound alone, so that a text the sound does not support can be rejected.

Source: Kannan et al., "An Analysis of Incorporating an External Language Model into a
Sequence-to-Sequence Model" (2018).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from voicechat.server.stt.moonshine_model import END, Features, MoonshineModel

_BEAMS = 8
_CANDIDATES = 24
"""Tokens that each beam tries."""
_UNKNOWN_PAIR = 3.0
"""Cost of a word that is not known to follow the one before, in log probability."""
_FAR = 4.0
"""The search ends when the best open text is this much worse than the best whole one."""
_NO_LETTER = re.compile(r"[^a-z0-9' ]")


@dataclass(frozen=True, slots=True)
class _Words:
    """A place in a text: its last whole word, the letters of the next, and if those are unknown."""

    last: str = ""
    letters: str = ""
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class _Beam:
    score: float
    """Log probability of the sound, less the costs of unknown pairs."""
    likelihood: float
    tokens: tuple[int, ...]
    words: _Words
    plain: str = ""
    """The text without punctuation. Of texts that differ only in punctuation, one is kept."""


class BiasedSearch:
    """Searches with one model. `pairs`: words that follow each other; "" is the edge of a text."""

    def __init__(self, model: MoonshineModel, pairs: Iterable[Sequence[str]]) -> None:
        self._model = model
        self._after: dict[str, set[str]] = {}
        for first, second in pairs:
            self._after.setdefault(first, set()).add(second)
        self._cost = _UNKNOWN_PAIR if self._after else 0.0
        self._beginnings: dict[str, frozenset[str]] = {}
        self._plain: dict[int, list[str]] = {}

    def run(
        self,
        features: Features,
        fixed: Sequence[int] = (),
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[tuple[float, list[int]]]:
        """Return texts as tokens, the best first, each with its log probability for the sound.

        fixed: tokens that every text begins with.
        """
        words = _Words()
        for token in fixed:
            words, _ = self._advance(words, token)
        beams = [_Beam(0.0, 0.0, (), words)]
        found: list[_Beam] = []
        decoder = self._model.beam_decoder(features, fixed)
        rows = [0]
        for _ in range(features.most - len(fixed)):
            if cancelled():
                return []
            scores = decoder.step([beam.tokens[-1:] for beam in beams], rows)
            beams, rows = self._best(beams, scores, found)
            best = max((beam.score for beam in found), default=-np.inf)
            if not beams or len(found) >= _BEAMS or beams[0].score < best - _FAR:
                break
        found.sort(key=lambda beam: -beam.score)
        return [(beam.likelihood, [*fixed, *beam.tokens]) for beam in found]

    def _best(
        self, beams: list[_Beam], scores: np.ndarray, found: list[_Beam]
    ) -> tuple[list[_Beam], list[int]]:
        """Return the best continuations and the row of each; add whole texts to `found`."""
        likely = np.argpartition(-scores, _CANDIDATES, axis=-1)[:, :_CANDIDATES]
        grown: list[tuple[int, int, _Beam]] = []
        for row, beam in enumerate(beams):
            for token in likely[row].tolist():
                words, cost = self._advance(beam.words, token)
                chance = float(scores[row, token])
                plain = beam.plain if token == END else beam.plain + "".join(self._pieces(token))
                tokens = beam.tokens if token == END else (*beam.tokens, token)
                longer = _Beam(
                    beam.score + chance - cost, beam.likelihood + chance, tokens, words, plain
                )
                grown.append((row, token, longer))
        grown.sort(key=lambda one: -one[2].score)
        seen = {(beam.plain.strip(), True) for beam in found}
        open_ones: list[_Beam] = []
        rows: list[int] = []
        for row, token, beam in grown:
            key = beam.plain.strip(), token == END
            if key in seen:
                continue
            seen.add(key)
            if token == END:
                found.append(beam)
            else:
                open_ones.append(beam)
                rows.append(row)
            if len(open_ones) == _BEAMS:
                break
        return open_ones, rows

    def _advance(self, words: _Words, token: int) -> tuple[_Words, float]:
        """Return where the text is after a token, and the cost of what is unknown in it."""
        if token == END:
            words, cost = self._end_word(words)
            return words, cost + (0.0 if "" in self._after.get(words.last, ()) else self._cost / 2)
        total = 0.0
        for piece in self._pieces(token):
            if piece == " ":
                words, cost = self._end_word(words)
            else:
                letters = words.letters + piece
                known = words.unknown or letters in self._known_beginnings(words.last)
                cost = 0.0 if known else self._cost
                words = _Words(words.last, letters, words.unknown or not known)
            total += cost
        return words, total

    def _end_word(self, words: _Words) -> tuple[_Words, float]:
        if not words.letters:
            return words, 0.0
        known = words.unknown or words.letters in self._after.get(words.last, ())
        return _Words(words.letters), 0.0 if known else self._cost

    def _pieces(self, token: int) -> list[str]:
        """Return the letters of a token in lower case, with " " between words."""
        if token not in self._plain:
            text = self._model.token_text(token).lower().replace("-", " ")
            self._plain[token] = [p for p in re.split("( )", _NO_LETTER.sub("", text)) if p]
        return self._plain[token]

    def _known_beginnings(self, word: str) -> frozenset[str]:
        """Return the beginnings of all words that follow a word."""
        if word not in self._beginnings:
            self._beginnings[word] = frozenset(
                other[:end]
                for other in self._after.get(word, ())
                for end in range(1, len(other) + 1)
            )
        return self._beginnings[word]
