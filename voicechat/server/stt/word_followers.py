"""The words that follow each other in requests, as a matrix of bits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence

NUMBER = "9"
"""Stands for every number in digits."""
EDGE = ""
"""Stands for the start and the end of a text."""

Group = tuple[Collection[str], Collection[str]]
"""Words, and the words that follow each of them."""


class WordFollowers:
    """Tells which word may follow another one. About 0.5 MB for 2,000 words.

    words: sorted. rows: for each word, the bits of the words that follow it, little-endian.
    """

    def __init__(self, words: Sequence[str] = (), rows: Sequence[bytes] = ()) -> None:
        self.words = list(words)
        self.rows = list(rows)
        self._followers = {
            word: int.from_bytes(row, "little") for word, row in zip(words, rows, strict=True)
        }

    @classmethod
    def of(cls, groups: Iterable[Group]) -> WordFollowers:
        """Return the followers that these groups give."""
        listed = list(groups)
        words = sorted({word for group in listed for side in group for word in side})
        bits = {word: 1 << place for place, word in enumerate(words)}
        followers = dict.fromkeys(words, 0)
        for before, after in listed:
            mask = 0
            for word in after:
                mask |= bits[word]
            for word in before:
                followers[word] |= mask
        size = len(words) // 8 + 1
        return cls(words, [followers[word].to_bytes(size, "little") for word in words])

    def knows(self, word: str, following: str) -> bool:
        """Return True if the second word may follow the first one."""
        place = bisect_left(self.words, following)
        known = place < len(self.words) and self.words[place] == following
        return known and bool(self._followers.get(word, 0) >> place & 1)

    def knows_beginning(self, word: str, letters: str) -> bool:
        """Return True if a word that begins with these letters may follow the first one."""
        start = bisect_left(self.words, letters)
        end = bisect_left(self.words, letters + "\N{DELETE}", start)
        return bool(self._followers.get(word, 0) >> start & ((1 << (end - start)) - 1))

    def knows_all(self, words: Iterable[str]) -> bool:
        """Return True if all these words follow each other, from edge to edge."""
        last = EDGE
        for word in (*words, EDGE):
            if not self.knows(last, word):
                return False
            last = word
        return True


def plain_words(text: str) -> list[str]:
    """Return the words in lower case, without punctuation; a number in digits is `NUMBER`."""
    letters = "".join(
        one if one.isalnum() or one == "'" else " " if one in " -" else "" for one in text.lower()
    )
    return [NUMBER if word.isdigit() else word for word in letters.split()]
