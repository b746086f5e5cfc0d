"""What is asked beside the conversation, put into it, taken out of it, and what all that costs."""

from __future__ import annotations

from typing import TypeVar

import pytest

from voicechat.core import events as ev
from voicechat.core.conversation import Conversation
from voicechat.core.items import Item, Transcript, Usage, entry_id
from voicechat.core.out_of_band import PATIENCE_S
from voicechat.core.settings import Capabilities, SessionSettings

E = TypeVar("E")


class Stage:
    """A conversation on a clock of its own."""

    def __init__(self, can: Capabilities | None = None, online: bool = True) -> None:
        self.conversation = Conversation(SessionSettings(), can or Capabilities(), speaker=False)
        self.now = 0.0
        if online:
            self.feed(ev.SessionCreated("s"))

    def feed(self, *happenings: ev.Event | ev.Input) -> list[ev.Effect]:
        effects: list[ev.Effect] = []
        for happening in happenings:
            effects += self.conversation.handle(happening, self.now)
        return effects

    def later(self, seconds: float) -> list[ev.Effect]:
        self.now += seconds
        return self.feed(ev.Tick())

    def answered(self, response: str, item: str, text: str) -> list[ev.Effect]:
        return self.feed(
            ev.ResponseCreated(response),
            ev.TextDelta(response, item, text, spoken=False),
            ev.ResponseDone(response),
        )

    def texts(self) -> list[str]:
        return [e.text for e in self.conversation.transcript.entries if isinstance(e, Item)]


