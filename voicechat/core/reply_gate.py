"""Reply gate: what the guardrails let through to the conversation.

    provider ── event ──► gate ── step ──► conversation ── effects ──► session
                           │  ▲
              CheckGuardrail  GuardrailAnswered

Every text that grows is checked again and again. With `open` guardrails, all events pass at once,
and a trip stops the reply like a barge-in. With a `closed` one, the events of a reply wait in order
until their words have passed, so nothing unchecked is played, shown or kept. Sound waits until the
words that it holds have passed: if they lead the sound, as soon as they are there; otherwise as far
as their number allows.

Each wait has a deadline; then the policy of the guardrail decides.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicechat.core import effects, events, inputs
from voicechat.core.guardrail import GuardrailTrip
from voicechat.core.guardrail_checks import GuardrailChecks, RunningCheck, WatchedText
from voicechat.core.items import ItemStatus, Role
from voicechat.core.turns import RecentIds

if TYPE_CHECKING:
    from voicechat.core.assistant_items import AssistantItems
    from voicechat.core.conversation import Conversation
    from voicechat.core.responses import Responses
    from voicechat.core.settings import Capabilities

FASTEST_MS, SLOWEST_MS = 50.0, 120.0
"""Milliseconds per character of the fastest and the slowest plausible speech."""

LEAD_MS = 200.0
"""Milliseconds of sound per passed character if the words lead the sound."""

SETTLED_S = 1.0
"""Seconds without news of a reply until its words count as complete."""

WORDS_S = 5.0
"""Seconds that sound waits for words that do not come."""

MAX_HELD = 20_000
"""Most events that wait; then the reply is stopped."""

MAX_HELD_MS = 180_000.0
"""Most sound that waits, in ms; then the reply is stopped."""

NO_WORDS = "the words of the reply did not arrive"
TOO_MUCH = "too much of the reply waits for it"

_ALWAYS = (events.TextDelta, events.TextDone, events.AudioDelta)
"""Events that wait for their words."""
_BEHIND = (
    events.AudioDone, events.OutputItemAdded, events.OutputItemDone, events.ToolArgumentsDelta,
    events.ToolCallReady, events.ToolCallsCancelled, events.ResponseCreated, events.ResponseDone,
    events.RemoteCall, events.RemoteApproval,
)  # fmt: skip
"""Events that stay behind those."""


@dataclass(slots=True)
class HeldEvent:
    """An event that waits."""

    event: events.Event
    at: float
    """Time (s) of its arrival."""
    chars: int = 0
    """Number of characters of its item that must have passed."""
    end_ms: float = 0.0
    """End of its sound in the item, in ms."""


class ReplyGate:
    """The guardrails of one conversation. Times are seconds on the clock of the conversation."""

    def __init__(
        self,
        conversation: Conversation,
        responses: Responses,
        items: AssistantItems,
        capabilities: Capabilities,
    ) -> None:
        self.active = False
        """There are guardrails."""
        self._conversation = conversation
        self._responses = responses
        self._items = items
        self._pace = LEAD_MS if capabilities.text_leads else FASTEST_MS
        self._checks = GuardrailChecks()
        self._held: deque[HeldEvent] = deque()
        self._out_of_band = RecentIds()
        self._started = RecentIds()
        """Responses whose first words were let through."""
        self._sound_ms: dict[str, float] = {}
        """Sound that arrived of each text's item, in ms."""
        self._held_ms = 0.0
        self._news_at = 0.0
        self._waits_since = 0.0
        """Time at which the first event began to wait there."""
        self._failed: set[str] = set()
        """Guardrails whose failure was reported."""
        self._now = 0.0

    def offer(self, offer: inputs.OfferGuardrails) -> None:
        """Replace the guardrails."""
        self._checks.offer(offer.guardrails)
        self._failed.intersection_update(spec.name for spec in offer.guardrails)
        self.active = self.active or bool(offer.guardrails)

    # ----------------------------------------------------------------- entry point

    def handle(self, event: events.Event | inputs.Input, now: float) -> list[effects.Effect]:
        """Process one event or input at the time `now` (s); return the effects in order."""
        self._now = now = max(now, self._now)
        interruptions = self._responses.interruptions
        found = self._take(event)
        if self._responses.interruptions > interruptions:
            for held in self._held:  # replies that began before it
                self._discard(getattr(held.event, "response_id", ""))
        found += self._release()
        found += self._checks.start(now)
        due = (self._conversation.deadline, self._checks.due, self._due)
        self._conversation.deadline = min((at for at in due if at is not None), default=None)
        return found

    def _take(self, event: events.Event | inputs.Input) -> list[effects.Effect]:
        match event:
            case inputs.GuardrailAnswered():
                return self._answered(event)
            case inputs.Disconnected():
                self._drop_all()
            case inputs.Tick():
                lost = [self._lost(number) for number in self._checks.overdue(self._now)]
                return [*self._step(event), *(effect for each in lost for effect in each)]
            case inputs.Typed() | events.UserTranscript():
                found = self._step(event)
                self._watch_user(event)
                return found
            case _ if isinstance(event, _ALWAYS + _BEHIND):
                return self._reply(event)
        return self._step(event)

    def _step(self, event: events.Event | inputs.Input) -> list[effects.Effect]:
        return self._conversation.step(event, self._now)

    def _drop_all(self) -> None:
        self._held.clear()
        self._held_ms = 0.0
        self._checks.clear()
        self._sound_ms.clear()

    # ----------------------------------------------------------------- what is said

    def _watch_user(self, event: inputs.Typed | events.UserTranscript) -> None:
        transcript = self._conversation.transcript
        if isinstance(event, events.UserTranscript):
            item = transcript.item(event.item_id) if event.final else None
        else:
            last = transcript.entries[-1:]
            item = transcript.item(getattr(last[0], "item_id", "")) if last else None
        if item is not None and item.role is Role.USER and item.text.strip():
            self._checks.grew(item.item_id, "user", item.text).whole = True

    def _reply(self, event: events.Event) -> list[effects.Effect]:
        """Take an event of a reply: it passes, or waits for its words."""
        response_id = getattr(event, "response_id", "")
        if isinstance(event, events.ResponseCreated) and event.out_of_band:
            self._out_of_band.add(response_id)
        if self._responses.is_dead(response_id) or response_id in self._out_of_band:
            return self._step(event)
        if isinstance(event, _ALWAYS) and not response_id:
            return self._step(event)  # it cannot be stopped
        self._news_at = self._now
        held = self._watch(event)
        waits = isinstance(event, _ALWAYS) and self._is_holding
        if not (self._held or waits):
            return self._step(event)
        if not self._held:
            self._waits_since = self._now
        self._held.append(held)
        self._held_ms += self._ms(event)
        if len(self._held) > MAX_HELD or self._held_ms > MAX_HELD_MS:
            return self._stop(self._closed_name, GuardrailTrip(TOO_MUCH), response_id)
        return []

    @property
    def _is_holding(self) -> bool:
        return self._checks.holds("assistant") or self._checks.user_pending

    @property
    def _closed_name(self) -> str:
        return next((each.name for each in self._checks.specs if each.closed), "")

    def _ms(self, event: events.Event) -> float:
        size = len(event.pcm) if isinstance(event, events.AudioDelta) else 0
        return size * self._items.ms_per_byte

    def _watch(self, event: events.Event) -> HeldEvent:
        """Note the words and the sound of an event."""
        held = HeldEvent(event, self._now)
        match event:
            case events.TextDelta(response_id, item_id, text):
                before = self._checks.texts.get(item_id)
                whole = f"{before.text if before else ''}{text}"
                held.chars = len(self._checks.grew(item_id, "assistant", whole, response_id).text)
            case events.TextDone(response_id, item_id, text):
                before = self._checks.texts.get(item_id)
                text = before.text if text is None and before else text or ""
                self._checks.grew(item_id, "assistant", text, response_id).whole = True
                held.chars = len(text)
            case events.AudioDelta(response_id, item_id):
                if item_id not in self._checks.texts:
                    self._checks.grew(item_id, "assistant", "", response_id)
                held.end_ms = self._sound_ms.get(item_id, 0.0) + self._ms(event)
                self._sound_ms[item_id] = held.end_ms
            case events.ResponseDone(response_id):
                self._checks.ended(response_id)
                self._sound_ms = {
                    key: ms for key, ms in self._sound_ms.items() if key in self._checks.texts
                }
        return held

    # ----------------------------------------------------------------- what waits

    def _release(self) -> list[effects.Effect]:
        """Let through what may pass, in order."""
        found: list[effects.Effect] = []
        while self._held:
            held = self._held[0]
            if not self._may_pass(held):
                if self._is_without_words(held):
                    response_id = getattr(held.event, "response_id", "")
                    found += self._stop(self._closed_name, GuardrailTrip(NO_WORDS), response_id)
                    continue
                break
            self._held.popleft()
            self._held_ms -= self._ms(held.event)
            self._waits_since = self._now
            found += self._first_words(held)
            found += self._step(held.event)
        return found

    def _first_words(self, held: HeldEvent) -> list[effects.Effect]:
        """Measure how long the first words of a reply waited."""
        response_id = getattr(held.event, "response_id", "")
        if not isinstance(held.event, _ALWAYS) or response_id in self._started:
            return []
        if self._responses.is_dead(response_id):
            return []
        self._started.add(response_id)
        return [effects.ReplyHeld((self._now - held.at) * 1000)]

    def _may_pass(self, held: HeldEvent) -> bool:
        event = held.event
        if not isinstance(event, _ALWAYS) or self._responses.is_dead(event.response_id):
            return True
        if self._checks.user_pending:
            return False
        if not self._checks.holds("assistant"):
            return True
        text = self._checks.texts.get(event.item_id)
        if text is None:
            return True
        passed = self._checks.verified(event.item_id)
        if not isinstance(event, events.AudioDelta):
            return passed >= min(held.chars, len(text.text))
        return self._sound_may_pass(held, text, passed)

    def _sound_may_pass(self, held: HeldEvent, text: WatchedText, passed: int) -> bool:
        if passed * self._pace >= held.end_ms:
            return True
        if not text.text or passed < len(text.text):
            return False
        return text.whole or (self._has_settled and passed * SLOWEST_MS >= held.end_ms)

    @property
    def _has_settled(self) -> bool:
        return self._now >= self._news_at + SETTLED_S

    def _is_without_words(self, held: HeldEvent) -> bool:
        """Return True for sound whose words will not come."""
        if not isinstance(held.event, events.AudioDelta) or self._checks.user_pending:
            return False
        text = self._checks.texts.get(held.event.item_id)
        if text is None or self._checks.verified(text.item_id) < len(text.text):
            return False
        ended = text.whole and not text.text and self._has_settled
        return ended or self._now >= self._words_due

    @property
    def _due(self) -> float | None:
        """Time at which waiting sound counts as settled, or as without words."""
        settled, ended = self._news_at + SETTLED_S, self._words_due
        return min((at for at in (settled, ended) if self._held and at > self._now), default=None)

    @property
    def _words_due(self) -> float:
        return max(self._waits_since, self._news_at) + WORDS_S

    # ----------------------------------------------------------------- answers

    def _answered(self, answer: inputs.GuardrailAnswered) -> list[effects.Effect]:
        check = self._checks.answered(answer.number)
        if check is None:
            return []
        if answer.problem:
            return self._problem(check, answer.problem)
        if answer.trip is None:
            self._checks.passed(check)
            return []
        return self._tripped(check, answer.trip)

    def _lost(self, number: int) -> list[effects.Effect]:
        check = self._checks.answered(number)
        return [] if check is None else self._problem(check, "did not answer in time")

    def _problem(self, check: RunningCheck, problem: str) -> list[effects.Effect]:
        """A check failed: let the words pass, or stop the reply, as the policy says."""
        name = check.spec.name
        if check.spec.closed:
            return self._tripped(check, GuardrailTrip(f"it {problem}"))
        self._checks.passed(check)
        if name in self._failed:
            return []
        self._failed.add(name)
        text = f"The guardrail {name} {problem.rstrip('.')}."
        hint = "The conversation goes on without its check."
        return [effects.Notice(text, effects.Level.WARNING, hint)]

    def _tripped(self, check: RunningCheck, trip: GuardrailTrip) -> list[effects.Effect]:
        text = check.text
        newest = [each for each in self._checks.texts.values() if each.side == text.side][-1]
        text.checked = dict.fromkeys((spec.name for spec in self._checks.specs), len(text.text))
        item = self._conversation.transcript.item(text.item_id)
        goes_on = item is not None and item.status is ItemStatus.IN_PROGRESS
        stops = text is newest or text.response_id == newest.response_id or goes_on
        return self._stop(check.spec.name, trip, text.response_id, stops=stops)

    def _stop(
        self, name: str, trip: GuardrailTrip, response_id: str, *, stops: bool = True
    ) -> list[effects.Effect]:
        """Stop the reply, and others with `stops`; what of them still waits is dropped."""
        self._discard(response_id)
        return self._step(inputs.Intervene(name, trip, stops))

    def _discard(self, response_id: str) -> None:
        """Drop a response. The provider forgets messages of which nothing passed."""
        if not response_id or self._responses.is_dead(response_id):
            return
        waiting = [each.event for each in self._held if isinstance(each.event, _ALWAYS)]
        for item_id in dict.fromkeys(e.item_id for e in waiting if e.response_id == response_id):
            item = self._conversation.transcript.item(item_id)
            if item is None or not (item.text or item.received_ms):
                self._items.delete_unheard(response_id, item_id)
        self._responses.discard(response_id)
        self._checks.forget(response_id)
