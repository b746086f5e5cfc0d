"""Implausible values are refused or asked back, and sentences that only sound like requests."""

import json

import pytest
from assistant_talk import SkillTalk, ToolTalk

from voicechat.server.assistant import intents, plausibility
from voicechat.server.assistant.tool_selection import choose
from voicechat.server.engine_protocols import ToolOffer


@pytest.mark.parametrize(
    ("kind", "plausible", "implausible"),
    [
        ("label", "pasta|green tea|laundry|workout", "shut huh|it|um|the|ten|minutes|my|was|set a"),
        (
            "person",
            "ada|mary jane|ludwig van beethoven",
            "it|not|um|going home|what|tired|the|happy now|ten|she is|called",
        ),
        (
            "item",
            "milk|oat milk|call the bank|7 up|something sweet|the blue pen",
            "um|it|that|the|to|them|this one|something|if it rains|milk and|of the|what is it",
        ),
        ("text", "call mom|my car is red|buy flowers for anna", "um|it|that|is it|when i come|the"),
        ("replacement", "tuna|oat milk|call dad", "that is wrong|i like it|she|no one i know|the"),
    ],
)
def test_each_kind_of_free_text_has_one_rule(kind, plausible, implausible):
    rule = plausibility.rule(kind)
    assert [one for one in plausible.split("|") if not rule(one.split())] == []
    assert [one for one in implausible.split("|") if rule(one.split())] == []


@pytest.mark.parametrize(
    "text",
    [
        "What time is it in it is?",
        "Set a timer called shut huh for 2 minutes.",
        "Set a shut huh timer for two minutes.",
        "add um to my shopping list",
        "add it to my shopping list",
        "Add that to the list.",
        "my name is not",
        "I'm um.",
        "my name is it",
        "remember it",
        "remember that that",
        "take a note that it is",
        "remind me in ten minutes to it",
        "cancel the huh timer",
    ],
)
def test_an_implausible_value_is_no_request(text):
    assert intents.parse_all(text) == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("set a timer for 0 seconds", "A timer needs a time above zero."),
        ("Set a timer for 1000 hours.", "That is too long for a timer. The longest is 7 days."),
        (
            "remind me in 20000 hours to eat",
            "That is too long. I keep reminders for up to a year.",
        ),
        ("roll 500 dice", "I can roll up to 20 dice with 2 to 1000 sides."),
        ("count to a million", "That would take too long. I count up to 200 numbers."),
    ],
)
@pytest.mark.parametrize("kind", [SkillTalk, ToolTalk])
async def test_a_value_out_of_range_is_refused(tmp_path, kind, text, answer):
    talk = kind(tmp_path)
    assert await talk(text) == answer
    assert await talk("what timers are running") == "There is no timer running."


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("set a timer for 1:30", "For how long?"),
        ("set a timer called um", "For how long?"),
        ("set an alarm", "For what time?"),
        ("Remind me tomorrow to call mom.", "For what time?"),
        ("add um to my shopping list", "What should I add?"),
    ],
)
async def test_a_missing_value_is_asked_for(tmp_path, text, question):
    assert await ToolTalk(tmp_path)(text) == question


async def test_the_answer_to_a_question_completes_the_request(tmp_path):
    talk = ToolTalk(tmp_path)
    await talk("Remind me tomorrow to call mom.")
    assert await talk("At nine a.m.") == (
        "Okay, I'll remind you at 9:00 AM tomorrow, while voicechat runs: call mom."
    )
    await talk("set an alarm")
    assert (await talk("7:30 p.m.")).startswith("Your alarm is set, at 7:30 PM")


PLACE = {"type": "object", "properties": {"zone": {"type": "string"}}}
CLOCK = ToolOffer("current_time", "Tell the time. zone: an IANA time zone.", PLACE)


@pytest.mark.parametrize("text", ["what time it is then", "the current time it is", "time it is"])
def test_words_that_are_no_place_give_no_zone(text):
    chosen = choose(text, intents.parse(text), (CLOCK,), "auto")
    assert chosen is None or json.loads(chosen.arguments or "{}") == {}


OPEN_SPEECH = """
I set a timer once and it was great.
Remember when we were young?
I remember that day very well.
My name is on the list of people who called.
I added milk to the list yesterday.
We should add more salt next time.
He told me to set an alarm but I forgot.
The alarm went off at seven this morning.
I canceled the timer before it rang.
She reminded me to call my mother.
Undoing this would be hard.
I can't undo what I did.
No, I don't think that's true.
Actually, I think you're right about that.
I meant what I said.
I said no.
Make it stop raining.
That makes twenty of us.
We waited for twenty minutes.
It took ten minutes to get there.
Christmas was lovely last year.
I was born on the fourth of July.
How many days did you stay in Rome?
How long until we get there?
How long have you known each other?
A marathon is a long race.
I ran half a marathon last May.
A dozen eggs cost four dollars.
Clear the table, please.
Take the trash out, it smells.
Delete your account and move on.
Stop the car over there.
Cancel culture is a strange thing.
Forget about him, he is not worth it.
Repeat offenders get longer sentences.
Continue down this road for two miles.
Go on without me.
Never mind the gap.
Note the difference between the two.
Write down your name and address here.
Put the milk in the fridge.
Add the eggs to the flour and stir.
I need milk for my coffee.
I am the one who knocks.
Call me when you get home.
This is not what I expected from him.
This is Sparta.
I'm Not Okay is a song.
I'm from Berlin.
I'm in the kitchen.
I'm leaving tomorrow.
I'm furious.
I am American.
The time is right for a change.
What time does the store open?
What day works best for you?
What did you do on Christmas Eve?
When is the best time to visit Japan?
When is your birthday?
My car is red.
Tell her I said hello.
Do not forget to smile.
Turn off the lights when you leave.
Wake up and smell the coffee.
Wake me up before you go.
In five minutes we will know more.
At noon the train leaves for Paris.
Seven thirty was too early for me.
Remind me of summer days.
Convert him to our side.
Divide and conquer.
Let's split the bill by four people.
Her name was on the door, but the office was empty.
There was a note on the table that nobody could read.
The recipe says forty minutes, but it takes an hour.
The whole time we were there it rained.
Time flies when you are having fun.
What time does the shop around the corner close?
A timer is a handy thing to have.
I saw a list of names on the wall.
""".strip().splitlines()
CHANGING = intents.CHANGING - {"goodbye", "stop"}


@pytest.mark.parametrize("text", OPEN_SPEECH)
def test_open_speech_changes_nothing(text):
    assert [one.intent for one in intents.parse_all(text) if one.intent in CHANGING] == []


async def test_open_speech_calls_no_tool(tmp_path):
    talk = ToolTalk(tmp_path)
    await talk("set a timer for ten minutes")
    await talk("add milk to my shopping list")
    called = []
    for text in OPEN_SPEECH:
        done = len(talk.called)
        await talk(text)
        called += [(text, tool) for tool in talk.called[done:]]
    assert called == []
