"""Comparison of parsed meanings with the corpus."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voicechat.server.assistant import confirmation, intents
from voicechat.server.assistant.measurements import Measure
from voicechat.server.assistant.numerals import cardinal_words
from voicechat.skills import arithmetic

_NOW = datetime(2026, 3, 6, 15, 20, tzinfo=UTC)
CORPUS = Path(__file__).with_name("corpus")


def corpus(name: str) -> Any:
    """Load a corpus file: a list of entries, each with text, intent and values."""
    return json.loads((CORPUS / f"{name}.json").read_text("utf-8"))


def values_of(meaning: intents.Meaning) -> dict[str, Any]:
    """Return the values of a meaning in the plain form of the corpus."""
    plain: dict[str, Any] = {}
    for name, value in meaning.values.items():
        if isinstance(value, Measure):
            plain["amount"], plain["from"] = float(value.parts[0][0]), value.parts[0][1]
        elif isinstance(value, tuple):
            plain[name] = value[0]
        elif name == "sum":
            plain["value"] = float(arithmetic.evaluate(str(value)))
        else:
            plain[name] = value
    return plain


def same(wanted: Any, found: Any) -> bool:
    """Compare a value of the corpus with a parsed one."""
    if isinstance(wanted, bool):
        return bool(found) == wanted
    if isinstance(wanted, int | float):
        return found is not None and abs(float(found) - wanted) < 1e-9
    if isinstance(wanted, list):
        return all(option in str(found) for option in wanted)
    return american(str(found).casefold()) == american(wanted.casefold())


def american(text: str) -> str:
    """Normalize spellings that sound the same."""
    text = text.replace("mum", "mom")
    return re.sub(r"\d{1,6}", lambda number: cardinal_words(int(number[0])), text)


ALIASES = {"grocery": "shopping", "groceries": "shopping"}


def right(text: str, entry: Mapping[str, Any]) -> bool:
    """Return True if the text parses to the intent and values of the corpus entry."""
    meaning = intents.parse(text)
    if meaning is None or meaning.intent != entry["intent"]:
        return False
    found = values_of(meaning)
    if "list" in found:
        found["list"] = ALIASES.get(found["list"], found["list"])
    return all(same(value, found.get(name)) for name, value in entry["values"].items())


_HARMLESS = {"goodbye", "stop"}
"""Changes that only speak, or end speech."""


def changes_at_once(text: str) -> list[str]:
    """Return the intents with which the assistant changes something, without a question."""
    meanings = [one for one in intents.parse_all(text) if "recent" not in one.values]
    if confirmation.question(meanings, _NOW):
        return []
    return [one.intent for one in meanings if one.intent in intents.CHANGING - _HARMLESS]


def fits(entry: Mapping[str, Any]) -> bool:
    """Return True if the text of the corpus entry parses as the entry says."""
    return right(entry["text"], entry)
