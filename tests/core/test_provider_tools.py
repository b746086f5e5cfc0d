"""Calls that the provider runs: shown, decided, and never a reason for a hanging turn."""

from __future__ import annotations

from voicechat.core import commands, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.effects import Effect, Floor, Level, Notice, Send
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.provider_tools import CALL_TIMEOUT_S, ProviderTools
from voicechat.core.settings import SessionSettings
from voicechat.core.tool_calls import MAX_ROUNDS

ASKED = events.RemoteApproval("mcpr_1", "r1", "wiki", "ask", '{"q":"frames"}')


class ConversationDriver:
    """A conversation with a clock, in text mode."""

    def __init__(self) -> None:
        self.talk = Conversation(SessionSettings(), hands_free=False, speaker=False)
        self.now = 0.0
        self.feed(events.SessionCreated())
        self.feed(inputs.Typed("What is a frame?"))
        self.feed(events.ResponseCreated("r1"))

    @property
    def remote(self) -> ProviderTools:
        return self.talk._provider_tools

    def feed(self, event: events.Event | inputs.Input, after: float = 0.0) -> list[Effect]:
        self.now += after
        return self.talk.handle(event, self.now)

    def call(self, key: str) -> ToolCall:
        entry = self.talk.transcript.get(key)
        assert isinstance(entry, ToolCall)
        return entry


def sent_commands(effects: list[Effect]) -> list[commands.Command]:
    return [effect.command for effect in effects if isinstance(effect, Send)]


def test_a_call_is_shown_from_its_arguments_to_its_result() -> None:
    driver = ConversationDriver()
    seen = []
    for state, arguments, output in (
        (ToolState.STREAMING, '{"q"', None),
        (ToolState.RUNNING, '{"q":1}', None),
        (ToolState.DONE, '{"q":1}', "A frame."),
    ):
        driver.feed(events.RemoteCall("mcp_1", "r1", "wiki", "ask", arguments, state, output), 1.0)
        call = driver.call("mcp_1")
        seen.append((call.state, call.arguments, call.output))
    assert seen == [
        (ToolState.STREAMING, '{"q"', None),
        (ToolState.RUNNING, '{"q":1}', None),
        (ToolState.DONE, '{"q":1}', "A frame."),
    ]
    call = driver.call("mcp_1")
    assert (call.name, call.server, call.elapsed_ms) == ("ask", "wiki", 1000.0)


def test_a_late_result_is_added() -> None:
    driver = ConversationDriver()
    driver.feed(events.RemoteCall("mcp_1", "", "", "ask", "{}", ToolState.DONE))
    driver.feed(events.RemoteCall("mcp_1", "r1", "wiki", "ask", "{}", ToolState.DONE, "A frame."))
    assert driver.call("mcp_1").output == "A frame."


def test_a_hanging_call_delays_the_answer_only_for_a_time() -> None:
    driver = ConversationDriver()
    driver.feed(events.RemoteCall("mcp_1", "r1", "wiki", "ask", "{}", ToolState.DONE, "A frame."))
    driver.feed(events.RemoteCall("mcp_2", "r1", "wiki", "ask", "{}", ToolState.RUNNING))
    driver.feed(events.ResponseDone("r1"))
    assert driver.talk.deadline == CALL_TIMEOUT_S, "even without further events"
    driver.feed(inputs.Tick(), after=CALL_TIMEOUT_S)
    assert driver.talk.deadline is not None, "the provider may continue by itself first"
    seen = sent_commands(driver.feed(inputs.Tick(), after=driver.talk.deadline - driver.now))
    assert commands.CreateResponse() in seen


def test_approval_is_requested_once_and_answered_once() -> None:
    driver = ConversationDriver()
    driver.feed(ASKED)
    driver.feed(ASKED)
    driver.feed(events.ResponseDone("r1"))
    assert driver.call("mcpr_1").state is ToolState.ASKING
    assert driver.talk.floor is Floor.WORKING
    assert driver.talk.deadline is None
    assert driver.remote.decide("mcpr_1", True)
    assert not driver.remote.decide("mcpr_1", False)
    assert sent_commands(driver.feed(inputs.Tick())) == [commands.AnswerApproval("mcpr_1", True)]
    driver.feed(events.ResponseCreated("r2"))
    driver.feed(
        events.RemoteCall(
            "mcp_1", "r2", "wiki", "ask", "{}", ToolState.DONE, "x", approval_id="mcpr_1"
        )
    )
    assert driver.call("mcpr_1").state is ToolState.DONE
    assert driver.talk.transcript.get("mcp_1") is None


