"""How likely a spoken request ends with the words so far.

"What is seven times twenty" is complete, but "three" may follow after a pause. Sample requests tell
how often one ends after the same last words: after both, or after the last one if the pair is rare.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise

from voicechat.server.assistant import intents, sentence_words

_SAMPLES = 10_000
_USUAL = 0.2
"""Share of words of the samples that are the last."""
_WEIGHT = 4
"""Samples that the shorter context counts as."""

_Words = tuple[str, ...]


def warm() -> None:
    """Make the sample requests, which takes a third of a second; until then, all are closed."""
    _samples()


@cache
def _samples() -> tuple[Counter[_Words], Counter[_Words]]:
    """Return how often words follow each other in requests, and how often a request ends there."""
    found: Counter[_Words] = Counter()
    ends: Counter[_Words] = Counter()
    for sentence in intents.sample_sentences(_SAMPLES, 1):
        words = ["", *sentence.split()]
        for before, word in pairwise(words):
            found.update(((word,), (before, word)))
        ends.update(((words[-1],), (words[-2], words[-1])))
    return found, ends


def end_chance(text: str) -> float:
    """Return the chance from 0 to 1 that a request ends with this text; 0.0 for no request."""
    if not intents.is_closed(text):
        return 0.0
    if not _samples.cache_info().currsize:
        return 1.0
    found, ends = _samples()
    words = ["", *sentence_words.read(text).plain]
    chance = _USUAL
    for context in ((words[-1],), (words[-2], words[-1])):
        chance = (ends[context] + _WEIGHT * chance) / (found[context] + _WEIGHT)
    return chance
