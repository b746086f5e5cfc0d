"""Selection of an offered tool, and its arguments."""

import json

import pytest

from voicechat.server.assistant import intents
from voicechat.server.assistant.result_speech import spoken_result
from voicechat.server.assistant.tool_selection import choose
from voicechat.server.engine_protocols import ToolOffer


def tool(name, description="", /, required=None, **properties):
    kinds = {
        key: {"type": kind} if isinstance(kind, str) else kind for key, kind in properties.items()
    }
    schema = {"type": "object", "properties": kinds}
    schema["required"] = list(kinds) if required is None else required
    return ToolOffer(name, description, schema)


TOOLS = [
    tool("get_weather", "Get the weather in a city", city="string"),
    tool("set_light", "Turn a light on or off in a room", room="string", on="boolean"),
    tool("everything__add", "Adds two numbers", a="number", b="number"),
    tool("echo", "Echoes back the input", message="string"),
    tool("fs__list_directory", "List the files in a directory", path="string"),
    tool("fs__read_file", "Read the contents of a file", path="string"),
    tool("fs__write_file", "Write a file", path="string", content="string"),
    tool("set_volume", "Set the volume of the speaker", level={"type": "integer"}),
    tool("playMusic", "Play a song", required=["genre"], genre={"enum": ["jazz", "rock"]}),
    tool("timer_set", "Starts a timer", required=["minutes"], minutes="number", name="string"),
    tool("current_time", "Tells the time", required=[], timezone="string"),
    tool("fetch_page", "Fetch a web page as text", url="string"),
    tool("roll_dice", "Rolls dice", required=[], count="integer", sides="integer"),
    tool("convert_units", "Converts", value="number", from_unit="string", to_unit="string"),
    tool("calculator", "Evaluates", expression="string"),
    tool("note_add", "Keeps a note", text="string"),
]


def chosen(text, tools=TOOLS, choice="auto"):
    found = choose(text, intents.parse(text), tools, choice)
    if found is None or found.question:
        return None
    return found.name, json.loads(found.arguments)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("what is the weather in Paris", "get_weather", {"city": "Paris"}),
        ("How's the weather like in New York today?", "get_weather", {"city": "New York"}),
        ("will it rain in london tomorrow", "get_weather", {"city": "london"}),
        ("turn on the light in the kitchen", "set_light", {"room": "kitchen", "on": True}),
        ("turn off the bedroom lights", "set_light", {"room": "bedroom", "on": False}),
        ("add five and seven", "everything__add", {"a": 5, "b": 7}),
        ("echo hello world", "echo", {"message": "hello world"}),
        ("list the files in /tmp/stuff", "fs__list_directory", {"path": "/tmp/stuff"}),
        ("read the file notes.txt", "fs__read_file", {"path": "notes.txt"}),
        ("set the volume to thirty", "set_volume", {"level": 30}),
        ("play some jazz music", "playMusic", {"genre": "jazz"}),
        ("set a pasta timer for eight minutes", "timer_set", {"minutes": 8, "name": "pasta"}),
        ("what time is it in tokyo", "current_time", {"timezone": "Asia/Tokyo"}),
        ("what time is it", "current_time", {}),
        ("fetch the page https://a.example/b?c", "fetch_page", {"url": "https://a.example/b?c"}),
        ("roll two dice", "roll_dice", {"count": 2}),
        (
            "convert 5 km to miles",
            "convert_units",
            {"value": 5, "from_unit": "kilometer", "to_unit": "mile"},
        ),
        ("what is 17 times 23", "calculator", {"expression": "17*23"}),
        ("take a note: buy milk", "note_add", {"text": "buy milk"}),
    ],
)
def test_the_right_tool_with_the_right_arguments(text, name, arguments):
    assert chosen(text) == (name, arguments)


@pytest.mark.parametrize(
    "text",
    [
        "who was the first president",
        "tell me a story",
        "flip a coin",
        "why is the sky blue",
        "thank you",
        "cancel the timer",
        "read my notes",
        "my sister is coming to visit next week",
        "",
    ],
)
def test_no_tool_where_none_fits(text):
    assert chosen(text) is None


def test_tool_choice_is_followed():
    assert chosen("hello there", choice="none") is None
    assert chosen("what is the weather in paris", choice="none") is None
    assert chosen("hello there", choice="echo") == ("echo", {"message": "hello there"})
    assert chosen("hello", choice="set_volume") == ("set_volume", {"level": 0})
    assert chosen("the weather in rome please", choice="required")[0] == "get_weather"
    assert chosen("hello", [TOOLS[8]], "required") == ("playMusic", {"genre": "jazz"})
    assert chosen("hello", [], "required") is None


def test_unusual_schemas_are_safe():
    for schema in ({}, {"properties": None}, {"properties": {"a": True}}, {"required": "a"}):
        offer = ToolOffer("weather", "", schema)
        assert choose("the weather please", None, [offer], "auto").name == "weather"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("21 degrees and sunny", "21 degrees and sunny."),
        ('"fine"', "Fine."),
        ("391", "391."),
        ("true", "Yes."),
        ("null", "Done."),
        ("", "Done."),
        ("{}", "Done."),
        ("[]", "Nothing."),
        ('["a", "b", "c"]', "A, b and c."),
        ('{"result": 12}', "12."),
        ('{"text": "It is noon", "zone": "UTC"}', "It is noon."),
        ('{"temperature_c": 21.50, "isDay": true}', "Temperature c is 21.5 and is day is yes."),
        ('{"error": {"message": "no such city"}}', "That didn't work: no such city."),
        ('{"error": "You can\'t divide by zero."}', "You can't divide by zero."),
        ('{"error": null, "sum": 3}', "Sum is 3."),
    ],
)
def test_results_are_spoken_plainly(output, said):
    assert spoken_result(output) == said


def test_long_results_are_shortened():
    assert len(spoken_result("word " * 5000)) < 650


def test_a_tool_that_needs_no_time_gets_a_reminder_without_one():
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    offer = ToolOffer("save_reminder", "Save a reminder for the user", schema)
    text = "set a reminder to call mom"
    found = choose(text, intents.parse(text), (offer,), "auto")
    assert found is not None
    assert found.name == "save_reminder"
    assert "call mom" in json.loads(found.arguments)["text"]
