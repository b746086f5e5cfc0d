"""The offline assistant with the tools of a session: selected tools, arguments and replies."""

import json
from datetime import UTC, datetime

import pytest
from assistant_talk import ToolTalk

from voicechat.core.tool_calls import NOT_ALLOWED, denied
from voicechat.server.assistant import intents
from voicechat.server.assistant.result_speech import spoken_result
from voicechat.server.assistant.tool_selection import choose
from voicechat.server.engine_protocols import ToolOffer
from voicechat.tools.builtin import builtin
from voicechat.tools.functions import tool
from voicechat.tools.tool_context import ToolContext

NOW = datetime(2026, 3, 6, 15, 20, tzinfo=UTC)


def kitchen_lights(on: bool) -> str:
    """Turn the kitchen lights on or off."""
    return f"The kitchen lights are {'on' if on else 'off'}."


def read(path: str) -> str:
    """Read the complete contents of a file."""
    return path


def directory(path: str) -> str:
    """List what is in a directory."""
    return path


TOOLS = (
    *builtin(ToolContext()),
    tool(kitchen_lights),
    tool(name="files__read_file")(read),
    tool(name="files__list_directory")(directory),
)
OFFERS = [ToolOffer(one.spec.name, one.spec.description, one.spec.parameters) for one in TOOLS]


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("set a timer for ten minutes", "set_timer", {"seconds": 600}),
        ("set a pasta timer for eight minutes", "set_timer", {"seconds": 480, "name": "pasta"}),
        ("set an alarm for half past six", "set_alarm", {"time": "18:30"}),
        ("set an alarm for 6 am", "set_alarm", {"time": "06:00"}),
        ("wake me up tomorrow at seven", "set_alarm", {"time": "07:00", "tomorrow": True}),
        (
            "remind me to call my mom in ten minutes",
            "set_reminder",
            {"text": "call your mom", "seconds": 600},
        ),
        ("remind me to leave at 5 pm", "set_reminder", {"text": "leave", "time": "17:00"}),
        ("how much time is left", "list_timers", {}),
        ("what timers are running", "list_timers", {}),
        ("cancel the timer", "cancel_timer", {"name": "timer"}),
        ("cancel the pasta timer", "cancel_timer", {"name": "pasta"}),
        ("cancel the 10 minute timer", "cancel_timer", {"name": "10 minute timer"}),
        ("cancel my 6:30 alarm", "cancel_timer", {"name": "6:30 alarm"}),
        ("cancel all timers", "cancel_timer", {"name": "timer", "every": True}),
        ("stop the alarm", "cancel_timer", {"name": "alarm"}),
        ("how long until the alarm rings", "list_timers", {"name": "alarm"}),
        ("what reminders do i have", "list_timers", {"name": "reminder"}),
        ("what is 17 times 23", "calculate", {"expression": "17*23"}),
        ("what's 20 percent of 80", "calculate", {"expression": "20/100*80"}),
        (
            "convert five foot eleven to centimeters",
            "convert_units",
            {"value": 71, "from_unit": "inch", "to_unit": "centimeter"},
        ),
        ("what time is it in tokyo", "current_time", {"zone": "Asia/Tokyo"}),
        (
            "add milk to my shopping list",
            "add_to_list",
            {"items": "milk", "list_name": "shopping"},
        ),
        (
            "the shopping list is missing bread",
            "add_to_list",
            {"items": "bread", "list_name": "shopping"},
        ),
        ("what's on my shopping list", "read_list", {"list_name": "shopping"}),
        (
            "remove milk from my shopping list",
            "remove_from_list",
            {"items": "milk", "list_name": "shopping"},
        ),
        ("clear my shopping list", "clear_list", {"list_name": "shopping"}),
        ("take a note: buy milk", "add_note", {"text": "buy milk"}),
        ("read my notes", "read_notes", {}),
        ("delete the last note", "delete_note", {}),
        ("read the file notes.txt", "read_file", {"path": "notes.txt"}),
        ("read notes.txt", "read_file", {"path": "notes.txt"}),
        ("list the folder documents", "list_folder", {"path": "documents"}),
        ("list the files in documents", "list_folder", {"path": "documents"}),
        ("what is in the folder documents", "list_folder", {"path": "documents"}),
        ("run the command uname", "run_command", {"command": "uname"}),
        ("run the command ls -la /tmp", "run_command", {"command": "ls -la /tmp"}),
        ("fetch example.com", "fetch_page", {"url": "example.com"}),
        ("fetch the page https://example.com/a", "fetch_page", {"url": "https://example.com/a"}),
        ("open example.com", "open_url", {"url": "example.com"}),
        ("what is on my clipboard", "read_clipboard", {}),
        ("copy hello world to the clipboard", "write_clipboard", {"text": "hello world"}),
        ("turn on the kitchen lights", "kitchen_lights", {"on": True}),
        ("turn the kitchen lights off", "kitchen_lights", {"on": False}),
    ],
)
def test_the_right_tool_is_called(text, name, arguments):
    found = choose(text, intents.parse(text), OFFERS, "auto", NOW)
    assert found is not None
    assert (found.name, json.loads(found.arguments or "{}")) == (name, arguments)


