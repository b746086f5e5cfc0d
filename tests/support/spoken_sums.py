"""What somebody expects who listens for the answer to a sum."""

import random

SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen")
WORDS = (*SMALL, *TEENS, "eighteen")


def sample(count, seed):
    chance = random.Random(seed)
    pairs = [(chance.randint(0, 9), chance.randint(0, 9)) for _ in range(count)]
    return [f"{WORDS[a]} plus {WORDS[b]} is {WORDS[a + b]}" for a, b in pairs]


def understood(text):
    return " plus " in text
