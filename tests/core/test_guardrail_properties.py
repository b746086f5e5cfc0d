"""The promises of the conversation, and those of guardrails, with verdicts at random moments."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.core.test_conversation_properties import Promises
from voicechat.core import commands, events, inputs
from voicechat.core.effects import (
    CheckGuardrail,
    Effect,
    EntryChanged,
    Notice,
    Play,
    Send,
    StopPlayback,
)
from voicechat.core.guardrail import GuardrailPolicy, GuardrailSide, GuardrailSpec, GuardrailTrip

PASS, PROBLEM = "pass", "problem"
TRIPS = (GuardrailTrip("no"), GuardrailTrip("no", say="Sorry."), GuardrailTrip("no", "", "Stop."))


class GuardedPromises(Promises):
    """A guarded conversation under random events and random verdicts."""

    @initialize(
        hands_free=st.booleans(),
        speaker=st.booleans(),
        closed=st.booleans(),
        cancel=st.booleans(),
        truncate=st.booleans(),
        commit_starts_response=st.booleans(),
        response_instructions=st.booleans(),
        text_leads=st.booleans(),
    )
    def begin(self, hands_free: bool, speaker: bool, closed: bool = False, **flags: bool) -> None:
        self.checks: dict[int, str] = {}
        self.sounds: list[str] = []
        """Response of each tagged sound."""
        self.words = 0
        self.passed: set[str] = set()
        self.owner: dict[str, str] = {}
        """Response of each unique word."""
        self.tripped: set[str] = set()
        self.said: dict[str, str] = {}
        """Item of each reply that the rules of this class began."""
        self.is_ending = False
        self.closed = closed
        Promises.begin(self, hands_free, speaker, **flags)
        policy = GuardrailPolicy.CLOSED if closed else GuardrailPolicy.OPEN
        self.take(inputs.OfferGuardrails((GuardrailSpec("g", policy, watches=GuardrailSide.BOTH),)))

    # ------------------------------------------------------------------- replies and verdicts

    @rule()
    def reply_begins(self) -> None:
        number = len(self.said) + 1
        self.said[f"guarded{number}"] = f"said{number}"
        self.take(events.ResponseCreated(f"guarded{number}"))

    @rule(text_first=st.booleans(), sound=st.booleans(), words=st.integers(1, 3))
    def reply_goes_on(self, text_first: bool, sound: bool, words: int) -> None:
        if not self.said:
            return
        rid, item_id = list(self.said.items())[-1]
        text = [events.TextDelta(rid, item_id, "", sound)] * words
        pcm = [events.AudioDelta(rid, item_id, bytes(4_800))] * sound
        for event in [*text, *pcm] if text_first else [*pcm, *text]:
            self.take(event)

    @rule()
    def reply_ends(self) -> None:
        if self.said:
            self.take(events.ResponseDone(list(self.said)[-1]))

    @rule(verdict=st.sampled_from([PASS, PASS, PROBLEM, *TRIPS]), first=st.booleans())
    def verdict(self, verdict: str | GuardrailTrip, first: bool) -> None:
        if not self.checks:
            return
        number = min(self.checks) if first else max(self.checks)
        text = self.checks.pop(number)
        if verdict == PASS:
            self.passed.update(text.split())
            self.take(inputs.GuardrailAnswered(number))
            return
        trip = verdict if isinstance(verdict, GuardrailTrip) else None
        effects = self.take(inputs.GuardrailAnswered(number, trip, "" if trip else "failed"))
        told = [each.text for each in effects if isinstance(each, Notice)]
        if not any("stopped the reply" in each for each in told):
            return
        self.tripped |= {self.owner[word] for word in text.split() if word in self.owner}
        assert not self.conversation._items.sounding, "a reply is heard after a trip"

    # ------------------------------------------------------------------- the observer

    def take(self, event: events.Event | inputs.Input) -> list[Effect]:
        if isinstance(event, events.AudioDelta):
            event = replace(event, pcm=len(self.sounds).to_bytes(2, "little") + event.pcm[2:])
            self.sounds.append(event.response_id)
        elif isinstance(event, events.TextDelta) and event.item_id.startswith("said"):
            self.words += 1
            self.owner[f"w{self.words}"] = event.response_id
            event = replace(event, text=f"w{self.words} ")
        was_sounding = self.conversation._items.sounding
        effects = super().take(event)
        kinds = {type(effect) for effect in effects}
        if isinstance(event, inputs.GuardrailAnswered) and was_sounding:
            assert self.conversation._items.sounding or kinds & {StopPlayback}
        waiting = {type(held.event) for held in self.conversation._guard._held}
        if waiting & {events.ResponseCreated, events.ResponseDone}:
            self.running = None  # the conversation does not know it yet
        while self.is_ending and self.checks:
            number = min(self.checks)
            self.passed.update(self.checks.pop(number).split())
            effects += self.take(inputs.GuardrailAnswered(number))
        return effects

    def observe(self, event: events.Event | inputs.Input, effect: Effect) -> None:
        match effect:
            case CheckGuardrail(number, _, text):
                assert len(self.conversation._guard._checks.running) == 1, "one at a time"
                self.checks[number] = text
                if len(self.checks) > 3:  # those are late
                    del self.checks[min(self.checks)]
            case Play(item_id, pcm):
                rid = self.sounds[int.from_bytes(pcm[:2], "little")]
                assert rid not in self.dead, "a dead response is played"
                assert rid not in self.tripped, "something is heard after a trip"
                words = {word for word, owner in self.owner.items() if owner == rid}
                if self.closed and item_id.startswith("said"):
                    assert words & self.passed, "unchecked sound is played"
                self.seen.add(rid)
                self.received[item_id] += len(pcm)
            case EntryChanged(entry_id) if self.closed and entry_id.startswith("said"):
                super().observe(event, effect)
                item = self.conversation.transcript.item(entry_id)
                assert item is None or set(item.text.split()) <= self.passed, "unchecked text"
            case Send(commands.CreateResponse(out_of_band=False)):
                waiting = {type(held.event) for held in self.conversation._guard._held}
                if events.ResponseCreated in waiting:
                    self.running = None
                super().observe(event, effect)
            case _:
                super().observe(event, effect)

    def teardown(self) -> None:
        if hasattr(self, "conversation"):
            self.is_ending = True
            for _ in range(100):
                self.now += 2.0
                self.take(inputs.Tick())
                if not self.conversation._guard._held:
                    break
            else:
                raise AssertionError("something waits for ever")
            super().teardown()


TestGuardedPromises = GuardedPromises.TestCase
TestGuardedPromises.settings = settings(stateful_step_count=40)
