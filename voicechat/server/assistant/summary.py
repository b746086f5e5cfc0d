"""A conversation summed up without a language model: what was asked, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence

from voicechat.server.engine_protocols import Message

MOST = 5
"""Exchanges that are told; of earlier ones only how many there were."""

LONGEST = 120
"""Characters of a question or an answer."""


def summary(messages: Sequence[Message]) -> str:
    """The conversation in a few sentences, the newest part of it in full."""
    exchanges: list[tuple[str, list[str]]] = []
    for message in messages:
        text = " ".join(message.text.split())
        if message.role == "user" and text:
            exchanges.append((text, []))
        elif message.role == "assistant" and text and exchanges:
            exchanges[-1][1].append(text)
    if not exchanges:
        return "Nothing was said yet."
    told = [_told(asked, " ".join(answers)) for asked, answers in exchanges[-MOST:]]
    earlier = len(exchanges) - len(told)
    if earlier:
        told.insert(0, f"First you said {earlier} other thing{'s' if earlier > 1 else ''}.")
    return " ".join(told)


def _told(asked: str, answer: str) -> str:
    said = f"You said “{_short(asked)}”"
    return f"{said}, and I answered “{_short(answer)}”." if answer else f"{said}."


def _short(text: str) -> str:
    text = text.rstrip(".")
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0] + "…"