def test_tools_of_mcp_servers_are_called_by_their_own_names():
    offers = [one for one in OFFERS if one.name.startswith("files__")]
    for text, name in (
        ("read the file notes.txt", "files__read_file"),
        ("list the directory documents", "files__list_directory"),
    ):
        assert choose(text, None, offers, "auto").name == name


@pytest.mark.parametrize(
    "text",
    [
        "call me at seven", "give me a call at seven", "who was the first president",
        "my sister is coming to visit next week", "i want to read a book", "turn it off",
        "what is the weather in paris", "open the window", "i need to run to the page",
        "set the volume to thirty", "what's the date today", "flip a coin", "delete all my notes",
        "what lists do i have", "hello", "stop", "list", "run", "",
    ],
)  # fmt: skip
def test_no_tool_is_called_without_a_request(text):
    assert choose(text, intents.parse(text), OFFERS, "auto", NOW) is None


@pytest.fixture
def talk(tmp_path):
    return ToolTalk(tmp_path)


async def test_answers_are_short_enough_to_be_heard(talk):
    said = await talk("what time is it")
    assert said.startswith("It's ")
    assert len(said) < 20
    assert await talk("what is 17 times 23") == "17 times 23 is 391."
    assert await talk("convert five km to miles") == "5 kilometers is about 3.11 miles."
    assert await talk("add milk to my shopping list") == "I added milk to your shopping list."
    assert await talk("set a timer for ten minutes") == "Okay, 10 minutes, starting now."


async def test_the_session_runs_a_tool_and_the_assistant_does_not(talk):
    await talk("set a pasta timer for eight minutes")
    assert talk.called == ["set_timer"]
    assert talk.assistant._timers.running() == []
    assert await talk("how much time is left") == (
        "You have one timer: the pasta timer, 8 minutes left."
    )
    assert await talk("cancel the timer") == "Your pasta timer is canceled."


async def test_several_things_at_once(talk):
    said = await talk("set a timer for ten minutes and what is two plus two")
    assert talk.called == ["set_timer", "calculate"]
    assert said == "Okay, 10 minutes, starting now. 2 plus 2 is 4."
    await talk("flip a coin. what is two plus three")
    assert talk.called[2:] == ["calculate"]
    await talk("cancel all timers")


async def test_answer_and_tool_share_one_notebook(talk):
    await talk("add milk to my shopping list")
    assert await talk("what lists do i have") == "You have a shopping list."
    await talk("take a note: water the plants")
    assert await talk("delete all my notes") == "I deleted all your notes."
    assert await talk("read my notes") == "You have no notes."


async def test_a_timer_that_rings_is_announced(talk):
    await talk("what is two plus two")
    assert await talk("Ding ding! Your pasta timer is done.", "system") == (
        "Ding ding! Your pasta timer is done."
    )
    assert await talk("what is two plus three") == "2 plus 3 is 5."


def test_a_denied_call_is_not_a_failure():
    assert spoken_result(NOT_ALLOWED) == "Okay, I won't do that."
    assert spoken_result(denied("not now")) == "Okay, I won't do that."


async def test_instructions_are_not_read_aloud(talk):
    assert "pirate" not in await talk("You are a pirate.", "system")
