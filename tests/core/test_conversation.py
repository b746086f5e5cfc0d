"""The conversation: events and inputs, and the effects that must follow."""

from __future__ import annotations

import pytest

from voicechat.core import events, inputs
from voicechat.core.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    ToolResult,
    TruncateItem,
    UpdateSession,
)
from voicechat.core.conversation import Conversation
from voicechat.core.effects import (
    CancelTools,
    CloseMic,
    Effect,
    EndItem,
    EntryRemoved,
    Floor,
    Level,
    Notice,
    Play,
    Recycle,
    ResumePlayback,
    RunTool,
    Send,
    StopPlayback,
    TurnMeasured,
)
from voicechat.core.interruption import CONFIRM_TIMEOUT_S
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState, Usage, entry_id
from voicechat.core.responses import HANGS
from voicechat.core.settings import Capabilities, SessionSettings, ToolSpec
from voicechat.core.turns import SLOT_TIMEOUT_S, SlotState

SECOND = b"\0\0" * 24_000
TOOLS = (ToolSpec("look", "Look.", {}), ToolSpec("write", "Write.", {}))


class ConversationDriver:
    """A conversation with its own clock; keeps every effect."""

    def __init__(self, hands_free: bool = True, speaker: bool = True, **flags: float) -> None:
        self.now = 100.0
        self.effects: list[Effect] = []
        self.conversation = Conversation(
            SessionSettings(tools=TOOLS),
            Capabilities(**flags),  # type: ignore[arg-type]
            hands_free=hands_free,
            speaker=speaker,
        )

    def feed(self, *received: events.Event | inputs.Input) -> list[Effect]:
        """Pass events and inputs to the conversation and return their effects."""
        effects: list[Effect] = []
        for event in received:
            effects += self.conversation.handle(event, self.now)
        self.effects += effects
        return effects

    def later(self, seconds: float) -> list[Effect]:
        """Let this time pass and return the effects."""
        until, effects = self.now + seconds, []
        while (deadline := self.conversation.deadline) is not None and deadline <= until:
            self.now = max(deadline, self.now)
            effects += self.feed(inputs.Tick())
        self.now = until
        return effects

    def sent(self, effects: list[Effect] | None = None) -> list[Command]:
        """Return the commands among these effects, by default among all so far."""
        chosen = self.effects if effects is None else effects
        return [e.command for e in chosen if isinstance(e, Send)]

    def item(self, item_id: str) -> Item:
        item = self.conversation.transcript.item(item_id)
        assert item is not None
        return item

    @property
    def floor(self) -> Floor:
        return self.conversation.floor


def online(**options: float) -> ConversationDriver:
    driver = ConversationDriver(**options)
    driver.feed(events.SessionCreated("s"))
    return driver


def replying(
    driver: ConversationDriver, text: str = "One two three four five", seconds: int = 5
) -> ConversationDriver:
    """Let the model send its whole text and audio at once, faster than it plays."""
    driver.feed(events.ResponseCreated("r1"), events.OutputItemAdded("r1", "a1"))
    for word in text.split(" "):
        driver.feed(events.TextDelta("r1", "a1", word + " ", spoken=True))
        driver.feed(events.AudioDelta("r1", "a1", SECOND * seconds))
    return driver


def test_a_typed_turn_is_sent_and_answered() -> None:
    driver = online(speaker=False, hands_free=False)
    effects = driver.feed(inputs.Typed("hello"))
    assert [type(c) for c in driver.sent(effects)] == [CreateMessage, CreateResponse]
    assert driver.floor is Floor.THINKING
    driver.now += 0.25
    effects = driver.feed(
        events.ResponseCreated("r"), events.TextDelta("r", "a", "Hi", spoken=False)
    )
    assert TurnMeasured(250.0) in effects
    assert driver.floor is Floor.SPEAKING
    driver.feed(events.ResponseDone("r", usage=Usage(total_tokens=7)))
    assert driver.floor is Floor.IDLE
    assert (driver.item("a").text, driver.item("a").status) == ("Hi", ItemStatus.COMPLETED)
    assert driver.conversation.meter.total.total_tokens == 7


