"""What a person is asked for, and when their next sentence is the answer to that."""

import json

import pytest

from voicechat.server.assistant.clarification import is_question, question
from voicechat.server.assistant.offline_assistant import BuiltInMind
from voicechat.server.engine_protocols import Call, Message, Request, Say, ToolOffer

TIMER = ToolOffer(
    "set_timer",
    "Start a timer that rings aloud. seconds: how long.",
    {"type": "object", "properties": {"seconds": {"type": "number"}}, "required": ["seconds"]},
)
ALARM = ToolOffer(
    "set_alarm",
    "Set an alarm that rings aloud. time: like 07:30.",
    {"type": "object", "properties": {"time": {"type": "string"}}, "required": ["time"]},
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("seconds", "For how long?"),
        ("time", "For what time?"),
        ("file path", "Which file?"),
        ("url", "Which address?"),
        ("command", "Which command?"),
        ("favourite colour", "Which favourite colour?"),
    ],
)
def test_it_is_asked_for_as_a_person_would(name, words):
    assert question(name) == words
    assert is_question(words)


@pytest.mark.parametrize("text", ["Which one?", "It is noon.", "Which one? You have 3 timers."])
def test_other_answers_are_no_such_questions(text):
    assert not is_question(text)


async def say(mind, messages, text):
    messages.append(Message("user", text))
    thoughts = [one async for one in mind.reply(Request(messages=messages, tools=(TIMER, ALARM)))]
    words = " ".join(one.text for one in thoughts if isinstance(one, Say))
    if words:
        messages.append(Message("assistant", words))
    return words or [
        (one.name, json.loads(one.arguments)) for one in thoughts if isinstance(one, Call)
    ]


async def test_the_next_sentence_answers_unless_it_asks_for_something_itself(tmp_path):
    mind, messages = BuiltInMind(tmp_path), []
    await mind.open()
    try:
        assert await say(mind, messages, "set a timer") == "For how long?"
        assert await say(mind, messages, "set an alarm") == "For what time?"
        assert await say(mind, messages, "set a timer") == "For how long?"
        assert "For how long" not in await say(mind, messages, "why are you asking")
        assert await say(mind, messages, "set a timer") == "For how long?"
        assert await say(mind, messages, "for ten minutes") == [("set_timer", {"seconds": 600})]
    finally:
        await mind.close()
