"""The request that sounds most like a transcript that is no request.

Speech recognition writes "set a time or four ten minutes" when the user says "set a timer for ten
minutes". The search replaces one to three words by one or two words of the templates that sound
similar, at any number of places. A beam search prefers words that follow each other in the
templates; the whole result must parse as a request. The transcript stays as it is when the sounds
differ too much, or when a request with another meaning sounds almost as similar.

A number never becomes another number, and words such as "not" and "stop" stay.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from voicechat.errors import ServerError
from voicechat.server.assistant import intents, numerals, sentence_words
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.sentence_words import SentenceWords

Phonemes = Callable[[list[str]], Awaitable[list[str]]]
"""Return the pronunciation of each word, in the phonemes of misaki."""

_SETTLED_S = 0.35
"""A text that stays for this time is probably the final one; partial texts change faster."""
LONGEST = 14
"""Maximum number of words of a transcript that is compared."""
MOST_PER_PHONEME = 0.12
"""Maximum cost of all replacements per phoneme of the transcript."""
MARGIN = 0.3
"""Cost by which the next meaning must be farther away."""
_MOST_PER_WORD = 0.36
_MOST = 1.8
_UNSEEN = 0.5
"""Cost of a pair of words that no sample sentence has."""
_REPLACED = 0.2
"""Cost of each replacement in the ranking."""
_SURE = 0.3
"""Maximum cost for a change with unusual free text."""
_AT_ONCE = 50
"""Words per call for pronunciations, because speech waits for a call."""
_PAIRS = 500
"""Usual pairs of words, which are compared like one word."""
_MOST_LIST_NAME = 0.7
"""Maximum cost to replace the unusual name of a list, like "shocking", by a usual one."""
_MOST_FREE = 0.5
_SPAN, _CHOICES, _BEAM, _PARSED = 3, 10, 30, 60
_LIKELY_WORDS = 3
"""Maximum number of words of a transcript that is compared with likely requests."""
LIKELY_PER_PHONEME = 0.2
"""Maximum cost per phoneme of a likely request."""
_SHORT = ("louder", "quieter", "slower", "faster", "repeat that", "cancel")
"""Requests of few sounds, which change nothing that the user would miss."""
_SHORT_WORDS = 2
_SURE_PER_PHONEME = 0.11
"""Maximum cost per phoneme of a short request: "slow her" is near, "letter" is not."""
_WEAK_FORMS = {"and": "ənd"}
"""Usual pronunciations of words that are unstressed within a sentence."""

_SAME = str.maketrans(dict.fromkeys("ˈˌː") | {"ᵊ": "ə", "ɐ": "ə", "ɜ": "ə", "ᵻ": "ɪ", "T": "d"})
_VOWELS = "ɑæʌəɔɛɪiʊuAIOWYQ"
_CLOSE = (
    "pb", "td", "kɡ", "fv", "θð", "sz", "ʃʒ", "ʧʤ", "ʃʧ", "ʒʤ", "mn", "nŋ", "ɪi", "ɛæ", "ʌə", "ɑɔ",
    "ʊu", "əɪ", "ɛɪ", "ɑʌ", "əɛ", "əʊ", "Aɛ", "Aɪ", "ɔO", "ɑæ", "əæ", "IA", "ɑI", "ɑW", "vð", "fθ",
)  # fmt: skip
_GROUPS = (_VOWELS, "pbtdkɡ", "fvθðszʃʒhʧʤ", "mnŋ", "lɹwj")
_CLOSE_COST, _GROUP_COST, _OTHER_COST, _ACROSS_COST = 0.25, 0.6, 1.0, 1.5
_WEAK, _WEAK_COST, _EXTRA_COST = "əɪhɹtdj", 0.5, 0.8
"""Sounds that are easily lost or added, and the cost of one; the cost of any other."""
_HOMOPHONES, _HOMOPHONE = ("two", "four"), 0.01
"""Numbers that are written for "to" and "for", and the cost below which two sounds are equal."""

_HYPHENATED = re.compile(r"\bto-(day|morrow|night)\b", re.IGNORECASE)

_KEPT = frozenset({"not", "no", "never", "stop", "start", "begin", "on", "off", "up", "down"})
"""Words that turn the meaning around, so that no replacement may add or remove one."""
_FILLERS = frozenset(
    {"ah", "buddy", "cheers", "computer", "er", "friend", "hmm", "mate", "oh", "pal", "sir"}
)
"""Words that requests can do without, so that no replacement makes one."""
_VERBATIM = frozenset({"name_set", "note_add", "remember"})
"""Intents in whose free text only homophones are replaced."""
_NEVER = frozenset({"forget_all"})
"""Intents that a replacement never gives, because they are hard to take back."""

_USUAL = frozenset(
    {"and", "my", "the", "to", "do", "shopping", "grocery", "timer", "alarm", "reminder"}
)
"""Words of values that are no free text."""

Costs = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Edge:
    """Words in place of the words `start:end` of the transcript."""

    start: int
    end: int
    cost: float
    words: tuple[str, ...]
    kept: bool = False


_NOTHING = _Edge(0, 0, 0.0, ("",))


@dataclass(frozen=True, slots=True, order=True)
class _Hypothesis:
    score: float
    """The cost, and more for words that do not follow each other in the templates."""
    cost: float
    edges: tuple[_Edge, ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A search that began before its result was needed."""

    text: str
    needed: asyncio.Event
    result: asyncio.Task[str]


