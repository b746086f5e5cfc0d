"""Out-of-band requests, inserted and deleted items, usage and limits."""

from __future__ import annotations

from typing import TypeVar

import pytest

from voicechat.core import commands, events, inputs
from voicechat.core.commands import CommandName
from voicechat.core.conversation import Conversation
from voicechat.core.effects import (
    Effect,
    EntryRemoved,
    Floor,
    ItemFetched,
    LimitsChanged,
    Notice,
    OutOfBandAnswered,
    Send,
    StartNewSession,
    UsageChanged,
)
from voicechat.core.items import Item, Transcript, Usage, entry_id
from voicechat.core.out_of_band import METADATA_KEY, TIMEOUT_S
from voicechat.core.settings import Capabilities, SessionSettings

E = TypeVar("E")


class ConversationDriver:
    """A conversation with its own clock."""

    def __init__(self, capabilities: Capabilities | None = None, online: bool = True) -> None:
        self.conversation = Conversation(
            SessionSettings(), capabilities or Capabilities(), speaker=False
        )
        self.now = 0.0
        if online:
            self.feed(events.SessionCreated("s"))

    def feed(self, *received: events.Event | inputs.Input) -> list[Effect]:
        effects: list[Effect] = []
        for event in received:
            effects += self.conversation.handle(event, self.now)
        return effects

    def later(self, seconds: float) -> list[Effect]:
        self.now += seconds
        return self.feed(inputs.Tick())

    def answered(self, response: str, item: str, text: str) -> list[Effect]:
        return self.feed(
            events.ResponseCreated(response),
            events.TextDelta(response, item, text, spoken=False),
            events.ResponseDone(response),
        )

    def texts(self) -> list[str]:
        return [e.text for e in self.conversation.transcript.entries if isinstance(e, Item)]


def only(kind: type[E], effects: list[Effect]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def sent_commands(effects: list[Effect]) -> list[commands.Command]:
    return [effect.command for effect in only(Send, effects)]


ASKED = inputs.AskOutOfBand("k1", "Sum it up.")


# ----------------------------------------------------------------------- asides


def test_an_out_of_band_request_is_text_and_not_kept() -> None:
    driver = ConversationDriver()
    assert sent_commands(driver.feed(ASKED)) == [
        commands.CreateResponse("Sum it up.", True, {METADATA_KEY: "k1"}, "text")
    ]
    driver.feed(events.ResponseCreated("o1", {METADATA_KEY: "k1"}, out_of_band=True))
    driver.feed(
        events.TextDelta("o1", "i", "So ", False), events.TextDelta("o1", "i", "far.", False)
    )
    effects = driver.feed(
        events.TextDone("o1", "i", "So far so good. ", False), events.ResponseDone("o1")
    )
    assert only(OutOfBandAnswered, effects) == [OutOfBandAnswered("k1", "So far so good.")]
    assert driver.conversation.transcript.entries == []
    assert driver.conversation.deadline is None


def test_an_out_of_band_response_may_run_during_another_one() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("hello"), events.ResponseCreated("r1"))
    driver.feed(ASKED, events.ResponseCreated("o1", {METADATA_KEY: "k1"}, out_of_band=True))
    driver.feed(
        events.TextDelta("r1", "a", "Hi ", False), events.TextDelta("o1", "i", "Short.", False)
    )
    assert driver.conversation.floor is Floor.SPEAKING
    done = driver.feed(events.ResponseDone("o1"))
    assert OutOfBandAnswered("k1", "Short.") in done
    driver.feed(events.TextDelta("r1", "a", "there.", False), events.ResponseDone("r1"))
    assert driver.texts() == ["hello", "Hi there."]


def test_out_of_band_responses_match_by_metadata_or_order() -> None:
    driver = ConversationDriver()
    driver.feed(ASKED, inputs.AskOutOfBand("k2", "Translate it."))
    driver.feed(events.ResponseCreated("o2", {METADATA_KEY: "k2"}, out_of_band=True))
    driver.feed(events.ResponseCreated("o1", out_of_band=True))
    driver.feed(
        events.TextDelta("o2", "i", "zwei", False), events.TextDelta("o1", "j", "eins", False)
    )
    effects = driver.feed(events.ResponseDone("o1"), events.ResponseDone("o2"))
    assert only(OutOfBandAnswered, effects) == [
        OutOfBandAnswered("k1", "eins"),
        OutOfBandAnswered("k2", "zwei"),
    ]


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        (ConversationDriver(online=False), "no connection"),
        (ConversationDriver(Capabilities(out_of_band=False)), "out-of-band"),
    ],
)
def test_an_impossible_request_is_answered_with_an_error(
    driver: ConversationDriver, words: str
) -> None:
    effects = driver.feed(ASKED)
    (answer,) = only(OutOfBandAnswered, effects)
    assert words in answer.error
    assert sent_commands(effects) == []


