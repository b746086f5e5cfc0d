"""The offline assistant with a real notebook; only the clock and the dice are scripted."""

import asyncio
import json
import stat

import pytest
from assistant_talk import SkillTalk

from voicechat.server.assistant import skill_permissions
from voicechat.server.assistant.answers import ANSWERS
from voicechat.server.assistant.offline_assistant import HINT, UNKNOWN, OfflineAssistant
from voicechat.server.engine_protocols import AssistantRequest, Call, Message, ToolOffer
from voicechat.tools.builtin import builtin
from voicechat.tools.tool_context import ToolContext


class SessionIdentity:
    """Identifies one session."""


@pytest.fixture
def talk(tmp_path):
    return SkillTalk(tmp_path)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("what time is it", "It's 3:20 PM."),
        ("what time is it in tokyo", "In Tokyo it's 12:20 AM on Saturday."),
        ("what's the date", "Today is Friday, March 6, 2026."),
        ("what day is it tomorrow", "Tomorrow is Saturday."),
        ("what was the date yesterday", "Yesterday was Thursday, March 5, 2026."),
        ("what is 17 times 23", "17 times 23 is 391."),
        ("17*23", "17 times 23 is 391."),
        ("what is the square root of two", "The square root of 2 is about 1.4142."),
        ("one third of ten", "That is about 3.3333."),
        ("what is 10 divided by 4", "10 divided by 4 is 2.5."),
        ("what is 15% of 80", "15 percent of 80 is 12."),
        ("what is 2 minus 5", "2 minus 5 is -3."),
        ("1/0", "You can't divide by zero."),
        ("set a timer for -5 minutes", "A timer needs a time above zero."),
        ("set a timer for minus five minutes", "A timer needs a time above zero."),
        ("remind me in -5 minutes to eat", "A timer needs a time above zero."),
        ("set a timer for 10000 hours", "That is too long for a timer. The longest is 7 days."),
        ("9**9**9**9", "That number is too large for me."),
        ("what is the square root of minus four", "A negative number has no real square root."),
        ("5 km in miles", "5 kilometers is about 3.11 miles."),
        ("how many feet are in a mile", "1 mile is 5280 feet."),
        ("what is twenty celsius in fahrenheit", "20 degrees Celsius is 68 degrees Fahrenheit."),
        ("convert three kilos to miles", "I can't convert kilograms to miles."),
        ("flip a coin", "Heads."),
        ("roll two dice", "You rolled 2 and 5. Together that's 7."),
        ("roll five hundred dice", "I can roll up to 20 dice with 2 to 1000 sides."),
        ("pick a number between seven and seven", "7."),
        ("should i have tea or tea", "I say tea."),
        ("repeat after me Good Evening", "Good Evening."),
        ("spell cat", "cat: C, A, T."),
        ("count from nine to twelve", "9, 10, 11, 12."),
        ("count to a million", "That would take too long. I count up to 200 numbers."),
        ("what did you say", "I haven't said anything yet."),
        ("how long is left on the timer", "There is no timer running."),
        ("cancel the timer", "There is no timer to cancel."),
        ("what's on my shopping list", "Your shopping list is empty."),
        ("read my notes", "You have no notes."),
        ("what is my name", "You haven't told me your name yet."),
        ("What time is it? And what is 2 + 2?", "It's 3:20 PM. 2 plus 2 is 4."),
    ],
)
async def test_answers(talk, said, answer):
    assert await talk(said) == answer


async def test_long_answers_are_split_into_sentences(talk):
    await talk.assistant.open()
    thoughts = await talk.think("tell me a story")
    assert len(thoughts) > 8
    assert sum(len(thought.text) for thought in thoughts) > 800
    assert len(await talk.think("tell me about yourself")) > 8


