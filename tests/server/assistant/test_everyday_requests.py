"""Everyday requests that the offline assistant answers without a language model."""

import pytest
from assistant_talk import SkillTalk, ToolTalk

from voicechat.server.assistant import intents


@pytest.fixture(params=[SkillTalk, ToolTalk])
def talk(request, tmp_path):
    return request.param(tmp_path)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("How far is a marathon?", "A marathon is 42.195 kilometers, or about 26.2 miles."),
        (
            "how long is a half marathon",
            "A half marathon is 21.0975 kilometers, or about 13.1 miles.",
        ),
        ("How long is a fortnight?", "A fortnight is 14 days."),
        (
            "What is the boiling point of water?",
            "The boiling point of water is 100 degrees Celsius, or about 212 degrees Fahrenheit.",
        ),
        ("98.6 degrees in Celsius", "98.6 degrees Fahrenheit is 37 degrees Celsius."),
        ("What day is the 15th?", "The 15th is Sunday."),
        ("what day of the week is the twentieth", "The twentieth is Friday."),
        ("How long until the 15th?", "The 15th is in 9 days, on Sunday, March 15."),
        ("How many days are in February?", "February 2027 has 28 days."),
        ("How many days are there in February 2028?", "February 2028 has 29 days."),
        ("how many days does April have", "April has 30 days."),
        ("How many days are in this month?", "March has 31 days."),
        ("how many days are in next month", "April has 30 days."),
        ("Is it a leap year?", "2026 is not a leap year. The next one is 2028."),
        ("Is 2028 a leap year?", "2028 is a leap year."),
        ("What week is it?", "It's week 10."),
        ("what week of the year is it", "It's week 10."),
        ("What time will it be in two hours?", "It will be 5:20 PM."),
        ("what time will it be in 10 hours", "It will be 1:20 AM on Saturday, March 7."),
        ("What time was it twenty minutes ago?", "It was 3:00 PM."),
        ("what time was it 100000000 hours ago", "That is too far away."),
        (
            "What's the time difference between London and Tokyo?",
            "London is 9 hours behind Tokyo.",
        ),
        ("what is the time difference to Tokyo", "Tokyo is 9 hours ahead of here."),
        ("how many hours ahead is Berlin", "Berlin is 1 hour ahead of here."),
        ("Flip a coin twice.", "Heads and heads."),
        ("flip 500 coins", "I can flip up to 20 coins."),
        ("Snooze.", "Okay, snooze timer, 9 minutes, starting now."),
        ("Snooze for five minutes.", "Okay, snooze timer, 5 minutes, starting now."),
        ("What's left on my timer?", "There is no timer running."),
        ("What time is my alarm?", "You have no alarms."),
        ("Do I have an alarm tomorrow?", "You have no alarms."),
        ("Is milk on my list?", "No, milk is not on your shopping list."),
        ("Where are my notes?", "You have no notes."),
        ("Where did I park?", "You haven't told me anything about that."),
        ("Set a timer for a few minutes.", "For how long?"),
        (
            "Remind me in twenty minutes or so to flip the laundry.",
            "Okay, I'll remind you in 20 minutes: flip the laundry.",
        ),
    ],
)
async def test_a_request_is_answered(tmp_path, text, answer):
    assert intents.parse_all(text) == [] or intents.is_complete(text) or "?" in answer
    assert await SkillTalk(tmp_path)(text) == answer


async def test_groceries_without_a_list_are_asked_about_once(talk):
    question = "Should I add milk and two cans of beans to your shopping list?"
    assert await talk("Add milk and two cans of beans.") == question
    assert await talk("Yes.") == "I added milk and two cans of beans to your shopping list."
    assert await talk("Add bread.") == "I added bread to your shopping list."
    await talk("what time is it")
    assert await talk("We're out of eggs.") == "Should I add eggs to your shopping list?"


@pytest.mark.parametrize(
    "text", ["Add a pinch of salt.", "Add two cups of flour and mix.", "Add him.", "Buy me a car."]
)
def test_other_things_are_not_added(text):
    assert intents.parse(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Change the alarm to 8 a.m.", "Your alarm is now at 8:00 AM"),
        ("Move my alarm to seven thirty a.m.", "Your alarm is now at 7:30 AM"),
        ("Change my alarm from seven to six a.m.", "Your alarm is now at 6:00 AM"),
        ("Push my alarm back by ten minutes.", "Your alarm is now at 7:10 AM"),
        ("Make my alarm half an hour earlier.", "Your alarm is now at 6:30 AM"),
    ],
)
async def test_an_alarm_is_moved_and_moved_back(talk, text, answer):
    await talk("set an alarm for 7 a.m.")
    await talk("what time is it")
    assert (await talk(text)).startswith(answer)
    assert (await talk("undo")).startswith("Your 7:00 AM alarm is as before, with ")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Add five minutes to the timer.", "15 minutes"),
        ("Add five more minutes to the timer.", "15 minutes"),
        ("Give me two more minutes.", "12 minutes"),
        ("Make the timer ten minutes longer.", "20 minutes"),
        ("Extend my timer by an hour.", "1 hour and 10 minutes"),
        ("Take a minute off the timer.", "9 minutes"),
        ("Add a minute to the pasta timer.", "11 minutes"),
    ],
)
async def test_a_timer_is_made_longer_or_shorter(talk, text, left):
    await talk("set a pasta timer for ten minutes")
    await talk("remind me in an hour to eat")
    assert await talk(text) == f"Okay, {left} left."


