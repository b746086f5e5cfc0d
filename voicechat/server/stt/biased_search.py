"""Beam search for the texts of a sound, biased to the requests that the assistant understands.

A word that never follows the previous one in requests costs a fixed amount of log
probability ("shallow fusion" with a language model that knows pairs of words). The result carries
the probability of the sound alone, so that a text the sound does not support can be rejected.

Source: Kannan et al., "An Analysis of Incorporating an External Language Model into a
Sequence-to-Sequence Model" (2018).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicechat.server.stt.moonshine_model import END, Features, MoonshineModel
from voicechat.server.stt.word_followers import EDGE, NUMBER, WordFollowers

_BEAMS = 8
_CANDIDATES = 24
"""Tokens that each beam tries."""
_UNKNOWN_PAIR = 3.0
"""Cost of a word that is not known to follow the one before, in log probability."""
_FAR = 4.0
"""The search ends when the best open text is this much worse than the best whole one."""
_WIDTH = 10.0
"""A text that is this much worse than the best one is given up."""
Scores = NDArray[np.float32]

_NO_LETTER = re.compile(r"[^a-z0-9' ]")


@dataclass(frozen=True, slots=True)
class _Words:
    """A place in a text: its last whole word, the letters of the next, and if those are unknown."""

    last: str = EDGE
    letters: str = ""
    unknown: bool = False


_START = _Words()


@dataclass(frozen=True, slots=True)
class _Beam:
    score: float
    """Log probability of the sound, less the costs of unknown pairs."""
    likelihood: float
    tokens: tuple[int, ...]
    words: _Words
    plain: str = ""
    """The text without punctuation. Of texts that differ only in punctuation, one is kept."""


@dataclass(frozen=True, slots=True)
class Found:
    """A text as tokens. score: `likelihood` less the costs of unknown pairs."""

    score: float
    likelihood: float
    """Log probability of the sound."""
    tokens: list[int]
    least: float = 0.0
    """The lowest log probability of a token, if the text was rated."""


class BiasedSearch:
    """Searches with one model. known: the words that follow each other in requests."""

    def __init__(self, model: MoonshineModel, known: WordFollowers) -> None:
        self._model = model
        self._known = known
        self._cost = _UNKNOWN_PAIR if known.words else 0.0
        self._plain: dict[int, list[str]] = {}

    def run(
        self,
        features: Sequence[Features],
        fixed: Sequence[int] = (),
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Found]:
        """Return texts, the best score first.

        features: of one sound, heard in one way or more; the log probabilities are their mean.
        fixed: tokens that every text begins with.
        """
        words, _ = self._read(fixed)
        beams = [_Beam(0.0, 0.0, (), words)]
        found: list[_Beam] = []
        decoders = [self._model.beam_decoder(each, fixed) for each in features]
        rows = [0]
        for _ in range(max(each.most for each in features) - len(fixed)):
            if cancelled():
                return []
            last = [beam.tokens[-1:] for beam in beams]
            scores = _mean([decoder.step(last, rows) for decoder in decoders])
            beams, rows = self._best(beams, scores, found)
            best = max((beam.score for beam in found), default=-np.inf)
            near = sum(beam.score > best - _FAR for beam in found)
            if not beams or near >= _BEAMS or beams[0].score < best - _FAR:
                break
        found.sort(key=lambda beam: -beam.score)
        return [Found(beam.score, beam.likelihood, [*fixed, *beam.tokens]) for beam in found]

    def rate(self, features: Sequence[Features], tokens: Sequence[int], fixed: int = 0) -> Found:
        """Return a text with its score and likelihood, comparable to those of `run`.

        fixed: the number of tokens at its start that are not rated.
        """
        chances = _mean([self._model.chances(each, tokens) for each in features])[fixed:]
        likelihood = float(chances.sum())
        words, _ = self._read(tokens[:fixed])
        _, cost = self._read([*tokens[fixed:], END], words)
        return Found(likelihood - cost, likelihood, list(tokens), float(chances.min()))

    def _read(self, tokens: Sequence[int], words: _Words = _START) -> tuple[_Words, float]:
        """Return where the text is after these tokens, and the cost of what is unknown in it."""
        total = 0.0
        for token in tokens:
            words, cost = self._advance(words, token)
            total += cost
        return words, total

    def _best(
        self, beams: list[_Beam], scores: Scores, found: list[_Beam]
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
            if beam.score < grown[0][2].score - _WIDTH:
                break
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
            ends = self._known.knows(words.last, EDGE)
            return words, cost + (0.0 if ends else self._cost / 2)
        total = 0.0
        for piece in self._pieces(token):
            if piece == " ":
                words, cost = self._end_word(words)
            else:
                letters = words.letters + piece
                letters = NUMBER if letters.isdigit() else letters
                known = words.unknown or self._known.knows_beginning(words.last, letters)
                cost = 0.0 if known else self._cost
                words = _Words(words.last, letters, words.unknown or not known)
            total += cost
        return words, total

    def _end_word(self, words: _Words) -> tuple[_Words, float]:
        if not words.letters:
            return words, 0.0
        known = words.unknown or self._known.knows(words.last, words.letters)
        return _Words(words.letters), 0.0 if known else self._cost

    def _pieces(self, token: int) -> list[str]:
        """Return the letters of a token in lower case, with " " between words."""
        if token not in self._plain:
            text = self._model.token_text(token).lower().replace("-", " ")
            self._plain[token] = [p for p in re.split("( )", _NO_LETTER.sub("", text)) if p]
        return self._plain[token]


def _mean(scores: Sequence[Scores]) -> Scores:
    """Return the mean of log probabilities of the same shape."""
    return scores[0] if len(scores) == 1 else np.mean(scores, axis=0)
