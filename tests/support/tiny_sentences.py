"""A few sentences to build a small language model."""

import random

NUMBERS = ("one", "two", "three", "five", "six", "seven", "eight", "ten", "fifteen", "twenty")
SHAPES = (
    "what time is it",
    "flip a coin",
    "set a timer for {} minutes",
    "what is {} times {}",
    "how many miles are in {} kilometers",
    "voicechat what can you do",
    "sing the blorptastic song",
)


def sample(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    count = min(count, 3000)
    return [
        chance.choice(SHAPES).format(chance.choice(NUMBERS), chance.choice(NUMBERS))
        for _ in range(count)
    ]


def understood(text: str) -> bool:
    return text in set(sample(5000, 2))
