"""Intents of the offline assistant: parse a sentence, and sample sentences that parse.

Both use the templates in `phrases/`. Loading takes tens of milliseconds and happens once, at the
first call or in `warm()`.

hassil does not fit: its slots are lists, ranges and wildcards, ours are parsers (sums, durations,
times of day) that decide between templates.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib.resources import files
from random import Random

from voicechat.server.assistant import plausibility, sentence_words, slots, template_words
from voicechat.server.assistant.measurements import Measure, alike
from voicechat.server.assistant.slots import Span
from voicechat.server.assistant.spoken_time import ClockTime
from voicechat.server.assistant.templates import Network, Part, Slot, parse_template, write

INCOMPLETE = "incomplete"
"""The intent of a request that lacks a value; the answer is a question for it."""
_MAX_REQUESTS = 5
_KEPT_MEANINGS = 64
"""Number of texts whose meanings are kept; one turn parses its text several times."""
_SAMPLES = 30_000
_COURTESY_SHARE = 0.04
"""Share of the sample sentences that begin or end with a courtesy like "please"."""
_FILES = ("clock", "timers", "numbers", "lists", "chance", "memory", "talk", "control")
CHANGING = frozenset(
    {
        "alarm_set", "control", "control_approved", "forget_all", "goodbye", "list_add",
        "list_clear", "list_remove", "name_set",
        "note_add", "note_clear", "note_remove", "remember", "remind", "stop", "timer_cancel",
        "timer_change",
        "timer_set", "undo",
    }
)  # fmt: skip
"""Intents that change something, so that a false recognition does harm."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One understood request: the name of the intent and its values (numbers, seconds, text)."""

    intent: str
    values: Mapping[str, object] = field(default_factory=dict)
    open_ended: bool = False
    """True if the sentence ends in free text, so that more of it may follow."""
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False)
    """The words of each value, as the range of their places in the sentence."""
    free: frozenset[str] = field(default=frozenset(), compare=False)
    """The values that are free text."""


@dataclass(frozen=True, slots=True)
class _Template:
    intent: str
    parts: list[Part]
    fixed: Mapping[str, object]
    open: str
    """The value that takes all words to the end of the sentence; empty if there is none."""
    spelled: str
    """The value that must be spelled as a name; empty if there is none."""
    weight: float


@dataclass(frozen=True, slots=True)
class _Grammar:
    templates: list[_Template]
    network: Network
    leads: Network
    """Matches the words that can begin a request."""
    slots: Mapping[str, Slot]
    rules: Mapping[str, list[Part]]


@cache
def _grammar() -> _Grammar:
    folder = files("voicechat.server.assistant") / "phrases"

    def load(name: str) -> dict[str, object]:
        return tomllib.loads((folder / f"{name}.toml").read_text("utf-8"))

    vocabulary = {
        name: text.split("|") for name, text in load("vocabulary").items() if isinstance(text, str)
    }
    kinds = slots.build(vocabulary)
    rules: dict[str, list[Part]] = {}
    templates: list[_Template] = []
    for name in ("shared", *_FILES):
        document = load(name)
        rules |= {
            rule: list(parse_template(text)) for rule, text in _table(document, "rules").items()
        }
        templates += [one for group in _groups(document) for one in _templates(group)]
    network = Network(kinds, rules)
    network.allow_around(rules["lead"], rules["tail"])
    for template in templates:
        network.add(template.parts)
    leads = Network(kinds, rules)
    leads.allow_around(rules["lead"], [])
    leads.add(rules["lead"])
    return _Grammar(templates, network, leads, kinds, rules)


def _table(document: Mapping[str, object], name: str) -> Mapping[str, str]:
    table = document.get(name, {})
    assert isinstance(table, dict)
    return table


def _groups(document: Mapping[str, object]) -> list[dict[str, object]]:
    groups = document.get("phrases", [])
    assert isinstance(groups, list)
    return groups


def _templates(group: Mapping[str, object]) -> list[_Template]:
    say, fixed, weight = group["say"], group.get("values", {}), group.get("weight", 1)
    assert isinstance(say, list)
    assert isinstance(fixed, dict)
    assert isinstance(weight, int)
    intent, rest = str(group["intent"]), str(group.get("open", ""))
    name = str(group.get("spelled", ""))
    return [
        _Template(intent, list(parse_template(text)), fixed, rest, name, weight / (place + 2))
        for place, text in enumerate(say)
    ]


def warm() -> None:
    """Load the templates and parse one sentence, so that the next call is fast."""
    parse("what time is it")


