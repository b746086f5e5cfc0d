"""Clarification questions: ask the user for a missing argument of a tool."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ARGUMENTS: Mapping[str, str] = {
    "For how long?": "seconds minutes hours duration length delay",
    "Seconds, minutes or hours?": "time_unit",
    "Which unit?": "unit",
    "For what time?": "time at when clock moment",
    "For which day?": "date day",
    "Which address?": "url uri link address website",
    "Which file?": "path file filename filepath",
    "Which folder?": "folder directory dir",
    "Where?": "city location place country town where region area",
    "What should it say?": "text content message body note words",
    "What should I look for?": "query search q question pattern",
    "What should I calculate?": "expression formula calculation sum",
    "What should I add?": "item items entry",
    "How many?": "count number amount quantity value times",
}
"""Each question with the argument names it asks for."""
_QUESTIONS = {word: question for question, words in _ARGUMENTS.items() for word in words.split()}
WHICH_ONE = "Which one?"
"""The beginning of the question for one of several timers."""
_EVERY = re.compile(r"(?:both|all|every one|everything)(?: of (?:them|these|those))?")
_WHICH = re.compile(r"Which [\w ]{1,60}\?")


def question(name: str) -> str:
    """Return the question for the argument of this name, given in words like "file path"."""
    words = name.split()
    return _QUESTIONS.get(name) or _QUESTIONS.get(words[-1] if words else "") or f"Which {name}?"


def is_question(text: str) -> bool:
    """Return True if the text is a clarification question and nothing else."""
    text = text.strip()
    return text in _ARGUMENTS or (text != WHICH_ONE and _WHICH.fullmatch(text) is not None)


def requests_for(text: str, kind: str) -> tuple[str, ...]:
    """Return the requests that the answer to "Which one?" can mean, the likeliest first.

    kind: of the timers to choose from.
    """
    answer = text.strip(" .!?").lower()
    if _EVERY.fullmatch(answer):
        return (f"cancel all {kind}s",)
    answer = re.sub(r"^(?:the|my) | one$", "", answer)
    return (f"cancel the {answer}", f"cancel the {answer} {kind}")
