"""Texts that sound almost like a text: one word of it exchanged for a word that sounds alike.

A decoder that knows only three words at a time writes "thirty salmon" where only "thirty seven"
makes a sentence. Distances are between the phones of CMUdict. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_FARTHEST = 1.5
_MOST_CHANGED = 0.4
_KIN = 0.5
"""Cost of exchanging a phone for one of its own group; any other change costs 1."""
_GROUPS = (
    "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW",
    "P B T D K G",
    "F V TH DH S Z SH ZH HH CH JH",
    "M N NG",
    "L R W Y",
)
_GROUP = {phone: group for group, phones in enumerate(_GROUPS) for phone in phones.split()}

Phones = tuple[str, ...]


class SoundAlikes:
    """Words of a pronouncing dictionary by how they sound."""

    def __init__(self, entries: Iterable[str]) -> None:
        """entries: lines of a dictionary, "word PH ON ES" or "word(2) PH ON ES"."""
        self._sounds: dict[str, list[Phones]] = {}
        for line in entries:
            word, *phones = line.split()
            self._sounds.setdefault(word.partition("(")[0], []).append(tuple(phones))
        self._near: dict[str, list[tuple[float, str]]] = {}

    def variants(self, text: str, most: int) -> list[str]:
        """The likest texts, the likest first; without the text itself."""
        words = text.split()
        found = sorted(
            (cost, at, other) for at, word in enumerate(words) for cost, other in self.near(word)
        )
        return [" ".join((*words[:at], other, *words[at + 1 :])) for _, at, other in found[:most]]

    def near(self, word: str) -> list[tuple[float, str]]:
        """The words that sound like this one, each with the share of it that differs."""
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


def soundalikes(dictionary: Path) -> SoundAlikes:
    """From a dictionary file. Raises OSError when it cannot be read."""
    return SoundAlikes(dictionary.read_text(encoding="utf-8").splitlines())


@lru_cache(maxsize=1 << 14)
def distance(one: Phones, other: Phones) -> float:
    """What it costs to turn one pronunciation into the other."""
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
