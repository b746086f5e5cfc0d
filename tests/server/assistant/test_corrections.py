"""Corrections and undo, with the assistant's own skills and with the tools of the client."""

import json

import pytest
from assistant_talk import SkillTalk, ToolTalk

from voicechat.server.engine_protocols import Message, ToolOffer


@pytest.fixture(params=[SkillTalk, ToolTalk])
def talk(request, tmp_path):
    return request.param(tmp_path)


@pytest.fixture
def skills(tmp_path):
    return SkillTalk(tmp_path)


TIMER = "Set a timer for ten minutes."


@pytest.mark.parametrize(
    "text",
    [
        "No, I meant twenty.",
        "no i meant twenty minutes",
        "Actually, make it 20.",
        "Make it twenty minutes.",
        "No, twenty minutes.",
        "Sorry, twenty.",
        "I said twenty, not ten.",
        "No, not ten, twenty.",
        "not ten but twenty",
        "Change it to 20 minutes.",
        "Make that twenty minutes instead.",
        "No, for twenty minutes.",
        "Wait, no, twenty minutes, please.",
        "No, set a timer for twenty minutes.",
        "The timer should be twenty minutes.",
        "Oops, I meant to say twenty.",
        "twenty instead",
        "I wanted twenty minutes.",
        "Not ten. Twenty.",
        "Can you make it twenty?",
        "Could you change that to twenty minutes?",
        "Change the timer to twenty minutes.",
        "On second thought, twenty minutes.",
        "That's wrong, twenty minutes.",
    ],
)
async def test_a_number_is_corrected_in_many_words(talk, text):
    await talk(TIMER)
    assert await talk(text) == "I changed it. 20 minutes, starting now."
    assert await talk("what timers are running") == (
        "You have one timer: the 20 minute timer, 20 minutes left."
    )


@pytest.mark.parametrize(
    ("request_text", "correction", "answer"),
    [
        (
            "wake me up at 7",
            "no, 8",
            "I changed it. Your alarm is set, at 8:00 PM, while voicechat runs.",
        ),
        (
            "wake me up at 7:30 a.m.",
            "no, 7:13 a.m.",
            "I changed it. Your alarm is set, at 7:13 AM tomorrow, while voicechat runs.",
        ),
        (
            "remind me in ten minutes to call mom",
            "no, I meant call dad",
            "I changed it. I'll remind you in 10 minutes: call dad.",
        ),
        (
            "remind me in ten minutes to call mom",
            "no, at five",
            "I changed it. I'll remind you at 5:00 PM, while voicechat runs: call mom.",
        ),
        (
            "set a pasta timer for 5 minutes",
            "I said pizza",
            "I changed it. Pizza timer, 5 minutes, starting now.",
        ),
        ("what is 15 times 3", "no, I said fifty", "50 times 3 is 150."),
        ("what is 15 times 3", "no, times four", "15 times 4 is 60."),
        ("what is fifteen times three", "not fifteen, sixteen", "16 times 3 is 48."),
        ("convert 5 miles to kilometers", "I meant 15", "15 miles is about 24.14 kilometers."),
        (
            "add tune to my shopping list",
            "I said tuna, not tune.",
            "I changed it. I added tuna to your shopping list.",
        ),
        (
            "add milk to my shopping list",
            "No, my to-do list.",
            "I changed it. I added milk to your to do list.",
        ),
        (
            "Add Milk to my shopping list.",
            "No, Oat Milk.",
            "I changed it. I added Oat Milk to your shopping list.",
        ),
        ("my name is Eva", "No, Ada.", "Nice to meet you, Ada."),
        ("my name is Eva", "no, it's Ada", "Nice to meet you, Ada."),
        ("what time is it in paris", "no, London", "In London it's 3:20 PM."),
        ("spell cot", "no, cat", "cat: C, A, T."),
        ("set a timer for ten minutes", "Make it an hour.", "I changed it. 1 hour, starting now."),
        (
            "wake me up at seven",
            "No, tomorrow at seven.",
            "I changed it. Your alarm is set, at 7:00 AM tomorrow, while voicechat runs.",
        ),
        ("convert 5 miles to kilometers", "No, to meters.", "5 miles is 8046.72 meters."),
        ("how long until christmas", "No, Easter.", "Easter is in 30 days, on Sunday, April 5."),
        (
            "add milk to my shopping list",
            "Put it on my to-do list instead.",
            "I changed it. I added milk to your to do list.",
        ),
    ],
)
async def test_every_kind_of_value_is_corrected(skills, request_text, correction, answer):
    await skills(request_text)
    assert await skills(correction) == answer


