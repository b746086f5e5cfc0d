"""The language model of the STT engine: a trigram of the requests that the assistant understands.

The sentences are sampled from the intent templates, so recognition and understanding use one
source. The model is built once per version and cached together with a dictionary of its words.
Standard library only.

Smoothing is interpolated absolute discounting, which an ARPA file expresses exactly: the
probability of a seen n-gram contains its share of the lower order, and the back-off weight of its
history is the mass that was subtracted.
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
"""Prefixes of offensive words, which a false recognition must not produce."""
_PRONUNCIATIONS = Path(__file__).with_name("pronunciations.dict")

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """The two files for the recognizer, and the words without a known pronunciation."""

    model: Path
    dictionary: Path
    unknown: tuple[str, ...] = ()


def kept(folder: Path, version: str, size: int) -> Language | None:
    """The model of this version and size, if it exists."""
    found = Language(folder / f"{version}-{size}.arpa", folder / f"{version}-{size}.dict")
    return found if found.model.exists() and found.dictionary.exists() else None


def language(
    folder: Path,
    stock_dictionary: Path,
    sentences: Callable[[int], Iterable[str]],
    version: str,
    size: int,
) -> Language:
    """Return the model of this version from `folder`; build it there if it is missing.

    sentences: called with `size` to build; lower-case words separated by spaces.
    version: changes with the sentences; models of other versions are removed.
    Raises OSError if the folder cannot be written.
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
    """Return a copy of the dictionary in `folder` without offensive words; create it if missing."""
    copy = folder / f"{dictionary.stem}-polite.dict"
    if not copy.exists():
        folder.mkdir(parents=True, exist_ok=True)
        lines = dictionary.read_text(encoding="utf-8").splitlines(keepends=True)
        write_atomically(copy, "".join(line for line in lines if not line.startswith(_COARSE)))
    return copy


def version_of(folder: Path, *more: object) -> str:
    """Return a name that changes with any source file in `folder` (templates and parsers)."""
    digest = hashlib.sha256(repr(more).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def write_atomically(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)


def arpa(sentences: Iterable[list[str]]) -> Iterator[str]:
    """Return the lines of an ARPA trigram model of these sentences."""
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
    """Return the word pairs that the model contains, with <s> and </s>."""
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
    """Return the probabilities of these n-grams, and the mass left to the lower order."""
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
    """Return the sentences with known pronunciations, and the words without one."""
    wanted = {word for line in sentences for word in line}
    unknown = wanted - {_headword(entry) for entry in _entries(stock_dictionary, wanted)}
    kept = [line for line in sentences if unknown.isdisjoint(line)]
    return kept, tuple(sorted(unknown))


def _entries(stock_dictionary: Path, words: set[str]) -> Iterator[str]:
    """Return the dictionary lines of these words. Own pronunciations replace the stock ones."""
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
