"""Corrections of the last request: "no, I meant twenty", "actually make it five", "tuna not tune".

A correction replaces one value in the text of the last request, and the new text must parse as the
same intent with only that value changed. So a correction can only do what a request can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from voicechat.server.assistant import intents, plausibility, sentence_words
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.numerals import cardinal_words, may_start, number
from voicechat.server.assistant.sentence_words import SentenceWords
from voicechat.server.assistant.spoken_time import clock

_SOFT = (
    "no|nope|nah|correction|on second thoughts?|better|sorry|oops|"
    "whoops|wait|actually|oh|well|um|uh|er|hang on|hold on|hmm|my mistake|i am sorry|"
    "that is (?:wrong|not right|not what i (?:said|meant|wanted))|wrong|not that|please"
)
_SUBJECT = "(?:it|that|this|(?:the|my) (?:timer|alarm|reminder|time|name|amount|number|list))"
_STRONG = (
    "i (?:actually |really |just )?(?:mean|meant|said)(?: to say)?(?: it to be)?|"
    "(?:let us |please |(?:can|could|would) you (?:please )?)?"
    f"(?:make|change|set|switch|move) {_SUBJECT}(?: to| for| into| at)?|"
    "(?:put|add) (?:it|that|them)|i wanted|"
    f"{_SUBJECT} (?:should|was supposed to|is supposed to) (?:have been|be|say)|"
    "i would rather(?: have)?|rather|call it"
)
_AFTER_SOFT = f"{_STRONG}|it is|it was|that is|let us say|try|for|i want|i wanted"
_END = r"(?: (?:instead|please|rather|i meant|i said|then))*"
_EXPLICIT = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:(?:{_SOFT}) )*(?:(?:{_STRONG}) )?not (?P<old>.+?) but (?:rather )?(?P<new>.+?){_END}",
        rf"(?:(?:{_SOFT}) )+(?:(?:{_AFTER_SOFT}) )?(?P<new>.+?) (?:and )?not (?P<old>.+?){_END}",
        rf"(?:{_STRONG}) (?P<new>.+?) (?:and )?not (?P<old>.+?){_END}",
        rf"(?:(?:{_SOFT}) )*(?:{_STRONG}) (?P<new>.+?){_END}",
        r"(?:make it |for )?(?P<new>.+?) (?:instead|i meant|i said|rather)",
    )
)
"""Corrections that say that they correct."""
_BARE = re.compile(rf"(?:(?:{_SOFT}) )+(?:(?:{_AFTER_SOFT}) )?(?P<new>.+?){_END}")
"""A new value after a word such as "no" or "sorry"."""
_OBJECTING = re.compile(r"(?:no|nope|nah|correction|wrong|not that|that is (?:wrong|not \w+))\b")
_LONGEST_BARE = 3
"""Words of free text in a bare correction."""
_SIMILAR = 0.6
"""Closeness of words that a recognizer confuses."""
_NOT_OLD = re.compile(rf"(?:(?:{_SOFT}|{_STRONG}) )*not (?P<old>.+)")
_LEADING = frozenset({"for", "at", "in", "to", "on", "the", "a", "an", "my", "with", "of", "until"})
_ADDITIVE = frozenset({"list_add", "note_add", "remember", "remind"})
"""Intents that a second request adds to, so that "actually …" does not replace the first."""
_REPLACING = re.compile(rf"(?:no|nope|nah|{_STRONG})\b")
_TIMES = frozenset({"at", "seconds", "tomorrow"})
"""Values that replace each other: a moment, or a duration."""
_NAMED_DAYS = frozenset({"today", "tomorrow"})
_ALSO = frozenset({"also", "too", "another", "well", "second"})


@dataclass(frozen=True, slots=True)
class _Reading:
    """The new value in its original spelling, and the old one if the user named it."""

    new: str
    old: str
    replaces_free: bool = True
    """False if only similar free text may be replaced."""

    def fits(self, variant: str, closeness: float) -> bool:
        """Return True if the variant may replace free text that is this similar."""
        plausible = plausibility.rule("replacement")(variant.lower().split())
        return plausible and (self.replaces_free or closeness >= _SIMILAR)


@dataclass(frozen=True, slots=True)
class _Words:
    """Consecutive words of the last request."""

    start: int
    end: int
    free: bool
    """True for free text, which a correction could replace with anything."""


def corrected(
    text: str,
    previous: str,
    meaning: Meaning | None,
    arguments: str = "",
    allow_free: bool = True,
    only_explicit: bool = False,
) -> str | None:
    """Return the corrected request; None if the text is not a correction of the previous one.

    arguments: of the tool call that the previous request made, as JSON text. allow_free: the
    correction may replace free text. only_explicit: it must say that it corrects, as in "make it"
    or "I meant".
    """
    correction = sentence_words.read(text)
    plain = " ".join(correction.plain)
    if not only_explicit and (whole := _whole_request(correction, meaning)):
        return whole
    requests = intents.parse_all(text)
    if requests and (requests[0].intent in intents.CHANGING or not _REPLACING.match(plain)):
        return None
    for reading in _readings(text, correction, plain, bare=not only_explicit):
        made = _replaced(previous, meaning, arguments, reading, allow_free and not requests)
        if made is not None:
            return made
    return None


_REPAIR = re.compile(
    r"\b(?:,? no wait|,? wait no|, no|, wait|, sorry|, actually|,? i mean|,? i meant|,? or rather|"
    r", make that|, correction)\b,? ",
    re.IGNORECASE,
)
"""Words within a sentence that replace what was said before them."""
_MOST_DROPPED = 4
"""Maximum number of words before a repair that it replaces."""


def repaired(text: str) -> str:
    """Return a request without what its speaker took back: "for ten, no, fifteen minutes".

    Other texts stay, and so does free text to keep, such as that of a note.
    """
    parts = _REPAIR.split(text)
    if not 2 <= len(parts) <= _MOST_DROPPED or _keeps_words(text):
        return text
    result = parts[0]
    for tail in parts[1:]:
        again = _repair(result, tail)
        if again is None:
            return text
        result = again
    return result


def _keeps_words(text: str) -> bool:
    """Return True for a request that ends in words to keep; entries of a list are not."""
    meaning = intents.parse(text)
    return meaning is not None and meaning.open_ended and meaning.intent != "list_add"


def _repair(head: str, tail: str) -> str | None:
    meaning = intents.parse(head)
    if meaning is not None and meaning.intent in intents.CHANGING:
        if intents.is_complete(tail):
            return tail
        if found := corrected(f"no, {tail}", head, meaning):
            return found
    words = head.split()
    for count in range(1, min(_MOST_DROPPED, len(words) - 1) + 1):
        candidate = " ".join((*words[:-count], tail))
        if intents.is_complete(candidate):
            return candidate
    return None


def objects(text: str) -> bool:
    """Return True if the text begins with "no"."""
    return sentence_words.read(text).plain[:1] in (["no"], ["nope"], ["nah"])


def _readings(text: str, correction: SentenceWords, plain: str, bare: bool) -> Iterator[_Reading]:
    """Yield what the correction can mean, the most explicit first."""
    head, comma, tail = text.rstrip(" .!?").replace(".", ",").rpartition(",")
    if comma and (found := _NOT_OLD.fullmatch(" ".join(sentence_words.read(head).plain))):
        yield _Reading(tail.strip(" .!?"), found["old"])
    for pattern in _EXPLICIT:
        if found := pattern.fullmatch(plain):
            old = found.groupdict().get("old") or ""
            yield _Reading(_span(correction, plain, *found.span("new")), old)
    if bare and (found := _BARE.fullmatch(plain)):
        new = _span(correction, plain, *found.span("new"))
        before = correction.text[: correction.text.rfind(new)].rstrip()
        set_off = before.endswith((",", ".", ";", ":", "!", "-")) or plausibility.is_name(new)
        short = len(new.split()) <= _LONGEST_BARE
        yield _Reading(new, "", bool(set_off and short and _OBJECTING.match(plain)))


def _whole_request(correction: SentenceWords, meaning: Meaning | None) -> str | None:
    """Return a correction that repeats the whole request: "no, set it for …" """
    plain = correction.plain
    if meaning is None or set(plain) & _ALSO:
        return None
    opener = re.match(rf"(?:(?:{_SOFT}|i meant|i mean|i said) )+", " ".join(plain) + " ")
    if opener is None:
        return None
    again = intents.parse(correction.text)
    if again is None:
        rest = " ".join(correction.plain)[len(opener[0]) :]
        again, text = intents.parse(rest), rest
    else:
        text = correction.text
    if again is None or again.intent != meaning.intent or again.intent not in intents.CHANGING:
        return None
    replaces = _REPLACING.match(" ".join(plain)) or meaning.intent not in _ADDITIVE
    return text if replaces else None


def _span(sentence: SentenceWords, plain: str, start: int, end: int) -> str:
    """Return the original text of a part of the plain words."""
    first = plain[:start].count(" ")
    last = first + plain[start:end].count(" ") + 1
    return sentence.span(first, last)


def _replaced(
    previous: str,
    meaning: Meaning | None,
    arguments: str,
    reading: _Reading,
    allow_free: bool,
) -> str | None:
    sentence = sentence_words.read(previous)
    spans = _spans(sentence, meaning, arguments)
    if reading.old:
        old = sentence_words.read(reading.old).plain
        found = _found(sentence.plain, old)
        spans = [_Words(found, found + len(old), free=False)] if found >= 0 else []
    candidates: list[tuple[float, str]] = []
    for span in spans:
        for variant, start, end, rank in _variants(sentence, span, reading.new):
            made = _with(sentence, variant, start, end)
            cost = _cost(made, meaning, span, bool(reading.old))
            closeness = _closeness(sentence.plain[start:end], variant)
            if cost is None or (cost and not (allow_free and reading.fits(variant, closeness))):
                continue
            candidates.append((rank + closeness - cost, made))
    return max(candidates)[1] if candidates else None


def _cost(text: str, meaning: Meaning | None, span: _Words, named: bool) -> float | None:
    """Return the cost of a corrected request: 0, more for free text, None if it is another request.

    named: the correction named the words to replace.
    """
    again = intents.parse(text)
    if meaning is None:
        return 0.0 if again is None else None
    if again is None or again.intent != meaning.intent:
        return None
    names = again.values.keys() | meaning.values.keys()
    other = {name for name in names if again.values.get(name) != meaning.values.get(name)}
    if not other or not (len(other) == 1 or named or other <= _TIMES):
        return None
    if not other & again.free:
        return 0.0
    return 2.0 if span.free else 3.0


def _variants(
    sentence: SentenceWords, span: _Words, new: str
) -> Iterator[tuple[str, int, int, float]]:
    """Yield the texts to try: text, first and last word to replace, and a rank."""
    words = new.split()
    if span.start and words and words[0].lower() in _LEADING:
        yield new, span.start - 1, span.end, 1.0
        yield new, span.start, span.end, 1.0
    while len(words) > 1 and words[0].lower() in _LEADING:
        words = words[1:]
    bare = " ".join(words)
    following = sentence.plain[span.end : span.end + 1]
    if len(words) > 1 and following == [words[-1].lower().strip(".,")]:
        yield " ".join(words[:-1]), span.start, span.end, 1.0
    yield bare, span.start, span.end, 1.0
    for start, end in _times_of_day(sentence.plain, span, bare):
        yield bare, start, end, 2.0
    for start, end in _numbers(sentence.plain, span):
        if start and words[1:] and words[0].lower() == sentence.plain[start - 1]:
            yield bare, start - 1, end, 1.0
        if number(sentence_words.read(bare).plain) is not None:
            yield bare, start, end, 0.5


def _times_of_day(words: Sequence[str], span: _Words, new: str) -> Iterator[tuple[int, int]]:
    """Yield the time within a span such as "tomorrow at five", if the new one names no day."""
    time = clock(sentence_words.read(new).plain)
    start, end = span.start, span.end
    if time is None or time.tomorrow or "today" in new.lower():
        return
    if "at" in words[start : end - 1]:
        start = words.index("at", start) + 1
    if words[end - 1] in _NAMED_DAYS:
        end -= 1
    if span.start < start < end or start < end < span.end:
        yield start, end


def _numbers(words: Sequence[str], span: _Words) -> Iterator[tuple[int, int]]:
    """Yield the numbers within a span, each in its longest form."""
    at = span.start
    while at < span.end:
        if may_start(words[at]):
            for end in range(span.end, at, -1):
                if number(words[at:end]) is not None:
                    yield at, end
                    at = end - 1
                    break
        at += 1


def _spans(sentence: SentenceWords, meaning: Meaning | None, arguments: str) -> list[_Words]:
    """Return the places of the values in the request."""
    if meaning is not None:
        return [
            _Words(start, end, name in meaning.free) for name, (start, end) in meaning.spans.items()
        ]
    found: list[_Words] = []
    for value in _mapping(arguments).values():
        words = sentence_words.read(str(value)).plain
        start = _found(sentence.plain, words)
        if words and start >= 0:
            found.append(_Words(start, start + len(words), free=False))
    return found


def _mapping(arguments: str) -> Mapping[str, object]:
    value = json.loads(arguments) if arguments else {}
    return value if isinstance(value, dict) else {}


def _found(words: Sequence[str], part: Sequence[str]) -> int:
    """Return the place of `part` in the words; -1 if it is not there."""
    places = range(len(words) - len(part) + 1)
    return next((at for at in places if list(words[at : at + len(part)]) == list(part)), -1)


def _with(sentence: SentenceWords, new: str, start: int, end: int) -> str:
    before = sentence.text[: sentence.places[start][0]]
    return before + new + sentence.text[sentence.places[end - 1][1] :]


def _closeness(replaced: Sequence[str], new: str) -> float:
    """Return how similar the words sound, from 0 to 1, by their letters."""
    return SequenceMatcher(None, _spelled(replaced), _spelled(new.split())).ratio()


def _spelled(words: Sequence[str]) -> str:
    return " ".join(cardinal_words(int(w)) if w.isdecimal() and len(w) < 10 else w for w in words)