async def test_a_correction_undoes_the_wrong_change(talk):
    await talk("add tune to my shopping list")
    await talk("no, tuna")
    assert await talk("what is on my shopping list") == ("Your shopping list has one item: tuna.")
    await talk("my name is eva")
    await talk("no, I said Ada")
    assert await talk("what is my name") == "Your name is Ada."
    await talk("undo")
    assert await talk("what is my name") == "Your name is Eva."
    await talk("undo")
    assert await talk("what is my name") == "You haven't told me your name yet."


async def test_a_correction_can_be_corrected(talk):
    await talk(TIMER)
    await talk("no, twenty")
    assert await talk("no, thirty") == "I changed it. 30 minutes, starting now."
    assert await talk("undo that") == "I changed it back. 20 minutes, starting now."
    assert await talk("undo that") == "I changed it back. 10 minutes, starting now."
    assert await talk("undo that") == "Your 10 minute timer is canceled."
    assert await talk("what timers are running") == "There is no timer running."


@pytest.mark.parametrize(
    ("request_text", "text"),
    [
        (TIMER, "no, I don't think so"),
        (TIMER, "No, that's a good idea."),
        (TIMER, "actually I was thinking about my dog"),
        (TIMER, "I said hello to him"),
        (TIMER, "no"),
        (TIMER, "I meant it"),
        ("add milk to my shopping list", "no, I don't like that"),
        ("add milk to my shopping list", "It's raining."),
        ("add milk to my shopping list", "no, flip a coin"),
        ("add milk to my shopping list", "No, she said it was fine."),
        ("add milk to my shopping list", "actually the weather is nice today"),
        ("add milk to my shopping list", "I said that he was wrong"),
        ("add milk to my shopping list", "sorry, what time is it"),
        ("add milk to my shopping list", "No problem."),
        ("add milk to my shopping list", "No way."),
        ("add milk to my shopping list", "Oh dear."),
        ("add milk to my shopping list", "Sorry, wrong number."),
        ("add milk to my shopping list", "Actually, nice weather today."),
        ("add milk to my shopping list", "can you recommend a good book"),
        ("add milk to my shopping list", "I said hello."),
        ("add milk to my shopping list", "Well, that was quick."),
        ("remind me in ten minutes to call mom", "can you recommend a good book"),
        ("remind me in ten minutes to call mom", "No worries."),
        ("take a note: hello there", "No idea."),
        ("take a note: hello there", "Better luck next time."),
        ("my name is Ada", "no, I'm not"),
        ("my name is Ada", "no, really"),
        ("what time is it", "no, twenty"),
    ],
)
async def test_other_sentences_correct_nothing(skills, request_text, text):
    await skills(request_text)
    before = len(skills.assistant._timers.running())
    pages = skills.assistant._state(_only_session(skills)).notebook.read()
    await skills(text)
    assert len(skills.assistant._timers.running()) == before
    assert skills.assistant._state(_only_session(skills)).notebook.read() == pages


def _only_session(skills):
    return next(iter(skills.assistant._states))


async def test_only_the_next_turn_corrects(talk):
    await talk(TIMER)
    await talk("what is two plus two")
    await talk("no, twenty minutes")
    assert "10 minute timer" in await talk("what timers are running")


async def test_another_item_is_added_and_does_not_replace_the_first(talk):
    await talk("add milk to my shopping list")
    await talk("actually add eggs to my shopping list")
    assert await talk("what is on my shopping list") == (
        "Your shopping list has 2 items: milk and eggs."
    )


