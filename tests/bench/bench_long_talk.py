"""A long talk with the embedded voice in a room with echo, on a busy machine.

`python tests/bench/bench.py "Long talk" --effort 15` talks for a quarter of an hour in each room.
Users with voices other than the assistant's ask questions, and speak over stories. The program
runs as a user starts it; its recording says what it heard as a turn and when it stopped.
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
from bench_sound_playback import busy
from figures import Figure, Table, spread
from on_terminal import OnTerminal
from program_costs import load
from sound_measures import MARK_HZ, MARK_LEVEL, a_card, all_speech, lowered
from sound_rig import spans
from synthetic_voices import voices
from user_speech import LEVEL, LISTENING
from virtual_audio import RATE, STEADY_RATE, VirtualCard

from voicechat.core.events import SpeechStarted, ToolCallReady, UserTranscript
from voicechat.core.inputs import PlaybackStopped
from voicechat.recording.folder_format import TimedEvent, read
from voicechat.speech.pcm import Resampler, Samples

QUESTIONS = {
    "what is seven times eight": r"\b56\b",
    "what time is it": r"\d",
    "what day is it today": "day",
    "how many feet are in a mile": "5,?280",
    "what can you do": r"\bI\b",
}
"""What a user asks -> what the answer contains."""
STORY = "tell me a story"
STOPS = ("stop", *QUESTIONS)
"""What a user says over a story."""
EXPECTED_TOOLS = {"current_time", "calculate", "convert_units"}
LEAST_SPOKEN_S, MOST_SPOKEN_S = 2.0, 6.0
"""Seconds of a story before the user speaks over it."""
GRACE_S = 2.0
"""Seconds after the user's last sound in which a turn may begin, or a stop comes from the user."""
TAKEN_MS = 300
_QUIET = 60
_MARKED_S = 0.4
"""Seconds from the marker to the first sound of a sentence."""
_MOST_OFF_S = 1.5
"""Most seconds between a sentence by the wall clock and in the recording."""
_GAP_MS = 450
"""Longest pause between sentences; the answer to a barge-in begins later."""


@dataclass(frozen=True)
class Said:
    """A sentence of the user, by the wall clock in seconds."""

    words: str
    at: float
    until: float
    over_speech: bool


def long_talk(
    seconds: float, echo: tuple[int, float] | None, processes: int, seed: int = 1
) -> Iterator[Figure]:
    """Talk for so many seconds; count false turns, false stops and missed sentences."""
    with ExitStack() as stack:
        card = stack.enter_context(a_card(STEADY_RATE))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        card.hiss()
        if echo:
            stack.enter_context(card.echo(*echo))
        stack.enter_context(busy(processes))
        record = ("--record", str(folder / "talk"))
        terminal = OnTerminal(folder, *record, columns=100, rows=30, environ=card.environment)
        stack.callback(terminal.close)
        terminal.see(LISTENING, 60)
        recording = card.record()
        began = time.time()
        said, keys = _talk(card, terminal, began + seconds, random.Random(seed))
        busyness = load()
        terminal.type("\x11")
        terminal.code(20)
        sides = recording.stop()
        events = timed_events(folder / "talk")
    yield from _turns(said, keys, events, f"{seconds:.0f} s, {busyness}")
    yield from _barge_ins(said, sides, began)


def timed_events(folder: Path) -> list[tuple[float, TimedEvent]]:
    """Return the events of a recording with their times by the wall clock in seconds."""
    heading, timeline = read(folder)
    opened = datetime.fromisoformat(heading.started).timestamp()
    return [(opened + timed.at, timed) for timed in timeline]


def _talk(
    card: VirtualCard, terminal: OnTerminal, until: float, chance: random.Random
) -> tuple[list[Said], list[float]]:
    """Ask and speak over stories until then; return what was said, and the times of the key Esc."""
    said: list[Said] = []
    keys: list[float] = []
    people = list(voices().values())
    questions = list(QUESTIONS)
    while time.time() < until:
        person = chance.choice(people)
        if len(said) % 3 == 0:
            said.append(say(card, person, chance.choice(questions)))
        else:
            said.append(say(card, person, STORY))
            if not terminal.until(lambda: "▶ speaking" in terminal.reading, 8):
                continue
            time.sleep(chance.uniform(LEAST_SPOKEN_S, MOST_SPOKEN_S))
            speaks = "▶ speaking" in terminal.reading
            said.append(say(card, person, chance.choice(STOPS), over_speech=speaks))
        keys += _wait_for_the_end(terminal)
    return said, keys


def _wait_for_the_end(terminal: OnTerminal) -> list[float]:
    """Wait until a reply came and ended, or none came in time; interrupt one that goes on.

    Returns the time of the key that interrupted it.
    """
    keys = []
    if terminal.until(lambda: "▶ speaking" in terminal.reading, 4) and not terminal.until(
        lambda: "▶ speaking" not in terminal.reading, 12
    ):
        keys.append(time.time())
        terminal.type("\x1b")
    terminal.until(lambda: LISTENING in terminal.reading, 10)
    time.sleep(1.0)
    return keys


def say(card: VirtualCard, person: object, words: str, *, over_speech: bool = False) -> Said:
    """Say it into the microphone of the card; return when and what."""
    sound = _marked(person, words)
    at = time.time()
    card.say(sound).wait(30)
    return Said(words, at, time.time(), over_speech)


