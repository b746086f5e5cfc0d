"""Amounts and distances in common words."""

from fractions import Fraction

import pytest
from assistant_talk import SkillTalk

from voicechat.server.assistant import numerals, spoken_time
from voicechat.server.assistant.sentence_words import read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a dozen", 12),
        ("half a dozen", 6),
        ("two dozen", 24),
        ("one and a half dozen", None),
        ("a baker's dozen", 13),
        ("a couple of", 2),
        ("a pair", 2),
        ("a score", 20),
        ("three score", 60),
        ("a gross", 144),
        ("two and a half", Fraction(5, 2)),
        ("dozen", None),
        ("a of", None),
    ],
)
def test_numbers(text, value):
    assert numerals.number(text.split()) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("a quarter of an hour", 900),
        ("quarter of an hour", 900),
        ("a half hour", 1800),
        ("half an hour", 1800),
        ("half hour", 1800),
        ("an hour and a half", 5400),
        ("hour and a half", 5400),
        ("an hour and a quarter", 4500),
        ("one and a half hours", 5400),
        ("1.5 hours", 5400),
        ("1 1/2 hours", 5400),
        ("three quarters of an hour", 2700),
        ("three-quarters of an hour", 2700),
        ("a couple of minutes", 120),
        ("a couple minutes", 120),
        ("a dozen minutes", 720),
        ("an hour and 15 minutes", 4500),
        ("a minute thirty", 90),
        ("90-second", 90),
    ],
)
def test_durations(text, seconds):
    assert spoken_time.duration(read(text).plain) == seconds


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("How many kilometers is a marathon?", "A marathon is 42.195 kilometers."),
        ("how many miles is a marathon", "A marathon is about 26.22 miles."),
        ("a half marathon in miles", "A half marathon is about 13.11 miles."),
        ("How long is the marathon in miles?", "The marathon is about 26.22 miles."),
        ("how many days are in a fortnight", "A fortnight is 14 days."),
        ("how many years are in a century", "A century is 100 years."),
        ("What is body temperature in Fahrenheit?", "Body temperature is 98.6 degrees Fahrenheit."),
        ("how many is a dozen", "A dozen is 12."),
        ("What's a baker's dozen?", "A baker's dozen is 13."),
        ("how many eggs are in two dozen", "Two dozen is 24."),
        ("what is a dozen times 12", "12 times 12 is 144."),
        ("what is half a dozen plus a score", "That is 26."),
        ("How many kilometers are two and a half miles?", "2.5 miles is about 4.02 kilometers."),
        ("Add half a dozen eggs to my shopping list.",
         "I added half a dozen eggs to your shopping list."),
    ],
)  # fmt: skip
async def test_answers_about_amounts(tmp_path, text, answer):
    assert await SkillTalk(tmp_path)(text) == answer