def test_a_spoken_turn_shows_both_sides_and_measures_latency() -> None:
    driver = online()
    assert driver.floor is Floor.LISTENING
    assert driver.sent(driver.feed(inputs.MicBlock(b"\1\0" * 480))) == [AppendAudio(b"\1\0" * 480)]
    driver.feed(events.SpeechStarted("u1"))
    assert driver.floor is Floor.HEARING
    driver.feed(events.UserTranscript("u1", "what "), events.UserTranscript("u1", "time"))
    assert driver.item("u1").text == "what time"
    driver.feed(events.SpeechStopped("u1"), events.InputCommitted("u1"))
    assert driver.floor is Floor.THINKING
    driver.feed(events.UserTranscript("u1", "What time is it?", final=True))
    driver.feed(events.ResponseCreated("r1"), events.OutputItemAdded("r1", "a1"))
    effects = driver.feed(events.AudioDelta("r1", "a1", SECOND))
    assert Play("a1", SECOND) in effects
    driver.now += 0.3
    assert TurnMeasured(300.0) in [
        TurnMeasured(round(e.latency_ms))
        for e in driver.feed(inputs.PlaybackStarted("a1"))
        if isinstance(e, TurnMeasured)
    ]
    assert driver.floor is Floor.SPEAKING
    assert EndItem("a1") in driver.feed(events.AudioDone("r1", "a1"))
    driver.feed(events.ResponseDone("r1"))
    assert driver.floor is Floor.SPEAKING, "audio is still playing"
    driver.feed(inputs.PlaybackFinished("a1"))
    assert driver.floor is Floor.LISTENING
    assert driver.item("a1").status is ItemStatus.COMPLETED
    assert [type(c) for c in driver.sent()].count(CreateResponse) == 0, "the provider decides"


def test_text_is_shown_in_step_with_the_audio() -> None:
    driver = replying(online(), seconds=1)
    assert driver.item("a1").shown == ""
    driver.feed(inputs.Heard("a1", 1_500))
    assert driver.item("a1").shown == "One two "
    assert driver.item("a1").unheard == "three four five "


def test_barge_in_stops_playback_and_truncates_at_the_playout_position() -> None:
    driver = replying(online(), seconds=1)
    driver.feed(inputs.PlaybackStarted("a1"), inputs.Heard("a1", 1_900))
    effects = driver.feed(events.SpeechStarted("u2"))
    assert StopPlayback() in effects
    assert driver.sent(effects) == [], "the provider cancels by itself"
    effects = driver.feed(inputs.PlaybackStopped({"a1": 2_100.7}))
    assert driver.sent(effects) == [TruncateItem("a1", 2_100)]
    item = driver.item("a1")
    assert (item.status, item.shown) == (ItemStatus.INTERRUPTED, "One two three ")
    late = driver.feed(
        events.AudioDelta("r1", "a1", SECOND), events.TextDelta("r1", "a1", "six", True)
    )
    assert late == [], "nothing of a dead response is played or shown"
    driver.feed(events.ResponseDone("r1", events.ResponseStatus.CANCELLED))
    assert driver.item("a1").text == "One two three four five "


def test_a_completed_response_is_truncated_too() -> None:
    driver = replying(online(), seconds=1)
    driver.feed(events.ResponseDone("r1"), inputs.PlaybackStarted("a1"), inputs.Heard("a1", 900))
    effects = driver.feed(events.SpeechStarted("u2"), inputs.PlaybackStopped({"a1": 1_000.0}))
    assert driver.sent(effects) == [TruncateItem("a1", 1_000)]


def test_an_unheard_item_is_deleted_not_truncated_at_zero() -> None:
    driver = replying(online(), seconds=1)
    driver.feed(events.SpeechStarted("u2"))
    assert driver.sent(driver.feed(inputs.PlaybackStopped({"a1": 0.0}))) == []
    effects = driver.feed(events.ResponseDone("r1", events.ResponseStatus.CANCELLED))
    assert driver.sent(effects) == [DeleteItem("a1")]


