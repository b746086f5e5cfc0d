"""The language model of the ears: what people may say to the built-in mind, as a trigram.

Made from sentences sampled from the intent templates, so that what is recognised and what is
understood come from one source. Built once per version and kept in the cache directory together
with a dictionary of just its words. Standard library only.

Smoothing is interpolated absolute discounting, which an ARPA file expresses exactly: the
probability of a seen n-gram holds its share of the lower order, and the back-off weight of its
history is the mass that was taken away.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_START, _END = "<s>", "</s>"
_DISCOUNT = 0.7
_NEVER = -99.0
_ORDER = 3
_COARSE = (
    "asshole", "bastard", "bitch", "bullshit", "cunt", "faggot", "fuck", "motherfuck", "nigg",
    "shit", "slut", "whore",
)  # fmt: skip
"""Beginnings of words that nobody wants put into their mouth by a mishearing."""
_PRONUNCIATIONS = Path(__file__).with_name("pronunciations.dict")

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """Two files for the recogniser, and the words nobody knows how to pronounce (left out)."""

    model: Path
    dictionary: Path
    unknown: tuple[str, ...] = ()


def kept(folder: Path, version: str, size: int) -> Language | None:
    """The model of this version and size, when it has been built."""
    found = Language(folder / f"{version}-{size}.arpa", folder / f"{version}-{size}.dict")
    return found if found.model.exists() and found.dictionary.exists() else None


def language(
    folder: Path,
    stock_dictionary: Path,
    sentences: Callable[[int], Iterable[str]],
    version: str,
    size: int,
) -> Language:
    """The model of this version from `folder`, built there first when it is missing.

    sentences: called with `size` only to build; lower-case words separated by spaces.
    version: what the sentences depend on; models of other versions are removed.
    Raises OSError when the folder cannot be written.
    """
    if found := kept(folder, version, size):
        return found
    found = Language(folder / f"{version}-{size}.arpa", folder / f"{version}-{size}.dict")
    known, unknown = _pronounced(stock_dictionary, [line.split() for line in sentences(size)])
    words = {word for line in known for word in line}
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.arpa"), *folder.glob("*.dict")):
        if not old.name.startswith(version) and not old.stem.endswith("-polite"):
            old.unlink(missing_ok=True)
    write_atomically(found.dictionary, "".join(_entries(stock_dictionary, words)))
    write_atomically(found.model, "".join(arpa(known)))
    return Language(found.model, found.dictionary, unknown)


def polite(folder: Path, dictionary: Path) -> Path:
    """A copy of the dictionary in `folder` without coarse words, made there when it is missing."""
    copy = folder / f"{dictionary.stem}-polite.dict"
    if not copy.exists():
        folder.mkdir(parents=True, exist_ok=True)
        lines = dictionary.read_text(encoding="utf-8").splitlines(keepends=True)
        write_atomically(copy, "".join(line for line in lines if not line.startswith(_COARSE)))
    return copy


def version_of(folder: Path, *more: object) -> str:
    """A name that changes with any source file in `folder` (where templates and parsers live)."""
    digest = hashlib.sha256(repr(more).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)


def arpa(sentences: Iterable[list[str]]) -> Iterator[str]:
    """The lines of an ARPA trigram model of these sentences."""
    counts = _counts(sentences)
    chances: list[dict[Gram, float]] = [_single(counts[0])]
    weights: list[dict[Gram, float]] = []
    for counted in counts[1:]:
        higher, left_over = _interpolated(counted, chances[-1])
        chances.append(higher)
        weights.append(left_over)
    weights.append({})
    yield "\\data\\\n"
    for order, grams in enumerate(chances, 1):
        yield f"ngram {order}={len(grams)}\n"
    for order, (grams, left_over) in enumerate(zip(chances, weights, strict=True), 1):
        yield f"\n\\{order}-grams:\n"
        for gram, chance in sorted(grams.items()):
            yield _line(gram, chance, left_over.get(gram, 1.0), last=order == _ORDER)
    yield "\n\\end\\\n"


def pairs(model: Path) -> frozenset[tuple[str, str]]:
    """The pairs of neighbouring words, with <s> and </s>, that a model of ours has seen."""
    text = model.read_text(encoding="utf-8")
    section = text[text.index("\\2-grams:") : text.index("\\3-grams:")]
    rows = (line.split() for line in section.splitlines()[1:])
    return frozenset((row[1], row[2]) for row in rows if row)


def _counts(sentences: Iterable[list[str]]) -> list[Counter[Gram]]:
    counts: list[Counter[Gram]] = [Counter() for _ in range(_ORDER)]
    for sentence in sentences:
        words = [_START, *sentence, _END]
        for order, grams in enumerate(counts, 1):
            grams.update(zip(*(words[shift:] for shift in range(order)), strict=False))
    return counts


def _single(counts: Counter[Gram]) -> dict[Gram, float]:
    total = sum(counts.values()) - counts[_START,] + len(counts) - 1
    chances = {gram: (count + 1) / total for gram, count in counts.items()}
    chances[_START,] = 0.0
    return chances


def _interpolated(
    counts: Counter[Gram], lower: Mapping[Gram, float]
) -> tuple[dict[Gram, float], dict[Gram, float]]:
    """Chances of these n-grams, and the mass each history leaves to the lower order."""
    seen: Counter[Gram] = Counter()
    kinds: Counter[Gram] = Counter()
    for gram, count in counts.items():
        seen[gram[:-1]] += count
        kinds[gram[:-1]] += 1
    left_over = {history: _DISCOUNT * kinds[history] / seen[history] for history in seen}
    chances = {
        gram: (count - _DISCOUNT) / seen[gram[:-1]] + left_over[gram[:-1]] * lower[gram[1:]]
        for gram, count in counts.items()
    }
    return chances, left_over


def _line(gram: Gram, chance: float, left_over: float, *, last: bool) -> str:
    logarithm = math.log10(chance) if chance > 0 else _NEVER
    weight = "" if last else f" {math.log10(left_over):.4f}"
    return f"{logarithm:.4f} {' '.join(gram)}{weight}\n"


def _pronounced(
    stock_dictionary: Path, sentences: list[list[str]]
) -> tuple[list[list[str]], tuple[str, ...]]:
    """The sentences of which every word can be pronounced, and the words that cannot."""
    wanted = {word for line in sentences for word in line}
    unknown = wanted - {_headword(entry) for entry in _entries(stock_dictionary, wanted)}
    kept = [line for line in sentences if unknown.isdisjoint(line)]
    return kept, tuple(sorted(unknown))


def _entries(stock_dictionary: Path, words: set[str]) -> Iterator[str]:
    """Dictionary lines of these words; our own pronunciations come first and replace the stock."""
    own = [
        line
        for line in _PRONUNCIATIONS.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.strip() and not line.startswith("#")
    ]
    replaced = {_headword(line) for line in own}
    yield from (line for line in own if _headword(line) in words)
    with stock_dictionary.open(encoding="utf-8") as lines:
        for line in lines:
            word = _headword(line)
            if word in words and word not in replaced:
                yield line


def _headword(line: str) -> str:
    word = line.split(maxsplit=1)[0]
    return word.partition("(")[0]