def _marked(person: object, words: str) -> Samples:
    """Return the words at 48 kHz, 400 ms after a marker tone above the microphone's bandwidth."""
    sound, rate = person(words)  # type: ignore[operator]
    scaled = sound * (LEVEL * 0.7 / np.std(sound[np.abs(sound) > 0.01]))
    pcm = scaled.clip(-32768, 32767).astype(np.int16)
    if rate != RATE:
        resampler = Resampler(rate, RATE)
        pcm = np.concatenate((resampler.convert(pcm), resampler.finish()))
    pcm = pcm[int(np.flatnonzero(np.abs(pcm.astype(np.int32)) > 400)[0]) :]
    mark = MARK_LEVEL * np.sin(np.arange(960) * 2 * np.pi * MARK_HZ / RATE)
    quiet = np.zeros(int(_MARKED_S * RATE) - 960, np.int16)
    return np.concatenate((mark.astype(np.int16), quiet, pcm))


def turns_of(events: Sequence[tuple[float, TimedEvent]]) -> list[tuple[float, str]]:
    """Return the user's turns, each with the time of its start."""
    began = {t.event.item_id: at for at, t in events if isinstance(t.event, SpeechStarted)}
    return [
        (began.get(timed.event.item_id, at), timed.event.text)
        for at, timed in events
        if isinstance(timed.event, UserTranscript) and timed.event.final and timed.event.text
    ]


def _turns(
    said: Sequence[Said],
    keys: Sequence[float],
    events: Sequence[tuple[float, TimedEvent]],
    how: str,
) -> Iterator[Figure]:
    turns = turns_of(events)
    stops = [at for at, timed in events if isinstance(timed.event, PlaybackStopped)]
    calls = [(at, t.event.name) for at, t in events if isinstance(t.event, ToolCallReady)]
    strange = [text for at, text in turns if not _is_of(said, at)]
    stopped = [*said, *(Said("", at, at, over_speech=True) for at in keys)]
    alone = [at for at in stops if not _is_of(stopped, at)]
    heard = [one for one in said if any(one.at < at < one.until + GRACE_S for at, _ in turns)]
    wrong = [name for _, name in calls if name not in EXPECTED_TOOLS]
    right = sum(
        any(same(one.words, text) for at, text in turns if one.at < at < one.until + GRACE_S)
        for one in said
    )
    ours = f"{len(strange)} {strange[:5]}, {how}"
    yield Figure("turns that no user spoke", ours, "0", not strange)
    yield Figure("stops without a user", str(len(alone)), "0", not alone)
    yield Figure("actions nobody asked for", f"{len(wrong)} {wrong[:5]}", "0", not wrong)
    yield Figure("sentences heard; word for word", f"{len(heard)}; {right} of {len(said)}")


def _is_of(said: Sequence[Said], at: float) -> bool:
    return any(one.at < at < one.until + GRACE_S for one in said)


def same(words: str, text: str) -> bool:
    """Return True if a transcript is what was said, word for word."""
    plain = re.sub(r"[^a-z0-9 ]", "", text.lower().replace("7", "seven").replace("8", "eight"))
    return plain.strip() == words


def _barge_ins(said: Sequence[Said], sides: np.ndarray, began: float) -> Iterator[Figure]:
    ducked, silent, missed = [], [], 0
    onsets = np.array(all_speech(sides))
    for one in (one for one in said if one.over_speech):
        near = onsets[np.abs(onsets / RATE - _MARKED_S - (one.at - began)) < _MOST_OFF_S]
        if not len(near) or len(sides) < near[0] + 4 * RATE:
            continue  # the recorder lost sound
        window, onset = sides[near[0] - RATE : near[0] + 4 * RATE], RATE
        speaker = window[:, 1]
        parts = [part for part in spans(speaker, level=_QUIET, gap_ms=_GAP_MS) if part[1] > onset]
        if not parts or parts[0][0] > onset:
            continue  # in a pause of the story
        end = parts[0][1]
        if end >= len(speaker) - RATE // 10:
            missed += 1
            continue
        ducked.append((lowered(speaker, onset, end) - onset) / (RATE / 1000))
        silent.append((end - onset) / (RATE / 1000))
    late = sum(ms > TAKEN_MS for ms in ducked)
    yield Figure("speech over a story → ducked, ms", spread(ducked))
    yield Figure(f"of these beyond {TAKEN_MS} ms", str(late), "0", late == 0)
    yield Figure("→ silent, ms; never", f"{spread(silent)}; {missed}", "; 0", missed == 0)


ROOMS = {
    "60 ms at -10 dB, 4 busy": ((60, -10.0), 4),
    "120 ms at -6 dB, 4 busy": ((120, -6.0), 4),
    "60 ms at -20 dB, 4 busy": ((60, -20.0), 4),
    "60 ms at -10 dB, 0 busy": ((60, -10.0), 0),
    "60 ms at -10 dB, 6 busy": ((60, -10.0), 6),
    "headphones, 4 busy": (None, 4),
}

TABLE = Table(
    "Long talk",
    {
        f"talk-{number}: {name}": partial(
            lambda effort, echo, processes: long_talk(60 * effort, echo, processes),
            echo=echo,
            processes=processes,
        )
        for number, (name, (echo, processes)) in enumerate(ROOMS.items(), 1)
    },
)
