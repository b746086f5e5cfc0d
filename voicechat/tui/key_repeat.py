"""Presses and repeats of a held key; terminals report no key release."""

from __future__ import annotations

from enum import Enum, auto

FIRST_REPEAT_S = 1.2
"""Most time in seconds before the first repeat of a held key, as set on a desktop."""
NEXT_REPEAT_S = 0.2
"""Most time in seconds between the later repeats."""
RELEASE_S = 0.4
"""Time in seconds without a repeat after which a held key counts as released."""


class Press(Enum):
    """The meaning of a key event."""

    NEW = auto()
    """The user pressed the key."""
    UNSURE = auto()
    """The second press, or the first repeat; it is a press if no repeat follows."""
    REPEAT = auto()
    """The key is held, or pressed too quickly to be meant twice."""


class HeldKey:
    """Tells the presses of a key from its repeats by the times between them, in seconds.

    A held key repeats first after 0.2 to 1.2 s, then every few hundredths of a second.
    """

    def __init__(self) -> None:
        self._last = float("-inf")
        self._repeats = 0

    def press(self, now: float) -> Press:
        """Record an event of the key and return its meaning."""
        gap, self._last = now - self._last, now
        if gap < (RELEASE_S if self.held else NEXT_REPEAT_S):
            self._repeats += 1
            return Press.REPEAT
        is_new = self.held or gap >= FIRST_REPEAT_S
        self._repeats = 0 if is_new else 1
        return Press.NEW if is_new else Press.UNSURE

    @property
    def held(self) -> bool:
        """True if the key repeats quickly, as only a held key does."""
        return self._repeats >= 2  # one may be a double tap
