"""Tool calls in a conversation: requested, decided, carried over a lost connection."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from voicechat.core import events, inputs
from voicechat.core.commands import (
    Command,
    CreateMessage,
    CreateResponse,
    SeedCall,
    SeedResult,
    ToolResult,
    UpdateSession,
)
from voicechat.core.conversation import Conversation
from voicechat.core.effects import (
    AskApproval,
    CancelTools,
    Effect,
    Floor,
    KeepApproval,
    Notice,
    RunTool,
    Send,
    StartNewSession,
    TurnMeasured,
)
from voicechat.core.items import Item, Role, ToolCall, ToolState
from voicechat.core.settings import Permission, SessionSettings, ToolSpec
from voicechat.core.tool_calls import (
    LONGEST_ARGUMENTS,
    MAX_ARGUMENT_CHARS,
    MAX_ARGUMENT_LINES,
    MAX_OPEN_CALLS,
    MAX_REFUSED_ROUNDS,
    MAX_ROUNDS,
    denied,
)

LOOK = ToolSpec("look", "Look.", {})
WRITE = ToolSpec("write", "Write.", {}, Permission.ASK, "built in")
BURN = ToolSpec("burn", "Burn.", {}, Permission.ASK, asks_always=True)
HIDDEN = ToolSpec("hidden", "Hide.", {}, Permission.NEVER)
ONCE, SESSION, ALWAYS, DENY = inputs.Decision


class ConversationDriver:
    """A conversation that is online and has a response running."""

    def __init__(self) -> None:
        tools = (LOOK, WRITE, BURN, HIDDEN)
        self.conversation = Conversation(
            SessionSettings(tools=tools), hands_free=False, speaker=False
        )
        self.feed(events.SessionCreated("s"), events.ResponseCreated("r1"))

    def feed(self, *received: events.Event | inputs.Input) -> list[Effect]:
        found: list[Effect] = []
        for event in received:
            found += self.conversation.handle(event, 1.0)
        return found

    def called(self, name: str, call_id: str = "c1", arguments: str = "{}") -> list[Effect]:
        return self.feed(events.ToolCallReady("r1", f"i{call_id}", call_id, name, arguments))

    def decided(
        self, decision: inputs.Decision, call_id: str = "c1", reason: str = ""
    ) -> list[Effect]:
        return self.feed(inputs.Decided(call_id, self.call(call_id).arguments, decision, reason))

    def call(self, call_id: str = "c1") -> ToolCall:
        call = self.conversation.transcript.get(call_id)
        assert isinstance(call, ToolCall)
        return call


def sent(effects: Iterable[Effect]) -> list[Command]:
    return [effect.command for effect in effects if isinstance(effect, Send)]


def run(effects: Iterable[Effect]) -> list[str]:
    return [effect.call_id for effect in effects if isinstance(effect, RunTool)]


def error(effects: Iterable[Effect]) -> str:
    [result] = [each for each in sent(effects) if isinstance(each, ToolResult)]
    assert result.failed
    text = json.loads(result.output)["error"]
    assert isinstance(text, str)
    return text


# ------------------------------------------------------------------------- decisions


def test_a_tool_that_asks_runs_after_approval_without_blocking() -> None:
    driver = ConversationDriver()
    effects = driver.called("write")
    assert AskApproval("c1") in effects
    assert run(effects) == []
    assert driver.call().state is ToolState.ASKING
    assert (driver.call().source, driver.call().number) == ("built in", 1)
    assert driver.conversation.asking == (driver.call(),)
    driver.feed(events.ResponseDone("r1"))
    assert driver.conversation.floor is Floor.WORKING
    effects = driver.feed(inputs.Typed("what is it?"))
    assert CreateResponse() in sent(effects)
    assert driver.call().state is ToolState.ASKING
    assert run(driver.decided(ONCE)) == ["c1"]
    assert driver.conversation.asking == ()


def test_unknown_and_forbidden_tools_are_answered_without_asking() -> None:
    driver = ConversationDriver()
    assert (
        error(driver.called("no_such_tool", "c1")) == "This tool does not exist. Nothing was done."
    )
    assert "may not be used" in error(driver.called("hidden", "c2"))
    assert driver.call("c2").state is ToolState.DENIED
    assert "hidden" not in [tool.name for tool in driver.conversation.settings.tools]


def test_a_denial_is_reported_with_its_explanation() -> None:
    driver = ConversationDriver()
    driver.called("write")
    effects = driver.decided(DENY, reason='Use "ls"\x1b[2J instead\\.')
    assert error(effects).endswith("The user says: Use 'ls'\ufffd[2J instead/.")
    assert driver.call().state is ToolState.DENIED
    assert sent(driver.feed(events.ResponseDone("r1"))) == [CreateResponse()]


@pytest.mark.parametrize("words", ["", " \n ", '"', "\\", "}", "\ud800", "\u202e" * 3])
def test_the_result_of_a_denial_is_always_json(words: str) -> None:
    assert "did not allow" in json.loads(denied(words))["error"]


def test_a_decision_applies_to_the_call_and_arguments_shown() -> None:
    driver = ConversationDriver()
    driver.called("write", arguments='{"a": 1}')
    assert driver.feed(inputs.Decided("c1", '{"a": 2}', ONCE)) == []
    assert driver.feed(inputs.Decided("c2", '{"a": 1}', ONCE)) == []
    assert driver.call().state is ToolState.ASKING
    assert run(driver.feed(inputs.Decided("c1", '{"a": 1}', ONCE))) == ["c1"]
    assert driver.feed(inputs.Decided("c1", '{"a": 1}', DENY)) == []
    assert run(driver.called("write", "c2")) == []


def test_session_approval_runs_waiting_and_later_calls() -> None:
    driver = ConversationDriver()
    driver.called("write", "c1")
    driver.called("write", "c2")
    driver.called("burn", "c3")
    assert run(driver.decided(SESSION)) == ["c1", "c2"]
    assert run(driver.called("write", "c4")) == ["c4"]
    assert driver.conversation.asking == (driver.call("c3"),)


def test_permanent_approval_is_saved() -> None:
    driver = ConversationDriver()
    driver.called("write")
    assert KeepApproval("write") in driver.decided(ALWAYS)


def test_a_tool_that_always_asks_has_no_lasting_approval() -> None:
    driver = ConversationDriver()
    driver.called("burn")
    effects = driver.decided(ALWAYS)
    assert run(effects) == ["c1"]
    assert not any(isinstance(effect, KeepApproval) for effect in effects)
    assert run(driver.called("burn", "c2")) == []


class Ruled:
    """Rules of a tool: a call with the argument `no` never runs, `yes` runs, `hm` asks."""

    rules = ()

    def permission(self, arguments: str) -> Permission | None:
        found = {"no": Permission.NEVER, "yes": Permission.AUTO, "hm": Permission.ASK}
        return found.get(arguments)

    def pattern(self, arguments: str) -> str:
        return "wish*" if arguments == "wish" else ""


def test_rules_decide_on_calls_by_their_arguments() -> None:
    driver = ConversationDriver()
    tools = [replace(spec, rules=Ruled()) for spec in (WRITE, BURN, HIDDEN)]
    driver.feed(inputs.OfferTools(tuple(tools)))
    assert run(driver.called("burn", "c1", "yes")) == ["c1"]
    driver.called("burn", "c2", "no")
    assert driver.call("c2").state is ToolState.DENIED
    assert "these arguments" in str(driver.call("c2").output)
    driver.called("hidden", "c3", "yes")
    assert driver.call("c3").state is ToolState.DENIED
    driver.called("write", "c4", "hm")
    driver.called("write", "c5", "other")
    driver.called("write", "c6", "more")
    effects = driver.feed(inputs.Decided("c5", "other", SESSION))
    assert run(effects) == ["c5", "c6"]
    assert run(driver.called("write", "c7", "more")) == ["c7"]
    assert run(driver.called("write", "c8", "hm")) == []
    assert [call.call_id for call in driver.conversation.asking] == ["c4", "c8"]


def test_a_pattern_is_saved_instead_of_the_tool() -> None:
    driver = ConversationDriver()
    driver.feed(inputs.OfferTools((replace(BURN, rules=Ruled()),)))
    driver.called("burn", "c1", "wish")
    assert driver.call("c1").pattern == "wish*"
    effects = driver.feed(inputs.Decided("c1", "wish", ALWAYS, "w*"))
    assert run(effects) == ["c1"]
    assert KeepApproval("burn", "w*") in effects
    driver.called("burn", "c2", "wish")
    assert KeepApproval("burn", "wish*") in driver.feed(inputs.Decided("c2", "wish", ALWAYS))


def test_a_changed_tool_asks_again_and_its_waiting_call_fails() -> None:
    driver = ConversationDriver()
    driver.called("write", "c1")
    driver.decided(SESSION)
    driver.feed(
        inputs.OfferTools((LOOK, ToolSpec("write", "Write elsewhere.", {}, Permission.ASK)))
    )
    assert run(driver.called("write", "c2")) == []
    assert "changed before" in error(driver.feed(inputs.OfferTools((LOOK,))))
    assert "does not exist" in error(driver.called("write", "c3"))


def test_changed_tools_update_the_session_and_hidden_ones_do_not() -> None:
    driver = ConversationDriver()
    news = ToolSpec("news", "News.", {}, Permission.NEVER)
    assert sent(driver.feed(inputs.OfferTools((LOOK, WRITE, BURN, news)))) == []
    [update] = sent(driver.feed(inputs.OfferTools((LOOK, WRITE))))
    assert isinstance(update, UpdateSession)
    assert update.settings.tools == (LOOK, WRITE)


def test_interrupting_denies_waiting_calls_and_stops_running_ones() -> None:
    driver = ConversationDriver()
    driver.called("look", "c1")
    driver.called("write", "c2")
    effects = driver.feed(inputs.Interrupt())
    assert CancelTools(("c1",)) in effects
    states = [driver.call(each).state for each in ("c1", "c2")]
    assert states == [ToolState.CANCELLED, ToolState.DENIED]
    answered = [each.call_id for each in sent(effects) if isinstance(each, ToolResult)]
    assert sorted(answered) == ["c1", "c2"]
    assert driver.decided(ONCE, "c2") == []
    assert CreateResponse() not in sent(driver.feed(events.ResponseDone("r1")))


def test_arguments_too_long_to_check_are_denied() -> None:
    driver = ConversationDriver()
    text = json.dumps({"text": "x" * MAX_ARGUMENT_CHARS})
    assert "too long" in error(driver.called("write", arguments=text))
    for number, end in enumerate(("\\n", "\\u000a")):
        many = '{"text": "' + end * (MAX_ARGUMENT_LINES + 1) + 'rm"}'
        assert "too long" in error(driver.called("write", f"l{number}", arguments=many))
    for number in range(MAX_OPEN_CALLS):
        driver.called("write", f"w{number}")
    assert "Too many" in error(driver.called("write", "last"))


def test_arguments_of_any_tool_have_a_limit_up_to_which_they_are_read() -> None:
    driver = ConversationDriver()
    text = json.dumps({"text": "\u202e" * LONGEST_ARGUMENTS})
    effects = driver.called("look", arguments=text)
    assert "too long" in error(effects)
    assert not any(isinstance(each, RunTool) for each in effects)
    assert len(driver.call().arguments) <= LONGEST_ARGUMENTS
    long = json.dumps({"text": "x" * (LONGEST_ARGUMENTS - 20)})
    assert any(isinstance(each, RunTool) for each in driver.called("look", "c2", arguments=long))


def test_a_call_runs_with_the_arguments_shown() -> None:
    driver = ConversationDriver()
    driver.called("write", arguments=r'{"command": "\u001b[2Jls\u202e\u0008"}')
    shown = driver.call().arguments
    assert json.loads(shown) == {"command": "\ufffd[2Jls\ufffd\ufffd"}
    [runs] = [each for each in driver.decided(ONCE) if isinstance(each, RunTool)]
    assert runs.arguments == shown


def test_a_cancelled_call_is_dropped_and_cannot_be_decided() -> None:
    driver = ConversationDriver()
    driver.called("write")
    effects = driver.feed(events.ToolCallsCancelled(("c1",)))
    assert sent(effects) == []
    assert not any(isinstance(effect, CancelTools) for effect in effects)
    assert driver.decided(ONCE) == []
    assert driver.called("write") == []


@pytest.mark.parametrize("other", [(), (inputs.Typed("and now?"),)], ids=["alone", "typed since"])
def test_a_result_that_the_provider_ignores_requests_no_response(
    other: tuple[inputs.Input, ...],
) -> None:
    driver = ConversationDriver()
    driver.called("look")
    driver.feed(events.ResponseDone("r1"))
    requested = sent(driver.feed(inputs.Typed("never mind")))
    assert isinstance(requested[-1], CreateResponse)
    driver.feed(inputs.ToolFinished("c1", "{}"), *other)
    # The provider had cancelled the call when it read the line.
    driver.feed(events.ToolCallsCancelled(("c1",)), events.ResponseCreated("r2"))
    after = sent(driver.feed(events.ResponseDone("r2")))
    assert [type(each) for each in after] == [CreateResponse] * len(other)


def test_a_running_call_shows_its_progress() -> None:
    driver = ConversationDriver()
    driver.called("look")
    driver.feed(inputs.ToolProgressed("c1", "half"), inputs.ToolProgressed("c9", "unknown"))
    call = driver.conversation.transcript.get("c1")
    assert isinstance(call, ToolCall)
    assert call.progress == "half"
    driver.feed(inputs.ToolFinished("c1", "seen"), inputs.ToolProgressed("c1", "late"))
    assert call.progress == "half"


# ------------------------------------------------------------------- a lost connection


def test_a_call_that_outlives_its_connection_is_seeded_then_answered() -> None:
    driver = ConversationDriver()
    driver.called("look")
    effects = driver.feed(inputs.Disconnected("gone"))
    assert not any(isinstance(effect, CancelTools) for effect in effects)
    commands = sent(driver.feed(events.SessionCreated("s2")))
    assert commands[1:] == [SeedCall("c1", "look", "{}")], (
        "requested now, the call might be repeated"
    )
    commands = sent(driver.feed(inputs.ToolFinished("c1", "seen")))
    assert commands == [SeedResult("c1", "seen"), CreateResponse()]


def test_a_result_during_an_outage_is_seeded() -> None:
    driver = ConversationDriver()
    driver.called("look")
    driver.feed(inputs.Disconnected("gone"), inputs.ToolFinished("c1", "seen"))
    commands = sent(driver.feed(events.SessionCreated("s2")))
    assert commands[1:] == [
        SeedCall("c1", "look", "{}"),
        SeedResult("c1", "seen"),
        CreateResponse(),
    ]


def test_a_session_without_the_seeded_call_is_not_resumed() -> None:
    driver = ConversationDriver()
    driver.called("look")
    assert StartNewSession() in driver.feed(inputs.Disconnected("gone"))
    driver.feed(events.SessionCreated("s2"), inputs.ToolFinished("c1", "seen"))
    assert StartNewSession() in driver.feed(inputs.Disconnected("gone")), (
        "the model has not answered it yet"
    )
    driver.feed(events.SessionCreated("s3"), events.ResponseCreated("r2"))
    driver.feed(events.TextDelta("r2", "a", "Done.", spoken=False), events.ResponseDone("r2"))
    assert StartNewSession() not in driver.feed(inputs.Disconnected("gone"))


def test_an_approval_request_outlives_its_connection() -> None:
    driver = ConversationDriver()
    driver.called("write")
    driver.feed(inputs.Disconnected("gone"))
    assert run(driver.decided(ONCE)) == ["c1"]
    driver.feed(events.SessionCreated("s2"))
    assert SeedResult("c1", "done") in sent(driver.feed(inputs.ToolFinished("c1", "done")))


def test_a_repeated_call_is_answered_again_but_not_run_again() -> None:
    driver = ConversationDriver()
    driver.called("look", arguments='{"a": 1}')
    assert driver.called("look", arguments='{"a": 1}') == []
    driver.feed(inputs.ToolFinished("c1", "seen"))
    assert driver.called("look", arguments='{"a": 1}') == []
    driver.feed(
        inputs.Disconnected("gone"), events.SessionCreated("s2"), events.ResponseCreated("r2")
    )
    again = events.ToolCallReady("r2", "ic1", "c1", "look", '{"a": 1}')
    assert sent(driver.feed(again)) == [ToolResult("c1", "seen", "look")]
    driver.feed(
        inputs.Disconnected("gone"), events.SessionCreated("s3"), events.ResponseCreated("r3")
    )
    other = events.ToolCallReady("r3", "ic1", "c1", "look", '{"a": 2}')
    assert "used before" in error(driver.feed(other))
    assert CreateResponse() in sent(driver.feed(events.ResponseDone("r3")))


def reused(driver: ConversationDriver, response_id: str, item_id: str) -> list[Effect]:
    """Make a call with the id of an earlier one, from the start of its response."""
    added = events.OutputItemAdded(response_id, item_id, events.ItemKind.TOOL_CALL, "c1", "look")
    piece = events.ToolArgumentsDelta(response_id, item_id, "c1", "{}")
    ready = events.ToolCallReady(response_id, item_id, "c1", "look", "{}")
    return driver.feed(events.ResponseCreated(response_id), added, piece, ready)


@pytest.mark.parametrize("item_id", ["ic1", "i2"])
def test_an_id_that_is_used_again_is_another_call(item_id: str) -> None:
    driver = ConversationDriver()
    driver.called("look")
    driver.feed(inputs.ToolFinished("c1", "first"), events.ResponseDone("r1"))
    assert run(reused(driver, "r2", item_id)) == ["c1_2"]
    commands = sent(driver.feed(inputs.ToolFinished("c1_2", "second"), events.ResponseDone("r2")))
    assert commands == [ToolResult("c1", "second", "look"), CreateResponse()]
    entries = driver.conversation.transcript.entries
    calls = [entry for entry in entries if isinstance(entry, ToolCall)]
    assert [(call.call_id, call.output) for call in calls] == [("c1", "first"), ("c1_2", "second")]
    assert run(reused(driver, "r3", item_id)) == ["c1_3"]


def test_an_id_that_is_used_twice_in_one_response_is_one_call() -> None:
    driver = ConversationDriver()
    driver.called("look")
    assert driver.feed(events.ToolCallReady("r1", "i9", "c1", "look", "{}")) == []
    commands = sent(driver.feed(inputs.ToolFinished("c1", "a"), events.ResponseDone("r1")))
    assert commands == [ToolResult("c1", "a", "look"), CreateResponse()]


def test_a_new_session_may_use_the_id_of_an_old_call() -> None:
    driver = ConversationDriver()
    driver.called("look")
    driver.feed(inputs.ToolFinished("c1", "first"), events.ResponseDone("r1"))
    driver.feed(inputs.Disconnected("gone"), events.SessionCreated("s2"))
    assert run(reused(driver, "r9", "i9")) == ["c1_2"]


def test_a_resumed_session_may_repeat_a_call() -> None:
    driver = ConversationDriver()
    driver.called("look")
    driver.feed(inputs.ToolFinished("c1", "first"), events.ResponseDone("r1"))
    driver.feed(inputs.Disconnected("gone"), events.SessionCreated("s2", resumed=True))
    effects = reused(driver, "r9", "i9")
    assert run(effects) == []
    assert ToolResult("c1", "first", "look") in sent(effects)


def test_a_withdrawn_call_is_found_by_the_id_of_the_provider() -> None:
    driver = ConversationDriver()
    driver.called("look")
    driver.feed(inputs.ToolFinished("c1", "first"), events.ResponseDone("r1"))
    reused(driver, "r2", "i2")
    effects = driver.feed(events.ToolCallsCancelled(("c1",)))
    assert CancelTools(("c1_2",)) in effects


def test_an_incomplete_call_is_cancelled() -> None:
    driver = ConversationDriver()
    driver.feed(
        events.OutputItemAdded("r1", "i1", events.ItemKind.TOOL_CALL, "c1", "look"),
        events.ToolArgumentsDelta("r1", "i1", "c1", '{"a'),
        inputs.Disconnected("gone"),
    )
    assert driver.call().state is ToolState.CANCELLED
    assert sent(driver.feed(events.SessionCreated("s2")))[1:] == [CreateResponse()]


# ----------------------------------------------------------------- announcements


def test_an_announcement_is_sent_between_turns() -> None:
    driver = ConversationDriver()
    effects = driver.feed(inputs.Announce("The tea timer rings."))
    assert sent(effects) == []
    note = driver.conversation.transcript.entries[-1]
    assert isinstance(note, Item)
    assert (note.role, note.text) == (Role.SYSTEM, "The tea timer rings.")
    told, asked = sent(driver.feed(events.ResponseDone("r1")))
    assert told == CreateMessage(note.item_id, "system", "The tea timer rings.")
    assert asked == CreateResponse()


def test_an_announcement_while_offline_is_sent_once() -> None:
    driver = ConversationDriver()
    driver.feed(
        events.ResponseDone("r1"), inputs.Disconnected("gone"), inputs.Announce("It rings.")
    )
    commands = sent(driver.feed(events.SessionCreated("s2")))
    assert [type(command) for command in commands[1:]] == [CreateMessage, CreateResponse]
    assert sent(driver.feed(events.ResponseCreated("r2"), events.ResponseDone("r2"))) == []


# ------------------------------------------------------------------------- latency


class Watch(ConversationDriver):
    """A driver whose clock advances a second with each event."""

    now = 0.0

    def feed(self, *received: events.Event | inputs.Input) -> list[Effect]:
        found: list[Effect] = []
        for event in received:
            self.now += 1.0
            found += self.conversation.handle(event, self.now)
        return found


def waits(effects: Iterable[Effect]) -> list[float]:
    return [effect.latency_ms for effect in effects if isinstance(effect, TurnMeasured)]


def test_latency_of_a_tool_turn_ends_with_the_answer_after_the_tool() -> None:
    driver = Watch()
    driver.feed(events.ResponseDone("r1"), inputs.Typed("look"), events.ResponseCreated("r2"))
    driver.feed(events.ToolCallReady("r2", "i1", "c1", "look", "{}"), events.ResponseDone("r2"))
    driver.feed(inputs.ToolFinished("c1", "seen"), events.ResponseCreated("r3"))
    assert waits(driver.feed(events.TextDelta("r3", "a1", "I see.", spoken=False))) == [6_000]
    assert waits(driver.feed(events.TextDelta("r3", "a1", "A tree.", spoken=False))) == []


def test_latency_ends_with_text_before_a_call() -> None:
    driver = Watch()
    driver.feed(events.ResponseDone("r1"), inputs.Typed("look"), events.ResponseCreated("r2"))
    assert waits(driver.feed(events.TextDelta("r2", "a1", "I look.", spoken=False))) == [2_000]
    driver.feed(events.ToolCallReady("r2", "i1", "c1", "look", "{}"), events.ResponseDone("r2"))
    driver.feed(inputs.ToolFinished("c1", "seen"), events.ResponseCreated("r3"))
    assert waits(driver.feed(events.TextDelta("r3", "a2", "I see.", spoken=False))) == []


def test_latency_excludes_the_users_decision() -> None:
    driver = Watch()
    driver.feed(events.ResponseDone("r1"), inputs.Typed("write"), events.ResponseCreated("r2"))
    driver.feed(events.ToolCallReady("r2", "i1", "c1", "write", "{}"), events.ResponseDone("r2"))
    driver.now += 60.0
    driver.decided(ONCE)
    driver.feed(inputs.ToolFinished("c1", "written"), events.ResponseCreated("r3"))
    assert waits(driver.feed(events.TextDelta("r3", "a1", "Done.", spoken=False))) == [3_000]


def test_an_announcement_does_not_end_the_latency_of_a_turn() -> None:
    driver = Watch()
    driver.feed(events.ResponseDone("r1"), inputs.Typed("hm"), events.ResponseCreated("r2"))
    driver.feed(
        events.ResponseDone("r2"), inputs.Announce("The egg is done."), events.ResponseCreated("r3")
    )
    assert waits(driver.feed(events.TextDelta("r3", "a1", "Your egg!", spoken=False))) == []


# ------------------------------------------------------------------------- calls without end


class Loop(ConversationDriver):
    """A model that answers every result with another call."""

    number = 0

    def rounds(self, count: int, tool: str = "look") -> list[Effect]:
        found: list[Effect] = []
        for _ in range(count):
            self.number += 1
            response, call = f"loop{self.number}", f"l{self.number}"
            found += self.feed(
                events.ResponseCreated(response),
                events.ToolCallReady(response, f"i{call}", call, tool, "{}"),
                events.ResponseDone(response),
            )
            if tool == "write":
                found += self.feed(inputs.Decided(call, "{}", ONCE))
            found += self.feed(inputs.ToolFinished(call, "more"))
        return found


def notices(effects: Iterable[Effect]) -> list[str]:
    return [effect.text for effect in effects if isinstance(effect, Notice)]


def test_a_model_that_calls_tools_without_end_is_stopped_and_the_user_is_told_once() -> None:
    driver = Loop()
    driver.feed(events.ResponseDone("r1"), inputs.Typed("look"))
    effects = driver.rounds(MAX_ROUNDS)
    assert len(run(effects)) == MAX_ROUNDS
    assert CreateResponse() in sent(effects)
    assert notices(effects) == []
    effects = driver.rounds(1)
    assert run(effects) == []
    assert "Too many calls in a row" in error(effects)
    assert CreateResponse() not in sent(effects)
    assert notices(effects) == [
        f"The model called tools {MAX_ROUNDS} times in a row, so it was stopped."
    ]
    assert driver.conversation.floor is Floor.IDLE
    assert CreateResponse() in sent(driver.feed(inputs.Typed("go on")))
    effects = driver.rounds(1)
    assert run(effects)
    assert notices(effects) == []


def test_every_call_of_a_refused_response_is_answered() -> None:
    driver = Loop()
    driver.feed(events.ResponseDone("r1"), inputs.Typed("look"))
    driver.rounds(MAX_ROUNDS)
    driver.feed(events.ResponseCreated("r2"))
    effects = driver.feed(
        events.ToolCallReady("r2", "i1", "c1", "look", "{}"),
        events.ToolCallReady("r2", "i2", "c2", "write", "{}"),
        events.ResponseDone("r2"),
    )
    results = [each.call_id for each in sent(effects) if isinstance(each, ToolResult)]
    assert results == ["c1", "c2"]
    assert CreateResponse() not in sent(effects)


def test_calls_of_one_response_count_once() -> None:
    driver = ConversationDriver()
    for number in range(MAX_ROUNDS + 1):
        assert run(driver.called("look", f"c{number}"))
        driver.feed(inputs.ToolFinished(f"c{number}", "seen"))


@pytest.mark.parametrize(
    "word",
    [
        events.SpeechStarted("u1"),
        events.SpeechStopped("u1"),
        inputs.Typed("look again"),
    ],
    ids=["speech", "end of speech", "typed"],
)
def test_a_word_of_the_user_allows_more_calls(word: events.Event | inputs.Input) -> None:
    driver = Loop()
    driver.feed(events.ResponseDone("r1"))
    driver.rounds(MAX_ROUNDS)
    driver.feed(word, events.SpeechStopped("u1"))
    assert notices(driver.rounds(MAX_ROUNDS)) == []


def test_calls_that_the_user_decides_on_are_not_limited() -> None:
    driver = Loop()
    driver.feed(events.ResponseDone("r1"), inputs.Typed("write"))
    assert len(run(driver.rounds(2 * MAX_ROUNDS, "write"))) == 2 * MAX_ROUNDS


def test_a_provider_that_goes_on_by_itself_gets_a_new_session() -> None:
    driver = Loop()
    driver.feed(events.ResponseDone("r1"), inputs.Typed("look"))
    effects = driver.rounds(MAX_ROUNDS + MAX_REFUSED_ROUNDS)
    assert StartNewSession() not in effects
    assert StartNewSession() in driver.rounds(1)
    driver.feed(events.ResponseCreated("next"), inputs.Disconnected(""))
    assert CreateResponse() not in sent(driver.feed(events.SessionCreated("s2")))
    assert CreateResponse() in sent(driver.feed(inputs.Typed("go on")))