def test_each_item_of_a_response_is_truncated_at_its_own_position() -> None:
    driver = online()
    driver.feed(events.ResponseCreated("r1"))
    for item_id in ("a1", "a2"):
        driver.feed(events.OutputItemAdded("r1", item_id), events.AudioDelta("r1", item_id, SECOND))
    driver.feed(events.AudioDone("r1", "a1"), events.ResponseDone("r1"))
    driver.feed(
        inputs.PlaybackStarted("a1"), inputs.PlaybackFinished("a1"), inputs.PlaybackStarted("a2")
    )
    effects = driver.feed(inputs.Interrupt(), inputs.PlaybackStopped({"a2": 400.0}))
    assert driver.sent(effects) == [TruncateItem("a2", 400)]
    assert driver.item("a1").status is ItemStatus.COMPLETED


def test_an_unresponsive_audio_process_does_not_delay_truncation() -> None:
    driver = replying(online(), seconds=1)
    driver.feed(inputs.PlaybackStarted("a1"), inputs.Heard("a1", 700), events.SpeechStarted("u2"))
    assert TruncateItem("a1", 700) in driver.sent(driver.later(1.0))


def test_a_false_alarm_loses_no_audio() -> None:
    driver = replying(online())
    driver.feed(inputs.PlaybackStarted("a1"), inputs.LocalSpeech(confirmed=False))
    assert driver.floor is Floor.SPEAKING
    driver.feed(inputs.LocalSpeech(confirmed=True))
    assert driver.floor is Floor.HEARING
    assert driver.later(CONFIRM_TIMEOUT_S + 0.01).count(ResumePlayback()) == 1
    assert driver.floor is Floor.SPEAKING
    assert driver.feed(events.AudioDelta("r1", "a1", SECOND)) == [Play("a1", SECOND)]


def test_the_provider_confirms_local_speech() -> None:
    driver = replying(online())
    driver.feed(inputs.PlaybackStarted("a1"), inputs.LocalSpeech(confirmed=True))
    assert StopPlayback() in driver.feed(events.SpeechStarted("u2"))
    assert ResumePlayback() not in driver.later(CONFIRM_TIMEOUT_S * 2)


def test_the_interrupt_key_stops_playback_responses_and_tools() -> None:
    driver = replying(online())
    driver.feed(events.ToolCallReady("r1", "f1", "c1", "look", "{}"))
    effects = driver.feed(inputs.Interrupt())
    assert StopPlayback() in effects
    assert CancelTools(("c1",)) in effects
    kinds = [type(c) for c in driver.sent(effects)]
    assert kinds == [CancelResponse, ToolResult]
    driver.feed(events.ResponseDone("r1", events.ResponseStatus.CANCELLED))
    assert CreateResponse not in [type(c) for c in driver.sent()]
    assert driver.feed(inputs.ToolFinished("c1", "late")) == []


def test_the_interrupt_key_discards_a_spoken_turn() -> None:
    driver = online(hands_free=False)
    driver.feed(inputs.Talk(True), inputs.MicBlock(SECOND))
    effects = driver.feed(inputs.Interrupt())
    assert driver.sent(effects) == [ClearAudio()]
    assert CloseMic(closed=True) in effects
    assert driver.floor is Floor.IDLE
    assert driver.sent(driver.feed(inputs.Talk(False))) == []


def test_interrupting_a_requested_response_cancels_it_once_created() -> None:
    driver = online(hands_free=False)
    driver.feed(inputs.Typed("hello"), inputs.Interrupt())
    effects = driver.feed(events.ResponseCreated("r1"))
    assert driver.sent(effects) == [CancelResponse("r1")]
    assert driver.feed(events.AudioDelta("r1", "a1", SECOND)) == []
    driver.feed(events.ResponseDone("r1", events.ResponseStatus.CANCELLED))
    assert driver.floor is Floor.IDLE


