"""The parts of a conversation that decide the reply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import takewhile

from voicechat.server.engine_protocols import Message


def new_results(messages: Sequence[Message]) -> list[Message]:
    """Return the new tool results, in order.

    The result of a call that the newest message of the user interrupted is not new: the user
    waits for the answer to the message.
    """
    newest = list(takewhile(lambda one: one.role in ("tool_result", "tool_call"), messages[::-1]))
    results = [one for one in newest[::-1] if one.role == "tool_result"]
    before = messages[: len(messages) - len(newest)]
    if not before or before[-1].role != "user":
        return results
    calls = {one.call_id for one in newest if one.role == "tool_call"}
    return [one for one in results if one.call_id in calls]


def is_failure(result: Message) -> bool:
    """Return True if the tool did not do its work."""
    try:
        value: object = json.loads(result.text)
    except ValueError:
        return False
    return isinstance(value, Mapping) and bool(value.get("error"))


def new_system_messages(messages: Sequence[Message]) -> str:
    """Return the system messages since the last turn, for example of a timer that rang."""
    news: list[str] = []
    for message in reversed(messages):
        if message.role != "system":
            return " ".join(news[::-1])
        news.append(message.text)
    return ""  # System messages before the first turn are instructions.


def spoken(messages: Sequence[Message]) -> list[Message]:
    """Return the messages of the user and the assistant."""
    return [one for one in messages if one.role in ("user", "assistant")]


def user_texts(messages: Sequence[Message]) -> tuple[str, str]:
    """Return the newest message of the user, and the one before; empty if there is none."""
    texts = [one.text.strip() for one in messages if one.role == "user"]
    newest, previous = [*reversed(texts), "", ""][:2]
    return newest, previous
