"""Guardrail checks: which text each guardrail reads next, and how far each text is checked.

A guardrail has one check at a time. While it runs, its text grows; the next check covers all that
came meanwhile. A check ends at the end of a word, so that no part of a word is taken for a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from voicechat.core.effects import CheckGuardrail
from voicechat.core.guardrail import MAX_GUARDRAILS, GuardrailSpec
from voicechat.core.linear_pattern import WITHOUT_SPACES

DEBOUNCE_S = 0.1
"""Shortest time (s) between the starts of two checks of a guardrail, unless the text is whole."""

GRACE_S = 0.5
"""Seconds after the deadline of a check until it counts as lost."""

MAX_CHARS = 4_000
"""Characters of one check."""

OVERLAP_CHARS = 500
"""Characters before the new text that a check reads again."""

LONGEST_WORD = 40
"""Characters without a space after which a text is checked in the middle of a word."""

MAX_TEXTS = 64
"""Texts that are remembered; older ones are dropped."""


@dataclass(slots=True)
class WatchedText:
    """A text that grows: a message of the assistant or the user."""

    item_id: str
    side: str
    response_id: str = ""
    text: str = ""
    whole: bool = False
    """No more text follows."""
    checked: dict[str, int] = field(default_factory=dict)
    """Number of checked characters, by guardrail."""

    @property
    def ready(self) -> int:
        """Number of characters up to the end of the last whole word."""
        length = len(self.text)
        if self.whole or not self.text or _ends_word(self.text[-1]):
            return length
        end = length
        while end and not _ends_word(self.text[end - 1]):
            end -= 1
        return length if length - end > LONGEST_WORD else end


def _ends_word(char: str) -> bool:
    return char.isspace() or char >= WITHOUT_SPACES


@dataclass(slots=True)
class RunningCheck:
    """A check whose answer is due."""

    spec: GuardrailSpec
    text: WatchedText
    until: int
    """Number of characters that are checked if it passes."""
    due: float
    """Time (s) at which the answer counts as lost."""


class GuardrailChecks:
    """The texts of a conversation and their checks. Times are seconds on one clock."""

    def __init__(self) -> None:
        self.specs: tuple[GuardrailSpec, ...] = ()
        self.texts: dict[str, WatchedText] = {}
        """Texts by the id of their item, the oldest first."""
        self.running: dict[int, RunningCheck] = {}
        self._started: dict[str, float] = {}
        self._count = 0

    def offer(self, specs: Iterable[GuardrailSpec]) -> None:
        """Replace the guardrails."""
        self.specs = tuple(specs)[:MAX_GUARDRAILS]
        self.running = {n: each for n, each in self.running.items() if each.spec in self.specs}

    def grew(self, item_id: str, side: str, text: str, response_id: str = "") -> WatchedText:
        """Note the text of an item so far."""
        found = self.texts.get(item_id)
        if found is None:
            while len(self.texts) >= MAX_TEXTS:
                del self.texts[next(iter(self.texts))]
            found = self.texts[item_id] = WatchedText(item_id, side, response_id)
        if not text.startswith(found.text[: max(found.checked.values(), default=0)]):
            found.checked.clear()  # checked words were replaced
        found.text = text
        return found

    def ended(self, response_id: str) -> None:
        """Note that the texts of a response are whole."""
        for text in self.texts.values():
            if text.response_id == response_id:
                text.whole = True

    def forget(self, response_id: str) -> None:
        """Forget the texts of a response; answers about them no longer count."""
        for key in [k for k, text in self.texts.items() if text.response_id == response_id]:
            del self.texts[key]

    def clear(self) -> None:
        """Forget all texts."""
        self.texts.clear()

    # ----------------------------------------------------------------- how far

    def holds(self, side: str) -> bool:
        """Return True if the words of this side wait for their checks."""
        return any(spec.closed and spec.covers(side) for spec in self.specs)

    def verified(self, item_id: str) -> int:
        """Return how many characters of an item all closed guardrails have passed."""
        text = self.texts.get(item_id)
        if text is None:
            return 0
        passed = [
            text.checked.get(spec.name, 0)
            for spec in self.specs
            if spec.closed and spec.covers(text.side)
        ]
        return min(passed, default=len(text.text))

    @property
    def user_pending(self) -> bool:
        """True while a closed guardrail has not passed what the user said."""
        return self.holds("user") and any(
            text.side == "user" and self.verified(key) < text.ready
            for key, text in self.texts.items()
        )

    # ----------------------------------------------------------------- checks

    def start(self, now: float) -> list[CheckGuardrail]:
        """Start the checks that are due at `now`."""
        busy = {check.spec.name for check in self.running.values()}
        found = []
        for spec in self.specs:
            text = self._next(spec)
            if spec.name in busy or text is None:
                continue
            if now < self._started.get(spec.name, float("-inf")) + DEBOUNCE_S and not text.whole:
                continue
            found.append(self._start(spec, text, now))
        return found

    def _next(self, spec: GuardrailSpec) -> WatchedText | None:
        for text in self.texts.values():
            if spec.covers(text.side) and text.checked.get(spec.name, 0) < text.ready:
                return text
        return None

    def _start(self, spec: GuardrailSpec, text: WatchedText, now: float) -> CheckGuardrail:
        start = max(0, text.checked.get(spec.name, 0) - OVERLAP_CHARS)
        until = min(text.ready, start + MAX_CHARS)
        self._count += 1
        self._started[spec.name] = now
        due = now + spec.deadline_s + GRACE_S
        self.running[self._count] = RunningCheck(spec, text, until, due)
        return CheckGuardrail(self._count, spec.name, text.text[start:until])

    def answered(self, number: int) -> RunningCheck | None:
        """End a check; return it if its text still counts."""
        check = self.running.pop(number, None)
        if check is None or self.texts.get(check.text.item_id) is not check.text:
            return None
        return check

    def passed(self, check: RunningCheck) -> None:
        """Note that the text of a check has passed."""
        checked = check.text.checked
        checked[check.spec.name] = max(checked.get(check.spec.name, 0), check.until)

    def overdue(self, now: float) -> list[int]:
        """Return the checks whose answer counts as lost at `now`."""
        return [number for number, check in self.running.items() if check.due <= now]

    @property
    def due(self) -> float | None:
        """Time (s) of the next check or of the next lost answer."""
        busy = {check.spec.name for check in self.running.values()}
        times = [check.due for check in self.running.values()]
        times += [
            self._started.get(spec.name, float("-inf")) + DEBOUNCE_S
            for spec in self.specs
            if spec.name not in busy and self._next(spec) is not None
        ]
        return min(times, default=None)