def test_typing_during_a_response_interrupts_it_and_requests_another() -> None:
    driver = replying(online(hands_free=False))
    effects = driver.feed(inputs.Typed("stop, what about tea?"))
    kinds = [type(c) for c in driver.sent(effects)]
    assert kinds == [CancelResponse, CreateMessage]
    effects = driver.feed(events.ResponseDone("r1", events.ResponseStatus.CANCELLED))
    assert driver.sent(effects) == [], "the response would take all of the item as heard"
    effects = driver.feed(inputs.PlaybackStopped({"a1": 40.0}))
    assert driver.sent(effects) == [TruncateItem("a1", 40), CreateResponse()]


def test_typing_is_answered_when_the_speaker_never_stops() -> None:
    driver = replying(online(hands_free=False))
    driver.feed(inputs.Typed("hello"), events.ResponseDone("r1"))
    driver.now += 1.0
    assert CreateResponse() in driver.sent(driver.feed(inputs.Tick()))


def test_push_to_talk_commits_and_requests() -> None:
    driver = online(hands_free=False)
    assert CloseMic(closed=True) in driver.effects
    assert driver.feed(inputs.MicBlock(SECOND)) == []
    effects = driver.feed(inputs.Talk(True))
    assert CloseMic(closed=False) in effects
    assert driver.floor is Floor.HEARING
    driver.feed(inputs.MicBlock(SECOND))
    driver.now += 1.0
    effects = driver.feed(inputs.Talk(False))
    assert driver.sent(effects) == [CommitAudio(), CreateResponse()]
    driver.feed(events.InputCommitted("u1"))
    assert driver.item("u1").role is Role.USER


@pytest.mark.parametrize(
    ("sent_ms", "held_s", "reason"),
    [
        pytest.param(20, 1.0, "Nothing was heard", id="nothing was heard"),
        pytest.param(300, 0.1, "too short", id="only what was heard before the key"),
    ],
)
def test_a_short_press_of_push_to_talk_requests_nothing(
    sent_ms: int, held_s: float, reason: str
) -> None:
    driver = online(hands_free=False)
    driver.feed(inputs.Talk(True), inputs.MicBlock(bytes(48 * sent_ms)))
    driver.now += held_s
    effects = driver.feed(inputs.Talk(False))
    assert driver.sent(effects) == [ClearAudio()]
    assert [reason in e.text for e in effects if isinstance(e, Notice)] == [True]


def test_the_talk_key_without_a_connection_says_so() -> None:
    driver = online(hands_free=False)
    driver.feed(inputs.Disconnected())
    effects = driver.feed(inputs.Talk(True))
    assert [e.text for e in effects if isinstance(e, Notice)] == [
        "You cannot talk without a connection."
    ]
    assert not driver.feed(inputs.Talk(False)), "there was no turn"


def test_no_response_is_requested_if_a_commit_starts_it() -> None:
    driver = online(hands_free=False, commit_starts_response=True)
    driver.feed(inputs.Talk(True), inputs.MicBlock(SECOND))
    driver.now += 1.0
    effects = driver.feed(inputs.Talk(False))
    assert CreateResponse() not in driver.sent(effects)
    assert driver.floor is Floor.THINKING


def test_two_calls_of_one_response_get_one_answer_each_and_one_follow_up() -> None:
    driver = online()
    effects = driver.feed(
        events.ResponseCreated("r1"),
        events.OutputItemAdded("r1", "f1", events.ItemKind.TOOL_CALL, "c1", "look"),
        events.ToolArgumentsDelta("r1", "f1", "c1", '{"at":'),
        events.ToolCallReady("r1", "f1", "c1", "look", '{"at":1}'),
        events.ToolCallReady("r1", "f1", "c1", "look", '{"at":1}'),
        events.ToolCallReady("r1", "f2", "c2", "look", '{"at":2}'),
    )
    assert [e for e in effects if isinstance(e, RunTool)] == [
        RunTool("c1", "look", '{"at":1}'),
        RunTool("c2", "look", '{"at":2}'),
    ]
    effects = driver.feed(inputs.ToolFinished("c1", "one"))
    assert driver.sent(effects) == [ToolResult("c1", "one", "look")]
    driver.feed(events.ResponseDone("r1"))
    assert driver.floor is Floor.WORKING
    effects = driver.feed(inputs.ToolFinished("c2", "two", failed=True))
    assert driver.sent(effects) == [
        ToolResult("c2", "two", "look", failed=True),
        CreateResponse(),
    ]
    call = driver.conversation.transcript.get("c2")
    assert isinstance(call, ToolCall)
    assert call.state is ToolState.FAILED


