"""Many ways to ask for the same thing, as a recognizer writes them."""

import pytest

from voicechat.server.assistant import intents

PARAPHRASES = {
    "timer_set": """
Could you start a timer for eight minutes, please?
I'd like a timer for twelve minutes.
Let me know when twenty minutes are up.
Put fifteen minutes on the timer.
Can you time five minutes for me?
Give me a ten-minute timer.
Timer for three minutes, please.
Start counting down from 30 seconds.
Set a timer that goes off in half an hour.
I want to set a timer for my tea, four minutes.
Set a four-minute timer for the eggs.
Start a laundry timer for 45 minutes.
Ding me in six minutes.
Tell me when ten minutes have gone by.
Can I get a timer for an hour and a half?
New timer, two minutes.
Set the timer to 25 minutes.
Please set a countdown of 90 seconds.
Set me a timer of 20 minutes.
Let's do a five-minute timer.
""",
    "alarm_set": """
Get me up at six thirty tomorrow morning.
I need to be up by seven, set an alarm.
Set my alarm for quarter past six.
Can you wake me up at eight tomorrow?
Alarm at 5 a.m.
Please wake me at 6:15 AM.
Set an alarm for tomorrow at 7.
Set a wake-up alarm for 6 o'clock in the morning.
I want an alarm at noon.
Could you set an alarm for ten at night?
Wake me tomorrow morning at half past six.
Set an alarm tonight at ten.
Set an alarm for tomorrow morning at seven.
Alarm for 7 tomorrow.
""",
    "remind": """
Remind me to take my pills in an hour.
In 15 minutes, remind me to check the oven.
Remind me about the meeting at three.
Set a reminder to call Anna in two hours.
Can you remind me to water the plants at 6 p.m.?
Please remind me in half an hour that the cake is in the oven.
I need a reminder in ten minutes to move the car.
Don't let me forget to call the dentist at nine.
Remind me tomorrow at eight to take out the trash.
Remind me in 30 seconds to breathe.
Remind me to call mom tomorrow morning at nine.
Remind me this evening at eight to take my pills.
Remind me to take my pills at 8 tonight.
""",
    "timer_cancel": """
Kill the timer.
Stop my timer, please.
I don't need the timer anymore.
Get rid of the alarm.
Turn the alarm off.
Can you cancel the pasta timer?
Cancel my reminder.
Delete all timers.
Switch off my alarm for 7.
Never mind the timer.
""",
    "timer_left": """
How much time is left?
How long until the timer goes off?
What's left on the timer?
How many minutes are left on the pasta timer?
When does my alarm ring?
How much longer on the timer?
How's the timer doing?
""",
    "timer_list": """
What timers do I have?
Do I have any alarms set?
Show me my reminders.
List all my timers.
""",
    "list_add": """
Put bananas on the shopping list.
Add toothpaste and soap to my grocery list.
I need eggs on my shopping list.
Can you add olive oil to the list?
Please put call the plumber on my to-do list.
Add sunscreen to the packing list.
We're out of butter, add it to the shopping list.
Stick coffee on the list.
My shopping list needs flour.
Could you write cheese on my shopping list?
""",
    "list_remove": """
Take bananas off the shopping list.
Remove milk from my list.
Cross off eggs from the grocery list.
I bought the bread, take it off the list.
Scratch butter from the shopping list.
Delete call mom from my to-do list.
""",
    "list_read": """
What's on my grocery list?
Read me my shopping list.
What do I need to buy?
What's on my to-do list today?
Read the list.
Do I have anything on my shopping list?
""",
    "list_clear": """
Clear my shopping list.
Delete everything on my to-do list.
Start a new shopping list.
Wipe the grocery list.
""",
    "note_add": """
Take a note: the plumber comes on Tuesday.
Make a note that the rent is due.
Note to self, buy new shoes.
Write this down: pin is with Anna.
Jot down that the meeting moved to Friday.
""",
    "note_read": """
Read my notes.
What notes do I have?
What did I write down?
""",
    "note_remove": """
Delete my last note.
""",
    "note_clear": """
Delete all my notes.
""",
    "name_set": """
My name is Peter.
Call me Maria.
You can call me Joe.
I'm Thomas.
I am called Lisa.
""",
    "name_get": """
What's my name?
Do you know who I am?
Do you remember my name?
""",
    "remember": """
Remember that I parked on level two.
Remember my locker code is 4512.
Keep in mind that I'm allergic to nuts.
""",
    "recall": """
What did I tell you about my car?
What do you know about me?
What's my locker code?
""",
    "forget_all": """
Forget everything about me.
Erase your memory.
""",
    "calculate": """
What's six times seven?
How much is 45 divided by 9?
Can you add 17 and 25?
What's 20% of 150?
Calculate the square root of 81.
What is 100 minus 37?
Nine squared.
Multiply 12 by 12.
What do you get if you subtract 8 from 20?
What's half of 70?
12 plus 15 plus 3
What's a third of 90?
What is 7 factorial?
""",
    "convert": """
How many centimeters are in an inch?
What's 70 Fahrenheit in Celsius?
Convert 3 kilos to pounds.
How many meters is six feet?
How much is 10 miles in kilometers?
How many minutes are in a day?
How many grams in an ounce?
What is 100 degrees Fahrenheit in Celsius?
How many liters are in a gallon?
180 centimeters in feet.
""",
    "time": """
What time is it?
Do you have the time?
What time is it in Paris?
Tell me the time in Sydney.
What's the time in Japan right now?
Got the time?
""",
    "date": """
What's today's date?
What is the date today?
What's the date tomorrow?
When is Easter this year?
""",
    "day": """
What day is it today?
What day of the week is it?
Which day is July 4th?
On which day does Christmas fall?
Is it Friday today?
""",
    "until": """
How many days are left until Christmas?
How long is it to New Year's Eve?
How many days is it until June 1st?
How far away is Thanksgiving?
How many more days until Halloween?
How long do we have until midnight?
How long until 7 a.m. tomorrow?
""",
    "coin": """
Flip a coin for me.
Heads or tails?
""",
    "dice": """
Roll a die.
Roll three dice.
Throw two dice.
""",
    "random": """
Give me a random number between 1 and 50.
Pick a number from one to ten.
""",
    "choose": """
Should I have pizza or pasta?
Choose between red and blue.
""",
    "count": """
Count to ten.
Count backwards from ten.
""",
    "spell": """
How do you spell rhythm?
Spell the word banana.
""",
    "repeat": """
Repeat after me: the quick brown fox.
""",
    "again": """
What was that?
Can you say that again?
I didn't hear you.
Come again?
""",
    "continue": """
Keep going.
Please go on.
Continue with the story.
Where were we?
Carry on.
""",
    "undo": """
Undo that.
Take that back.
Can you undo the last change?
Undo my last request.
Put it back.
Oops, undo.
Reverse that, please.
Please undo it.
""",
    "stop": """
Forget about it.
Never mind.
That's enough.
Stop talking.
""",
    "joke": """
Tell me a joke.
""",
    "story": """
Tell me a story.
""",
    "help": """
What can you do?
Help.
""",
    "identity": """
Who are you?
""",
    "thanks": """
Thanks a lot.
""",
    "goodbye": """
See you later.
""",
    "greet": """
Good morning.
""",
    "how_are_you": """
How are you doing?
""",
}
REQUESTS = [
    (text, intent) for intent, texts in PARAPHRASES.items() for text in texts.strip().splitlines()
]


@pytest.mark.parametrize(("text", "intent"), REQUESTS)
def test_a_paraphrase_has_its_intent(text, intent):
    meaning = intents.parse(text)
    assert meaning is not None
    assert meaning.intent == intent


@pytest.mark.parametrize(
    ("text", "tomorrow", "time"),
    [
        ("Get me up at six thirty tomorrow morning.", True, "06:30"),
        ("Set an alarm for tomorrow morning at seven.", True, "07:00"),
        ("wake me up at 8 tomorrow evening", True, "20:00"),
        ("Wake me up tomorrow at 6.", True, "06:00"),
        ("Set an alarm tonight at ten.", False, "22:00"),
        ("Remind me this evening at eight to take my pills.", False, "20:00"),
        ("Remind me to eat at 12 today.", False, "12:00"),
    ],
)
def test_a_time_of_day_comes_with_its_day(text, tomorrow, time):
    meaning = intents.parse(text)
    assert meaning is not None
    assert str(meaning.values["tomorrow" if tomorrow else "at"]) == time
