"""Questions of MCP servers to the user (elicitation): a form with simple fields, or a web page.

A question waits for the user and is answered once. Only a typed command or a key may answer it.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from voicechat.core import effects
from voicechat.core.text import clean, excerpt, one_of
from voicechat.errors import UsageError

MAX_FIELDS = 20
"""Fields of a form; a question with more is not shown."""

MAX_CHOICES = 100
"""Choices of a field that are shown."""

MAX_WAITING = 8
"""Questions that wait at the same time; further ones are dismissed."""

TEXT_LIMIT = 1_000
"""Characters of a message or a description."""

MAX_NUMBER = sys.float_info.max
"""Largest number, also of a whole one, so that it can be compared and printed."""

_PRIVATE = re.compile(r"pass|secret|token|key|pin\b|card", re.IGNORECASE)

_WORDS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}

Value = str | int | float | bool | list[str]


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form."""

    name: str
    kind: str
    """string, integer, number, boolean, or array for several of the choices."""
    label: str = ""
    """Title and description, for the user."""
    choices: tuple[tuple[str, str], ...] = ()
    """Value and title of each choice; empty for free text."""
    required: bool = False
    default: Value | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    """minimum, maximum, minLength, maxLength of the schema."""

    @property
    def shown(self) -> str:
        """The field for the user: its meaning, its choices and its default."""
        parts = [self.label] if self.label else []
        if self.choices:
            titles = excerpt(", ".join(title for _, title in self.choices), TEXT_LIMIT)
            one = "one or more of" if self.kind == "array" else "one of"
            parts.append(f"{one if len(self.choices) > 1 else 'only'} {titles}")
        elif self.kind == "boolean":
            parts.append("yes or no")
        elif self.kind in {"integer", "number"}:
            parts.append("a number")
        if self.default is not None:
            parts.append(f"default {excerpt(clean(str(self.default)))}")
        elif not self.required:
            parts.append("not required")
        return "; ".join(parts) or "text"

    def value(self, text: str) -> Value:
        """Convert what the user typed. Raises `UsageError` for what does not fit."""
        text = text.strip()
        if self.kind == "array":
            return [self._choice(each) for each in text.split(",") if each.strip()]
        if self.choices:
            return self._choice(text)
        if self.kind == "boolean":
            if text.lower() not in _WORDS:
                raise UsageError(f"{self.name} must be yes or no.")
            return _WORDS[text.lower()]
        if self.kind in {"integer", "number"}:
            return self._number(text)
        self._check_limits(len(text), "Length", f"{self.name} has {len(text)} characters")
        return text

    def _choice(self, text: str) -> str:
        wanted = text.strip().lower()
        for value, title in self.choices:
            if wanted in {value.lower(), title.lower()}:
                return value
        titles = excerpt(one_of(title for _, title in self.choices), TEXT_LIMIT)
        raise UsageError(f"{self.name} must be {titles}.")

    def _number(self, text: str) -> int | float:
        try:
            value = int(text) if self.kind == "integer" else float(text)
        except ValueError:
            what = "a whole number" if self.kind == "integer" else "a number"
            raise UsageError(f"{self.name} must be {what}.") from None
        if not abs(value) <= MAX_NUMBER:
            raise UsageError(f"{self.name} must be a number, and not so large.")
        self._check_limits(value, "imum", f"{self.name} is {text}")
        return value

    def _check_limits(self, value: float, suffix: str, found: str) -> None:
        least = self.limits.get(f"min{suffix}", float("-inf"))
        most = self.limits.get(f"max{suffix}", float("inf"))
        if value < least:
            raise UsageError(f"{found}; it must be at least {least:g}.")
        if value > most:
            raise UsageError(f"{found}; it must be at most {most:g}.")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question."""

    action: Literal["accept", "decline", "cancel"]
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Question:
    """A question that waits for the user."""

    number: int
    """The number with which the user answers it."""
    source: str
    message: str
    fields: tuple[FormField, ...] = ()
    url: str = ""
    """A web page on which the user answers; then there are no fields."""
    answered: asyncio.Future[Answer] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    is_withdrawn: bool = False

    @property
    def end(self) -> str:
        """The end of the question, to follow its source in a sentence."""
        if self.is_withdrawn or not self.answered.done() or self.answered.cancelled():
            return "needs no answer any more"
        accepted = self.answered.result().action == "accept"
        return "has your answer" if accepted else "gets no answer"

    @property
    def template(self) -> str:
        """The command that answers it, up to the first value."""
        names = [each.name for each in self.fields if each.required] or [
            each.name for each in self.fields
        ]
        values = "".join(f" {name}=" for name in names) if len(self.fields) > 1 else " "
        return f"/answer {self.number}{values}" if self.fields else f"/answer {self.number}"

    @property
    def usage(self) -> str:
        """The command that answers it, with places for the values."""
        if len(self.fields) == 1:
            return f"{self.template}VALUE"
        return self.template.replace("=", "=…")

    @property
    def shown(self) -> str:
        """The message, the web page and the fields in one text."""
        fields = (f"{each.name} ({each.shown})" for each in self.fields)
        parts = [self.message, *([f"Page: {self.url}"] if self.url else []), ", ".join(fields)]
        return " ".join(part for part in (*parts, self.remark) if part)

    @property
    def remark(self) -> str:
        """A warning about fields that look like a password, or ""."""
        names = [each.name for each in self.fields if _PRIVATE.search(f"{each.name} {each.label}")]
        return f"Do not enter a password or a key ({', '.join(names)})." if names else ""


class Questions:
    """The questions of a session that wait for the user."""

    def __init__(self, notify: Callable[[effects.Notice], None]) -> None:
        self._notify = notify
        self._waiting: dict[int, Question] = {}
        self._numbers = count(1)

    @property
    def waiting(self) -> tuple[Question, ...]:
        """The questions, the oldest first."""
        return tuple(self._waiting.values())

    async def ask(
        self, source: str, message: str, fields: tuple[FormField, ...] = (), url: str = ""
    ) -> Answer:
        """Show a question and wait for the answer."""
        if len(self._waiting) >= MAX_WAITING:
            return Answer("cancel")
        shown = clean(message).strip()[:TEXT_LIMIT] or "May it continue?"
        question = Question(next(self._numbers), source, shown, fields, url)
        with self._shown(question):
            return await question.answered

    @contextmanager
    def _shown(self, question: Question) -> Iterator[None]:
        self._waiting[question.number] = question
        self._notify(
            effects.Notice(
                f"The {question.source} asks: {question.shown}",
                effects.Level.WARNING,
                f"Type {question.usage} or /decline {question.number}.",
                "It gets no answer, because no user is present.",
            )
        )
        try:
            yield
        finally:
            del self._waiting[question.number]
            self._notify(effects.Notice(f"The {question.source} {question.end}."))

    def answer(self, number: int, text: str) -> Question:
        """Answer with `name=value …`, or with the value of the only field.

        Raises `UsageError` for a number that does not wait or a value that does not fit.
        """
        question = self._get(number)
        self._settle(question, Answer("accept", read_values(question.fields, text)))
        return question

    def decline(self, number: int) -> Question:
        """Decline to answer. Raises `UsageError` for a number that does not wait."""
        question = self._get(number)
        self._settle(question, Answer("decline"))
        return question

    def withdraw(self, source: str) -> None:
        """Dismiss the questions of a source that no longer needs an answer."""
        for question in self.waiting:
            if question.source == source:
                question.is_withdrawn = True
                self._settle(question, Answer("cancel"))

    def dismiss_all(self) -> None:
        """Dismiss all questions, because no user is present."""
        for question in self.waiting:
            self._settle(question, Answer("cancel"))

    def _settle(self, question: Question, answer: Answer) -> None:
        if not question.answered.done():
            question.answered.set_result(answer)

    def _get(self, number: int) -> Question:
        question = self._waiting.get(number)
        if question is None or question.answered.done():
            raise UsageError("No question with this number waits for an answer.")
        return question


def read_values(fields: tuple[FormField, ...], text: str) -> dict[str, Value]:
    """Read `name=value …`. Raises `UsageError` for what is missing or does not fit."""
    found = _typed(fields, text.strip())
    values: dict[str, Value] = {}
    for each in fields:
        if found.get(each.name, "").strip():
            values[each.name] = each.value(found[each.name])
        elif each.default is not None:
            values[each.name] = each.default
        elif each.required:
            raise UsageError(f"{each.name} is missing.", f"Write {each.name}=VALUE.")
    return values


def _typed(fields: tuple[FormField, ...], text: str) -> dict[str, str]:
    """Split at the names of the fields; a text without names is the value of the only field."""
    if not fields:
        return {}
    names = "|".join(re.escape(each.name) for each in fields)
    parts = re.split(rf"(?:^|\s)({names})=", text)
    if parts[0].strip():
        if len(fields) == 1 and len(parts) == 1:
            return {fields[0].name: text}
        raise UsageError(f"{parts[0].strip()[:40]!r} belongs to no field.", "Write NAME=VALUE.")
    return dict(zip(parts[1::2], parts[2::2], strict=True))