def test_results_of_cancelled_calls_are_dropped() -> None:
    driver = online()
    driver.feed(events.ResponseCreated("r1"), events.ToolCallReady("r1", "f1", "c1", "look", "{}"))
    assert CancelTools(("c1",)) in driver.feed(events.ToolCallsCancelled(("c1",)))
    assert driver.feed(inputs.ToolFinished("c1", "late")) == []
    driver.feed(events.ResponseDone("r1"))
    assert CreateResponse() not in driver.sent()


def test_a_hanging_response_is_cancelled_and_then_given_up() -> None:
    driver = replying(online())
    driver.feed(inputs.PlaybackStarted("a1"))
    effects = driver.later(SLOT_TIMEOUT_S[SlotState.RUNNING] + SLOT_TIMEOUT_S[SlotState.CANCELLING])
    assert driver.sent(effects)[0] == CancelResponse("r1")
    assert StopPlayback() in effects
    assert any(isinstance(e, Recycle) for e in effects)
    assert Notice(HANGS, Level.ERROR, "Send the message again.") in effects


def test_a_model_that_loads_or_reasons_has_longer() -> None:
    driver = replying(online(answer_factor=20.0))
    assert driver.sent(driver.later(20 * SLOT_TIMEOUT_S[SlotState.RUNNING] - 1.0)) == []
    assert CancelResponse("r1") in driver.sent(driver.later(2.0))


def test_a_response_that_is_still_playing_is_not_hanging() -> None:
    driver = replying(online())
    driver.feed(events.AudioDelta("r1", "a1", bytes(48_000 * 60)), inputs.PlaybackStarted("a1"))
    for second in range(1, 40):
        assert driver.sent(driver.later(1.0)) == []
        driver.feed(inputs.Heard("a1", second * 1000.0))
    assert driver.sent(driver.later(SLOT_TIMEOUT_S[SlotState.RUNNING] + 0.1))


def test_without_a_speaker_a_response_may_end_as_late_as_its_audio() -> None:
    driver = replying(online())
    driver.feed(inputs.SpeakerChanged(False))
    driver.feed(events.AudioDelta("r1", "a1", bytes(48_000 * 60)), events.AudioDone("r1", "a1"))
    for _ in range(60):
        assert driver.sent(driver.later(1.0)) == []
    assert driver.item("a1").status is ItemStatus.IN_PROGRESS
    assert driver.sent(driver.later(SLOT_TIMEOUT_S[SlotState.RUNNING] + 0.1))


def test_text_may_arrive_after_its_response() -> None:
    driver = replying(online())
    driver.feed(events.ResponseDone("r1"), events.TextDelta("r1", "a1", " And more.", True))
    assert driver.item("a1").text.endswith(" And more.")
    driver.feed(inputs.Interrupt(), events.TextDelta("r1", "a1", " Unwanted.", True))
    assert "Unwanted" not in driver.item("a1").text


def test_usage_without_a_response_is_counted() -> None:
    driver = online()
    driver.feed(
        events.UsageReported(Usage(total_tokens=7)), events.UsageReported(Usage(total_tokens=3))
    )
    assert driver.conversation.meter.total.total_tokens == 10


def test_a_refused_request_is_repeated_later() -> None:
    driver = online(hands_free=False)
    driver.feed(inputs.Typed("hello"))
    error = events.ProviderError(
        "busy", "conversation_already_has_active_response", "CreateResponse"
    )
    assert CreateResponse() not in driver.sent(driver.feed(error)), "not in a tight loop"
    assert driver.sent(driver.later(5.0)) == [CreateResponse()]


