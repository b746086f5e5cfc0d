"""Talking over stories in simulated rooms on which no constant was chosen, while sound is lost.

The rooms reverberate, the speaker saturates, the clocks drift apart or the room is noisy. About
every three seconds one side, both or the program stalls for 20 to 120 ms.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from figures import Figure, Table, spread, trials
from simulated_card import RATE, Room, SimulatedCard, Stall
from sound_measures import LONG_TEXT
from user_speech import spoken

from voicechat.core.effects import Play, ResumePlayback, StopPlayback
from voicechat.core.inputs import LocalSpeech

ROOMS = {
    "0.4 s of reverberation": {"rt60_s": 0.4},
    "0.7 s of reverberation": {"rt60_s": 0.7},
    "a speaker that saturates": {"clips_at": 6_000.0},
    "80 ppm of drift": {"drift_ppm": 80.0},
    "noise at -54 dBFS": {"noise": 60.0},
}
LEVELS_DB = (-20.0, -10.0, -4.0)
SAID = ("stop", "what can you do", "what day is it today", "how many feet are in a mile")
TAKEN_MS = 300


def losses(seconds: float, seed: int) -> list[Stall]:
    """Return the stalls of so many seconds."""
    chance = np.random.default_rng(seed)
    sides = ("speaker", "microphone", "both", "engine")
    begins = 3.0 + np.cumsum(chance.exponential(3.0, int(seconds)))
    return [
        Stall(at, chance.uniform(0.02, 0.12), str(chance.choice(sides)))
        for at in begins
        if at < seconds
    ]


def talked_over(room: dict[str, float], stories: int) -> Iterator[Figure]:
    """Play stories at three levels of echo, and speak over each."""
    stops, missed, late = 0, 0, []
    for seed, gain_db in enumerate(LEVELS_DB):
        with pytest.MonkeyPatch.context() as patch:
            most_s = 11 * stories
            card = SimulatedCard(
                patch, Room(gain_db=gain_db, delay_ms=90, **room), losses(most_s, seed), most_s
            )
            card.open()
            for number in range(stories):
                alone, taken = _story(card, number)
                stops += alone
                missed += taken is None
                late += [] if taken is None else [taken]
    over = sum(ms > TAKEN_MS for ms in late)
    yield Figure("stops without a user", str(stops), "0", not stops)
    yield Figure("speech over a story, ms", spread(late), f"{TAKEN_MS}", not over)
    yield Figure("never heard", f"{missed} of {missed + len(late)}", "0", not missed)


def _story(card: SimulatedCard, number: int) -> tuple[int, float | None]:
    """Return the false stops of a story, and the ms until the speech over it was noticed."""
    seen = len(card.events)
    card.engine.command(Play(f"{number}", spoken(LONG_TEXT).tobytes()))
    stops = 0
    for _ in range(round(10 * (4 + number % 5 / 3))):
        card.run(0.1)
        for _, event in card.events[seen:]:
            if isinstance(event, LocalSpeech) and event.confirmed:
                stops += 1
                card.engine.command(ResumePlayback())
        seen = len(card.events)
    voice = spoken(SAID[number % len(SAID)], ("user", "guest")[number % 2], RATE)
    voice = voice[np.flatnonzero(np.abs(voice) > 400)[0] :]
    began = card.now
    card.say(card.elapsed, voice)
    card.run(len(voice) / RATE + 0.3)
    noticed = (at for at, event in card.events[seen:] if isinstance(event, LocalSpeech))
    at = next(noticed, None)
    card.engine.command(StopPlayback())
    card.run(1.5)
    return stops, None if at is None else 1000 * (at - began)


TABLE = Table(
    "Foreign rooms",
    {
        name: lambda effort, room=room: talked_over(room, trials(8, effort))
        for name, room in ROOMS.items()
    },
)
