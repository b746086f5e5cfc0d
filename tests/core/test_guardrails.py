"""Guardrails: what is held, what a trip stops, and what the policy decides about a failure."""

from __future__ import annotations

from typing import TypeVar

import pytest

from voicechat.core import commands, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.effects import (
    CheckGuardrail,
    Effect,
    Notice,
    Play,
    ReplyHeld,
    Send,
    StopPlayback,
)
from voicechat.core.guardrail import GuardrailPolicy, GuardrailSide, GuardrailSpec, GuardrailTrip
from voicechat.core.guardrail_checks import DEBOUNCE_S, GRACE_S, MAX_CHARS
from voicechat.core.intervention import MAX_ROUNDS
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.core.reply_gate import SETTLED_S, WORDS_S
from voicechat.core.responses import REJECTED_S
from voicechat.core.settings import Capabilities, SessionSettings

E = TypeVar("E")
OPEN, CLOSED = GuardrailPolicy.OPEN, GuardrailPolicy.CLOSED
TENTH = bytes(4_800)
"""100 ms of sound."""


class Guarded:
    """A guarded conversation with its own clock."""

    def __init__(
        self,
        policy: GuardrailPolicy,
        watches: str = "assistant",
        *,
        speaker: bool = True,
        **flags: object,
    ) -> None:
        self.conversation = Conversation(
            SessionSettings(),
            Capabilities(**flags),  # type: ignore[arg-type]
            hands_free=False,
            speaker=speaker,
        )
        self.now = 100.0
        self.checks: dict[int, str] = {}
        self.feed(events.SessionCreated("s"))
        spec = GuardrailSpec("g", policy, watches=GuardrailSide(watches))
        self.feed(inputs.OfferGuardrails((spec,)))

    def feed(self, *received: events.Event | inputs.Input) -> list[Effect]:
        effects: list[Effect] = []
        for event in received:
            effects += self.conversation.handle(event, self.now)
        self.checks |= {e.number: e.text for e in effects if isinstance(e, CheckGuardrail)}
        return effects

    def later(self, seconds: float) -> list[Effect]:
        self.now += seconds
        return self.feed(inputs.Tick())

    def answer(self, trip: GuardrailTrip | None = None, problem: str = "") -> list[Effect]:
        """Answer the newest check."""
        number = max(self.checks)
        del self.checks[number]
        return self.feed(inputs.GuardrailAnswered(number, trip, problem))

    def begin(self, response: str = "r", item: str = "a") -> list[Effect]:
        return self.feed(events.ResponseCreated(response), events.OutputItemAdded(response, item))

    def texts(self, role: Role = Role.ASSISTANT) -> list[str]:
        found = self.conversation.transcript.entries
        return [e.text for e in found if isinstance(e, Item) and e.role is role]