def test_a_failed_response_reports_its_error() -> None:
    driver = online(hands_free=False, speaker=False)
    driver.feed(
        inputs.Typed("hello"), events.ResponseCreated("r"), events.TextDelta("r", "a", "Hm", False)
    )
    effects = driver.feed(
        events.ResponseDone("r", events.ResponseStatus.FAILED, error="No quota left.")
    )
    assert Notice("No quota left.", Level.ERROR) in effects
    assert driver.item("a").status is ItemStatus.FAILED
    assert driver.floor is Floor.IDLE


def test_responses_that_all_fail_are_each_requested_once() -> None:
    driver = online(hands_free=False, speaker=False)
    requests = recycles = 0
    for number in range(50):
        effects = driver.feed(inputs.Typed(f"line {number}"))
        effects += driver.feed(events.ResponseCreated(f"r{number}"))
        failed = events.ResponseStatus.FAILED
        effects += driver.feed(events.ResponseDone(f"r{number}", failed, error="Out of service."))
        effects += driver.later(60.0)
        requests += driver.sent(effects).count(CreateResponse())
        recycles += sum(isinstance(effect, Recycle) for effect in effects)
        assert driver.floor is Floor.IDLE
    assert (requests, recycles) == (50, 0), "neither a loop of requests nor one of connections"


@pytest.mark.parametrize(
    "event",
    [
        events.ProviderError("No. " * 400),
        events.ProviderError("No. " * 400, fatal=True),
        events.ResponseDone("r", events.ResponseStatus.FAILED, error="No. " * 400),
        events.RemoteTools("s", error="No. " * 400),
    ],
)
def test_a_long_message_of_the_provider_is_cut(event: events.Event) -> None:
    driver = online(hands_free=False, speaker=False)
    driver.feed(
        inputs.Typed("hello"), events.ResponseCreated("r"), events.TextDelta("r", "a", "Hm", False)
    )
    sentences = [
        effect.reason if isinstance(effect, Recycle) else effect.text
        for effect in driver.feed(event)
        if isinstance(effect, Notice | Recycle)
    ]
    assert len(sentences) == 1
    assert 250 < len(sentences[0]) < 350
    assert sentences[0].endswith("…")


def test_an_empty_user_turn_is_removed() -> None:
    driver = online()
    driver.feed(events.SpeechStarted("u"), events.SpeechStopped("u"), events.InputCommitted("u"))
    assert EntryRemoved("u") in driver.feed(events.UserTranscript("u", "", final=True))
    assert driver.floor is Floor.LISTENING


def test_an_idle_timeout_is_not_a_turn() -> None:
    driver = online()
    driver.feed(
        events.IdleTimeout("n"),
        events.InputCommitted("n"),
        events.UserTranscript("n", "", final=True),
    )
    assert driver.conversation.transcript.entries == []


def test_a_lost_connection_seeds_the_conversation_again() -> None:
    driver = replying(online(), seconds=1)
    driver.feed(inputs.Typed("first"))
    driver.feed(inputs.PlaybackStopped({"a1": 2_500.0}), inputs.Disconnected("gone"))
    assert driver.feed(events.AudioDelta("r1", "a1", SECOND)) == []
    commands = driver.sent(driver.feed(events.SessionCreated("s2")))
    assert isinstance(commands[0], UpdateSession)
    assert commands[1:] == [
        CreateMessage("a1", "assistant", "One two three "),
        CreateMessage("typed_1", "user", "first"),
        CreateResponse(),
    ]


def test_without_a_speaker_the_text_is_shown_at_once() -> None:
    driver = replying(online(speaker=False))
    assert not [e for e in driver.effects if isinstance(e, Play)]
    assert driver.item("a1").shown == "One two three four five "
    driver.feed(events.ResponseDone("r1"))
    assert driver.item("a1").status is ItemStatus.COMPLETED


def test_removing_the_speaker_shows_the_whole_text() -> None:
    driver = replying(online())
    driver.feed(inputs.PlaybackStarted("a1"), inputs.Heard("a1", 100), events.ResponseDone("r1"))
    driver.feed(inputs.SpeakerChanged(False))
    assert driver.item("a1").shown == "One two three four five "
    assert driver.item("a1").status is ItemStatus.COMPLETED
    assert driver.floor is Floor.LISTENING


