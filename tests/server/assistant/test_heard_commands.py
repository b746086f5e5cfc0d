"""Commands as a recognizer prints them: the right values, a question, or no action."""

from pathlib import Path

import pytest
from assistant_talk import SkillTalk, ToolTalk

from voicechat.server.assistant import corrections, intents, sentence_words
from voicechat.server.assistant.offline_assistant import HINT, UNKNOWN

COMMANDS = [
    line.split(" => ")
    for line in Path(__file__).with_name("heard_commands.txt").read_text("utf-8").splitlines()
]
"""Each sentence with its answer at 3:20 PM on Friday, March 6, 2026; "-" is no answer."""


@pytest.fixture(params=[SkillTalk, ToolTalk])
def talk(request, tmp_path):
    return request.param(tmp_path)


async def test_each_command_has_the_right_values_or_no_effect():
    assert len(COMMANDS) > 200
    wrong = []
    for text, answer in COMMANDS:
        said = await SkillTalk(None)(text)
        if said != (UNKNOWN + HINT if answer == "-" else answer):
            wrong.append((text, said))
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "request_text"),
    [
        ("Set a timer for ten, no, fifteen minutes.", "set a timer for fifteen minutes"),
        ("Set a timer for five minutes, I mean six minutes.", "set a timer for six minutes"),
        ("set a timer for five minutes no wait six minutes", "set a timer for six minutes"),
        ("Wake me up at seven, no wait, eight a.m.", "wake me up at eight a.m."),
        ("Add milk, no, eggs to my shopping list.", "add eggs to my shopping list"),
        ("Remind me to call mom, I mean dad, in an hour.", "remind me to call dad in an hour"),
    ],
)
def test_a_value_that_is_taken_back_within_the_sentence_is_not_used(text, request_text):
    assert intents.parse(corrections.repaired(text)) == intents.parse(request_text)


@pytest.mark.parametrize(
    "text",
    [
        "set a timer for ten minutes",
        "No, I meant twenty.",
        "I went there, no, I drove there.",
        "Remind me in an hour to say no to him.",
        "What is two plus two, I mean, is it four?",
        "Sorry, what did you say?",
        "no, no, no, no, no, no",
        "Remember that I said no, wait for me.",
        "Write down call Bob, actually, call Alice.",
    ],
)
def test_other_texts_are_not_repaired(text):
    assert corrections.repaired(text) == text


@pytest.mark.parametrize(
    ("text", "answer", "done"),
    [
        ("Set a timer for 10 or 15 minutes.", "15 minutes", "Okay, 15 minutes, starting now."),
        ("Set a timer for ten to fifteen minutes.", "ten minutes", "Okay, 10 minutes"),
        ("Wake me up at six or seven.", "seven p.m.", "Your alarm is set, at 7:00 PM"),
        ("Set a timer for for minutes.", "four minutes", "Okay, 4 minutes, starting now."),
        ("Set a timer for 90.", "seconds", "Okay, 1 minute and 30 seconds, starting now."),
    ],
)
async def test_an_ambiguous_value_is_asked_for(talk, text, answer, done):
    assert (await talk(text)).endswith("?")
    assert (await talk("what timers are running")) == "There is no timer running."
    await talk(text)
    assert (await talk(answer)).startswith(done)


async def test_an_answer_without_its_unit_is_asked_for_the_unit(tmp_path):
    talk = SkillTalk(tmp_path)
    await talk("Set a timer for 10 or 15 minutes.")
    assert await talk("fifteen") == "Seconds, minutes or hours?"
    assert await talk("minutes") == "Okay, 15 minutes, starting now."


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("set a timer for for ten minutes", "set a timer for ten minutes"),
        ("Set a a timer.", "set a timer"),
        ("I had had enough of that that day", "i had had enough of that that day"),
        ("the, the end", "the the end"),
    ],
)
def test_a_repeated_function_word_counts_once(text, plain):
    assert " ".join(sentence_words.read(text).plain) == plain


def test_a_repetition_keeps_the_places_of_the_words():
    assert intents.parse("add the the Blue Pen to to my shopping list").values["item"] == (
        "the the Blue Pen"
    )
