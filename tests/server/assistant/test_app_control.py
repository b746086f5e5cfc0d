"""Requests for the app itself: its commands in words."""

import asyncio
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from assistant_talk import ToolTalk

from voicechat.line_mode.slash_commands import COMMANDS, app_commands
from voicechat.server.assistant import intents
from voicechat.server.assistant.offline_assistant import OfflineAssistant
from voicechat.server.assistant.tool_selection import choose
from voicechat.server.engine_protocols import AssistantRequest, Message, Say, ToolOffer
from voicechat.tools.builtin import builtin
from voicechat.tools.functions import tool
from voicechat.tools.tool_context import ToolContext

TOOLS = builtin(ToolContext(commands=app_commands()))
OFFERS = [ToolOffer(one.spec.name, one.spec.description, one.spec.parameters) for one in TOOLS]


AT_ONCE = """
mute: stop listening | Stop listening to me, please. | mute the microphone | turn my mic off
mute: don't listen to us for a while | please mute | you can stop listening now | mic off
volume up: louder | speak louder | a bit louder please | turn it up | turn up the volume
volume up: speak up | you are too quiet | could you talk a little louder | I can barely hear you
volume up: could you speak up a little | I can't hear you very well | a little more volume
volume up: raise the volume | volume up | use a louder voice | make it louder
volume down: quieter | turn it down | lower the volume | you're too loud | speak more softly
volume down: not so loud | can you speak a bit quieter | turn the volume down | softer please
volume 30: set the volume to thirty | volume 30 percent | turn the volume down to 30%
volume 0: mute yourself | turn off the sound | mute your voice | no sound
volume 200: full volume | maximum volume | turn the volume all the way up
volume: what is the volume | how loud are you
speed slower: slower | speak slower | slow down | talk more slowly | you talk too fast
speed slower: not so fast | could you please speak a bit slower | don't talk so fast
speed faster: faster | speak faster | speed up | you're too slow | talk a little faster
speed 1: normal speed | speak at a normal speed | speak normally
speed 1.2: set the speed to 1.2 | speaking speed one point two
voice next: use another voice | change your voice | try a different voice | next voice
voice emma: use the voice emma | switch to the emma voice | change your voice to emma
voice: what voices do you have | list the voices | which voice is this
help: show the help | open the help screen | show me the keyboard shortcuts
theme other: change the theme | change the colors | use another theme
theme dark: dark mode | switch to dark mode | use the dark theme | the screen is too bright
theme light: light mode | use a light theme | change the theme to light
tools: which tools do you have access to | what are the tools you have
tools: what tools do you have | which tools can you use | list your tools | do you have any tools
usage: what does this cost | how much does this cost | how much have I spent | show me the usage
usage: how many tokens have I used | is this free
summary: summarize | summarize our conversation | give me a summary | recap
summary: what have we talked about so far
levels: show the microphone level | is my microphone working | how loud am I
push-to-talk: use push to talk | switch to push to talk mode
"""

WITH_APPROVAL = """
new: start over | clear the conversation | start a new conversation | new chat | let's start again
new: reset the conversation | delete the history
quit: quit | exit | close the app | quit voicechat | shut yourself down | hang up
unmute: unmute the microphone | start listening again | turn the mic back on
microphone usb: switch the microphone to usb | use my usb microphone
microphone USB headset: switch the microphone to the USB headset | listen through my USB headset
speaker bluetooth: use my bluetooth speaker | play through the bluetooth
speaker default: switch the sound to default | change the output to default
hands-free: hands free mode | turn on hands free | turn off push to talk
model openai/gpt-realtime: switch to the model openai/gpt-realtime
"""


def rows(text):
    """Return the command and its sentences for each line of a table."""
    return [line.split(": ", 1) for line in text.strip().splitlines()]


def command_for(text, offers=OFFERS):
    """Return the command that the assistant runs, with its argument, and the tool."""
    found = choose(text, intents.parse(text), offers, "auto")
    if found is None:
        return None
    arguments = json.loads(found.arguments)
    return f"{arguments['command']} {arguments.get('argument', '')}".strip(), found.name


