"""Attack every wire and HTTP surface of the program: `make attack SECONDS=3600 SEED=1`.

Everything stays on loopback and in a folder of its own. Waves follow each other until the time is
up: hostile HTTP servers, hostile providers, hostile clients of `voicechat serve`, kills of every
process at random moments, and two instances on the same folders. At the end nothing may be lost
or left running, and no key may be in a file, a stream or a command line. The exit code is 1 after
a fault. A fault names its wave and seed: `make attack ONLY=screen SEED=17` repeats that wave.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

sys.path.extend([str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")])

from attack_clients import attack_both, attack_requests, attack_screen
from attack_log import AttackLog
from attack_processes import KeyWatch, attack_instances, attack_kills, left_running
from attack_server import attack_server

Wave = Callable[[AttackLog, Random, int], Awaitable[None]]

WAVES: dict[str, tuple[Wave, int]] = {
    "requests": (attack_requests, 60),
    "screen": (attack_screen, 12),
    "server": (attack_server, 8),
    "kills": (attack_kills, 6),
    "instances": (attack_instances, 1),
}
"""The waves, with the number of attacks in each."""
SHORT: dict[str, tuple[Wave, int]] = {
    "requests and screen": (attack_both, 3),
    "server": (attack_server, 1),
    "kills": (attack_kills, 1),
}
"""The waves of a short attack, which starts few processes."""


def attack(seconds: float, seed: int, only: Sequence[str] = (), rounds: int = 10_000) -> AttackLog:
    """Run waves for so many seconds and rounds; return what they found.

    only: names of waves; all by default.
    """

    def waves(log: AttackLog) -> None:
        for number in range(seed, seed + rounds):
            for name in only or WAVES:
                if log.is_over:
                    return
                asyncio.run(_wave(log, name, number, WAVES[name]))

    return _watched(waves, seconds, seed, 3.0)


def short_attack(seed: int) -> AttackLog:
    """Run the waves of `SHORT` side by side, with little patience; return the findings."""

    async def waves(log: AttackLog) -> None:
        await asyncio.gather(*(_wave(log, name, seed, wave) for name, wave in SHORT.items()))

    return _watched(lambda log: asyncio.run(waves(log)), 600, seed, 0.4)


def _watched(
    waves: Callable[[AttackLog], None], seconds: float, seed: int, patience_s: float
) -> AttackLog:
    with tempfile.TemporaryDirectory(prefix="voicechat-attack-") as folder:
        log = AttackLog(seed, time.monotonic() + seconds, patience_s, folders=[Path(folder)])
        with KeyWatch(log) as watch:
            waves(log)
            log.wave = "at the end"
            left_running(log)
            watch.search_files()
    return log


async def _wave(log: AttackLog, name: str, number: int, wave: tuple[Wave, int]) -> None:
    run, most = wave
    log.wave = f"{name}, seed {number}"
    try:
        await run(log, Random(f"{name} {number}"), most)
    except Exception as error:
        traceback.print_exc()
        place = traceback.extract_tb(error.__traceback__)[-1]
        log.fault(f"{type(error).__name__}: {error}"[:500] + f" at {place.filename}:{place.lineno}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3_600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("only", nargs="*", choices=[*WAVES, []], help="waves; all by default")
    options = parser.parse_args()
    began = time.monotonic()
    log = attack(options.seconds, options.seed, options.only, options.rounds)
    sys.stdout.write("\n".join(log.lines()))
    sys.stdout.write(f"\nAttacked for {time.monotonic() - began:.0f} s.\n")
    sys.exit(1 if log.faults else 0)


if __name__ == "__main__":
    main()
