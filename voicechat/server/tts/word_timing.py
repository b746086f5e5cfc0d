"""Times of words: the sample at which each word of a spoken clause ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


def divided(words: Sequence[str], samples: int) -> list[int]:
    """Return the sample at which each word ends, estimated from the number of its letters.

    The last word ends with the sound. Used where an engine does not report times.
    """
    letters = list(accumulate(len(word) for word in words))
    return [round(samples * reached / max(letters[-1], 1)) for reached in letters]


def aligned(counts: Sequence[int], ends: Sequence[int], words: Sequence[str]) -> list[int]:
    """Return the sample at which each written word ends, from the ends of the spoken words.

    counts: spoken words in each written word ("10:30" has two). If they do not add up, for example
    because a word is read differently in its sentence, they are estimated from the letters.
    """
    last = len(ends)
    reached = list(accumulate(counts)) if sum(counts) == last else divided(words, last)
    return [ends[count - 1] if count else 0 for count in reached]
