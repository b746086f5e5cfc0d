"""The guardrails in the settings file: words or a pattern that a reply must not have.

[[guardrails]]
name = "prices"
words = ["price", "discount"]
say = "I can't talk about prices."
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from voicechat.config.setting_place import SettingPlace
from voicechat.config.table_reader import TableReader
from voicechat.core.folded_text import folded
from voicechat.core.guardrail import MAX_GUARDRAILS, GuardrailPolicy, GuardrailSide
from voicechat.core.linear_pattern import LinearPattern, PatternError, words_pattern
from voicechat.errors import UsageError

TABLE = "guardrails"

MAX_WORDS, MAX_WORD_CHARS = 200, 100
"""Most words of a guardrail, and characters of one."""

MAX_CHARS = 1_000
"""Characters of what a guardrail says and instructs."""

KEYS: Mapping[str, str] = {
    "name": "Name that you see when it stops a reply. Required.",
    "words": "List of words and phrases that stop a reply; whole words, in any case.",
    "pattern": "Regular expression instead of `words`; see docs/guardrails.md for its syntax.",
    "watches": f"{', '.join(GuardrailSide)}: whose words it checks; default assistant.",
    "policy": "open or closed: with closed, words are heard only after their check; default open.",
    "say": "Sentence that the assistant says instead.",
    "instructions": "Instructions for another reply instead.",
}
"""The keys of a guardrail and their meaning."""


@dataclass(frozen=True, slots=True)
class GuardrailRule:
    """A guardrail of the settings file."""

    name: str
    pattern: LinearPattern
    watches: GuardrailSide
    policy: GuardrailPolicy
    say: str = ""
    instructions: str = ""

    def search(self, text: str) -> str | None:
        """Return the first part of a text that fits, also in another spelling; else None."""
        found = self.pattern.search(text)
        if found is None and (plain := folded(text)) != text:
            found = self.pattern.search(plain)
        return found


def read(place: SettingPlace, settings: Mapping[str, object]) -> dict[str, object]:
    """Return the setting `guardrails`, if there is one. Raises `UsageError`."""
    if TABLE not in settings:
        return {}
    value = settings[TABLE]
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UsageError(f"{place(TABLE)} must be tables.", "Write [[guardrails]] above each.")
    if len(value) > MAX_GUARDRAILS:
        raise UsageError(f"{place(TABLE)} has more than {MAX_GUARDRAILS} guardrails.")
    inner = place.below(TABLE)
    rules = tuple(_rule(TableReader(inner, cast("dict[str, Any]", each), {})) for each in value)
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{place(TABLE)} has two guardrails called {name}.", "Rename one.")
    return {TABLE: rules}


def _rule(reader: TableReader) -> GuardrailRule:
    reader.check_keys(KEYS, "a setting of a guardrail")
    if "name" not in reader.table:
        raise UsageError(f"{reader.place.at()}: A guardrail has no name.", 'Write name = "…".')
    name = " ".join(reader.text("name").split())
    if len(name) > 40 or not name[0].isalnum():
        reader.refuse("name", "must begin with a letter and have at most 40 characters")
    rule = GuardrailRule(
        name,
        _pattern(reader),
        GuardrailSide(reader.one_of("watches", list(GuardrailSide), "assistant")),
        GuardrailPolicy(reader.one_of("policy", list(GuardrailPolicy), "open")),
        _line(reader, "say"),
        _line(reader, "instructions"),
    )
    if rule.watches is not GuardrailSide.USER and (found := rule.search(rule.say)):
        reader.refuse("say", f'must not have "{found}", which the guardrail itself stops')
    return rule


def _line(reader: TableReader, key: str) -> str:
    text = reader.text(key).strip() if key in reader.table else ""
    if len(text) > MAX_CHARS:
        reader.refuse(key, f"must have at most {MAX_CHARS} characters")
    return text


def _pattern(reader: TableReader) -> LinearPattern:
    if ("words" in reader.table) is ("pattern" in reader.table):
        place = reader.place.at()
        raise UsageError(f"{place}: A guardrail needs either words or a pattern.")
    key = "words" if "words" in reader.table else "pattern"
    try:
        if key == "pattern":
            return LinearPattern(reader.text(key))
        words = reader.texts(key)
        fits = all(folded(word).strip() and len(word) <= MAX_WORD_CHARS for word in words)
        if not words or not fits or len(words) > MAX_WORDS:
            reader.refuse(
                key,
                f"must be a list of up to {MAX_WORDS} words of up to {MAX_WORD_CHARS} characters",
            )
        return LinearPattern(
            words_pattern(map(folded, words)), limit=MAX_WORDS * MAX_WORD_CHARS * 4
        )
    except PatternError as problem:
        reader.refuse(key, str(problem))