def test_every_out_of_band_request_ends() -> None:
    driver = ConversationDriver()
    driver.feed(ASKED)
    (late,) = only(OutOfBandAnswered, driver.later(TIMEOUT_S + 1))
    assert "in time" in late.error
    driver.feed(ASKED)
    (lost,) = only(OutOfBandAnswered, driver.feed(inputs.Disconnected("gone")))
    assert "lost" in lost.error
    driver = ConversationDriver()
    driver.feed(ASKED)
    refused = driver.feed(events.ProviderError("No more.", command=CommandName.CREATE_RESPONSE))
    assert only(OutOfBandAnswered, refused) == [OutOfBandAnswered("k1", "", "No more.")]
    assert only(Notice, refused) == []
    driver.feed(ASKED, events.ResponseCreated("o1", {METADATA_KEY: "k1"}, out_of_band=True))
    failed = driver.feed(
        events.ResponseDone("o1", events.ResponseStatus.FAILED, error="Overloaded.")
    )
    assert only(OutOfBandAnswered, failed) == [OutOfBandAnswered("k1", "", "Overloaded.")]


def test_a_refused_turn_does_not_end_an_out_of_band_request() -> None:
    driver = ConversationDriver()
    driver.feed(ASKED, inputs.Typed("hello"))
    effects = driver.feed(events.ProviderError("Not now.", command=CommandName.CREATE_RESPONSE))
    assert only(OutOfBandAnswered, effects) == []
    assert [notice.text for notice in only(Notice, effects)] == ["Not now."]


# ----------------------------------------------------------------------- items


def test_a_message_is_inserted_at_its_position() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("one"))
    driver.answered("r1", "a1", "two")
    effects = driver.feed(inputs.InsertMessage("n1", "system", "between", "typed_1"))
    assert sent_commands(effects) == [commands.CreateMessage("n1", "system", "between", "typed_1")]
    assert driver.texts() == ["one", "between", "two"]
    effects = driver.feed(inputs.InsertMessage("n2", "user", "last", "unknown"))
    assert sent_commands(effects) == [commands.CreateMessage("n2", "user", "last")]
    assert driver.feed(inputs.InsertMessage("n2", "user", "again")) == []
    assert driver.texts() == ["one", "between", "two", "last"]


def test_the_last_exchange_is_deleted_on_both_sides() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("one"))
    driver.answered("r1", "a1", "two")
    driver.feed(inputs.Typed("three"))
    driver.answered("r2", "a2", "four")
    effects = driver.feed(inputs.ForgetLast())
    assert sent_commands(effects) == [commands.DeleteItem("typed_2"), commands.DeleteItem("a2")]
    assert only(EntryRemoved, effects) == [EntryRemoved("typed_2"), EntryRemoved("a2")]
    driver.feed(
        events.TextDone("r2", "a2", "four, late", False), events.UserTranscript("typed_2", "late")
    )
    assert driver.texts() == ["one", "two"]
    driver.feed(inputs.Disconnected("gone"))
    told = sent_commands(driver.feed(events.SessionCreated("t")))
    assert [c.text for c in told if isinstance(c, commands.CreateMessage)] == ["one", "two"]


def test_deleting_a_running_response_cancels_it() -> None:
    driver = ConversationDriver()
    driver.feed(
        inputs.Typed("one"), events.ResponseCreated("r1"), events.TextDelta("r1", "a", "On", False)
    )
    effects = driver.feed(inputs.ForgetLast())
    assert sent_commands(effects)[0] == commands.CancelResponse("r1")
    driver.feed(events.TextDelta("r1", "a", "ce upon", False), events.ResponseDone("r1"))
    assert driver.texts() == []
    assert driver.conversation.floor is not Floor.THINKING
    assert driver.feed(inputs.ForgetLast()) == []


