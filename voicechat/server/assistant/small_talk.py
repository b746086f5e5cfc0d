"""Small talk, stories, and answers about the assistant itself."""

from __future__ import annotations

from collections.abc import Mapping

from voicechat.server.assistant.answer_context import Answer, AnswerContext

_ABOUT = (
    "I'm the embedded voice of voicechat, and I run entirely on this machine. "
    "A small program listens to your microphone and tells speech from silence. "
    "When you pause, a recognizer turns your words into text, I look for a request that I know, "
    "and a speech synthesizer reads my answer aloud, all within a fraction of a second. "
    "Nothing you say leaves this computer. "
    "I know the time and the date, I run timers, reminders and alarms, and I do arithmetic. "
    "I convert units, I keep your lists and notes, I flip coins and roll dice, and I spell words. "
    "I'm not a language model, so I don't know about the world, and I never pretend to. "
    "You can talk over me at any time, and I'll stop and listen. "
    "To talk about anything, connect a language model: the README tells you how."
)
_HELP = "I do timers, lists, notes, sums and dates. Type /help, or read the README, for more."
_STORIES = (
    (
        "Once upon a time there was a lighthouse keeper who could not sleep. Every night she "
        "climbed the hundred and twelve steps, lit the lamp, and counted the ships. One night "
        "in autumn the fog came in so thick that even the lamp could not cut through it. Far "
        "out on the water she heard a bell, small and uneven, as if someone rang it by hand. "
        "The keeper had no bell of her own, so she took the great soup pot from the kitchen, "
        "carried it up all the steps, and beat it with a ladle until her arms were sore. The "
        "little bell answered. She beat once, and it rang once. She beat twice, and it rang "
        "twice. Slowly, through the whole night, the bell came closer, and the keeper never "
        "stopped. When the sun rose, the fog went up like a curtain, and below the rocks lay a "
        "fishing boat with an old man in it, and on its mast a bell no larger than an apple. He"
        " came up for breakfast, and they ate soup from the pot, which had a hundred new dents."
        " He left her the bell. And from that day on, the keeper slept very well, because she "
        "knew that whoever was lost out there would find a way to answer."
    ),
    (
        "There was once a clock in a village square that was always seven minutes slow. The "
        "baker set his bread by it, the teacher began her lessons by it, and even the train "
        "waited, because the driver drank his coffee under it. One spring a clockmaker came "
        "through the village, laughed at the clock, and repaired it in a single afternoon "
        "without being asked. The next morning the bread was burned, the children were late, "
        "and the train left without the mayor. The whole village gathered in the square and "
        "looked up at the clock, which showed the right time and seemed rather lonely. Then the"
        " baker's daughter climbed up the tower with a spoon, moved the long hand back by seven"
        " minutes, and everyone breathed again. The train came back for the mayor. The bread "
        "was golden. The lessons began on time. And the clockmaker, who had watched all this, "
        "took out his own watch, thought for a while, and set it seven minutes slow. He lived "
        "in that village for the rest of his life, and he was never late for anything."
    ),
    (
        "A fox once found a letter in the snow. She could not read, so she carried it to the "
        "owl. The owl was too proud to say that he could not read either. He looked at it for a"
        " long time and said that it was an invitation to a feast. So the fox told the hare, "
        "and the hare told the badger, and the badger told the deer, and by evening every "
        "animal of the forest was on its way to the old oak. Of course there was no feast. "
        "There was only a tree, and snow, and a great many animals who were hungry and rather "
        "cross. But the hare had brought carrots, in case. The badger had brought honey, just "
        "to be polite. The squirrels went home and came back with nuts, and somebody began to "
        "sing. It became the best feast that anyone in the forest could remember. Late in the "
        "night a mouse asked to see the letter, for mice live among books and can read. She "
        "read it twice, folded it up again and smiled. What does it say, asked the owl, "
        "worried. It says, said the mouse, that you are all invited. And she threw it into the "
        "wind."
    ),
)
_JOKES = (
    "Why did the scarecrow win a prize? Because he was outstanding in his field.",
    "I told my computer I needed a break. It said: no problem, I'll go to sleep.",
    "What do you call a fish without an eye? A fsh.",
    "Why don't skeletons fight each other? They don't have the guts.",
    "What did zero say to eight? Nice belt.",
    "I would tell you a joke about time travel, but you didn't like it.",
    "Why was the math book sad? It had too many problems.",
)


def _greet(context: AnswerContext) -> str:
    name = context.notebook.read().name
    greeting = f"Hello, {name}." if name else "Hello."
    return f"{greeting} What can I do for you?"


def _identity(context: AnswerContext) -> str:
    name = f"I'm {context.own_name}" if context.own_name else "I'm voicechat's embedded voice"
    return f"{name}. I run on your machine, and I'm not a language model."


def _stop(context: AnswerContext) -> str:
    dismissed = "dismiss" in context.values and context.just_changed
    return "Okay. To take back the last change, say undo." if dismissed else "Okay."


ANSWERS: Mapping[str, Answer] = {
    "greet": _greet,
    "identity": _identity,
    "how_are_you": lambda on: "I'm fine, thank you. What can I do for you?",
    "thanks": lambda on: on.random.choice(("You're welcome.", "My pleasure.", "Any time.")),
    "goodbye": lambda on: "Goodbye.",
    "help": lambda on: _HELP,
    "stop": _stop,
    "objection": lambda on: (
        "Sorry. Say what you meant, or say undo." if on.just_changed else "Okay."
    ),
    "about": lambda on: _ABOUT,
    "story": lambda on: on.random.choice(_STORIES),
    "joke": lambda on: on.random.choice(_JOKES),
}