def only(kind: type[E], effects: list[Effect]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(effects: list[Effect]) -> list[commands.Command]:
    return [effect.command for effect in only(Send, effects)]


def say(text: str, response: str = "r", item: str = "a") -> events.TextDelta:
    return events.TextDelta(response, item, text, spoken=True)


def sound(response: str = "r", item: str = "a") -> events.AudioDelta:
    return events.AudioDelta(response, item, TENTH)


def test_open_sound_plays_at_once_and_a_trip_stops_it_like_a_barge_in() -> None:
    guarded = Guarded(OPEN)
    guarded.begin()
    effects = guarded.feed(say("One price is "), sound(), inputs.PlaybackStarted("a"))
    assert only(Play, effects) == [Play("a", TENTH)]
    assert list(guarded.checks.values()) == ["One price is "]
    effects = guarded.answer(GuardrailTrip("it names a price", instructions="Change the subject."))
    assert StopPlayback() in effects
    assert sent(effects) == [commands.CancelResponse("r")]
    assert only(Notice, effects)[0].text == "The guardrail g stopped the reply: it names a price."
    assert only(Play, guarded.feed(say("ten"), sound())) == [], "nothing said after it is heard"
    stopped = guarded.feed(inputs.PlaybackStopped({"a": 60.0}))
    assert sent(stopped) == [commands.TruncateItem("a", 60)]
    done = guarded.feed(events.ResponseDone("r", events.ResponseStatus.CANCELLED))
    assert sent(done) == [commands.CreateResponse("Change the subject.")]
    assert guarded.texts(Role.SYSTEM) == ["⊘ The guardrail g stopped the reply: it names a price."]
    item = guarded.conversation.transcript.item("a")
    assert item is not None
    assert item.status is ItemStatus.INTERRUPTED


def test_closed_sound_waits_for_the_verdict_on_its_words() -> None:
    guarded = Guarded(CLOSED)
    guarded.begin()
    effects = guarded.feed(say("One "), sound())
    assert only(Play, effects) == []
    assert guarded.texts() == [""], "unchecked words are not shown"
    guarded.now += 0.25
    effects = guarded.answer()
    assert only(Play, effects) == [Play("a", TENTH)]
    assert [each.ms for each in only(ReplyHeld, effects)] == [pytest.approx(250)]
    assert guarded.texts() == ["One "]


def test_what_never_passed_is_deleted_at_the_provider() -> None:
    guarded = Guarded(CLOSED)
    guarded.begin()
    guarded.feed(say("A secret "), sound(), events.ResponseDone("r"))
    effects = guarded.answer(GuardrailTrip("no"))
    assert only(Play, effects) == []
    assert commands.DeleteItem("a") in sent(effects)
    assert "secret" not in "".join(guarded.texts())


def test_half_a_word_is_not_checked() -> None:
    guarded = Guarded(OPEN)
    guarded.begin()
    guarded.feed(say("It is an ass"))
    assert list(guarded.checks.values()) == ["It is an "]
    guarded.answer()
    guarded.now += DEBOUNCE_S
    guarded.feed(say("ociation"), events.ResponseDone("r"))
    assert list(guarded.checks.values())[-1] == "It is an association"


def test_a_script_without_spaces_is_checked_by_character() -> None:
    guarded = Guarded(OPEN)
    guarded.begin()
    guarded.feed(say("これは秘密"))
    assert list(guarded.checks.values()) == ["これは秘密"]


def test_checks_are_debounced_and_one_at_a_time() -> None:
    guarded = Guarded(OPEN)
    guarded.begin()
    guarded.feed(say("one "))
    guarded.feed(say("two "))
    assert len(guarded.checks) == 1
    guarded.answer()
    assert guarded.checks == {}, "the next one waits"
    assert guarded.conversation.deadline == pytest.approx(guarded.now + DEBOUNCE_S)
    guarded.later(DEBOUNCE_S)
    assert list(guarded.checks.values()) == ["one two "]


def test_a_long_text_is_checked_in_pieces_that_overlap() -> None:
    guarded = Guarded(CLOSED)
    guarded.begin()
    guarded.feed(say("word " * 2_000))
    read = ""
    for _ in range(5):
        if not guarded.checks:
            break
        (piece,) = guarded.checks.values()
        assert len(piece) <= MAX_CHARS
        read += piece
        guarded.answer()
        guarded.later(DEBOUNCE_S)
    assert len(read) > 10_000
    assert guarded.texts() == ["word " * 2_000]


@pytest.mark.parametrize("policy", [OPEN, CLOSED])
def test_a_late_answer_is_decided_by_the_policy(policy: GuardrailPolicy) -> None:
    guarded = Guarded(policy)
    guarded.begin()
    guarded.feed(say("One "), sound())
    effects = guarded.later(2.0 + GRACE_S)
    told = [notice.text for notice in only(Notice, effects)]
    if policy is OPEN:
        assert told == ["The guardrail g did not answer in time."]
        assert guarded.texts() == ["One "]
    else:
        assert told == ["The guardrail g stopped the reply: it did not answer in time."]
        assert guarded.texts(Role.ASSISTANT) == []
    assert guarded.feed(inputs.GuardrailAnswered(1)) == [], "too late"


def test_a_failing_open_guardrail_is_reported_once() -> None:
    guarded = Guarded(OPEN)
    guarded.begin()
    guarded.feed(say("One "))
    assert len(only(Notice, guarded.answer(problem="failed: ValueError: no"))) == 1
    guarded.later(DEBOUNCE_S)
    guarded.feed(say("two "))
    assert only(Notice, guarded.answer(problem="failed: ValueError: no")) == []


def test_sound_before_its_words_waits_for_them() -> None:
    guarded = Guarded(CLOSED, text_leads=False)
    guarded.begin()
    assert only(Play, guarded.feed(sound(), sound(), sound())) == []
    guarded.feed(say("One "))
    assert len(only(Play, guarded.answer())) == 2, "four characters are 200 ms at the fastest"
    guarded.now += SETTLED_S
    assert len(only(Play, guarded.feed(inputs.Tick()))) == 1, "no more words come"


def test_sound_whose_words_do_not_come_is_not_heard() -> None:
    guarded = Guarded(CLOSED)
    guarded.begin()
    guarded.feed(sound())
    effects = guarded.later(WORDS_S)
    (notice,) = only(Notice, effects)
    assert "the words of the reply did not arrive" in notice.text
    assert guarded.conversation._guard._held == type(guarded.conversation._guard._held)()


def test_typing_over_a_held_reply_drops_it() -> None:
    guarded = Guarded(CLOSED)
    guarded.begin()
    guarded.feed(say("One "), sound(), inputs.Typed("stop"))
    effects = guarded.feed(events.ResponseDone("r", events.ResponseStatus.CANCELLED))
    assert commands.CreateResponse() in sent(effects)
    assert guarded.answer() == [], "nothing is left of the reply"
    guarded.later(DEBOUNCE_S)
    guarded.begin("r2", "b")
    guarded.feed(say("Two ", "r2", "b"), sound("r2", "b"))
    assert [e.item_id for e in only(Play, guarded.answer())] == ["b"]


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ({}, [commands.CreateResponse("Say exactly: \"It's a 'no'.\"")]),
        ({"verbatim": True}, [commands.CreateResponse(verbatim='It\'s a "no".')]),
        (
            {"response_instructions": False},
            [
                commands.CreateMessage("guardrail_1", "system", "Say exactly: \"It's a 'no'.\""),
                commands.CreateResponse(),
            ],
        ),
    ],
    ids=["instructions", "verbatim", "message"],
)
def test_every_provider_says_the_sentence(
    flags: dict[str, bool], wanted: list[commands.Command]
) -> None:
    guarded = Guarded(OPEN, speaker=False, **flags)
    guarded.begin()
    guarded.feed(say("One "), events.ResponseDone("r"))
    assert sent(guarded.answer(GuardrailTrip("no", say='It\'s a "no".'))) == wanted


