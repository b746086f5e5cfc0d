"""Requests as a recognizer writes them: with punctuation, capitals, digits and symbols."""

import pytest
from meanings import right

from voicechat.server.assistant import intents

MIN = 60


@pytest.mark.parametrize(
    ("text", "intent", "values"),
    [
        ("Set a timer for 10 minutes.", "timer_set", {"seconds": 10 * MIN}),
        ("Set a timer for 1.5 hours.", "timer_set", {"seconds": 90 * MIN}),
        ("Set a timer for 1 1/2 hours.", "timer_set", {"seconds": 90 * MIN}),
        ("Set a timer for 2½ minutes.", "timer_set", {"seconds": 150}),
        ("Set a 90-second timer.", "timer_set", {"seconds": 90}),
        ("Set a 10-minute pasta timer.", "timer_set", {"seconds": 600, "name": "pasta"}),
        ("Set a timer for 1 hour, 15 minutes.", "timer_set", {"seconds": 75 * MIN}),
        ("Set a timer for an hour and 15 minutes.", "timer_set", {"seconds": 75 * MIN}),
        ("Timer, five minutes.", "timer_set", {"seconds": 5 * MIN}),
        ("Set a, um, timer for uh 5 minutes.", "timer_set", {"seconds": 5 * MIN}),
        ("Set an alarm for 6:45 in the morning.", "alarm_set", {"at": "06:45"}),
        ("Set an alarm for 7:30pm.", "alarm_set", {"at": "19:30"}),
        ("Set an alarm for 7 a.m.", "alarm_set", {"at": "07:00"}),
        ("Set an alarm for 7 AM tomorrow.", "alarm_set", {"tomorrow": "07:00"}),
        ("Wake me up at 730.", "alarm_set", {"at": "07:30"}),
        ("Wake me up at half past 6.", "alarm_set", {"at": "06:30"}),
        ("Wake me up at a quarter to 8.", "alarm_set", {"at": "07:45"}),
        ("Wake me at 9 o'clock.", "alarm_set", {"at": "09:00"}),
        ("Cancel the 730 alarm.", "timer_cancel", {"at": "07:30"}),
        ("Cancel the 10-minute timer.", "timer_cancel", {"seconds": 600, "kind": "timer"}),
        (
            "Remind me in 20 minutes to call Dr. Smith.",
            "remind",
            {"seconds": 20 * MIN, "text": "call Dr. Smith"},
        ),
        ("Remind me to call mom at 5 p.m.", "remind", {"text": "call mom", "at": "17:00"}),
        ("What's 15% of 80?", "calculate", {"value": 12}),
        ("What is 15 percent of $80?", "calculate", {"value": 12}),
        ("What is a 20% tip on $45?", "calculate", {"value": 9}),
        ("What is three-quarters of 12?", "calculate", {"value": 9}),
        ("What is two-thirds of 9?", "calculate", {"value": 6}),
        ("What is 3/4 of 12?", "calculate", {"value": 9}),
        ("What is 3 / 4?", "calculate", {"value": 0.75}),
        ("What is 3.5 times 2?", "calculate", {"value": 7}),
        ("What is 2 x 3?", "calculate", {"value": 6}),
        ("What's seventeen times twenty-three?", "calculate", {"value": 391}),
        ("What is minus 5 plus 3?", "calculate", {"value": -2}),
        ("What's 2 to the 10th?", "calculate", {"value": 1024}),
        ("How much is 1,200 plus 300?", "calculate", {"value": 1500}),
        ("What is five dollars plus ten dollars?", "calculate", {"value": 15}),
        ("Convert 5 1/2 miles to kilometers.", "convert", {"amount": 5.5, "from": "mile"}),
        ("How tall is 5'11\" in centimeters?", "convert", {"amount": 5, "from": "foot"}),
        ("What's 20°C in Fahrenheit?", "convert", {"amount": 20, "from": "degree_Celsius"}),
        ("100 km/h in mph", "convert", {"amount": 100, "from": "kilometer_per_hour"}),
        (
            "Add milk, eggs, and bread to my shopping list.",
            "list_add",
            {"item": "milk, eggs, and bread", "list": "shopping"},
        ),
        ("Add call the bank to my to-do list.", "list_add", {"list": "to do"}),
        ("Add, um, milk to my shopping list.", "list_add", {"item": "milk"}),
        ("Roll two six-sided dice.", "dice", {"count": 2}),
        ("Roll a 20-sided die.", "dice", {"sides": 20}),
        ("Pick a number between 1 and 100.", "random", {"low": 1, "high": 100}),
        ("My name is Mary Jane.", "name_set", {"name": "Mary Jane"}),
        ("My name is Dr. Smith.", "name_set", {"name": "Dr. Smith"}),
        ("What time is it in Los Angeles, California?", "time", {"place": "Los Angeles"}),
        ("Undo that.", "undo", {}),
        ("Go on.", "continue", {}),
        ("Never mind.", "stop", {"dismiss": True}),
        ("Say that again, please.", "again", {}),
    ],
)
def test_a_transcript_is_understood_with_its_values(text, intent, values):
    entry = {"text": text, "intent": intent, "values": values}
    assert right(text, entry), intents.parse(text)
