"""What a user is shown of a call before they decide: all of it, in words, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass

from voicechat.core.confusables import remarks
from voicechat.core.items import ToolCall
from voicechat.core.text import clean

MOST_FIELDS = 40
"""Arguments that are shown one by one; more are shown as the text they came in."""

MOST_INDENTED = 8
"""Times that a value may grow when it is laid out in lines."""

MOST_LAID_OUT = 200
"""Lines a value is laid out in; a longer one is shown in a row."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that waits for a decision, ready to be shown."""

    name: str
    source: str
    fields: tuple[tuple[str, str], ...]
    """The arguments, each under its name; one without a name is the text as it came."""
    remarks: tuple[str, ...]
    """What cannot be seen in them, in words."""
    lasting: bool
    """True if the answer may count for later calls, too."""
    forever: bool
    """True if it may even be kept beyond the session."""


def asked(call: ToolCall) -> Asked:
    """What is to be shown of this call."""
    fields, twice = _fields(call.arguments)
    found = [call.remark] if call.remark else []
    found += [f"“{name}” is given twice; the last one counts." for name in twice]
    for text in (call.name, *(each for field in fields for each in field)):
        found += remarks(text)
    return Asked(
        name=call.name,
        source=f"{call.server}, run by the provider" if call.server else call.source,
        fields=fields,
        remarks=tuple(dict.fromkeys(found)),
        lasting=not call.asks_always,
        forever=not call.asks_always and not call.server,
    )


def lines(shown: Asked) -> list[str]:
    """The arguments and the remarks, for a mode of whole lines; every line begins with a mark."""
    found = []
    for name, text in shown.fields:
        found.append(f"| {_one_line(name)}:" if name else "| as it came:")
        found += [f"|   {line}" for line in text.split("\n")]
    if not shown.fields:
        found.append("| without arguments")
    told = [line for remark in shown.remarks for line in remark.split("\n")]
    return found + [f"! {line}" for line in told]


def _fields(arguments: str) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Name and text of every argument; and the names that stand there twice."""
    twice: list[str] = []

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in found]
        twice.extend(sorted({name for name in names if names.count(name) > 1}))
        return dict(found)

    try:
        given = json.loads(arguments or "{}", object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or twice or "" in given or len(given) > MOST_FIELDS:
        return (("", arguments),), twice
    return tuple((name, _text(value)) for name, value in given.items()), twice


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    short = json.dumps(value, ensure_ascii=False)
    long = json.dumps(value, ensure_ascii=False, indent=2) if value else short
    # Deep nesting would be mostly indentation.
    fits = len(long) <= MOST_INDENTED * len(short) and long.count("\n") < MOST_LAID_OUT
    return clean(long if fits else short)


def _one_line(name: str) -> str:
    return name if name.isprintable() else repr(name)
