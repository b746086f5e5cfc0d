"""Dates, holidays and the time until them. Today is Friday, March 6, 2026, 3:20 PM."""

from datetime import date

import pytest
from assistant_talk import SkillTalk

from voicechat.server.assistant import calendar_days
from voicechat.server.assistant.sentence_words import read

TODAY = date(2026, 3, 6)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("December 24", date(2026, 12, 24)),
        ("December 24th", date(2026, 12, 24)),
        ("the 24th of December", date(2026, 12, 24)),
        ("the twenty-fourth of December", date(2026, 12, 24)),
        ("December the twenty fourth", date(2026, 12, 24)),
        ("24 December 2030", date(2030, 12, 24)),
        ("the first of May", date(2026, 5, 1)),
        ("May 1st", date(2026, 5, 1)),
        ("March 6", date(2026, 3, 6)),
        ("March 5", date(2027, 3, 5)),
        ("February 29", date(2028, 2, 29)),
        ("July 4, 1976", date(1976, 7, 4)),
        ("July fourth nineteen seventy six", date(1976, 7, 4)),
        ("the third of June two thousand and ten", date(2010, 6, 3)),
        ("the first of January twenty thirty", date(2030, 1, 1)),
        ("on April 3", date(2026, 4, 3)),
        ("Christmas", date(2026, 12, 25)),
        ("next Christmas", date(2026, 12, 25)),
        ("last Christmas", date(2025, 12, 25)),
        ("Christmas last year", date(2025, 12, 25)),
        ("Christmas 1999", date(1999, 12, 25)),
        ("New Year’s Eve", date(2026, 12, 31)),
        ("Valentines Day", date(2027, 2, 14)),
        ("Easter", date(2026, 4, 5)),
        ("Easter 2030", date(2030, 4, 21)),
        ("Easter 1961", date(1961, 4, 2)),
        ("Easter next year", date(2027, 3, 28)),
        ("Good Friday", date(2026, 4, 3)),
        ("Ash Wednesday 2024", date(2024, 2, 14)),
        ("Thanksgiving", date(2026, 11, 26)),
        ("this year's Thanksgiving", date(2026, 11, 26)),
        ("Black Friday", date(2026, 11, 27)),
        ("Mother's Day", date(2026, 5, 10)),
        ("Memorial Day", date(2026, 5, 25)),
        ("Labor Day 2025", date(2025, 9, 1)),
        ("Martin Luther King Day", date(2027, 1, 18)),
        ("election day 2028", date(2028, 11, 7)),
        ("the weekend", date(2026, 3, 7)),
        ("next Friday", date(2026, 3, 13)),
    ],
)
def test_days(text, day):
    assert calendar_days.day(read(text).plain, TODAY) == day


@pytest.mark.parametrize(
    "text",
    [
        "February 30",
        "the 32nd of May",
        "May",
        "the first",
        "my birthday",
        "Christmas 20",
        "Christmas 99999",
        "December 24 next Monday",
        "Easter of the eggs",
        "the",
    ],
)
def test_other_words_are_no_day(text):
    assert calendar_days.day(read(text).plain, TODAY) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("How long until Christmas?", "Christmas is in 294 days, on Friday, December 25."),
        ("how many weeks until christmas", "Christmas is in 42 weeks, on Friday, December 25."),
        ("How many days till Halloween?", "Halloween is in 239 days, on Saturday, October 31."),
        ("How many months until Thanksgiving?",
         "Thanksgiving is in about 8 months and 22 days, on Thursday, November 26."),
        ("how many days until the first of May", "May 1, 2026 is in 56 days."),
        ("Days until May 1st?", "May 1, 2026 is in 56 days."),
        ("How long is it until next Friday?", "Next Friday is in 7 days, on Friday, March 13."),
        ("how long until tomorrow", "Tomorrow is in 1 day, on Saturday, March 7."),
        ("How many days since New Year's?", "New Year's was 64 days ago."),
        ("how long ago was July 4th 1976", "July 4, 1976 was 18142 days ago."),
        ("How many years has it been since July 4, 1976?",
         "July 4, 1976 was about 49 years and 245 days ago."),
        ("how long until 5:30 p.m.", "It is 2 hours and 10 minutes until 5:30 PM."),
        ("How many hours until midnight?", "It is 8 hours and 40 minutes until midnight."),
        ("What day is the twenty-fourth of December?", "December 24, 2026 is a Thursday."),
        ("what day was July 4th 1976", "July 4, 1976 was a Sunday."),
        ("What's the date next Friday?", "Next Friday is Friday, March 13, 2026."),
        ("when is easter", "Easter is Sunday, April 5, 2026."),
        ("When is Mother's Day?", "Mother's Day is Sunday, May 10, 2026."),
        ("What day of the week is Christmas?", "Christmas is Friday, December 25."),
        ("what day is it tomorrow", "Tomorrow is Saturday."),
        ("what day is March 6", "March 6, 2026 is a Friday."),
        ("how long until March 6", "March 6, 2026 is today."),
    ],
)  # fmt: skip
async def test_answers_about_dates(tmp_path, text, answer):
    assert await SkillTalk(tmp_path)(text) == answer
