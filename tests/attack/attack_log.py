"""What an attack finds: faults, the peak memory of each victim and the longest stall."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MOST_MB = 150.0
"""Limit of the memory above idle under one hostile peer."""
MOST_STALL_MS = 100.0
"""Limit of a stall of an event loop."""


@dataclass
class AttackLog:
    """The findings of all waves."""

    seed: int
    until: float
    """Time (monotonic, s) when the attack ends."""
    patience_s: float = 3.0
    """Seconds until the user gives up on a peer that delays."""
    faults: list[str] = field(default_factory=list)
    peaks: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Most MB above idle, and the way of the attack, by surface."""
    stalls: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Longest stall in ms, with the way and the place, by surface."""
    notes: list[str] = field(default_factory=list)
    """Observations that are no faults."""
    counts: Counter[str] = field(default_factory=Counter)
    streams: list[bytes] = field(default_factory=list)
    """Everything that the programs printed."""
    folders: list[Path] = field(default_factory=list)
    """Folders of the programs."""
    wave: str = ""
    """The present wave, with the seed that repeats it."""

    @property
    def is_over(self) -> bool:
        """True once the time is up."""
        return time.monotonic() >= self.until

    def fault(self, text: str) -> None:
        """Note and print a fault."""
        self.faults.append(f"{self.wave}: {text}")
        sys.stdout.write(f"✗ {self.faults[-1]}\n")
        sys.stdout.flush()

    def measured(self, surface: str, way: str, found: Mapping[str, object]) -> None:
        """Note the figures of one victim under one way of attack."""
        self.counts[surface] += 1
        mb, ms = float(str(found["peak_mb"])), float(str(found["stall_ms"]))
        if "importlib" in str(found.get("place")):
            ms = 0.0  # the first use of a library is no text from outside
        if mb > self.peaks.get(surface, (0.0, ""))[0]:
            self.peaks[surface] = (mb, way)
        if ms > self.stalls.get(surface, (0.0, ""))[0]:
            self.stalls[surface] = (ms, f"{way}; {found['place']}")
        if mb > MOST_MB:
            self.fault(f"{surface}, {way}: {mb:.0f} MB above idle")
        if ms > MOST_STALL_MS:
            self.fault(f"{surface}, {way}: the loop stalled for {ms:.0f} ms in {found['place']}")
        if found["fault"]:
            self.fault(f"{surface}, {way}: {found['fault']}")

    def worst(self, figures: Mapping[str, tuple[float, str]]) -> tuple[float, str]:
        """Return the largest figure, with its surface and way."""
        surface, (most, way) = max(
            figures.items(), key=lambda each: each[1][0], default=("", (0.0, ""))
        )
        return most, f"{surface}, {way}"

    def lines(self) -> list[str]:
        """Return the figures of each surface, and the verdict."""
        found = [f"{count:>7,} {name}" for name, count in sorted(self.counts.items())]
        found.append("Most memory above idle (MB) and longest stall of the loop (ms), by surface:")
        for surface in sorted({*self.peaks, *self.stalls}):
            mb, way = self.peaks.get(surface, (0.0, "none"))
            ms, place = self.stalls.get(surface, (0.0, "none"))
            found.append(f"  {surface:<26} {mb:6.1f} ({way})   {ms:6.1f} ({place[:150]})")
        found += self.notes[:20]
        found += [f"✗ {fault}" for fault in self.faults]
        mb, ms = self.worst(self.peaks)[0], self.worst(self.stalls)[0]
        found.append(f"Peak memory above idle: {mb:.0f} MB (limit {MOST_MB:.0f} MB).")
        found.append(f"Longest stall of a loop: {ms:.0f} ms (limit {MOST_STALL_MS:.0f} ms).")
        found.append(f"{len(self.faults)} faults; seed {self.seed}.")
        return found


ANSWER_S = 120.0
"""Seconds in which a victim answers; one that does not hangs, and prints its stacks as it dies."""


class Victim:
    """A process that measures itself while it is attacked. Use as a context manager."""

    def __init__(self, kind: str, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("victim.py")), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environ),
        )
        self.pid = self._process.pid

    def __enter__(self) -> Victim:
        return self

    def __exit__(self, *failure: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def tell(self, **said: object) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()

    def line(self) -> str:
        """Return the next line; raises EOFError if the victim died, or is killed as it hangs."""
        assert self._process.stdout is not None
        hung = threading.Timer(ANSWER_S, self._process.send_signal, (signal.SIGABRT,))
        hung.start()
        line = self._process.stdout.readline()
        hung.cancel()
        if not line:
            raise EOFError(f"the victim ended with {self._process.wait()}")
        return line

    def figures(self) -> dict[str, object]:
        """Return the next line as an object."""
        found: dict[str, object] = json.loads(self.line())
        return found