async def test_timers_ring_in_order(talk):
    assert await talk("set a pasta timer for 8 minutes") == (
        "Okay, pasta timer, 8 minutes, starting now."
    )
    await talk("set a timer for ten minutes")
    await talk("remind me in nine minutes to call my mother")
    await talk("wake me at quarter to four")
    assert await talk("how long is left on the pasta timer") == (
        "Your pasta timer has 8 minutes left."
    )
    assert (await talk("what timers are running")).startswith("You have 4 timers: the pasta timer")
    talk.clock.move(minutes=8)
    assert talk.rung == ["Ding ding! Your pasta timer is done."]
    talk.clock.move(minutes=17)
    assert talk.rung[1:] == [
        "Here is your reminder: call your mother.",
        "Ding ding! Your 10 minute timer is done.",
        "It is 3:45 PM. This is your alarm.",
    ]
    assert await talk("list my timers") == "There is no timer running."


async def test_canceling_timers(talk):
    await talk("set a timer for ten minutes")
    await talk("set a tea timer for three minutes")
    await talk("set an alarm for half past six")
    assert (await talk("cancel the timer")).startswith("Which one? You have 2 timers")
    assert await talk("cancel the tea timer") == "Your tea timer is canceled."
    assert await talk("cancel the six thirty alarm") == "Your 6:30 PM alarm is canceled."
    assert (await talk("cancel the coffee timer")).startswith("I have no such timer.")
    assert await talk("delete the ten minute timer") == "Your 10 minute timer is canceled."
    talk.clock.move(hours=24)
    assert talk.rung == []


async def test_a_request_means_only_its_own_kind_of_timer(talk):
    await talk("set a timer for ten minutes")
    await talk("remind me in five minutes to call mom")
    await talk("wake me up at seven")
    assert (
        await talk("how long is left on the timer") == "Your 10 minute timer has 10 minutes left."
    )
    assert await talk("Stop the alarm.") == "Your 7:00 PM alarm is canceled."
    assert (await talk("cancel the alarm")).startswith("I have no such alarm. You have 2 timers")
    assert await talk("cancel the timer") == "Your 10 minute timer is canceled."
    assert await talk("Turn off the reminder.") == "Your reminder to call mom is canceled."
    assert await talk("cancel the reminder") == "There is no reminder to cancel."


async def test_all_timers_of_a_kind_are_canceled(talk):
    for clock in ("six", "seven", "eight"):
        await talk(f"set an alarm for {clock} pm")
    await talk("set a timer for ten minutes")
    assert await talk("delete all alarms") == "All 3 alarms are canceled."
    assert await talk("cancel all timers") == "Your 10 minute timer is canceled."


async def test_too_many_timers_are_refused_and_closing_ends_them(talk):
    for _ in range(32):
        await talk("set a timer for one minute")
    assert "too many timers" in await talk("set a timer for one minute")
    await talk.assistant.close()
    talk.clock.move(hours=1)
    assert talk.rung == []


async def test_a_real_timer_rings_in_the_loop(tmp_path):
    assistant = OfflineAssistant(tmp_path)
    rung = asyncio.get_running_loop().create_future()
    assistant.on_announcement = rung.set_result
    request = AssistantRequest((Message("user", "set a timer for point one seconds"),))
    assert [one async for one in assistant.reply(request)]
    request = AssistantRequest((Message("user", "set a timer for 1 second"),))
    assert [one async for one in assistant.reply(request)]
    assert await rung == "Ding ding! Your 1 second timer is done."


async def test_each_session_has_its_own_notebook_in_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    talk = SkillTalk(None)
    one, other = SessionIdentity(), SessionIdentity()
    assert await talk("my name is eve", session=one) == "Nice to meet you, Eve."
    assert await talk("what's my name", session=other) == "You haven't told me your name yet."
    assert await talk("what's my name", session=one) == "Your name is Eve."
    assert list(tmp_path.iterdir()) == []


async def test_lists_are_kept_between_runs(talk, tmp_path):
    assert await talk("add Milk, eggs and some bread to my shopping list") == (
        "I added Milk, eggs and bread to your shopping list."
    )
    assert await talk("put milk on the grocery list") == "Milk is already on your shopping list."
    await talk("add call the bank to my to do list")
    later = SkillTalk(tmp_path)
    assert await later("what's on my shopping list") == (
        "Your shopping list has 3 items: Milk, eggs and bread."
    )
    assert await later("remove egg from the list") == "I took eggs off your shopping list."
    assert await later("take cheese off my shopping list") == (
        "I don't see cheese on your shopping list."
    )
    assert await later("what lists do i have") == "You have a shopping list and a to do list."
    assert await later("clear my shopping list") == "Your shopping list is now empty."
    assert await later("what's on the list") == "Your to do list has one item: call the bank."


