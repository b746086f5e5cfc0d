"""Echo in simulated rooms with the real engine: residual echo, and preserved speech.

Minutes take seconds, and each run is reproducible; `Barge-in` has the rows on a real card.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator

import numpy as np
import pytest
from bench_speech import CORPUS, PEOPLE, Listener, Speaker, means
from figures import Figure, Table, trials
from simulated_card import RATE, Room, SimulatedCard, Stall, speak

from voicechat.audio.messages import Underrun
from voicechat.core.inputs import MicBlock
from voicechat.speech.pcm import Samples, dbfs

ROOMS = {
    "-12 dB": Room(),
    "-6 dB": Room(gain_db=-6),
    "150 ms": Room(delay_ms=150),
    "100 ppm": Room(drift_ppm=100),
    "a 20 ms jump": Room(jump_ms=20, jump_at=20),
}
POINTS = 15
PAUSE_S = 3.0
"""Seconds between sentences over the assistant; no user speaks over it continuously."""


def delivered(card: SimulatedCard) -> Samples:
    """Return everything delivered from the microphone since the start."""
    return np.frombuffer(b"".join(block.pcm for block in card.of(MicBlock)), np.int16)


def left_db(card: SimulatedCard) -> float:
    """Return the attenuation of the microphone's signal in dB, from the third second on."""
    settled = slice(2 * RATE, None)
    return dbfs(np.concatenate(card.heard)[settled]) - dbfs(delivered(card)[settled])


def storm(seed: int, seconds: float) -> list[Stall]:
    """Return stalls of the whole program for 30 to 150 ms, about every four seconds."""
    chance = np.random.default_rng(seed)
    begins = 3.0 + np.cumsum(chance.exponential(4.0, int(seconds)))
    return [Stall(at, chance.uniform(0.03, 0.15)) for at in begins if at < seconds]


def alone(room: Room, seconds: float, stalls: list[Stall]) -> Iterator[Figure]:
    """Measure while only the assistant speaks."""
    with pytest.MonkeyPatch.context() as patch:
        card = SimulatedCard(patch, room, stalls)
        card.open()
        heard = speak(card, seconds)
    stops = sum(heard)
    ducks = len(heard) - stops
    yield Figure(
        f"stops, ducks in {seconds:.0f} s", f"{stops}, {ducks}", "0, 2", (stops, ducks) <= (0, 2)
    )
    gone = left_db(card)
    if stalls:
        lost = card.of(Underrun)
        yield Figure("lost by the drop-outs, ms", f"{lost[-1].lost_ms if lost else 0:.0f}")
        yield Figure("echo taken away, dB", f"{gone:.0f}")
    else:
        yield Figure("echo taken away, dB", f"{gone:.0f}", "30", gone >= 30)


def talked_over(room: Room, said: list[Samples], *, far: bool) -> list[Samples]:
    """Measure the delivered share of each sentence, said over the assistant or in silence."""
    spots, at = [], 6.0
    for sentence in said:
        spots.append(int(at * RATE))
        at += len(sentence) / RATE + PAUSE_S
    with pytest.MonkeyPatch.context() as patch:
        card = SimulatedCard(patch, room, seconds=int(at) + 70)
        card.open(barge_in="off")
        for spot, sentence in zip(spots, said, strict=True):
            card.say(spot / RATE, sentence)
        if far:
            speak(card, at + 1)
        else:
            card.run(at + 1)
    whole = delivered(card)
    return [whole[spot : spot + len(each)] for spot, each in zip(spots, said, strict=True)]


def understood(room: Room, count: int) -> Iterator[Figure]:
    """Recognize commands over the assistant's voice with the embedded recognizer."""
    shares = asyncio.run(_understood(room, count))
    clean, over = shares
    target = f"{clean - POINTS:.0f}"
    yield Figure("commands understood without the voice, %", f"{clean:.0f}")
    yield Figure("commands understood over it, %", f"{over:.0f}", target, over >= clean - POINTS)


async def _understood(room: Room, count: int) -> tuple[float, float]:
    entries = [
        entry
        for entry in json.loads((CORPUS / "commands.json").read_text("utf-8"))
        if not any(sign in entry["text"] for sign in "0123456789*^")
    ][:: max(1, 150 // count)][:count]
    listener, speaker = Listener(), Speaker()
    await asyncio.gather(listener.open(), speaker.open())
    try:
        chance = random.Random(3)
        said = [
            np.frombuffer(
                await speaker.say(entry["text"], list(PEOPLE)[at % 3], 30.0, chance), np.int16
            )
            for at, entry in enumerate(entries)
        ]
        shares = []
        for far in (False, True):
            heard = await asyncio.to_thread(talked_over, room, said, far=far)
            right = [
                means(await listener.request(await listener.transcribe(sound.tobytes())), entry)
                for sound, entry in zip(heard, entries, strict=True)
            ]
            shares.append(100 * sum(right) / len(right))
    finally:
        await asyncio.gather(listener.close(), speaker.close())
    return shares[0], shares[1]


TABLE = Table(
    "Echo",
    {
        **{
            f"alone, {name}": lambda effort, room=room: alone(room, 300 * effort, [])
            for name, room in ROOMS.items()
        },
        "alone, -6 dB, a machine that drops sound": lambda effort: alone(
            ROOMS["-6 dB"], 300 * effort, storm(1, 300 * effort)
        ),
        **{
            f"both at once, {name}": lambda effort, room=room: understood(room, trials(24, effort))
            for name, room in ROOMS.items()
        },
    },
)