def test_a_provider_without_deletion_gets_a_new_session() -> None:
    driver = ConversationDriver(Capabilities(delete=False))
    driver.feed(inputs.Typed("one"))
    driver.answered("r1", "a1", "two")
    effects = driver.feed(inputs.ForgetLast())
    assert sent_commands(effects) == []
    assert StartNewSession() in effects


def test_one_item_is_deleted_and_the_response_continues() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("one"))
    driver.answered("r1", "a1", "two")
    driver.feed(inputs.Typed("three"), events.ResponseCreated("r2"))
    effects = driver.feed(inputs.ForgetItem("a1"), inputs.ForgetItem("unknown"))
    assert sent_commands(effects) == [commands.DeleteItem("a1")]
    driver.feed(events.TextDelta("r2", "a2", "four", False))
    assert driver.texts() == ["one", "three", "four"]


def test_an_item_is_fetched_or_reported_missing() -> None:
    driver = ConversationDriver()
    assert sent_commands(driver.feed(inputs.FetchItem("i"))) == [commands.RetrieveItem("i")]
    (found,) = only(ItemFetched, driver.feed(events.ItemRetrieved("i", {"id": "i"})))
    assert found.item == {"id": "i"}
    effects = driver.feed(events.ProviderError("No such item.", command=CommandName.RETRIEVE_ITEM))
    assert effects == [ItemFetched("", None)]
    driver = ConversationDriver(Capabilities(retrieve=False))
    assert driver.feed(inputs.FetchItem("i")) == [ItemFetched("i", None)]


def test_another_conversation_continues_the_transcript() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("one"))
    transcript: Transcript = driver.conversation.transcript
    after = Conversation(SessionSettings(), Capabilities(), transcript=transcript)
    effects = after.handle(events.SessionCreated("t"), 0.0)
    assert Send(commands.CreateMessage("typed_1", "user", "one")) in effects
    after.handle(inputs.Typed("two"), 0.0)
    assert [entry_id(entry) for entry in transcript.entries] == ["typed_1", "typed_2"]


def test_changed_settings_apply_to_later_connections() -> None:
    driver = ConversationDriver()
    (update,) = sent_commands(driver.feed(inputs.Configure(SessionSettings(voice="cedar"))))
    assert isinstance(update, commands.UpdateSession)
    assert update.settings.voice == "cedar"
    driver.feed(inputs.Disconnected("gone"))
    assert sent_commands(driver.feed(events.SessionCreated("t")))[0] == update


# ----------------------------------------------------------------------- what it costs


def test_each_usage_names_its_source() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("one"), events.ResponseCreated("r"))
    told = only(
        UsageChanged,
        driver.feed(
            events.ResponseDone("r", usage=Usage(total_tokens=10)),
            events.UserTranscript("u", "hi", final=True, usage=Usage(total_tokens=3)),
            events.UsageReported(Usage(seconds=2)),
        ),
    )
    assert [(use.source, use.added.total_tokens, use.usage.total_tokens) for use in told] == [
        ("response", 10, 10),
        ("transcription", 3, 10),
        ("other", 0, 10),
    ]
    assert driver.conversation.meter.response.total_tokens == 10


def test_a_near_rate_limit_is_reported_once_and_expires() -> None:
    driver = ConversationDriver()
    low, high = events.RateLimit("tokens", 1000, 100, 30), events.RateLimit("requests", 100, 90, 5)
    effects = driver.feed(events.RateLimits((low, high)))
    (notice,) = only(Notice, effects)
    assert notice.text == "10 % of the limit of tokens is left; it resets in 30 s."
    assert only(LimitsChanged, effects) == [LimitsChanged((low, high))]
    assert only(Notice, driver.feed(events.RateLimits((low, high)))) == []
    assert driver.conversation.deadline == 30
    assert driver.later(30) == [LimitsChanged(())]
    assert len(only(Notice, driver.feed(events.RateLimits((low,))))) == 1, "near again"
    fine = events.RateLimit("tokens", 1000, 900, 30)
    driver.feed(events.RateLimits((fine,)))
    assert len(only(Notice, driver.feed(events.RateLimits((low,))))) == 1