def test_a_provider_that_does_not_continue_gets_a_request() -> None:
    driver = ConversationDriver()
    driver.feed(ASKED)
    driver.feed(events.ResponseDone("r1"))
    driver.remote.decide("mcpr_1", False)
    driver.feed(inputs.Tick())
    assert driver.talk.floor is Floor.THINKING
    due = driver.talk.deadline
    assert due is not None
    driver.now = due
    assert sent_commands(driver.feed(inputs.Tick())) == [commands.CreateResponse()]


def test_calls_of_the_provider_are_not_continued_without_end() -> None:
    driver = ConversationDriver()
    requests = 0
    for number in range(1, MAX_ROUNDS + 3):
        call = f"mcp_{number}"
        driver.feed(events.RemoteCall(call, f"r{number}", "wiki", "ask", "{}", ToolState.DONE, "x"))
        driver.feed(events.ResponseDone(f"r{number}"))
        if driver.talk.deadline is None:
            break
        driver.now = driver.talk.deadline
        effects = driver.feed(inputs.Tick())
        requests += sent_commands(effects).count(commands.CreateResponse())
        if requests < number:
            break
        driver.feed(events.ResponseCreated(f"r{number + 1}"))
    assert requests == MAX_ROUNDS
    assert any(isinstance(effect, Notice) for effect in effects)
    assert driver.talk.floor is Floor.IDLE


def test_text_after_a_call_is_the_answer() -> None:
    driver = ConversationDriver()
    driver.feed(events.RemoteCall("mcp_1", "r1", "wiki", "ask", "{}", ToolState.DONE, "x"))
    driver.feed(events.OutputItemAdded("r1", "m1"))
    driver.feed(events.TextDone("r1", "m1", "A frame holds a call.", spoken=False))
    driver.feed(events.ResponseDone("r1"))
    assert driver.talk.deadline is None
    assert driver.talk.floor is Floor.IDLE


def test_a_slow_call_does_not_count_as_a_hanging_response() -> None:
    driver = ConversationDriver()
    driver.feed(events.RemoteCall("mcp_1", "r1", "wiki", "ask", "{}", ToolState.RUNNING))
    while driver.now < CALL_TIMEOUT_S - 1:
        assert sent_commands(driver.feed(inputs.Tick(), 7.0)) == []
    assert driver.talk.floor is Floor.THINKING
    given_up = [sent_commands(driver.feed(inputs.Tick(), 7.0)) for _ in range(4)]
    assert [commands.CancelResponse("r1")] in given_up


def test_the_person_or_a_lost_connection_ends_what_waits() -> None:
    driver = ConversationDriver()
    driver.feed(ASKED)
    driver.feed(events.RemoteCall("mcp_2", "r1", "wiki", "ask", "{}", ToolState.RUNNING))
    sent = sent_commands(driver.feed(inputs.Interrupt()))
    assert commands.AnswerApproval("mcpr_1", False, "The user interrupted.") in sent
    assert driver.call("mcpr_1").state is ToolState.DENIED
    assert driver.call("mcp_2").state is ToolState.CANCELLED
    driver.feed(events.RemoteApproval("mcpr_2", "r1", "wiki", "ask", "{}"))
    driver.feed(inputs.Disconnected("gone"))
    assert driver.call("mcpr_2").state is ToolState.CANCELLED
    assert not driver.remote.decide("mcpr_2", True)


def test_a_list_of_tools_that_cannot_be_had_is_said() -> None:
    driver = ConversationDriver()
    effects = driver.feed(events.RemoteTools("mcpl_1", "wiki", done=True, error="it is away"))
    assert Notice("The tools of wiki are not available: it is away", Level.WARNING) in effects
