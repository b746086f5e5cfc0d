"""A source of sentences for a recognizer that listens to answers of sums."""

import random

SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen")
WORDS = (*SMALL, *TEENS, "eighteen")


def sample(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    pairs = [(chance.randint(0, 9), chance.randint(0, 9)) for _ in range(count)]
    return [f"{WORDS[a]} plus {WORDS[b]} is {WORDS[a + b]}" for a, b in pairs]


def understood(text: str) -> bool:
    return " plus " in text
