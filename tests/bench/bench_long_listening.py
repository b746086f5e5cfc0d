"""Listening and talking for long: a cold microphone, a busy machine, and a default that changes.

`python tests/bench/bench.py "Long listening" --effort 60` runs for an hour. The program runs as a
user starts it. The sound server says how often it opened its streams, its recording what it heard.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from bench_long_talk import QUESTIONS, Said, same, say, timed_events, turns_of
from bench_sound_playback import busy
from figures import Figure, Table
from on_terminal import OnTerminal
from program_costs import load
from synthetic_voices import voices
from user_speech import LISTENING
from virtual_audio import VirtualCard

BUSY = 6
MOVES = 10
"""How often the default devices change, one after the other side."""
MUTES = 3
"""How often the user mutes; the microphone is cold again then."""
SPEAKS_EVERY_S = 20.0
GRACE_S = 2.0
_PAIR = ("spk2", "mic2")


class Openings:
    """Counts the streams that programs open on a card, as its server tells.

    Streams within a second count as one: ALSA opens one again at each underrun.
    """

    def __init__(self, card: VirtualCard) -> None:
        self._listener = subprocess.Popen(
            ["pactl", "subscribe"],
            env=os.environ | card.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._found: dict[str, list[float]] = {"source-output": [], "sink-input": []}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._listener.stdout or ():
            for kind, times in self._found.items():
                if f"'new' on {kind}" in line:
                    times.append(time.monotonic())

    def stop(self) -> tuple[int, int]:
        """Return how often programs began to record and to play since the start."""
        self._listener.terminate()
        self._listener.wait(10)
        self._reader.join(10)
        recorded, played = self._found.values()
        return _apart(recorded), _apart(played)


def _apart(times: list[float]) -> int:
    return sum(at - before > 1.0 for before, at in pairwise([-1e9, *times]))


def long_listening(seconds: float, seed: int = 1) -> Iterator[Figure]:
    """Listen and talk for so many seconds; count openings, missed sentences and underruns."""
    with ExitStack() as stack:
        card = stack.enter_context(VirtualCard(cold=True))
        os.environ.update(card.environment)
        card.route_as_desktop()
        _add_pair(card)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(busy(BUSY))
        openings = Openings(card)
        record = ("--record", str(folder / "talk"))
        terminal = OnTerminal(folder, *record, columns=100, rows=30, environ=card.environment)
        stack.callback(terminal.close)
        terminal.see(LISTENING, 60)
        # The virtual card changes its latency with its first player, and ends what plays.
        _ask(card, terminal, random.Random(seed), time.time() + 1)
        later, gaps = Openings(card), _underruns(terminal)
        moves, mutes, said = _live(card, terminal, time.time() + seconds, random.Random(seed))
        busyness = load()
        gaps = _underruns(terminal) - gaps
        recorded, played = openings.stop()[0], later.stop()[1]
        terminal.type("\x11")
        terminal.code(20)
        events = timed_events(folder / "talk")
    turns = turns_of(events)
    inside = {id(one): [text for at, text in turns if _is_in(one, at)] for one in said}
    heard = sum(bool(texts) for texts in inside.values())
    right = sum(any(same(one.words, text) for text in inside[id(one)]) for one in said)
    began = said[0].at
    strange = [
        text for at, text in turns if at > began and not any(_is_in(one, at) for one in said)
    ]
    how = f"{seconds:.0f} s, {moves} moves, {mutes} mutes, {busyness}"
    ours = f"{heard} of {len(said)}; {right} word for word; {how}"
    yield Figure("sentences heard", ours, "all", heard == len(said))
    yield Figure("turns that no user spoke", f"{len(strange)} {strange[:5]}", "0", not strange)
    most = 1 + mutes
    yield Figure("microphone opened", str(recorded), f"at most {most}", recorded <= most)
    own = played - len(said)
    yield Figure("speaker opened again", str(own), "0", own <= 0)
    yield Figure("underruns of the speaker", str(gaps), "0", not gaps)


def _add_pair(card: VirtualCard) -> None:
    """Add a second speaker and microphone with the clock and the sound of the first ones."""
    speaker, microphone = _PAIR
    card.pactl(
        *("load-module", "module-remap-sink", f"sink_name={speaker}", "master=hw"),
        *("channels=1", "channel_map=mono", "master_channel_map=front-right", "remix=no"),
        "sink_properties=device.description=Desk",
    )
    card.pactl(
        *("load-module", "module-remap-source", f"source_name={microphone}"),
        *("master=hw.monitor", "channels=1", "channel_map=mono"),
        *("master_channel_map=front-left", "remix=no"),
        "source_properties=device.description=Desk-Mic",
    )


def _live(
    card: VirtualCard, terminal: OnTerminal, until: float, chance: random.Random
) -> tuple[int, int, list[Said]]:
    """Ask now and then, while the defaults change; return the changes, mutes and what was said."""
    began = time.time()
    said: list[Said] = []
    moves = mutes = 0
    while time.time() < until:
        share = (time.time() - began) / (until - began)
        if share * (MOVES + 1) > moves + 1:
            moves += 1
            _move(card, moves)
            time.sleep(1.0)
        elif share * (MUTES + 1) > mutes + 1:
            mutes += 1
            _mute(card, terminal)
        said.append(_ask(card, terminal, chance, until))
    return moves, mutes, said


def _ask(card: VirtualCard, terminal: OnTerminal, chance: random.Random, until: float) -> Said:
    """Ask something and wait for the answer, and then for the next time to speak."""
    said = say(card, chance.choice(list(voices().values())), chance.choice(list(QUESTIONS)))
    next_at = min(said.at + SPEAKS_EVERY_S, until)
    terminal.until(lambda: "▶ speaking" in terminal.reading, 8)
    terminal.until(lambda: LISTENING in terminal.reading, 15)
    time.sleep(max(0.5, next_at - time.time()))
    return said


def _underruns(terminal: OnTerminal) -> int:
    terminal.type("/latency\n")
    count = int(terminal.see(r"Underruns: (\d+)", 30)[1])
    terminal.type("\x1b")
    terminal.until(lambda: "Underruns" not in terminal.reading, 5)
    return count


def _move(card: VirtualCard, number: int) -> None:
    """Change the default speaker, then the default microphone, then back, and so on."""
    speaker, microphone = _PAIR
    if number % 2:
        card.make_default(sink=speaker if number % 4 == 1 else "spk")
    else:
        card.make_default(source=microphone if number % 4 == 2 else "mic")


def _mute(card: VirtualCard, terminal: OnTerminal) -> None:
    """Mute until the microphone is closed and cold, and take it back."""
    terminal.type("\x1bOR")
    terminal.see("muted", 10)
    while "protocol-native" in card.pactl("list", "short", "source-outputs").stdout:
        time.sleep(0.5)
    time.sleep(3.0)
    terminal.type("\x1bOR")
    terminal.until(lambda: LISTENING in terminal.reading, 20)


def _is_in(one: Said, at: float) -> bool:
    return one.at < at < one.until + GRACE_S


TABLE = Table("Long listening", {"moving defaults": lambda effort: long_listening(60 * effort)})
