"""The gate before each response: a session with a budget is asked first.

Other programs may spend of the same budget, so the session is asked each time. `closed` is its
latest answer. A response that a provider starts by itself while the gate is closed is cancelled.
"""

from __future__ import annotations

from voicechat.core import effects, inputs
from voicechat.core.effect_buffer import EffectBuffer

ANSWER_TIMEOUT_S = 2.0
"""Seconds for the answer of the session; then the response is requested without it."""

VALID_S = 1.0
"""Seconds for which an answer is valid."""


class BudgetGate:
    """Decides whether a response may be requested."""

    def __init__(self, buffer: EffectBuffer, *, asks: bool) -> None:
        self.closed = False
        """The budget is used up."""
        self.asks = asks
        """The session is asked; without a budget it is not, and `opens` need not be called."""
        self._buffer = buffer
        self._was_asked = False
        """The session was asked about the response that is due."""
        self._answer_due: float | None = None
        self._valid_until = float("-inf")

    @property
    def deadlines(self) -> list[float]:
        """Time (s) at which the answer is no longer awaited."""
        return [] if self._answer_due is None else [self._answer_due]

    def opens(self, now: float) -> bool:
        """Return True if the response that is due may be requested; ask the session first."""
        if now <= self._valid_until:
            self.reset()
            return True
        if not self._was_asked:
            self._was_asked = True
            self._answer_due = now + ANSWER_TIMEOUT_S
            self._buffer.do(effects.CheckBudget())
        elif self._answer_due is not None and now >= self._answer_due:
            self.reset()
            return True
        return False

    def reset(self) -> None:
        """Forget the answer: no response is due."""
        self._was_asked, self._answer_due = False, None
        self._valid_until = float("-inf")

    def answered(self, answer: inputs.BudgetChecked, now: float) -> None:
        """Take the answer of the session, or news about the budget."""
        self.closed = answer.used_up
        self._answer_due = None
        if not answer.used_up and self._was_asked:
            self._was_asked, self._valid_until = False, now + VALID_S