@lru_cache(_KEPT_MEANINGS)
def parse(text: str) -> Meaning | None:
    """Return the intent of the sentence; None unless all of it is one known request."""
    sentence = sentence_words.read(text)
    if not 0 < len(sentence.plain) <= sentence_words.LONGEST:
        return None
    grammar = _grammar()
    found = grammar.network.match(sentence.plain)
    if found is None:
        return None
    template = grammar.templates[found.template]
    values: dict[str, object] = dict(template.fixed)
    spans = dict(found.spans)
    free: set[str] = set()
    for name, value in found.values.items():
        if isinstance(value, Span):
            start, end = spans[name]
            end = len(sentence.plain) if name == template.open else end
            spans[name], value = (start, end), sentence.span(start, end)
            free.add(name)
        values[name] = value
    moment = values.get("at")
    if isinstance(moment, ClockTime) and moment.tomorrow:
        values["tomorrow"], spans["tomorrow"] = replace(moment, tomorrow=False), spans.pop("at")
        del values["at"]
    if template.spelled and not plausibility.is_name(str(values[template.spelled])):
        return None
    if not plausibility.is_statement(template.intent, values, text):
        return None
    open_ended = any(spans[name][1] == len(sentence.plain) for name in free)
    return Meaning(template.intent, values, open_ended, spans, frozenset(free))


_SENTENCE_END = re.compile(r"(?<=[.?!;])\s+")
_JOINTS = frozenset({"and", "then"})


def parse_all(text: str) -> list[Meaning]:
    """Return the requests in the text: one, several sentences, or two joined by "and".

    Empty unless every part of the text is a request.
    """
    whole = parse(text)
    if whole is not None:
        return [whole]
    sentences = [piece for piece in _SENTENCE_END.split(text) if piece.strip()]
    if 1 < len(sentences) <= _MAX_REQUESTS:
        parts = [parse(piece) for piece in sentences]
        return [part for part in parts if part] if all(parts) else []
    pieces = text.split()
    if len(pieces) > 2 * sentence_words.LONGEST:
        return []
    for at in range(1, len(pieces) - 1):
        if pieces[at].lower() in _JOINTS and (first := parse(" ".join(pieces[:at]))):
            second = parse(" ".join(pieces[at + 1 :]))
            if second:
                return [first, second]
    return []


def is_complete(text: str) -> bool:
    """Return True if the text is one complete request that makes sense."""
    meaning = parse(text)
    return meaning is not None and meaning.intent != INCOMPLETE and _makes_sense(meaning)


def is_request(text: str) -> bool:
    """Return True if the text is one or more complete requests that make sense."""
    meanings = parse_all(text)
    return bool(meanings) and all(map(_makes_sense, meanings))


def is_closed(text: str) -> bool:
    """Return True if the text is complete and not likely to continue.

    It ends neither in free text nor in a word that often begins a request, such as "no" or "hello".
    """
    meaning = parse(text)
    if meaning is None or meaning.open_ended or not is_complete(text):
        return False
    return _grammar().leads.match(sentence_words.read(text).plain) is None


def changes(text: str) -> bool:
    """Return True if the text asks for a change, which needs a reliable recognition."""
    meaning = parse(text)
    return meaning is not None and meaning.intent in CHANGING


def _makes_sense(meaning: Meaning) -> bool:
    """Reject a conversion between different kinds of units, such as feet to minutes."""
    amount, target = meaning.values.get("amount"), meaning.values.get("to")
    return not isinstance(amount, Measure) or target is None or alike(amount, str(target))


@cache
def sample_pairs() -> Counter[tuple[str, str]]:
    """Return the pairs of words that follow each other in sample requests, and how often.

    "" is before the first word and after the last. Takes half a second once.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for sentence in sample_sentences(_SAMPLES, 1):
        words = sentence.split()
        pairs.update(zip(["", *words], [*words, ""], strict=True))
    return pairs


def word_followers() -> list[template_words.Group]:
    """Return the words that follow each other in requests. Takes half a second."""
    grammar = _grammar()
    complete = [one.parts for one in grammar.templates if one.intent != INCOMPLETE]
    return template_words.followers(complete, grammar.slots, grammar.rules)


def sample_sentences(count: int, seed: int) -> list[str]:
    """Return sentences that parse as requests: lower-case words, numbers as words.

    Every intent gets its share. The same count and seed give the same sentences.
    """
    grammar, random = _grammar(), Random(seed)
    templates = [template for template in grammar.templates if template.intent != INCOMPLETE]
    weights = [template.weight for template in templates]
    sentences = []
    for template in random.choices(templates, weights, k=count):
        sentence = write(template.parts, random, grammar.slots, grammar.rules)
        if random.random() < _COURTESY_SHARE:
            sentence = (
                f"{write(grammar.rules['lead'], random, grammar.slots, grammar.rules)} {sentence}"
            )
        if random.random() < _COURTESY_SHARE:
            sentence = (
                f"{sentence} {write(grammar.rules['tail'], random, grammar.slots, grammar.rules)}"
            )
        sentences.append(sentence_words.contracted(" ".join(sentence.split()), random))
    return sentences