def only(kind: type[E], effects: list[ev.Effect]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def commands(effects: list[ev.Effect]) -> list[ev.Command]:
    return [effect.command for effect in only(ev.Send, effects)]


ASKED = ev.AskAside("k1", "Sum it up.")


# ----------------------------------------------------------------------- asides


def test_an_aside_is_asked_in_text_and_leaves_no_trace() -> None:
    stage = Stage()
    assert commands(stage.feed(ASKED)) == [
        ev.CreateResponse("Sum it up.", True, {"aside": "k1"}, "text")
    ]
    stage.feed(ev.ResponseCreated("o1", {"aside": "k1"}, out_of_band=True))
    stage.feed(ev.TextDelta("o1", "i", "So ", False), ev.TextDelta("o1", "i", "far.", False))
    effects = stage.feed(ev.TextDone("o1", "i", "So far so good. ", False), ev.ResponseDone("o1"))
    assert only(ev.AsideAnswered, effects) == [ev.AsideAnswered("k1", "So far so good.")]
    assert stage.conversation.transcript.entries == []
    assert stage.conversation.deadline is None


def test_it_goes_on_while_an_answer_is_given() -> None:
    stage = Stage()
    stage.feed(ev.Typed("hello"), ev.ResponseCreated("r1"))
    stage.feed(ASKED, ev.ResponseCreated("o1", {"aside": "k1"}, out_of_band=True))
    stage.feed(ev.TextDelta("r1", "a", "Hi ", False), ev.TextDelta("o1", "i", "Short.", False))
    assert stage.conversation.floor is ev.Floor.SPEAKING
    done = stage.feed(ev.ResponseDone("o1"))
    assert ev.AsideAnswered("k1", "Short.") in done
    stage.feed(ev.TextDelta("r1", "a", "there.", False), ev.ResponseDone("r1"))
    assert stage.texts() == ["hello", "Hi there."]


def test_two_asides_are_told_apart_with_and_without_metadata() -> None:
    stage = Stage()
    stage.feed(ASKED, ev.AskAside("k2", "Translate it."))
    stage.feed(ev.ResponseCreated("o2", {"aside": "k2"}, out_of_band=True))
    stage.feed(ev.ResponseCreated("o1", out_of_band=True))
    stage.feed(ev.TextDelta("o2", "i", "zwei", False), ev.TextDelta("o1", "j", "eins", False))
    effects = stage.feed(ev.ResponseDone("o1"), ev.ResponseDone("o2"))
    assert only(ev.AsideAnswered, effects) == [
        ev.AsideAnswered("k1", "eins"),
        ev.AsideAnswered("k2", "zwei"),
    ]


@pytest.mark.parametrize(
    ("stage", "words"),
    [(Stage(online=False), "no connection"), (Stage(Capabilities(out_of_band=False)), "beside")],
)
def test_where_it_cannot_be_asked_that_is_said(stage: Stage, words: str) -> None:
    effects = stage.feed(ASKED)
    (answer,) = only(ev.AsideAnswered, effects)
    assert words in answer.error
    assert commands(effects) == []


def test_every_aside_comes_to_an_end() -> None:
    stage = Stage()
    stage.feed(ASKED)
    (late,) = only(ev.AsideAnswered, stage.later(PATIENCE_S + 1))
    assert "in time" in late.error
    stage.feed(ASKED)
    (lost,) = only(ev.AsideAnswered, stage.feed(ev.Disconnected("gone")))
    assert "lost" in lost.error
    stage = Stage()
    stage.feed(ASKED)
    refused = stage.feed(ev.ProviderError("No more.", command="CreateResponse"))
    assert only(ev.AsideAnswered, refused) == [ev.AsideAnswered("k1", "", "No more.")]
    assert only(ev.Notice, refused) == []
    stage.feed(ASKED, ev.ResponseCreated("o1", {"aside": "k1"}, out_of_band=True))
    failed = stage.feed(ev.ResponseDone("o1", ev.ResponseStatus.FAILED, error="Overloaded."))
    assert only(ev.AsideAnswered, failed) == [ev.AsideAnswered("k1", "", "Overloaded.")]


def test_a_refused_turn_is_not_taken_for_an_aside() -> None:
    stage = Stage()
    stage.feed(ASKED, ev.Typed("hello"))
    effects = stage.feed(ev.ProviderError("Not now.", command="CreateResponse"))
    assert only(ev.AsideAnswered, effects) == []
    assert [notice.text for notice in only(ev.Notice, effects)] == ["Not now."]


# ----------------------------------------------------------------------- items


def test_a_message_is_put_in_where_it_belongs() -> None:
    stage = Stage()
    stage.feed(ev.Typed("one"))
    stage.answered("r1", "a1", "two")
    effects = stage.feed(ev.InsertMessage("n1", "system", "between", "typed_1"))
    assert commands(effects) == [ev.CreateMessage("n1", "system", "between", "typed_1")]
    assert stage.texts() == ["one", "between", "two"]
    effects = stage.feed(ev.InsertMessage("n2", "user", "last", "unknown"))
    assert commands(effects) == [ev.CreateMessage("n2", "user", "last")]
    assert stage.feed(ev.InsertMessage("n2", "user", "again")) == []
    assert stage.texts() == ["one", "between", "two", "last"]


def test_the_last_exchange_is_forgotten_on_both_sides() -> None:
    stage = Stage()
    stage.feed(ev.Typed("one"))
    stage.answered("r1", "a1", "two")
    stage.feed(ev.Typed("three"))
    stage.answered("r2", "a2", "four")
    effects = stage.feed(ev.ForgetLast())
    assert commands(effects) == [ev.DeleteItem("typed_2"), ev.DeleteItem("a2")]
    assert only(ev.EntryRemoved, effects) == [ev.EntryRemoved("typed_2"), ev.EntryRemoved("a2")]
    stage.feed(ev.TextDone("r2", "a2", "four, late", False), ev.UserTranscript("typed_2", "late"))
    assert stage.texts() == ["one", "two"]
    stage.feed(ev.Disconnected("gone"))
    told = commands(stage.feed(ev.SessionCreated("t")))
    assert [c.text for c in told if isinstance(c, ev.CreateMessage)] == ["one", "two"]


def test_what_is_being_said_is_stopped_first() -> None:
    stage = Stage()
    stage.feed(ev.Typed("one"), ev.ResponseCreated("r1"), ev.TextDelta("r1", "a", "On", False))
    effects = stage.feed(ev.ForgetLast())
    assert commands(effects)[0] == ev.CancelResponse("r1")
    stage.feed(ev.TextDelta("r1", "a", "ce upon", False), ev.ResponseDone("r1"))
    assert stage.texts() == []
    assert stage.conversation.floor is not ev.Floor.THINKING
    assert stage.feed(ev.ForgetLast()) == []


def test_a_provider_that_cannot_forget_is_told_the_rest_anew() -> None:
    stage = Stage(Capabilities(delete=False))
    stage.feed(ev.Typed("one"))
    stage.answered("r1", "a1", "two")
    effects = stage.feed(ev.ForgetLast())
    assert commands(effects) == []
    assert ev.StartAfresh() in effects


def test_one_item_is_forgotten_and_the_talk_goes_on() -> None:
    stage = Stage()
    stage.feed(ev.Typed("one"))
    stage.answered("r1", "a1", "two")
    stage.feed(ev.Typed("three"), ev.ResponseCreated("r2"))
    effects = stage.feed(ev.ForgetItem("a1"), ev.ForgetItem("unknown"))
    assert commands(effects) == [ev.DeleteItem("a1")]
    stage.feed(ev.TextDelta("r2", "a2", "four", False))
    assert stage.texts() == ["one", "three", "four"]


def test_an_item_is_looked_up_or_cannot_be() -> None:
    stage = Stage()
    assert commands(stage.feed(ev.FetchItem("i"))) == [ev.RetrieveItem("i")]
    (found,) = only(ev.ItemFetched, stage.feed(ev.ItemRetrieved("i", {"id": "i"})))
    assert found.item == {"id": "i"}
    effects = stage.feed(ev.ProviderError("No such item.", command="RetrieveItem"))
    assert effects == [ev.ItemFetched("", None)]
    stage = Stage(Capabilities(retrieve=False))
    assert stage.feed(ev.FetchItem("i")) == [ev.ItemFetched("i", None)]


def test_another_conversation_goes_on_with_what_was_said() -> None:
    stage = Stage()
    stage.feed(ev.Typed("one"))
    transcript: Transcript = stage.conversation.transcript
    after = Conversation(SessionSettings(), Capabilities(), transcript=transcript)
    effects = after.handle(ev.SessionCreated("t"), 0.0)
    assert ev.Send(ev.CreateMessage("typed_1", "user", "one")) in effects
    after.handle(ev.Typed("two"), 0.0)
    assert [entry_id(entry) for entry in transcript.entries] == ["typed_1", "typed_2"]


def test_other_settings_are_asked_for_and_hold_for_the_next_connection() -> None:
    stage = Stage()
    (update,) = commands(stage.feed(ev.Configure(SessionSettings(voice="cedar"))))
    assert isinstance(update, ev.UpdateSession)
    assert update.settings.voice == "cedar"
    stage.feed(ev.Disconnected("gone"))
    assert commands(stage.feed(ev.SessionCreated("t")))[0] == update


# ----------------------------------------------------------------------- what it costs


def test_each_use_is_told_with_what_used_it() -> None:
    stage = Stage()
    stage.feed(ev.Typed("one"), ev.ResponseCreated("r"))
    told = only(
        ev.UsageChanged,
        stage.feed(
            ev.ResponseDone("r", usage=Usage(total_tokens=10)),
            ev.UserTranscript("u", "hi", final=True, usage=Usage(total_tokens=3)),
            ev.UsageReported(Usage(seconds=2)),
        ),
    )
    assert [(use.what, use.added.total_tokens, use.usage.total_tokens) for use in told] == [
        ("response", 10, 10),
        ("transcription", 3, 10),
        ("other", 0, 10),
    ]
    assert stage.conversation.meter.response.total_tokens == 10


def test_a_limit_that_is_near_is_told_once_and_ends() -> None:
    stage = Stage()
    low, high = ev.RateLimit("tokens", 1000, 100, 30), ev.RateLimit("requests", 100, 90, 5)
    effects = stage.feed(ev.RateLimits((low, high)))
    (notice,) = only(ev.Notice, effects)
    assert notice.text == "10 % of the limit of tokens is left; it is whole again in 30 s."
    assert only(ev.LimitsChanged, effects) == [ev.LimitsChanged((low, high))]
    assert only(ev.Notice, stage.feed(ev.RateLimits((low, high)))) == []
    assert stage.conversation.deadline == 30
    assert stage.later(30) == [ev.LimitsChanged(())]
    assert len(only(ev.Notice, stage.feed(ev.RateLimits((low,))))) == 1, "near again"
    fine = ev.RateLimit("tokens", 1000, 900, 30)
    stage.feed(ev.RateLimits((fine,)))
    assert len(only(ev.Notice, stage.feed(ev.RateLimits((low,))))) == 1
