"""Fixed answers are short enough to hear, and nothing in them has to be spelled out."""

import re

import pytest
from assistant_talk import SkillTalk

CHARACTERS_PER_SECOND = 14
"""Speed of the built-in voice."""

SPELLED = re.compile(r"https?:|www\.|\w+\.\w{2,}/|--\w|[A-Z]{2,}_[A-Z]|localhost|[{}\[\]<>\\|]")
"""Addresses, options, variables and brackets."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("help", 6.1),
        ("what can you do", 6.1),
        ("who was the first president", 5),
        ("why is the sky blue", 5),
        ("who are you", 6),
        ("hello", 4),
        ("how are you", 4),
        ("what did you say", 4),
        ("go on", 4),
        ("undo", 4),
        ("never mind", 2),
        ("thanks", 2),
        ("goodbye", 2),
        ("what's on my shopping list", 4),
        ("what lists do i have", 5),
        ("read my notes", 4),
        ("what timers are running", 4),
        ("cancel the timer", 4),
        ("what is my name", 4),
        ("what do you know about me", 5),
        ("set a timer for 1000 hours", 5),
        ("set a timer for minus five minutes", 4),
        ("set a timer for ten minutes", 4),
        ("wake me up at 7:30 a.m. tomorrow", 4.5),
        ("what is 17 times 23", 4),
    ],
)
async def test_an_answer_is_short(tmp_path, text, seconds):
    pieces = await SkillTalk(tmp_path).think(text)
    said = "".join(piece.text for piece in pieces if not piece.silent)
    assert len(said) <= seconds * CHARACTERS_PER_SECOND
    assert SPELLED.search(said) is None


@pytest.mark.parametrize("text", ["tell me about yourself", "tell me a story", "tell me a joke"])
async def test_a_long_answer_has_nothing_to_spell_out(tmp_path, text):
    talk = SkillTalk(tmp_path)
    for _ in range(8):
        assert SPELLED.search(await talk(text)) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("set a timer for fifteen minutes", "15 minutes"),
        ("set a tea timer for 90 seconds", "1 minute and 30 seconds"),
        ("set an alarm for 6:45 in the morning", "6:45 AM"),
        ("remind me in twenty minutes to call mom", "20 minutes"),
        ("remind me at half past five to eat", "5:30 PM"),
        ("what is 15 percent of 80", "15 percent of 80"),
        ("what is 12 plus 3 times 4", "12 plus 3 times 4"),
        ("how many miles is 5 kilometers", "5 kilometers"),
        ("add 12 eggs to my shopping list", "12 eggs"),
        ("add half a dozen eggs to my shopping list", "half a dozen eggs"),
        ("count from 7 to 9", "7"),
        ("cancel the timer", ""),
    ],
)
async def test_a_number_that_matters_is_read_back(tmp_path, text, number):
    assert number in await SkillTalk(tmp_path)(text)