async def test_notes_and_memory(talk, tmp_path):
    assert await talk("take a note: buy flowers for Anna") == "Noted: buy flowers for Anna."
    await talk("note that the key is under the mat")
    assert await talk("read my notes") == (
        "You have 2 notes. Buy flowers for Anna. The key is under the mat."
    )
    assert await talk("delete my last note") == "I deleted the note: The key is under the mat."
    assert await talk("my name is sarah") == "Nice to meet you, Sarah."
    assert await talk("remember that my car is on level 3") == (
        "I'll remember that your car is on level 3."
    )
    await talk("remember that my car is on level 3")
    later = SkillTalk(tmp_path)
    assert await later("what's my name") == "Your name is Sarah."
    assert await later("hello") == "Hello, Sarah. What can I do for you?"
    assert await later("where is my car") == "You told me that your car is on level 3."
    assert await later("where is my bike") == "You haven't told me anything about that."
    assert await later("what did i tell you") == (
        "You told me that your name is Sarah and your car is on level 3."
    )
    await later("forget everything i told you")
    assert await later("what's my name") == "You haven't told me your name yet."


async def test_the_notebook_is_private_and_survives_damage(talk, tmp_path):
    await talk("add milk to my shopping list")
    file = tmp_path / "notebook.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    names = {one.name for one in tmp_path.iterdir()}
    assert names == {"notebook.json", ".notebook.json.lock"}
    file.write_text("{", "utf-8")
    reported = await talk("what's on my shopping list")
    assert "notebook.damaged-1.json" in reported
    assert (tmp_path / "notebook.damaged-1.json").read_text("utf-8") == "{"
    assert await talk("what's on my shopping list") == "Your shopping list is empty."