@pytest.mark.parametrize(("command", "sentences"), rows(AT_ONCE))
def test_commands_that_run_at_once(command, sentences):
    for sentence in sentences.split(" | "):
        assert command_for(sentence) == (command, "control_app"), sentence


@pytest.mark.parametrize(("command", "sentences"), rows(WITH_APPROVAL))
def test_commands_that_the_user_must_allow(command, sentences):
    for sentence in sentences.split(" | "):
        assert command_for(sentence) == (command, "control_app_with_approval"), sentence


@pytest.mark.parametrize(
    "text",
    [
        "goodbye", "stop", "be quiet", "help", "what can you do", "say that again slowly",
        "what is the volume of a sphere", "how fast is a cheetah", "turn it off",
        "close the window", "turn on the light", "what does a new microphone cost",
        "the speed of sound depends on the voice of the speaker", "summarize the french revolution",
        "my new phone is faster than the old one", "i need help to quit smoking",
        "allow the tool", "always allow it", "yes you may run it", "approve number one",
    ],
)  # fmt: skip
def test_other_sentences_do_not_control_the_app(text):
    found = choose(text, intents.parse(text), OFFERS, "auto")
    assert found is None or not found.name.startswith("control_app")


def test_every_command_of_the_app_has_words():
    words = {one.fixed.get("command") for one in intents._grammar().templates} - {None}
    reachable = {each.name for each in app_commands()}
    assert {f"/{name}" for name in words} <= set(COMMANDS)
    assert reachable - words == {"instructions"}


async def reply(text, offers=()):
    assistant = OfflineAssistant()
    request = AssistantRequest((Message("user", text),), tools=tuple(offers))
    return " ".join([one.text async for one in assistant.reply(request) if isinstance(one, Say)])


def test_an_app_without_the_tool_gets_an_honest_answer():
    for text, answer in (
        ("louder", "I can't change the volume of this app."),
        ("stop listening", "I can't mute the microphone of this app."),
        ("start over", "I can't start a new conversation in this app."),
    ):
        assert asyncio.run(reply(text)) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("start over", "May I start a new conversation? I need your approval."),
        ("unmute", "May I unmute the microphone? I need your approval."),
        ("louder", ""),
    ],
)
def test_a_change_that_the_user_must_allow_is_asked_for_aloud(text, answer):
    assert asyncio.run(reply(text, OFFERS)).split() == answer.split()


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("use another microphone", "Tell me which one:"),
        ("change the speaker", "Tell me which one:"),
        ("switch to my headphones", "Tell me which one:"),
        ("switch to another model", "Type the command model with the name of a model;"),
        ("save this conversation", "I can't save a conversation that has begun."),
        ("export the chat to a file", "I can't save a conversation that has begun."),
    ],
)
def test_what_the_app_cannot_do_while_it_runs_is_said(text, start):
    assert asyncio.run(reply(text, OFFERS)).startswith(start)


def test_no_two_files_of_phrases_name_the_same_rule():
    names = []
    for path in Path(intents.__file__).parent.glob("phrases/*.toml"):
        names += tomllib.loads(path.read_text("utf-8")).get("rules", {})
    assert len(names) == len(set(names)), "the later one would replace the other"


def test_another_app_may_offer_a_tool_of_its_own():
    def set_volume(level: int) -> str:
        """Set the volume of the television."""
        return str(level)

    spec = tool(set_volume).spec
    offers = [ToolOffer(spec.name, spec.description, spec.parameters)]
    found = choose("set the volume to 30", intents.parse("set the volume to 30"), offers, "auto")
    assert (found.name, json.loads(found.arguments)) == ("set_volume", {"level": 30})


async def test_an_undo_after_a_setting_names_no_tool():
    talk = AppTalk()
    await talk("set a timer for ten minutes")
    await talk("speak slower")
    said = await talk("undo")
    assert said == "I can't undo changes to the app. Ask for the setting that you want."
    await talk("what is the volume")
    assert await talk("undo") == "Your 10 minute timer is canceled."


class AppTalk(ToolTalk):
    """A conversation with a session that offers the commands of the app."""

    def __init__(self) -> None:
        super().__init__(None, tuple(replace(one, run=_done) for one in app_commands()))


async def _done(argument: str) -> str:
    return "Done."