class NearestRequest:
    """Finds the nearest-sounding request. Loads the pronunciations on first use."""

    def __init__(self, phonemes: Phonemes) -> None:
        self._phonemes = phonemes
        self._loading: asyncio.Task[_Search] | None = None
        self._prepared: _Prepared | None = None

    def prepare(self, text: str) -> None:
        """Search for this text when it stays for a moment, so that `correct` has the result."""
        self._forget_prepared()
        needed = asyncio.Event()
        result = asyncio.create_task(self._correct_later(text, needed))
        self._prepared = _Prepared(text, needed, result)

    async def _correct_later(self, text: str, needed: asyncio.Event) -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLED_S):
                await needed.wait()
        return await self._correct(text)

    def _forget_prepared(self) -> None:
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.result.cancel()

    def warm(self) -> None:
        """Begin to load the pronunciations, which takes about half a second."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())

    async def close(self) -> None:
        """Stop loading and searching."""
        self._forget_prepared()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    async def correct(self, text: str) -> str:
        """Return the request that sounds like the text; the text itself if there is none."""
        if self._prepared is None or self._prepared.text != text:
            return await self._correct(text)
        prepared, self._prepared = self._prepared, None
        prepared.needed.set()
        return await prepared.result

    async def _correct(self, text: str) -> str:
        text = _HYPHENATED.sub(r"to\1", text)
        sentence = sentence_words.read(text)
        meanings = intents.parse_all(text)
        if not meanings and len(sentence.plain) <= _SHORT_WORDS:
            short = await self.likely(text, _SHORT, _SURE_PER_PHONEME)
            if short != text:
                return short
        if not 1 < len(sentence.plain) <= LONGEST or not all(map(_has_unusual_list, meanings)):
            return text
        self.warm()
        assert self._loading is not None
        try:
            search = await asyncio.shield(self._loading)
            phones = [_phones(sound) for sound in await self._phonemes(sentence.plain)]
        except ServerError:
            self._loading = None
            return text
        if not all(phones):
            return text
        most = _MOST_LIST_NAME if meanings else MOST_PER_PHONEME * sum(map(len, phones))
        return await asyncio.to_thread(search.nearest, sentence, phones, most) or text

    async def likely(
        self, text: str, requests: Sequence[str], most: float = LIKELY_PER_PHONEME
    ) -> str:
        """Return the one of a few likely requests that a short text sounds like, or the text.

        most: maximum cost per phoneme. The default is more than for `correct`: "and do that" is
        "undo that".
        """
        plain = sentence_words.read(text).plain
        if not 0 < len(plain) <= _LIKELY_WORDS or intents.parse_all(text):
            return text
        words = sorted({*plain, *" ".join(requests).split()})
        try:
            spoken = dict(zip(words, await self._phonemes(words), strict=True)) | _WEAK_FORMS
        except ServerError:
            return text
        heard, *sounds = (
            _phones("".join(spoken[word] for word in sentence))
            for sentence in (plain, *map(str.split, requests))
        )
        entries: dict[tuple[str, ...], str] = {
            (request,): sound for request, sound in zip(requests, sounds, strict=True)
        }
        fits = [
            edge
            for edge in _Vocabulary(entries).near([heard], 0)
            if edge.cost <= most * len(entries[edge.words])
        ]
        return min(fits, key=lambda edge: edge.cost).words[0] if fits else text

    async def _load(self) -> _Search:
        pairs = await asyncio.to_thread(intents.sample_pairs)
        words = sorted({word for pair in pairs for word in pair if word and _is_compared(word)})
        spoken: dict[str, str] = {}
        for at in range(0, len(words), _AT_ONCE):
            some = words[at : at + _AT_ONCE]
            spoken |= zip(some, await self._phonemes(some), strict=True)
        return await asyncio.to_thread(_search, pairs, words, spoken)


def _search(
    pairs: Counter[tuple[str, str]], words: list[str], spoken: Mapping[str, str]
) -> _Search:
    usual = [pair for pair, _ in pairs.most_common(_PAIRS) if set(pair) <= spoken.keys()]
    entries: list[tuple[str, ...]] = [*((word,) for word in words), *usual]
    sounds = {entry: _phones("".join(spoken[word] for word in entry)) for entry in entries}
    return _Search(_Vocabulary(sounds), frozenset(pairs))


class _Search:
    """Searches for requests that sound like a sentence."""

    def __init__(self, sounds: _Vocabulary, pairs: frozenset[tuple[str, str]]) -> None:
        """Take the vocabulary and all pairs of words that follow each other in the templates."""
        self._sounds = sounds
        self._usual = _usual_free_text()
        named = itertools.product(self._usual, ("timer", "list"))
        self._pairs = pairs.union(named)

    def nearest(self, sentence: SentenceWords, phones: list[str], most: float) -> str:
        """Return the request that sounds like the sentence; empty if none is near enough.

        most: maximum cost of all replacements.
        """
        found: dict[str, tuple[_Hypothesis, str]] = {}
        for hypothesis in self._hypotheses(sentence.plain, phones):
            text = _written(sentence, hypothesis.edges)
            meaning = intents.parse(text)
            if meaning is None or meaning.intent in _NEVER:
                continue
            if len(found) > 1:
                break
            if self._is_plausible(hypothesis, meaning, text):
                found.setdefault(f"{meaning.intent} {dict(meaning.values)}", (hypothesis, text))
        ranked = list(found.values())
        if not ranked:
            return ""
        best, text = ranked[0]
        unsure = len(ranked) > 1 and ranked[1][0].score - best.score < MARGIN
        return "" if unsure or best.cost > most else text

    def _is_plausible(self, found: _Hypothesis, meaning: Meaning, text: str) -> bool:
        """Return True if words were replaced, and free text is neither made up nor most of it.

        Usual free text, like "pasta" of a timer, may come from a replacement. A change with
        unusual free text, like "call me mother", needs nearly equal sounds.
        """
        values = [value for value in meaning.values.values() if isinstance(value, str)]
        free = [value for value in values if value in text]
        words = [word for value in free for word in value.lower().split()]
        unusual = not self._usual.issuperset(words)
        mostly_free = len(words) > _MOST_FREE * len(text.split())
        if (mostly_free and found.cost >= _HOMOPHONE) or (
            unusual and meaning.intent in intents.CHANGING and found.cost > _SURE
        ):
            return False
        replaced = [edge for edge in found.edges if edge.start < edge.end and not edge.kept]
        usual = frozenset[str]() if meaning.intent in _VERBATIM else self._usual
        return bool(replaced) and not any(
            f" {' '.join(edge.words)} " in f" {value} ".lower()
            and (edge.cost >= _HOMOPHONE or any(map(_is_number, edge.words)))
            and not usual.issuperset(edge.words)
            for edge in replaced
            for value in free
        )

    def _hypotheses(self, words: list[str], phones: list[str]) -> list[_Hypothesis]:
        """Return the best hypotheses, the best first."""
        beams: list[list[_Hypothesis]] = [[] for _ in range(len(words) + 1)]
        beams[0] = [_Hypothesis(0.0, 0.0, (_NOTHING,))]
        for at in range(len(words)):
            edges = [_Edge(at, at + 1, 0.0, (words[at],), kept=True)]
            edges += [
                edge
                for edge in self._sounds.near(phones[at : at + _SPAN], at)
                if edge.words != tuple(words[at : edge.end])
                and _keeps_numbers(words, edge)
                and _KEPT.intersection(edge.words) == _KEPT.intersection(words[at : edge.end])
            ]
            best = sorted(beams[at])[:_BEAM]
            for edge in edges:
                beams[edge.end] += [self._grown(one, edge) for one in best]
        return sorted(self._grown(one, _NOTHING) for one in sorted(beams[-1])[:_PARSED])

    def _grown(self, one: _Hypothesis, edge: _Edge) -> _Hypothesis:
        unseen = self._unseen((one.edges[-1], edge)) - self._unseen(one.edges[-1:])
        replaced = edge.start < edge.end and not edge.kept
        score = one.score + edge.cost + _UNSEEN * unseen + _REPLACED * replaced
        return _Hypothesis(score, one.cost + edge.cost, (*one.edges, edge))

    def _unseen(self, edges: Sequence[_Edge]) -> int:
        """Return the number of pairs of words that no sample sentence has."""
        words = itertools.chain.from_iterable(edge.words for edge in edges)
        return sum(pair not in self._pairs for pair in itertools.pairwise(words))


class _Vocabulary:
    """Pronunciations of words, all compared at once."""

    def __init__(self, sounds: Mapping[tuple[str, ...], str]) -> None:
        known = [(words, sound) for words, sound in sounds.items() if sound]
        self._words = [words for words, _ in known]
        self._lengths = np.array([len(sound) for _, sound in known])
        size = int(self._lengths.max())
        alphabet = sorted({phone for _, sound in known for phone in sound})
        self._index = {phone: at for at, phone in enumerate(alphabet)}
        self._alphabet = alphabet
        self._ids = np.array(
            [[self._index[phone] for phone in sound.ljust(size, sound[-1])] for _, sound in known]
        ).T
        self._inserted = np.array([_extra(phone) for phone in alphabet], np.float32)[self._ids]
        self._columns: dict[str, Costs] = {}

    def near(self, span: Sequence[str], start: int) -> Iterator[_Edge]:
        """Yield words that sound like the first one, two or three parts of the span."""
        costs = np.concatenate(
            (np.zeros_like(self._inserted[:1]), np.cumsum(self._inserted, axis=0))
        )
        everyone = np.arange(len(self._words))
        for count, sound in enumerate(span, 1):
            for phone in sound:
                costs = self._next(costs, phone)
            reached = costs[self._lengths, everyone]
            length = sum(map(len, span[:count]))
            for at in np.argsort(reached, kind="stable")[:_CHOICES]:
                cost = float(reached[at])
                if cost <= min(_MOST, _MOST_PER_WORD * max(length, int(self._lengths[at]))):
                    yield _Edge(start, start + count, cost, self._words[at])

    def _next(self, costs: Costs, phone: str) -> Costs:
        """Return the edit distances after one more phoneme, shape (phonemes + 1, words)."""
        extra = _extra(phone)
        column = self._columns.get(phone)
        if column is None:
            changed = np.array([_changed(phone, other) for other in self._alphabet], np.float32)
            column = self._columns[phone] = changed[self._ids]
        grown = costs + np.float32(extra)
        np.minimum(grown[1:], costs[:-1] + column, out=grown[1:])
        for row in range(1, len(grown)):
            np.minimum(grown[row], grown[row - 1] + self._inserted[row - 1], out=grown[row])
        return grown


def _is_compared(word: str) -> bool:
    """Return True unless the word has signs or is a filler like "uh"."""
    return word.isalpha() and word not in _FILLERS and sentence_words.read(word).plain == [word]


def _has_unusual_list(meaning: Meaning) -> bool:
    name = str(meaning.values.get("list", ""))
    return "list" in meaning.free and not _usual_free_text().issuperset(name.lower().split())


@cache
def _usual_free_text() -> frozenset[str]:
    """Return the words that the templates suggest for timers, lists and their entries."""
    path = files("voicechat.server.assistant") / "phrases" / "vocabulary.toml"
    vocabulary = tomllib.loads(path.read_text("utf-8"))
    texts = (vocabulary[kind] for kind in ("items", "labels", "list_names"))
    return frozenset(" ".join(texts).replace("|", " ").split()) | _USUAL


def _phones(sound: str) -> str:
    return "".join(sign for sign in sound.translate(_SAME) if sign.isalpha())


def _extra(phone: str) -> float:
    return _WEAK_COST if phone in _WEAK else _EXTRA_COST


def _changed(one: str, other: str) -> float:
    """Return the cost of a phoneme in place of another."""
    if one == other:
        return 0.0
    if any(one in pair and other in pair for pair in _CLOSE):
        return _CLOSE_COST
    if any(one in group and other in group for group in _GROUPS):
        return _GROUP_COST
    return _ACROSS_COST if (one in _VOWELS) != (other in _VOWELS) else _OTHER_COST


def _keeps_numbers(words: Sequence[str], edge: _Edge) -> bool:
    """Return True if the numbers stay, except for a homophone: "four" and "for".

    A letter next to a number, "nine t", is a part of the number that was not understood.
    """
    span = words[edge.start : edge.end]
    before = [word for word in span if _is_number(word)]
    after = [word for word in edge.words if _is_number(word)]
    if before == after:
        near = words[max(0, edge.start - 1) : edge.end + 1]
        letters = any(len(word) == 1 and word not in "ai" for word in span)
        return not (letters and any(_is_number(word) for word in near))
    free = not before or (not after and all(word in _HOMOPHONES for word in before))
    return free and edge.cost < _HOMOPHONE


def _is_number(word: str) -> bool:
    return word[0].isdigit() or numerals.number([word]) is not None


def _written(sentence: SentenceWords, edges: Sequence[_Edge]) -> str:
    """Return the text of a hypothesis; words that did not change keep their spelling."""
    shared = Counter(sentence.places)
    words: list[str] = []
    for edge in edges:
        whole = edge.kept and shared[sentence.places[edge.start]] == 1
        words += [sentence.span(edge.start, edge.end)] if whole else edge.words
    return " ".join(words).strip()