def test_an_out_of_band_response_never_takes_the_floor() -> None:
    driver = online()
    driver.feed(
        events.ResponseCreated("o", out_of_band=True), events.TextDelta("o", "x", "aside", False)
    )
    assert driver.floor is Floor.LISTENING
    assert driver.conversation.transcript.entries == []


def test_push_to_talk_turns_off_turn_detection() -> None:
    driver = online()
    effects = driver.feed(inputs.HandsFree(False))
    update = driver.sent(effects)[0]
    assert isinstance(update, UpdateSession)
    assert update.settings.turn_detection is None
    assert CloseMic(closed=True) in effects
    assert driver.floor is Floor.IDLE


def test_typing_during_detected_speech_is_answered() -> None:
    driver = online()
    driver.feed(events.SpeechStarted("u"), inputs.Typed("hello"))
    assert CreateResponse() in driver.sent()


def test_audio_captured_while_reconnecting_is_sent_later() -> None:
    driver = online()
    driver.feed(inputs.Disconnected("gone"))
    half = len(SECOND) // 2
    for _ in range(30):
        driver.feed(inputs.MicBlock(SECOND[:half]))
    commands = driver.sent(driver.feed(events.SessionCreated("s2")))
    assert isinstance(commands[-1], AppendAudio)
    assert len(commands[-1].pcm) == len(SECOND) * 10, "the last ten seconds"


def test_audio_captured_before_the_first_connection_is_sent_later() -> None:
    driver = ConversationDriver(hands_free=True)
    assert driver.feed(inputs.MicBlock(SECOND)) == []
    commands = driver.sent(driver.feed(events.SessionCreated("s")))
    assert commands[-1] == AppendAudio(SECOND)


def test_a_closed_microphone_keeps_no_audio_for_the_first_connection() -> None:
    driver = ConversationDriver(hands_free=False)
    assert driver.feed(inputs.MicBlock(SECOND)) == []
    commands = driver.sent(driver.feed(events.SessionCreated("s")))
    assert not any(isinstance(command, AppendAudio) for command in commands)


def test_a_resumed_session_is_seeded_with_new_items_only() -> None:
    driver = online(speaker=False)
    driver.feed(inputs.Typed("first"), events.ResponseCreated("r"))
    driver.feed(events.TextDelta("r", "a", "Yes.", False), events.ResponseDone("r"))
    driver.feed(inputs.Typed("second"), inputs.Disconnected("gone"), inputs.Typed("third"))
    commands = driver.sent(driver.feed(events.SessionCreated("s", resumed=True)))
    told = [command.text for command in commands if isinstance(command, CreateMessage)]
    assert told == ["second", "third"], "items that may not have been received"
    assert commands[-1] == CreateResponse()


def test_a_partial_response_is_not_requested_again() -> None:
    driver = online(speaker=False)
    driver.feed(
        inputs.Typed("hi"), events.ResponseCreated("r"), events.TextDelta("r", "a", "Well", False)
    )
    driver.feed(inputs.Disconnected("gone"))
    assert CreateResponse() not in driver.sent(driver.feed(events.SessionCreated("s2")))


def test_a_response_without_content_is_requested_again() -> None:
    driver = online(speaker=False)
    driver.feed(inputs.Typed("hi"), events.ResponseCreated("r"), inputs.Disconnected("gone"))
    assert CreateResponse() in driver.sent(driver.feed(events.SessionCreated("s2")))


def test_announcements_have_unique_ids_across_conversations() -> None:
    first = Conversation(SessionSettings(), hands_free=False, speaker=False)
    first.handle(inputs.Announce("The timer rang."), 1.0)
    second = Conversation(
        SessionSettings(), hands_free=False, speaker=False, transcript=first.transcript
    )
    second.handle(inputs.Announce("Another timer rang."), 2.0)
    entries = second.transcript.entries
    assert [entry.text for entry in entries if isinstance(entry, Item)] == [
        "The timer rang.", "Another timer rang.",
    ]  # fmt: skip
    assert len({entry_id(entry) for entry in entries}) == 2
