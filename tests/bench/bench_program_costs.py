"""The whole program on a terminal and a virtual card: CPU time, wake-ups, memory and start."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from figures import Figure, Table, trials
from on_terminal import OnTerminal, private_environment
from program_costs import Meter, cpu_s, load, parts, pss_mib, split
from sound_measures import a_card
from spoken_screen import Speaker, open_screen, spoken_screen
from virtual_audio import VirtualCard

PEERS_CPU = "without a screen: Agents SDK demo 4.4, pydantic-ai 2.6 and 5 s of the reply lost"
PEERS_MEMORY = (
    "RSS: HF talk 109, pydantic-ai 115, push-to-talk example 121, Agents SDK demo 143,"
    " pipecat 147, LiveKit console 455"
)
PEERS_START = "Agents SDK demo 1,600…4,600, pydantic-ai 1,200…2,500"
SETTLING_S = 6.0
"""Seconds of listening until the microphone counts as quiet and the start has ended."""
ENDED_S = 20.0
"""Longest time from the end of a reply until the program listens."""


@contextmanager
def listening(card: VirtualCard, seconds: float, *words: str) -> Iterator[OnTerminal]:
    """Run the program in a quiet room with a server that answers for `seconds`."""
    card.hiss()
    with spoken_screen(card, seconds, *words) as terminal:
        yield terminal


def answer(terminal: OnTerminal, seconds: float) -> None:
    """Let the assistant speak, and wait until it has ended."""
    terminal.type("Tell me\n")
    terminal.see("▶ speaking")
    terminal.see("● listening", seconds + ENDED_S)


def reply(seconds: float) -> Iterator[Figure]:
    """Measure the CPU time from the start of the program to the end of one spoken reply."""
    with a_card() as card, listening(card, seconds) as terminal:
        begun = {name: cpu_s(each) for name, each in parts(terminal).items()}
        answer(terminal, seconds)
        spent = {name: cpu_s(each) for name, each in parts(terminal).items()}
    total, target = sum(spent.values()), 3.5 * seconds / 60
    ours = f"{split(spent)}, n 1, {load()}"
    what = f"CPU of the start and {seconds:.0f} s, s"
    yield Figure(what, ours, f"{target:.1f}", total <= target, PEERS_CPU)
    yield Figure("of that the start, s", split(begun), peers="")


def idle(seconds: float) -> Iterator[Figure]:
    """Measure CPU time and wake-ups of a connected program that hears nothing."""
    with a_card() as card, listening(card, 1.0) as terminal:
        time.sleep(SETTLING_S)
        meter = Meter(terminal)
        time.sleep(seconds)
        percent, wakeups = meter.cpu_percent(), meter.wakeups_per_s()
    ours = f"{split(percent)}, {seconds:.0f} s, {load()}"
    total = sum(percent.values())
    yield Figure("CPU while listening, % of a core", ours, "3", total <= 3)
    yield Figure(
        "wake-ups of the app per s",
        f"{wakeups['app']:.0f} (sound {wakeups['sound']:.0f})",
        "30",
        wakeups["app"] <= 30,
    )


def hosted(effort: float) -> Iterator[Figure]:
    """Measure the memory of a program with a hosted model, after a reply."""
    with a_card() as card, listening(card, 4.0) as terminal:
        answer(terminal, 4.0)
        yield _memory("PSS with a hosted model, MiB", terminal, 95)


def embedded(*words: str, target: float) -> Iterator[Figure]:
    """Measure the memory of a program with the embedded voice, after a reply."""
    with a_card() as card, tempfile.TemporaryDirectory() as folder:
        card.hiss()
        environ = card.environment
        terminal = OnTerminal(Path(folder), *words, columns=100, rows=30, environ=environ)
        try:
            ready = "○ ready" if words else "● listening"
            terminal.see(ready, 40)
            terminal.type("what is seven plus five\n")
            terminal.see("voice .*12", 20)
            terminal.see(ready, 20)
            time.sleep(1)
            what = " ".join(("PSS with the embedded voice", *words))
            yield _memory(f"{what}, MiB", terminal, target)
        finally:
            terminal.close()


def _memory(what: str, terminal: OnTerminal, target: float) -> Figure:
    sizes = {name: pss_mib(each) for name, each in parts(terminal).items() if each}
    total = sum(sizes.values())
    return Figure(what, f"{split(sizes, 0)}, n 1", f"{target:.0f}", total <= target, PEERS_MEMORY)


def start(count: int) -> Iterator[Figure]:
    """Measure from the start of the program to the open connection, and the short commands."""
    took = []
    with a_card() as card:
        card.hiss()
        for _ in range(count):
            server = Speaker(1.0)
            with tempfile.TemporaryDirectory() as folder:
                terminal = open_screen(card, server, Path(folder))
                terminal.see("● listening", 30)
                took.append((server.connected_at - terminal.started) * 1000)
                terminal.close()
            server.close()
    middle = statistics.median(took)
    ours = f"median {middle:.0f}, worst {max(took):.0f}, n {count}, {load()}"
    yield Figure("start → connected, ms", ours, "600", middle <= 600, PEERS_START)


def commands(count: int) -> Iterator[Figure]:
    """Measure the short commands; `--version` must not take longer than `--help`."""
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        environ = private_environment(Path(folder))
        for word in ("--version", "--help") * count:
            began = time.monotonic()
            program = [sys.executable, "-m", "voicechat", word]
            subprocess.run(program, env=environ, check=True, stdout=subprocess.DEVNULL)
            took.setdefault(word, []).append((time.monotonic() - began) * 1000)
    version, helped = (statistics.median(took[word]) for word in ("--version", "--help"))
    ours = f"{version:.0f} : {helped:.0f} = {version / helped:.2f}, n {count}, {load()}"
    yield Figure("--version : --help, ms", ours, "1", version <= 1.05 * helped, peers="")


TABLE = Table(
    "Costs of the program",
    {
        "cpu-reply: 60 s": lambda effort: reply(6 * round(10 * effort)),
        "cpu-idle: listening": lambda effort: idle(20 * effort),
        "memory-hosted": hosted,
        "memory-embedded": lambda effort: embedded(target=350),
        "memory-text: embedded, without sound": lambda effort: embedded("--text", target=120),
        "start: to the connection": lambda effort: start(trials(7, effort)),
        "start-commands: --version and --help": lambda effort: commands(trials(7, effort)),
    },
)