@pytest.mark.parametrize(
    ("request_text", "undo", "answer"),
    [
        (TIMER, "Undo.", "Your 10 minute timer is canceled."),
        ("set an alarm for noon", "take that back", "Your 12 noon alarm is canceled."),
        ("remind me in an hour to eat", "undo that", "Your reminder to eat is canceled."),
        ("add milk to my shopping list", "Undo it.", "I took milk off your shopping list."),
        ("take a note: hello there", "scratch that", "I deleted the note: Hello there."),
        ("my name is ada", "undo the last change", "I've forgotten your name."),
        ("remember that my car is red", "undo that", "I've forgotten that."),
    ],
)
async def test_every_change_can_be_undone(talk, request_text, undo, answer):
    await talk(request_text)
    assert await talk(undo) == answer
    assert await talk(undo) == "There is nothing to undo."


async def test_changes_of_skills_and_tools_are_undone_in_order(talk):
    await talk("add milk and eggs to my shopping list")
    await talk("my name is ada")
    await talk("clear my shopping list")
    await talk(TIMER)
    await talk("cancel the timer")
    assert (await talk("undo")).startswith("Your 10 minute timer is set again")
    assert await talk("undo") == "Your 10 minute timer is canceled."
    assert await talk("undo") == "I put milk and eggs back on your shopping list."
    assert await talk("undo") == "I've forgotten your name."
    assert await talk("undo") == "I took milk and eggs off your shopping list."


async def test_an_undo_comes_before_the_next_request(talk):
    await talk(TIMER)
    await talk("what is two plus two")
    assert await talk("Undo the last change and set a timer for five minutes.") == (
        "Okay, 5 minutes, starting now."
    )
    assert (await talk("what timers are running")).startswith("You have one timer: the 5 minute")


async def test_a_failed_request_is_not_undone(talk):
    await talk(TIMER)
    await talk("set a timer for minus five minutes")
    assert await talk("undo") == "Your 10 minute timer is canceled."


async def test_a_tool_that_cannot_be_undone_is_named(tmp_path):
    talk = ToolTalk(tmp_path)
    await talk(TIMER)
    talk.offers = [offer for offer in talk.offers if offer.name != "undo_last_change"]
    assert await talk("undo") == "I can't undo the tool set timer."


async def test_a_forbidden_undo_is_refused(tmp_path):
    talk = SkillTalk(tmp_path, frozenset({"undo_last_change"}))
    await talk(TIMER)
    assert "never allow" in await talk("no, twenty")
    assert "never allow the tool undo last change" in await talk("undo")
    assert len(talk.assistant._timers.running()) == 1


