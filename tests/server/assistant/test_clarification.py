"""Clarification questions, and the sentences that answer them."""

import json

import pytest
from assistant_talk import SkillTalk, ToolTalk

from voicechat.server.assistant.clarification import is_question, question
from voicechat.server.assistant.offline_assistant import OfflineAssistant
from voicechat.server.engine_protocols import AssistantRequest, Call, Message, Say, ToolOffer

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
def test_questions_are_natural(name, words):
    assert question(name) == words
    assert is_question(words)


@pytest.mark.parametrize("text", ["Which one?", "It is noon.", "Which one? You have 3 timers."])
def test_other_answers_are_not_questions(text):
    assert not is_question(text)


async def say(assistant, messages, text):
    messages.append(Message("user", text))
    thoughts = [
        one
        async for one in assistant.reply(AssistantRequest(messages=messages, tools=(TIMER, ALARM)))
    ]
    words = " ".join(one.text for one in thoughts if isinstance(one, Say))
    if words:
        messages.append(Message("assistant", words))
    return words or [
        (one.name, json.loads(one.arguments)) for one in thoughts if isinstance(one, Call)
    ]


async def test_the_next_sentence_answers_unless_it_asks_for_something_itself(tmp_path):
    assistant, messages = OfflineAssistant(tmp_path), []
    await assistant.open()
    try:
        assert await say(assistant, messages, "set a timer") == "For how long?"
        assert await say(assistant, messages, "set an alarm") == "For what time?"
        assert await say(assistant, messages, "set a timer") == "For how long?"
        assert "For how long" not in await say(assistant, messages, "why are you asking")
        assert await say(assistant, messages, "set a timer") == "For how long?"
        assert await say(assistant, messages, "for ten minutes") == [
            ("set_timer", {"seconds": 600})
        ]
    finally:
        await assistant.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("The tea timer.", "Your tea timer is canceled."),
        ("tea", "Your tea timer is canceled."),
        ("The tea one.", "Your tea timer is canceled."),
        ("the ten minute one", "Your 10 minute timer is canceled."),
        ("Ten minutes.", "Your 10 minute timer is canceled."),
        ("Both.", "Both timers are canceled."),
        ("all of them", "Both timers are canceled."),
    ],
)
@pytest.mark.parametrize("kind", [SkillTalk, ToolTalk])
async def test_the_answer_chooses_one_of_several_timers(tmp_path, kind, answer, said):
    talk = kind(tmp_path)
    await talk("set a timer for ten minutes")
    await talk("set a tea timer for five minutes")
    assert (await talk("cancel the timer")).startswith("Which one?")
    assert await talk(answer) == said


async def test_another_sentence_chooses_no_timer(tmp_path):
    talk = SkillTalk(tmp_path)
    await talk("set a timer for ten minutes")
    await talk("set a tea timer for five minutes")
    await talk("cancel the timer")
    await talk("I am not sure about that")
    assert (await talk("what timers are running")).startswith("You have 2 timers")


@pytest.mark.parametrize(
    ("text", "question", "answer", "said"),
    [
        ("Set a timer.", "For how long?", "Ten minutes.", "Okay, 10 minutes, starting now."),
        ("I need a timer.", "For how long?", "For ten minutes", "Okay, 10 minutes, starting now."),
        ("Set an alarm.", "For what time?", "7:30 p.m.", "Your alarm is set, at 7:30 PM"),
        (
            "Remind me to call mom.",
            "For what time?",
            "In ten minutes.",
            "Okay, I'll remind you in 10 minutes: call mom.",
        ),
        (
            "Remind me tomorrow to call mom.",
            "For what time?",
            "Nine a.m.",
            "Okay, I'll remind you at 9:00 AM tomorrow, while voicechat runs: call mom.",
        ),
    ],
)
@pytest.mark.parametrize("kind", [SkillTalk, ToolTalk])
async def test_a_missing_value_is_asked_for(tmp_path, kind, text, question, answer, said):
    talk = kind(tmp_path)
    assert await talk(text) == question
    assert (await talk(answer)).startswith(said)