def test_a_guardrail_that_always_objects_does_not_talk_for_ever() -> None:
    guarded = Guarded(OPEN, speaker=False)
    requests = 0
    for number in range(MAX_ROUNDS + 2):
        guarded.begin(f"r{number}", f"a{number}")
        guarded.feed(say("No ", f"r{number}", f"a{number}"), events.ResponseDone(f"r{number}"))
        requests += commands.CreateResponse("Again.") in sent(
            guarded.answer(GuardrailTrip("", instructions="Again."))
        )
        guarded.now += DEBOUNCE_S
    assert requests == MAX_ROUNDS
    guarded.feed(inputs.Typed("hello"), events.ResponseCreated("r"), say("No "))
    guarded.answer(GuardrailTrip("", instructions="Again."))
    done = guarded.feed(events.ResponseDone("r", events.ResponseStatus.CANCELLED))
    assert commands.CreateResponse("Again.") in sent(done), "a new turn begins a new count"


def test_a_turn_of_the_user_is_checked_before_its_reply_is_heard() -> None:
    guarded = Guarded(CLOSED, "user", speaker=False)
    guarded.feed(inputs.Typed("my password"))
    assert list(guarded.checks.values()) == ["my password"]
    guarded.begin()
    guarded.feed(say("Really? "))
    assert guarded.texts() == [""]
    effects = guarded.answer(GuardrailTrip("no", instructions="Warn."))
    assert commands.CancelResponse("r") in sent(effects)
    assert guarded.texts() == []
    done = guarded.feed(events.ResponseDone("r", events.ResponseStatus.CANCELLED))
    assert sent(done) == [commands.CreateResponse("Warn.")]


def test_the_automatic_reply_to_a_rejected_turn_is_cancelled() -> None:
    guarded = Guarded(OPEN, "user")
    guarded.feed(inputs.HandsFree(True), events.SpeechStarted("u"), events.InputCommitted("u"))
    guarded.feed(events.UserTranscript("u", "my password", final=True))
    assert sent(guarded.answer(GuardrailTrip("no", instructions="Warn."))) == []
    assert commands.CancelResponse("r") in sent(guarded.feed(events.ResponseCreated("r")))
    done = guarded.feed(events.ResponseDone("r", events.ResponseStatus.CANCELLED))
    assert sent(done) == [commands.CreateResponse("Warn.")]


def test_without_an_automatic_reply_the_other_one_is_requested_soon() -> None:
    guarded = Guarded(OPEN, "user")
    guarded.feed(inputs.HandsFree(True), events.SpeechStarted("u"), events.InputCommitted("u"))
    guarded.feed(events.UserTranscript("u", "my password", final=True))
    guarded.answer(GuardrailTrip("no", instructions="Warn."))
    assert commands.CreateResponse("Warn.") in sent(guarded.later(REJECTED_S))


def test_a_late_objection_to_an_earlier_reply_does_not_stop_the_present_one() -> None:
    guarded = Guarded(OPEN, speaker=False)
    guarded.begin()
    guarded.feed(say("One "), events.ResponseDone("r"), inputs.Typed("next"))
    guarded.begin("r2", "b")
    guarded.feed(say("Two ", "r2", "b"))
    effects = guarded.answer(GuardrailTrip("no", say="Sorry."))
    assert sent(effects) == []
    assert "objects to an earlier reply: no." in only(Notice, effects)[0].text