WEATHER = ToolOffer(
    "get_weather",
    "Current weather for a city",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


async def test_a_tool_call_is_corrected_by_its_arguments(tmp_path):
    talk = SkillTalk(tmp_path)
    (call,) = await talk.think("What's the weather in Paris?", tools=(WEATHER,))
    talk.messages += [
        Message("tool_call", call.arguments, call.call_id, call.name),
        Message("tool_result", '{"sky": "clear"}', call.call_id, call.name),
        Message("assistant", "Sky is clear."),
    ]
    (call,) = await talk.think("No, I meant New York.", tools=(WEATHER,))
    assert json.loads(call.arguments) == {"city": "New York"}


@pytest.mark.parametrize("text", ["No.", "Wrong.", "No, that's wrong.", "That's not what I said."])
async def test_after_an_objection_the_request_can_still_be_corrected(talk, text):
    await talk(TIMER)
    assert await talk(text) == "Sorry. Say what you meant, or say undo."
    assert await talk("I said twenty minutes.") == "I changed it. 20 minutes, starting now."
    assert (await talk("what timers are running")).startswith("You have one timer")


@pytest.mark.parametrize(
    "text", ["No, I'm Antoine.", "No, I'm mad, ready.", "No, I meant when she.", "Nope, the other."]
)
async def test_an_unclear_no_after_a_change_asks_for_the_correction(talk, text):
    await talk(TIMER)
    assert await talk(text) == "Sorry. Say what you meant, or say undo."
    assert await talk("I meant twenty.") == "I changed it. 20 minutes, starting now."


async def test_a_no_before_another_request_does_the_request(talk):
    await talk(TIMER)
    assert (await talk("No, flip a coin.")).rstrip(".") in ("Heads", "Tails")
    assert await talk("No, I'm Antoine.") == "Nice to meet you, Antoine."


async def test_never_mind_changes_nothing(talk):
    await talk(TIMER)
    assert await talk("never mind") == "Okay. To take back the last change, say undo."
    assert await talk("never mind") == "Okay."
    assert "10 minute timer" in await talk("what timers are running")


async def test_never_mind_drops_a_question(tmp_path):
    talk = ToolTalk(tmp_path)
    assert await talk("set a timer") == "For how long?"
    assert await talk("Never mind.") == "Okay."
    assert await talk("ten minutes") != "Okay, 10 minutes, starting now."


@pytest.mark.parametrize(
    "text", ["make it five minutes", "No, I meant five.", "Change the timer to five minutes."]
)
@pytest.mark.parametrize("between", ["how much time is left", "why is the sky blue"])
async def test_a_timer_is_corrected_after_a_question(talk, between, text):
    await talk(TIMER)
    await talk(between)
    assert await talk(text) == "I changed it. 5 minutes, starting now."
    assert (await talk("what are my timers")).startswith("You have one timer: the 5 minute timer")


@pytest.mark.parametrize(
    ("request_text", "text", "answer"),
    [
        ("remind me at four to eat", "make it 4:30 PM", "I'll remind you at 4:30 PM,"),
        ("wake me up at four p.m.", "I meant 4:30 PM", "Your alarm is set, at 4:30 PM,"),
    ],
)
async def test_a_reminder_and_an_alarm_are_corrected_after_a_question(
    skills, request_text, text, answer
):
    await skills(request_text)
    await skills("what time is it")
    assert (await skills(text)).startswith(f"I changed it. {answer}")
    assert len(skills.assistant._timers.running()) == 1


async def test_a_later_change_is_not_skipped_by_a_correction(talk):
    await talk(TIMER)
    await talk("add milk to my shopping list")
    await talk("what time is it")
    assert not (await talk("make it five minutes")).startswith("I changed it")
    assert "10 minute timer" in await talk("what timers are running")


async def test_an_undo_after_a_correction_brings_back_the_first_request(talk):
    await talk(TIMER)
    await talk("no, I meant twenty")
    await talk("what time is it")
    assert await talk("undo that") == "I changed it back. 10 minutes, starting now."
    assert (await talk("what are my timers")).startswith("You have one timer: the 10 minute timer")
    assert await talk("undo") == "Your 10 minute timer is canceled."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("add a minute", "Okay, 11 minutes left."),
        ("Add two more minutes.", "Okay, 12 minutes left."),
        ("make it a minute longer", "Okay, 11 minutes left."),
        ("take a minute off it", "Okay, 9 minutes left."),
    ],
)
async def test_the_only_timer_is_changed_without_its_name(skills, text, answer):
    await skills(TIMER)
    await skills("what time is it")
    assert await skills(text) == answer
    assert "as before, with 10 minutes left" in await skills("undo")


async def test_a_tool_changes_the_only_timer_without_its_name(tmp_path):
    talk = ToolTalk(tmp_path)
    await talk(TIMER)
    await talk("what time is it")
    assert (await talk("add a minute")).startswith("Okay, 1")
    assert talk.called[-1] == "change_timer"


@pytest.mark.parametrize(
    "request_text",
    [
        "remind me to eat tomorrow at five",
        "remind me tomorrow at half past five to eat",
        "remind me at five tomorrow to eat",
    ],
)
@pytest.mark.parametrize("text", ["No, 5 AM.", "I meant five a.m.", "no, at 5 am"])
async def test_the_time_of_a_reminder_is_corrected_and_its_day_is_kept(talk, request_text, text):
    assert "PM tomorrow" in await talk(request_text)
    assert await talk(text) == (
        "I changed it. I'll remind you at 5:00 AM tomorrow, while voicechat runs: eat."
    )