async def test_a_changed_timer_rings_at_its_new_time(tmp_path):
    talk = SkillTalk(tmp_path)
    await talk("set a pasta timer for ten minutes")
    await talk("what time is it")
    await talk("Take five minutes off the timer.")
    talk.clock.move(minutes=5)
    assert talk.rung == ["Ding ding! Your pasta timer is done."]
    talk.clock.move(minutes=10)
    assert len(talk.rung) == 1


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Take an hour off the timer.", "A timer needs a time above zero."),
        ("Add 200000 hours to the timer.", "That is too long; I keep timers for up to a year."),
        ("Add 9000 hours to the timer.", "That is too long; I keep timers for up to a year."),
    ],
)
async def test_a_change_beyond_the_limits_is_refused(talk, text, answer):
    await talk("set a timer for ten minutes")
    assert await talk(text) == answer
    assert "10 minutes left" in await talk("what timers are running")


async def test_a_change_of_one_of_several_timers_asks_which(talk):
    assert "There is no " in await talk("change my alarm to 8")
    await talk("set a tea timer for 3 minutes")
    await talk("set a pasta timer for 5 minutes")
    assert (await talk("Add a minute to the timer.")).startswith("Which one? You have 2 timers")


async def test_cancel_the_timer_leaves_a_reminder(talk):
    await talk("set a timer for ten minutes")
    await talk("remind me in an hour to eat")
    assert await talk("Cancel the timer.") == "Your 10 minute timer is canceled."
    assert await talk("Cancel the reminder to eat.") == "Your reminder to eat is canceled."


async def test_only_an_entry_with_the_same_words_is_on_the_list_or_taken_off(talk):
    await talk("add silk, rice and half and half to my shopping list")
    assert "yes" not in (await talk("is milk on my list")).lower()
    assert await talk("take price off my list") == "I don't see price on your shopping list."
    assert await talk("take half and half off my list") == (
        "I took half and half off your shopping list."
    )


async def test_a_hesitation_within_a_list_adds_no_and(talk):
    assert await talk("Add dish soap and, um, sponges to my shopping list.") == (
        "I added dish soap and sponges to your shopping list."
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What are my reminders?", "You have no reminders."),
        ("what are my alarms", "You have no alarms."),
        ("what are all of my timers", "There is no timer running."),
        ("Any reminders for today?", "You have no reminders."),
        ("when are my alarms", "You have no alarms."),
        ("what did I ask you to remind me of", "You have no reminders."),
        ("what are my lists", "You have no lists yet. Say: add milk to my shopping list."),
        ("what are all my notes", "You have no notes."),
        ("what are my groceries", "Your shopping list is empty."),
        ("convert 5 miles to bananas", "I don't know the unit bananas."),
        ("convert five bananas to miles", "I don't know the unit bananas."),
        ("what is 5 miles expressed in bananas", "I don't know the unit bananas."),
    ],
)
async def test_a_question_in_the_plural_and_an_unknown_unit_are_answered(talk, text, answer):
    assert await talk(text) == answer


@pytest.mark.parametrize(
    "text", ["What reminders would a king have?", "which alarm is the best", "how do alarms work"]
)
async def test_a_question_is_not_answered_with_a_question(talk, text):
    assert not (await talk(text)).startswith(("What should", "For what"))


async def test_an_item_in_the_plural_is_already_on_the_list(talk):
    await talk("add apples to my shopping list")
    assert await talk("add apples to my shopping list") == (
        "Apples are already on your shopping list."
    )


@pytest.mark.parametrize(
    ("hour", "text", "moment"),
    [
        (15, "remind me tomorrow at five to eat", "5:00 PM tomorrow"),
        (15, "remind me to eat tomorrow at half past six", "6:30 PM tomorrow"),
        (15, "remind me tomorrow at eight to eat", "8:00 AM tomorrow"),
        (15, "remind me tomorrow at twelve to eat", "12 noon tomorrow"),
        (15, "remind me tomorrow at five am to eat", "5:00 AM tomorrow"),
        (15, "remind me tomorrow at 05:00 to eat", "5:00 AM tomorrow"),
        (20, "remind me at five to eat", "5:00 PM tomorrow"),
        (20, "remind me at eleven to eat", "11:00 PM"),
        (23, "remind me tomorrow at one to eat", "1:00 PM tomorrow"),
        (20, "wake me up at five", "5:00 AM tomorrow"),
        (20, "wake me up tomorrow at five", "5:00 AM tomorrow"),
    ],
)
async def test_a_reminder_rings_while_the_user_is_awake(tmp_path, hour, text, moment):
    talk = SkillTalk(tmp_path)
    talk.clock.now = talk.clock.now.replace(hour=hour)
    said = await talk(text)
    assert f"at {moment}, while voicechat runs" in said


async def test_the_tools_get_the_same_hour_for_a_reminder(tmp_path):
    talk = ToolTalk(tmp_path)
    assert "at 5:00 PM tomorrow, while voicechat runs:" in (
        await talk("remind me tomorrow at five to eat")
    )
    assert await talk("what are my alarms") == "You have no alarms."


async def test_a_far_away_moment_names_the_condition_and_a_near_one_does_not(talk):
    assert await talk("remind me in two hours to eat") == (
        "Okay, I'll remind you in 2 hours, while voicechat runs: eat."
    )
    assert await talk("remind me in an hour to eat") == "Okay, I'll remind you in 1 hour: eat."
