"""Parts of the session instructions that the offline assistant can follow."""

from __future__ import annotations

import re

_VERB = r"\b(?:say|repeat|reply|respond|answer|output|read|speak|write)\b"
_EXACT = (
    r"(?:exactly|verbatim|literally|word for word|the following|nothing but"
    r"|(?:the|this|these) (?:single |exact )?(?:words?|sentence|phrase|text|message|number))"
)
_SAY = re.compile(
    rf"{_VERB}[\w ]{{0,24}}? {_EXACT}\s*[:,-]?\s*(?P<words>.+)", re.IGNORECASE | re.DOTALL
)
_COLON = re.compile(rf"{_VERB}[\w ]{{0,24}}:\s*(?P<words>.+)", re.IGNORECASE | re.DOTALL)
_LITERAL = re.compile(rf"{_VERB}[\w ]{{0,24}}? {_EXACT}\s*:", re.IGNORECASE)
_QUOTED = re.compile(rf"{_VERB}[\w ]{{0,24}}[:,]?\s*[\"“](?P<words>[^\"”]+)[\"”]", re.IGNORECASE)
_OPEN = re.compile(r"(?:what|whatever|how|as|when|in|the user|each|every)\b", re.IGNORECASE)
_ONLY_IF = re.compile(r"\b(?:if|when|whenever|unless|never|don't|do not|after|before)\b", re.I)
_GREET = re.compile(r"\b(?:greet|welcome|introduce yourself|say (?:hello|hi))\b", re.IGNORECASE)
_NAME = re.compile(
    r"\b(?i:your name is|you are called|call yourself|you are named)\s+[\"“]?([A-Z][\w-]{0,30})"
)
_SUMMARY = re.compile(
    r"\s*(?:please )?(?:summari[sz]e|sum up) (?:this|the|our) conversation", re.IGNORECASE
)
_LONGEST = 4000


def exact_words(instructions: str) -> str:
    """Return the exact words to say ("Say exactly: Hello."), or an empty string.

    Conditional instructions ("when asked, say …") are not supported and give nothing.
    """
    for pattern in (_QUOTED, _COLON, _SAY):
        for found in pattern.finditer(instructions):
            before = re.split(r"[.!?\n]", instructions[: found.start()])[-1]
            is_open = _OPEN.match(found["words"]) and not _LITERAL.match(found[0])
            if not _ONLY_IF.search(before) and not is_open:
                return _unquoted(found["words"])[:_LONGEST]
    return ""


def _unquoted(text: str) -> str:
    text = text.strip()
    for opening, closing in ('""', "“”", "''", "‘’"):
        if len(text) > 2 and text[0] == opening and text[-1] == closing:
            return text[1:-1].strip()
    return text


def wants_greeting(instructions: str) -> bool:
    """Return True if the instructions ask for a greeting."""
    return _GREET.search(instructions) is not None


def wants_summary(instructions: str) -> bool:
    """Return True if the instructions only ask for a summary of the conversation."""
    return _SUMMARY.match(instructions) is not None


def own_name(instructions: str) -> str:
    """Return the name that the instructions give the assistant, or an empty string."""
    found = _NAME.search(instructions)
    return found[1] if found else ""