async def test_a_disk_error_is_reported(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    talk = SkillTalk(tmp_path / "file")
    assert "notebook" in await talk("add milk to my shopping list")


async def test_the_readme_is_named_once(talk):
    first = await talk("who was the first president")
    assert first == UNKNOWN + HINT
    assert "README" in HINT
    assert await talk("why is the sky blue") == UNKNOWN == "I didn't understand that."


async def test_the_hint_about_a_model_is_shown_and_not_spoken(talk):
    unknown, hint = await talk.think("why is the sky blue")
    assert (unknown.text, unknown.silent) == (UNKNOWN, False)
    assert (hint.text, hint.silent) == (HINT, True)


async def test_without_a_question_the_assistant_greets_or_asks_again(talk):
    assert await talk("", instructions="Greet the user.") == "Hello. What can I do for you?"
    assert await talk("  ") == "I didn't catch that."


async def test_repeating_the_last_answer(talk):
    await talk("spell cat")
    assert await talk("what did you say") == "cat: C, A, T."


@pytest.mark.parametrize(
    ("instructions", "words"),
    [
        ("Say exactly: Hello, world!", "Hello, world!"),
        ('You are kind. Say exactly "Good day." and nothing else.', "Good day."),
        ("Respond with the single word banana", "banana"),
        ("Reply only with: one two three", "one two three"),
        ("Please say “hi there”.", "hi there"),
        ("Repeat verbatim: the ship sails at nine", "the ship sails at nine"),
        ("Say: testing", "testing"),
    ],
)
async def test_direct_instructions_are_followed(talk, instructions, words):
    assert await talk("what time is it", instructions=instructions) == words


@pytest.mark.parametrize(
    "instructions",
    [
        "You are a helpful assistant. Answer briefly.",
        'When the user says goodbye, say exactly "Farewell".',
        "Never say exactly what the user said.",
        "Answer only questions that you understand.",
        "Speak slowly and only say what is true.",
        "",
    ],
)
async def test_other_instructions_are_not_spoken(talk, instructions):
    assert await talk("what time is it", instructions=instructions) == "It's 3:20 PM."


async def test_instructions_can_name_the_assistant(talk):
    assert (await talk("who are you", instructions="Your name is Ada.")).startswith("I'm Ada")


WEATHER = ToolOffer(
    "get_weather",
    "Current weather for a city",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
)


async def test_a_matching_tool_is_called_and_its_result_spoken(talk):
    (call,) = await talk.think("What's the weather in New York in celsius?", tools=(WEATHER,))
    assert isinstance(call, Call)
    assert call.name == "get_weather"
    talk.messages += [
        Message("tool_call", call.arguments, call.call_id, call.name),
        Message("tool_result", '{"temperature": 21.5, "sky": "clear"}', call.call_id),
    ]
    assert await talk("", tools=(WEATHER,)) == "Temperature is 21.5 and sky is clear."


async def test_a_message_that_interrupts_a_tool_is_answered(talk):
    (call,) = await talk.think("What's the weather in New York?", tools=(WEATHER,))
    interrupted = '{"error": "The user interrupted before this finished. Do not repeat it."}'
    talk.messages += [
        Message("tool_call", call.arguments, call.call_id, call.name),
        Message("user", "what time is it"),
        Message("tool_result", interrupted, call.call_id),
    ]
    assert await talk("", tools=(WEATHER,)) == "It's 3:20 PM."


async def test_a_missing_argument_gets_a_question(talk):
    assert await talk("what's the weather", tools=(WEATHER,)) == "Where?"
    (call,) = await talk.think("Berlin", tools=(WEATHER,))
    assert json.loads(call.arguments) == {"city": "Berlin"}


async def test_tools_do_not_get_in_the_way(talk):
    assert await talk("what time is it", tools=(WEATHER,)) == "It's 3:20 PM."
    assert await talk("who was the first president", tools=(WEATHER,)) == UNKNOWN + HINT
    weather = "what is the weather in paris"
    assert await talk(weather, tools=(WEATHER,), tool_choice="none") == UNKNOWN


@pytest.mark.parametrize(
    ("said", "tool"),
    [
        ("what time is it", "current_time"),
        ("set a timer for ten minutes", "set_timer"),
        ("wake me up at seven", "set_alarm"),
        ("remind me in ten minutes to call mum", "set_reminder"),
        ("cancel the timer", "cancel_timer"),
        ("how long is left on the timer", "list_timers"),
        ("what is 17 times 23", "calculate"),
        ("5 km in miles", "convert_units"),
        ("take a note: buy milk", "add_note"),
        ("read my notes", "read_notes"),
        ("delete all my notes", "delete_note"),
        ("add milk to my shopping list", "add_to_list"),
        ("what's on my shopping list", "read_list"),
        ("remove milk from my shopping list", "remove_from_list"),
        ("clear my shopping list", "clear_list"),
    ],
)
async def test_a_skill_whose_tool_is_never_allowed_is_refused(tmp_path, said, tool):
    refused = f"I can't do that: your settings never allow the tool {tool.replace('_', ' ')}."
    talk = SkillTalk(tmp_path, frozenset({tool}))
    assert await talk(said) == refused
    assert talk.assistant._timers.running() == []
    assert not (tmp_path / "notebook.json").exists()
    assert await SkillTalk(tmp_path)(said) != refused


async def test_a_refused_skill_leaves_the_rest_of_a_request(tmp_path):
    talk = SkillTalk(tmp_path, frozenset({"calculate"}))
    reply = await talk("What time is it? And what is 2 + 2?")
    assert reply == "It's 3:20 PM. I can't do that: your settings never allow the tool calculate."


def test_every_skill_and_tool_of_the_permissions_exists(tmp_path):
    names = {tool.spec.name for tool in builtin(ToolContext((), tmp_path, lambda words: None))}
    assert set(skill_permissions.TOOLS) <= set(ANSWERS)
    assert set(skill_permissions.TOOLS.values()) <= names


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Set a timer for ten minutes.", True),
        ("What time is it?", True),
        ("Add milk to my shopping list", True),
        ("Take a note that the car is", False),
        ("Set a timer for", False),
        ("The weather was nice.", False),
    ],
)
async def test_a_closed_request_ends_the_turn(talk, text, ends):
    assert bool(await talk.assistant.end_chance(text)) is ends
