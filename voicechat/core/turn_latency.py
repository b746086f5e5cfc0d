"""The latency of one turn in parts, and percentiles of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """The parts of one turn in milliseconds; their sum is the total."""

    model: str
    """PROVIDER/MODEL."""
    endpointing: float
    """Until the end of the speech was noticed."""
    network: float
    """One round trip of the connection."""
    thinking: float
    """Until the model answered, tools included."""
    buffer: float
    """From the arrival of the first sound to its playback."""
    spoken: bool = True
    """True if the answer was heard, False if it was read."""

    @property
    def total(self) -> float:
        """From the end of the user's turn to the first sound or text, in ms."""
        return self.endpointing + self.network + self.thinking + self.buffer


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of values, at least one of them."""
    ordered = sorted(values)
    return ordered[max(0, ceil(percent / 100 * len(ordered)) - 1)]
