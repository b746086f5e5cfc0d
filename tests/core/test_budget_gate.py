"""The gate before each response: the session is asked, and a closed gate asks for no response."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from voicechat.core import events, inputs
from voicechat.core.budget_gate import ANSWER_TIMEOUT_S
from voicechat.core.commands import CancelResponse, CommitAudio, CreateMessage, CreateResponse
from voicechat.core.conversation import Conversation
from voicechat.core.effects import CheckBudget, Effect, Floor, OutOfBandAnswered, RunTool, Send
from voicechat.core.settings import Capabilities, SessionSettings, ToolSpec


class ConversationDriver:
    """A connected conversation with a budget, and its own clock."""

    def __init__(self, *, hands_free: bool = False, **flags: bool) -> None:
        self.now = 100.0
        self.conversation = Conversation(
            SessionSettings(tools=(ToolSpec("look", "Look.", {}),)),
            Capabilities(**flags),  # type: ignore[arg-type]
            hands_free=hands_free,
            speaker=False,
            has_budget=True,
        )
        self.feed(events.SessionCreated("s"))

    def feed(self, *received: events.Event | inputs.Input) -> list[Effect]:
        return [e for event in received for e in self.conversation.handle(event, self.now)]

    def asks(self, *received: events.Event | inputs.Input) -> bool:
        return CheckBudget() in self.feed(*received)

    def commands(self, *received: events.Event | inputs.Input) -> list[type]:
        return [type(e.command) for e in self.feed(*received) if isinstance(e, Send)]


FREE, USED_UP = inputs.BudgetChecked(False), inputs.BudgetChecked(True)


def test_a_response_waits_for_the_answer_of_the_session() -> None:
    driver = ConversationDriver()
    effects = driver.feed(inputs.Typed("hello"))
    sent = [type(e.command) for e in effects if isinstance(e, Send)]
    assert sent == [CreateMessage]
    assert effects.count(CheckBudget()) == 1
    assert driver.conversation.floor is Floor.THINKING
    assert driver.commands(FREE) == [CreateResponse]


def test_every_response_is_asked_about() -> None:
    driver = ConversationDriver()
    for number in ("1", "2"):
        assert driver.asks(inputs.Typed("hello"))
        driver.feed(FREE, events.ResponseCreated(number), events.ResponseDone(number))


def test_a_used_budget_leaves_the_response_until_more_is_allowed() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("hello"))
    assert driver.commands(USED_UP) == []
    assert driver.conversation.floor is Floor.IDLE
    assert not driver.asks(inputs.Tick())
    assert driver.commands(FREE) == [CreateResponse]


def test_a_running_response_ends_and_the_next_one_is_not_asked_for() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("hello"), FREE, events.ResponseCreated("r"))
    assert driver.commands(USED_UP) == []
    driver.feed(events.TextDelta("r", "i", "Yes.", spoken=False), events.ResponseDone("r"))
    assert driver.commands(inputs.Typed("more")) == [CreateMessage]
    assert driver.conversation.floor is Floor.IDLE


def test_the_answer_to_a_tool_is_not_asked_for() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("hello"), FREE, events.ResponseCreated("r"))
    call = events.ToolCallReady("r", "i", "c", "look", "{}")
    assert RunTool("c", "look", "{}") in driver.feed(call, USED_UP)
    finished = driver.feed(events.ResponseDone("r"), inputs.ToolFinished("c", "a cat"))
    assert CreateResponse not in [type(e.command) for e in finished if isinstance(e, Send)]
    assert CheckBudget() in finished
    assert driver.commands(FREE) == [CreateResponse]


def test_a_response_that_the_provider_starts_by_itself_is_cancelled() -> None:
    driver = ConversationDriver(hands_free=True)
    driver.feed(USED_UP)
    assert driver.commands(events.ResponseCreated("r")) == [CancelResponse]
    driver.feed(events.TextDelta("r", "i", "Yes.", spoken=False))
    assert not driver.conversation.transcript.entries


def test_push_to_talk_sends_no_turn_that_the_provider_would_answer() -> None:
    driver = ConversationDriver(commit_starts_response=True)
    driver.feed(inputs.Talk(True), inputs.MicBlock(b"\0\0" * 24_000))
    driver.now += 1.0
    assert CommitAudio not in driver.commands(USED_UP, inputs.Talk(False))
    assert not driver.conversation.talking
    assert driver.commands(inputs.Talk(True)) == []


def test_nothing_is_asked_out_of_band() -> None:
    driver = ConversationDriver()
    driver.feed(USED_UP)
    refused = OutOfBandAnswered("key", error="The budget is used up.")
    assert driver.feed(inputs.AskOutOfBand("key", "Sum up.")) == [refused]


def test_without_an_answer_the_response_is_requested_after_a_while() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("hello"))
    deadline = driver.conversation.deadline
    assert deadline == driver.now + ANSWER_TIMEOUT_S
    driver.now = deadline
    assert driver.commands(inputs.Tick()) == [CreateResponse]


@pytest.mark.parametrize(
    "between",
    [
        lambda driver: driver.feed(inputs.Disconnected("lost"), events.SessionCreated("s2")),
        lambda driver: driver.feed(inputs.Interrupt()),
    ],
    ids=["a lost connection", "an interruption"],
)
def test_the_gate_never_hangs(between: Callable[[ConversationDriver], object]) -> None:
    driver = ConversationDriver()
    driver.feed(inputs.Typed("hello"))
    between(driver)
    driver.feed(inputs.Typed("more"))
    assert driver.commands(FREE) == [CreateResponse]


def test_an_answer_that_came_too_early_is_asked_for_again() -> None:
    driver = ConversationDriver(hands_free=True)
    driver.feed(inputs.Typed("hello"), events.SpeechStarted("u"), FREE)
    driver.now += 30.0
    assert driver.asks(events.SpeechStopped("u"), inputs.Typed("hello?"))
    assert driver.commands(FREE) == [CreateResponse]
