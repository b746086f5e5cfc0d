"""Requests in the instructions of one response."""

from __future__ import annotations

import pytest

from voicechat.server.assistant.chat_completions import request_body
from voicechat.server.assistant.instructed_request import instructed_request, quoted_answer
from voicechat.server.engine_protocols import AssistantRequest, Message


def asked(instructions: str, *messages: Message) -> AssistantRequest:
    return AssistantRequest(messages, instructions, own_instructions=instructions)


@pytest.mark.parametrize(
    "instructions",
    [
        "",
        "Answer in one sentence.",
        "Be brief. Use the tool. Do not set a timer.",
        "You are a math tutor. Speak slowly.",
        "Say exactly: what time is it?",
        "Write a very long essay about the history of computing.",
    ],
)
def test_instructions_without_a_request(instructions: str) -> None:
    request = asked(instructions, Message("user", "set a timer for ten minutes"))
    assert instructed_request(request) == ""
    assert quoted_answer(request) == ""


def test_the_instructions_of_the_session_are_no_request() -> None:
    request = AssistantRequest((Message("user", "My color is red"),), "What is the user's color?")
    assert quoted_answer(request) == ""


@pytest.mark.parametrize(
    ("instructions", "answer"),
    [
        (
            "What is the user's favorite number? Reply with just the number.",
            "My favorite number is 7",
        ),
        ("What color did the user mention?", "Remember: color is blue"),
        ("Be kind. Which color does the user like?", "Remember: color is blue"),
        ("What is the user’s favorite dish?", ""),
    ],
)
def test_questions_about_the_user_quote_the_newest_words(instructions: str, answer: str) -> None:
    request = asked(
        instructions,
        Message("user", "Remember: color is red"),
        Message("assistant", "Which color, and what favorite number or favorite dish?"),
        Message("user", "Remember: color is blue"),
        Message("user", "My favorite number is 7"),
    )
    assert quoted_answer(request) == (f'You said: "{answer}"' if answer else "")


def test_a_chat_model_gets_a_request_without_a_conversation_as_a_message() -> None:
    for request, roles in (
        (asked("Greet the user."), ["system", "user"]),
        (asked("Greet the user.", Message("user", "hi")), ["system", "user"]),
        (AssistantRequest((), "Be brief."), ["system"]),
    ):
        messages = request_body("m", request)["messages"]
        assert isinstance(messages, list)
        assert [message["role"] for message in messages] == roles
