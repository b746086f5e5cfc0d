"""Conversations to look at: the same ones for the snapshots and for the pictures."""

from __future__ import annotations

import os

from corpus import ESCAPES
from scripted_session import ScriptedSession

from voicechat.core.events import Floor, Notice
from voicechat.core.items import ItemStatus, Role, ToolState, Usage

STORY = (
    "Once, a lighthouse keeper counted the waves and wrote each number in a book, until the"
    " sea asked her what she meant to do with them all."
)


def talk(session: ScriptedSession) -> None:
    """A spoken conversation with a tool, an interruption and an answer being heard."""
    session.you("What time is it?")
    session.voiced("It is twenty past two in the afternoon.")
    session.you("Set a timer for ten minutes, for the tea.")
    session.call(
        "set_timer",
        '{"minutes": 10, "label": "tea"}',
        ToolState.DONE,
        output='{"ends_at": "14:31", "label": "tea"}',
        elapsed_ms=38.0,
    )
    session.voiced("The tea timer is set. It rings at 14:31.")
    session.you("Tell me a story about the sea.")
    session.voiced(STORY, status=ItemStatus.INTERRUPTED, heard_chars=STORY.index(" and wrote"))
    session.you("Stop, stop. What is 17 times 23?")
    answer = "Seventeen times twenty-three is three hundred and ninety-one."
    session.voiced(answer, status=ItemStatus.IN_PROGRESS, heard_chars=answer.index(" and n"))
    session.latency_ms = 312.0
    session.usage = Usage(total_tokens=1834)
    session.turn_to(Floor.SPEAKING)
    session.levels(-48.0, -17.0)


def tools(session: ScriptedSession) -> None:
    """Tool calls in every state."""
    session.you("Look everything up, please.")
    states = list(ToolState)
    for state in states:
        done = state in {ToolState.DONE, ToolState.FAILED}
        output = {"results": [f"line {n}" for n in range(40)]} if done else None
        session.call(
            f"look_{state.value}",
            '{"query": "tides at noon", "limit": 40}' if state is not states[0] else '{"que',
            state,
            output=str(output).replace("'", '"') if output else None,
            elapsed_ms=1432.0 if state.final else None,
        )
    session.turn_to(Floor.WORKING)


def noted(session: ScriptedSession) -> None:
    """A user still being heard, a failed answer, a note."""
    session.said(Role.SYSTEM, "Connected again; the conversation goes on.")
    session.you("Where were we?")
    session.voiced("We were", status=ItemStatus.FAILED, error="the model is overloaded")
    session.you("", error="no words were recognised")
    session.you("I would like", status=ItemStatus.IN_PROGRESS)
    session.turn_to(Floor.HEARING)
    session.levels(-12.0, -100.0)


def hostile(session: ScriptedSession) -> None:
    """Text that would steer a terminal, wherever text from outside can stand."""
    session.model = session.voice = ESCAPES[0]
    for text in ESCAPES:
        session.you(text)
        session.call(text, text, ToolState.DONE, output=text)
        session.notice(Notice(text))
    session.voiced("the end of it")


def crashing(session: ScriptedSession) -> None:
    """An error nobody expected, with a secret beside it."""
    secret = os.environ["SECRET_OF_TEST"]
    raise RuntimeError(f"{len(secret)} characters were wrong")
