"""Repeating a reply, and continuing an interrupted one."""

import pytest
from assistant_talk import SkillTalk


@pytest.fixture
def talk(tmp_path):
    return SkillTalk(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "Go on.",
        "continue",
        "Keep going, please.",
        "Carry on where you left off.",
        "please continue",
    ],
)
async def test_a_reply_continues_after_the_last_heard_word(talk, text):
    story = await talk("tell me a story")
    heard = story[: story.index(" ", 200)]
    talk.interrupt(heard)
    rest = await talk(text)
    assert f"{heard} {rest}" == story


async def test_a_reply_can_be_continued_several_times(talk):
    story = await talk("tell me a story")
    first = story[: story.index(" ", 100)]
    talk.interrupt(first)
    rest = await talk("go on")
    second = rest[: rest.index(" ", 100)]
    talk.interrupt(second)
    assert f"{first} {second} {await talk('go on')}" == story
    assert await talk("go on") == "There is nothing to continue."


async def test_an_answer_in_between_does_not_lose_the_rest(talk):
    story = await talk("tell me a story")
    heard = story[: story.index(" ", 150)]
    talk.interrupt(heard)
    assert await talk("what time is it") == "It's 3:20 PM."
    assert await talk("stop") == "Okay."
    assert f"{heard} {await talk('go on')}" == story


async def test_a_reply_that_was_interrupted_at_once_starts_again(talk):
    story = await talk("tell me a story")
    talk.interrupt("")
    assert await talk("go on") == story


@pytest.mark.parametrize(
    "text",
    ["Say that again.", "What did you say?", "Pardon?", "repeat that", "I didn't catch that."],
)
async def test_a_reply_is_repeated_also_the_part_that_was_not_heard(talk, text):
    await talk("what is 17 times 23")
    talk.interrupt("17 times")
    assert await talk(text) == "17 times 23 is 391."


async def test_without_an_interrupted_reply_there_is_nothing_to_continue(talk):
    assert await talk("go on") == "There is nothing to continue."
    await talk("what time is it")
    assert await talk("continue") == "There is nothing to continue."
