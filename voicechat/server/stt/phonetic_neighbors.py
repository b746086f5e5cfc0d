"""Phonetic neighbors of a text: one word is replaced by a word that sounds similar.

A trigram decoder writes "thirty salmon" where only "thirty seven" makes a sentence. Distances are
between the phones of CMUdict. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_FARTHEST = 1.5
_MOST_CHANGED = 0.4
_KIN = 0.5
"""Cost of a phone replaced by one of the same group; any other change costs 1."""
_GROUPS = (
    "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW",
    "P B T D K G",
    "F V TH DH S Z SH ZH HH CH JH",
    "M N NG",
    "L R W Y",
)
_GROUP = {phone: group for group, phones in enumerate(_GROUPS) for phone in phones.split()}

Phones = tuple[str, ...]


class PhoneticNeighbors:
    """A pronouncing dictionary, searched by sound."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Load the entries: dictionary lines "word PH ON ES" or "word(2) PH ON ES"."""
        self._sounds: dict[str, list[Phones]] = {}
        for line in entries:
            word, *phones = line.split()
            self._sounds.setdefault(word.partition("(")[0], []).append(tuple(phones))
        self._near: dict[str, list[tuple[float, str]]] = {}

    def variants(self, text: str, most: int) -> list[str]:
        """Return the most similar texts, the best first, without the text itself."""
        words = text.split()
        found = sorted(
            (cost, at, other) for at, word in enumerate(words) for cost, other in self.near(word)
        )
        return [" ".join((*words[:at], other, *words[at + 1 :])) for _, at, other in found[:most]]

    def near(self, word: str) -> list[tuple[float, str]]:
        """Return the words that sound similar, each with the share that differs."""
        if word not in self._near:
            self._near[word] = [
                (share, other)
                for other, sounds in self._sounds.items()
                if other != word and (share := self._distance(word, sounds)) <= _MOST_CHANGED
            ]
        return self._near[word]

    def _distance(self, word: str, sounds: list[Phones]) -> float:
        return min(
            (
                distance(mine, theirs) / len(mine)
                for mine in self._sounds.get(word, ())
                for theirs in sounds
                if abs(len(mine) - len(theirs)) <= _FARTHEST
            ),
            default=1.0,
        )


def phonetic_neighbors(dictionary: Path) -> PhoneticNeighbors:
    """Load a dictionary file. Raises OSError if it cannot be read."""
    return PhoneticNeighbors(dictionary.read_text(encoding="utf-8").splitlines())


@lru_cache(maxsize=1 << 14)
def distance(one: Phones, other: Phones) -> float:
    """Return the edit distance of two pronunciations."""
    row = [float(at) for at in range(len(other) + 1)]
    for at, phone in enumerate(one, 1):
        before, row[0] = row[0], float(at)
        for place, wanted in enumerate(other, 1):
            change = 0.0 if phone == wanted else _KIN if _kin(phone, wanted) else 1.0
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + change),
            )
        if min(row) > _FARTHEST:
            return _FARTHEST + 1
    return row[-1]


def _kin(one: str, other: str) -> bool:
    return _GROUP.get(one, -1) == _GROUP.get(other, -2)
