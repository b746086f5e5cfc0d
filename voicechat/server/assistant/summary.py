"""A summary of the conversation without a language model: the questions and the answers."""

from __future__ import annotations

from collections.abc import Sequence

from voicechat.server.engine_protocols import Message

MOST = 5
"""Number of exchanges in the summary; earlier ones are only counted."""

LONGEST = 120
"""Maximum characters of a question or an answer."""


def summary(messages: Sequence[Message]) -> str:
    """Return a summary of the conversation in a few sentences."""
    exchanges: list[tuple[str, list[str]]] = []
    for message in messages:
        text = " ".join(message.text.split())
        if message.role == "user" and text:
            exchanges.append((text, []))
        elif message.role == "assistant" and text and exchanges:
            exchanges[-1][1].append(text)
    if not exchanges:
        return "Nothing has been said yet."
    sentences = [_sentence(asked, " ".join(answers)) for asked, answers in exchanges[-MOST:]]
    earlier = len(exchanges) - len(sentences)
    if earlier:
        sentences.insert(0, f"First you said {earlier} other thing{'s' if earlier > 1 else ''}.")
    return " ".join(sentences)


def _sentence(asked: str, answer: str) -> str:
    said = f"You said “{_shortened(asked)}”"
    return f"{said}, and I answered “{_shortened(answer)}”." if answer else f"{said}."


def _shortened(text: str) -> str:
    text = text.rstrip(".")
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0] + "…"
