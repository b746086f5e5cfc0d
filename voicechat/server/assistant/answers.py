"""Answers of the offline assistant: one function per intent.

A function gets an `AnswerContext` and returns the sentence to say. Only the disk makes one raise
(`VoicechatError`); the assistant says that message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from voicechat.server.assistant import date_answers, small_talk, timer_answers
from voicechat.server.assistant.answer_context import Answer, AnswerContext, to_listener
from voicechat.server.assistant.measurements import Measure, convert, other_scale
from voicechat.server.assistant.numerals import in_dozens
from voicechat.skills import arithmetic, lists
from voicechat.skills.units import conversion_sentence, spoken, unit
from voicechat.skills.wording import joined, readable, sentence

_MAX_DICE = 20
_MAX_SIDES = 1000
_MAX_RANDOM = 10**12
_MAX_COUNTED = 200
_EMPTY_WORDS = frozenset(
    ["my", "the", "a", "an", "is", "are", "i", "of", "it", "that", "to", "in", "on"]
)


# ------------------------------------------------------------------ numbers


def _convert(context: AnswerContext) -> str:
    amount, target = context.values.get("amount"), context.text("to")
    assert isinstance(amount, Measure)
    amount = other_scale(amount, target)
    value = convert(amount, target)
    if value is None:
        return f"I can't convert {spoken(amount.parts[0][1])} to {spoken(target)}."
    return sentence(conversion_sentence(str(amount), value, target))


def _unknown_unit(context: AnswerContext) -> str:
    words = (context.text("given"), context.text("target"))
    unknown = [word for word in words if unit(word.lower().split()) is None]
    return f"I don't know the unit {joined(unknown, 'or')}."


def _quantity(context: AnswerContext) -> str:
    words = context.text("dozens")
    value = in_dozens(words.split())
    return sentence(f"{words.removesuffix(' of')} is {readable(value or 0)}")


def _amount(context: AnswerContext) -> str:
    """Tell an amount with a name, such as a marathon, in two units."""
    amount = context.values.get("amount")
    assert isinstance(amount, Measure)
    value, unit = amount.parts[0]
    shown = f"{readable(value)} {spoken(unit, value)}"
    other = _COUNTERPARTS.get(unit)
    also = None if other is None else convert(amount, other)
    if other is None or also is None:
        return sentence(f"{amount} is {shown}")
    return sentence(f"{amount} is {shown}, or about {readable(round(also, 1))} {spoken(other, 2)}")


_COUNTERPARTS: Mapping[str, str] = {
    "kilometer": "mile",
    "meter_per_second": "mile_per_hour",
    "degree_Celsius": "degree_Fahrenheit",
}


def _count(context: AnswerContext) -> str:
    if "down" in context.values:
        low, high = context.whole("down", 10), 0
    else:
        low, high = context.whole("low", 1), context.whole("high", 10)
    if abs(high - low) > _MAX_COUNTED:
        return f"That would take too long. I count up to {_MAX_COUNTED} numbers."
    step = 1 if high >= low else -1
    return ", ".join(str(number) for number in range(low, high + step, step)) + "."


# ------------------------------------------------------------------ chance


def _coin(context: AnswerContext) -> str:
    count = context.whole("count", 1)
    if not 1 <= count <= _MAX_DICE:
        return f"I can flip up to {_MAX_DICE} coins."
    flips = [context.random.choice(("heads", "tails")) for _ in range(count)]
    return sentence(joined(flips))


def _dice(context: AnswerContext) -> str:
    count, sides = context.whole("count", 1), context.whole("sides", 6)
    if not 1 <= count <= _MAX_DICE or not 2 <= sides <= _MAX_SIDES:
        return f"I can roll up to {_MAX_DICE} dice with 2 to {_MAX_SIDES} sides."
    rolls = [context.random.randint(1, sides) for _ in range(count)]
    if count == 1:
        article = "an" if str(rolls[0]).startswith("8") or rolls[0] in (11, 18) else "a"
        return f"You rolled {article} {rolls[0]}."
    return f"You rolled {joined([str(roll) for roll in rolls])}. Together that's {sum(rolls)}."


def _random(context: AnswerContext) -> str:
    low, high = sorted((context.whole("low", 1), context.whole("high", 100)))
    if abs(low) > _MAX_RANDOM or abs(high) > _MAX_RANDOM:
        return "Those numbers are too large for me."
    return f"{context.random.randint(low, high)}."


def options(text: str) -> list[str]:
    """Split "red, green or blue" into its choices."""
    word = "or" if re.search(r"\bor\b", text) else "and"
    pieces = re.split(rf"\s*,\s*(?:{word}\s+)?|\s+{word}\s+", text)
    return [piece.strip() for piece in pieces if piece.strip()]


# ------------------------------------------------------------------ name and facts


def _set_name(context: AnswerContext) -> str:
    name = context.text("name")
    if name.islower():
        name = " ".join(word[:1].upper() + word[1:] for word in name.split())
    with context.notebook.edit() as pages:
        pages.name = name
    return f"Nice to meet you, {name}."


def _get_name(context: AnswerContext) -> str:
    name = context.notebook.read().name
    return f"Your name is {name}." if name else "You haven't told me your name yet."


def _remember(context: AnswerContext) -> str:
    fact = context.text("fact")
    with context.notebook.edit() as pages:
        if fact not in pages.facts:
            pages.facts.append(fact)
    return sentence(f"I'll remember that {to_listener(fact)}")


def _recall(context: AnswerContext) -> str:
    pages = context.notebook.read()
    about = context.text("about").casefold().split()
    if about:
        known = [fact for fact in pages.facts if _mentions(fact, about)]
        if not known:
            return "You haven't told me anything about that."
        return " ".join(sentence(f"You told me that {to_listener(fact)}") for fact in known[-3:])
    known = [f"your name is {pages.name}"] if pages.name else []
    known += [to_listener(fact) for fact in pages.facts]
    if not known:
        return "You haven't told me anything to remember yet."
    return sentence(f"You told me that {joined(known)}")


def _mentions(fact: str, words: list[str]) -> bool:
    """Return True if the fact contains one of the words that carry meaning."""
    wanted = {word.removesuffix("s") for word in words if word not in _EMPTY_WORDS}
    return bool(wanted & {word.strip(".,!?").removesuffix("s") for word in fact.casefold().split()})


def _forget(context: AnswerContext) -> str:
    with context.notebook.edit() as pages:
        pages.name = ""
        pages.facts.clear()
    return "I've forgotten everything you told me about yourself."


_NOTEBOOK_ANSWERS: Mapping[str, Answer] = {
    "list_add": lambda on: lists.add(on.notebook, on.text("item"), on.text("list")),
    "list_read": lambda on: lists.read(on.notebook, on.text("list")),
    "list_has": lambda on: lists.has(on.notebook, on.text("item"), on.text("list")),
    "list_remove": lambda on: lists.remove(on.notebook, on.text("item"), on.text("list")),
    "list_clear": lambda on: lists.clear(on.notebook, on.text("list")),
    "lists": lambda on: lists.names(on.notebook),
    "note_add": lambda on: lists.add_note(on.notebook, on.text("text")),
    "note_read": lambda on: lists.read_notes(on.notebook),
    "note_clear": lambda on: lists.clear_notes(on.notebook),
    "note_remove": lambda on: lists.drop_note(on.notebook),
    "name_set": _set_name,
    "name_get": _get_name,
    "remember": _remember,
    "recall": _recall,
    "forget_all": _forget,
}

ANSWERS: Mapping[str, Answer] = {
    "calculate": lambda on: arithmetic.answer(on.text("sum")),
    "convert": _convert,
    "unknown_unit": _unknown_unit,
    "quantity": _quantity,
    "amount": _amount,
    "count": _count,
    "coin": _coin,
    "dice": _dice,
    "random": _random,
    "choose": lambda on: sentence(f"I say {on.random.choice(options(on.text('options')))}"),
    "repeat": lambda on: sentence(on.text("text")),
    "spell": lambda on: f"{on.text('word')}: {', '.join(on.text('word').upper())}.",
    "control": lambda on: f"I can't {on.text('what')}.",
    "control_approved": lambda on: f"I can't {on.text('what')}.",
    "control_unavailable": lambda on: on.text("answer"),
    "again": lambda on: on.last_answer or "I haven't said anything yet.",
    "incomplete": lambda on: on.text("question"),
    "undo": lambda on: (
        "Okay." if "recent" in on.values else "Say undo alone, and then the next request."
    ),
    "continue": lambda on: on.unheard or "There is nothing to continue.",
    **_NOTEBOOK_ANSWERS,
    **date_answers.ANSWERS,
    **timer_answers.ANSWERS,
    **small_talk.ANSWERS,
}
"""The answer function of each intent."""

BLOCKING = frozenset({"amount", "convert", "greet", "unknown_unit", *_NOTEBOOK_ANSWERS})
"""Intents whose answers read the disk or load a library; they run on a thread."""
