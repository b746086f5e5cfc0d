"""Sentences that may be requests: the assistant asks first, and open speech changes nothing."""

from pathlib import Path

import pytest
from assistant_talk import SkillTalk, ToolTalk
from meanings import changes_at_once

from voicechat.server.assistant.offline_assistant import OfflineAssistant
from voicechat.server.engine_protocols import AssistantRequest, Message

OPEN_SPEECH = Path(__file__).with_name("heard_open_speech.txt").read_text("utf-8").splitlines()
"""Sentences of people who talk to each other, as a recognizer prints them, errors included."""


@pytest.fixture(params=[SkillTalk, ToolTalk])
def talk(request, tmp_path):
    return request.param(tmp_path)


def test_open_speech_changes_nothing_at_once():
    assert len(OPEN_SPEECH) > 500
    assert [(text, changes_at_once(text)) for text in OPEN_SPEECH if changes_at_once(text)] == []


@pytest.mark.parametrize(
    ("text", "question", "done"),
    [
        (
            "Give me a minute.",
            "Should I set a timer for 1 minute?",
            "Okay, 1 minute, starting now.",
        ),
        (
            "ten minutes from now",
            "Should I set a timer for 10 minutes?",
            "Okay, 10 minutes, starting now.",
        ),
        ("I'm Serious.", "Should I call you Serious?", "Nice to meet you, Serious."),
        ("I'm Team Coke.", "Should I call you Team Coke?", "Nice to meet you, Team Coke."),
        (
            "Don't forget that we have dinner at eight.",
            "Should I remember that you have dinner at eight?",
            "I'll remember that you have dinner at eight.",
        ),
    ],
)
async def test_a_yes_does_what_the_assistant_asks_about(talk, text, question, done):
    assert await talk(text) == question
    assert await talk("Yes, please.") == done
    assert await talk("yes") != done


async def test_a_time_is_asked_about_with_its_day(tmp_path):
    talk = SkillTalk(tmp_path)
    question = "Should I set an alarm for 6:00 AM tomorrow?"
    assert await talk("I have to get up at six tomorrow.") == question
    assert await talk("sure") == "Your alarm is set, at 6:00 AM tomorrow, while voicechat runs."


@pytest.mark.parametrize(
    "text", ["No.", "never mind", "what time is it", "Yes, that was a nice day."]
)
async def test_another_answer_does_nothing(talk, text):
    await talk("Give me five minutes.")
    await talk(text)
    assert await talk("yes") != "Okay, 5 minutes, starting now."
    assert await talk("what timers are running") == "There is no timer running."


async def test_a_question_can_be_corrected(talk):
    await talk("Give me five minutes.")
    assert await talk("No, I meant ten.") == "Should I set a timer for 10 minutes?"
    assert await talk("yes") == "Okay, 10 minutes, starting now."


@pytest.mark.parametrize("text", ["I'm Antoine.", "I'm Ada Lovelace."])
async def test_a_likely_name_is_not_asked_about(talk, text):
    assert (await talk(text)).startswith("Nice to meet you, A")


async def test_a_remark_undoes_only_a_change_that_was_just_made(talk):
    await talk("add milk to my shopping list")
    await talk("what time is it")
    assert await talk("That was a mistake.") == "Okay."
    assert await talk("what is on my shopping list") == "Your shopping list has one item: milk."
    await talk("add eggs to my shopping list")
    assert await talk("That was a mistake.") == "I took eggs off your shopping list."


class UnclearTalk:
    """A spoken conversation with a recognizer that is unsure of some texts."""

    def __init__(self, *unsure: str) -> None:
        self.assistant = OfflineAssistant(is_unsure=unsure.__contains__)
        self.messages: list[Message] = []

    async def __call__(self, text: str) -> str:
        self.messages.append(Message("user", text, spoken=True))
        request = AssistantRequest(tuple(self.messages))
        said = "".join([one.text async for one in self.assistant.reply(request)])
        self.messages.append(Message("assistant", said))
        return said


async def test_a_change_that_was_not_clear_needs_a_yes():
    talk = UnclearTalk("Add a lighter to my shopping list.")
    question = 'Did you say "Add a lighter to my shopping list"?'
    assert await talk("Add a lighter to my shopping list.") == question
    assert "lighter" not in await talk("What's on my shopping list?")
    assert await talk("Add a lighter to my shopping list.") == question
    assert "a lighter" in await talk("Yes.")
    assert "lighter" in await talk("What's on my shopping list?")


async def test_an_answer_can_correct_what_was_not_clear():
    talk = UnclearTalk("Add lighter to my list.")
    assert await talk("Add lighter to my list.") == 'Did you say "Add lighter to my list"?'
    assert "ladder" in await talk("No, ladder.")
    items = await talk("What's on my list?")
    assert "ladder" in items
    assert "lighter" not in items


async def test_questions_and_clear_changes_need_no_yes():
    talk = UnclearTalk("What time is it in Paris?")
    assert "Did you say" not in await talk("What time is it in Paris?")
    assert "Did you say" not in await talk("Add milk to my list.")
