"""One exchange after another, told as what happens and what must follow."""

from __future__ import annotations

import pytest

from voicechat.core import events as ev
from voicechat.core.conversation import Conversation
from voicechat.core.interruption import CONFIRM_S
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState, Usage
from voicechat.core.settings import Capabilities, SessionSettings, ToolSpec
from voicechat.core.turns import PATIENCE_S, SlotState

SECOND = b"\0\0" * 24_000
TOOLS = (ToolSpec("look", "Look.", {}), ToolSpec("write", "Write.", {}))


class Stage:
    """A conversation on a clock of its own; remembers every effect."""

    def __init__(self, hands_free: bool = True, speaker: bool = True, **flags: bool) -> None:
        self.now = 100.0
        self.effects: list[ev.Effect] = []
        self.conversation = Conversation(
            SessionSettings(tools=TOOLS),
            Capabilities(**flags),  # type: ignore[arg-type]
            hands_free=hands_free,
            speaker=speaker,
        )

    def feed(self, *happenings: ev.Event | ev.Input) -> list[ev.Effect]:
        """What these happenings set off."""
        effects: list[ev.Effect] = []
        for happening in happenings:
            effects += self.conversation.handle(happening, self.now)
        self.effects += effects
        return effects

    def later(self, seconds: float) -> list[ev.Effect]:
        """What happens by itself in this time."""
        until, effects = self.now + seconds, []
        while (deadline := self.conversation.deadline) is not None and deadline <= until:
            self.now = max(deadline, self.now)
            effects += self.feed(ev.Tick())
        self.now = until
        return effects

    def sent(self, effects: list[ev.Effect] | None = None) -> list[ev.Command]:
        """The commands among the effects (of all time, when not given)."""
        chosen = self.effects if effects is None else effects
        return [e.command for e in chosen if isinstance(e, ev.Send)]

    def item(self, item_id: str) -> Item:
        item = self.conversation.transcript.item(item_id)
        assert item is not None
        return item

    @property
    def floor(self) -> ev.Floor:
        return self.conversation.floor


def online(**options: bool) -> Stage:
    stage = Stage(**options)
    stage.feed(ev.SessionCreated("s"))
    return stage


def replying(stage: Stage, text: str = "One two three four five", seconds: int = 5) -> Stage:
    """The model has said the whole text at once, as providers do, faster than it can be heard."""
    stage.feed(ev.ResponseCreated("r1"), ev.OutputItemAdded("r1", "a1"))
    for word in text.split(" "):
        stage.feed(ev.TextDelta("r1", "a1", word + " ", spoken=True))
        stage.feed(ev.AudioDelta("r1", "a1", SECOND * seconds))
    return stage


def test_a_typed_turn_is_asked_and_answered() -> None:
    stage = online(speaker=False, hands_free=False)
    effects = stage.feed(ev.Typed("hello"))
    assert [type(c) for c in stage.sent(effects)] == [ev.CreateMessage, ev.CreateResponse]
    assert stage.floor is ev.Floor.THINKING
    stage.now += 0.25
    effects = stage.feed(ev.ResponseCreated("r"), ev.TextDelta("r", "a", "Hi", spoken=False))
    assert ev.TurnMeasured(250.0) in effects
    assert stage.floor is ev.Floor.SPEAKING
    stage.feed(ev.ResponseDone("r", usage=Usage(total_tokens=7)))
    assert stage.floor is ev.Floor.IDLE
    assert (stage.item("a").text, stage.item("a").status) == ("Hi", ItemStatus.COMPLETED)
    assert stage.conversation.meter.total.total_tokens == 7


def test_a_spoken_turn_shows_both_sides_and_measures_the_wait() -> None:
    stage = online()
    assert stage.floor is ev.Floor.LISTENING
    assert stage.sent(stage.feed(ev.MicBlock(b"\1\0" * 480))) == [ev.AppendAudio(b"\1\0" * 480)]
    stage.feed(ev.SpeechStarted("u1"))
    assert stage.floor is ev.Floor.HEARING
    stage.feed(ev.UserTranscript("u1", "what "), ev.UserTranscript("u1", "time"))
    assert stage.item("u1").text == "what time"
    stage.feed(ev.SpeechStopped("u1"), ev.InputCommitted("u1"))
    assert stage.floor is ev.Floor.THINKING
    stage.feed(ev.UserTranscript("u1", "What time is it?", final=True))
    stage.feed(ev.ResponseCreated("r1"), ev.OutputItemAdded("r1", "a1"))
    effects = stage.feed(ev.AudioDelta("r1", "a1", SECOND))
    assert ev.Play("a1", SECOND) in effects
    stage.now += 0.3
    assert ev.TurnMeasured(300.0) in [
        ev.TurnMeasured(round(e.latency_ms))
        for e in stage.feed(ev.PlaybackStarted("a1"))
        if isinstance(e, ev.TurnMeasured)
    ]
    assert stage.floor is ev.Floor.SPEAKING
    assert ev.EndItem("a1") in stage.feed(ev.AudioDone("r1", "a1"))
    stage.feed(ev.ResponseDone("r1"))
    assert stage.floor is ev.Floor.SPEAKING, "the voice is still to be heard"
    stage.feed(ev.PlaybackFinished("a1"))
    assert stage.floor is ev.Floor.LISTENING
    assert stage.item("a1").status is ItemStatus.COMPLETED
    assert [type(c) for c in stage.sent()].count(ev.CreateResponse) == 0, "the provider decides"


def test_text_is_shown_in_step_with_what_is_heard() -> None:
    stage = replying(online(), seconds=1)
    assert stage.item("a1").shown == ""
    stage.feed(ev.Heard("a1", 1_500))
    assert stage.item("a1").shown == "One two "
    assert stage.item("a1").unheard == "three four five "


def test_talking_over_a_reply_stops_it_and_truncates_at_what_was_heard() -> None:
    stage = replying(online(), seconds=1)
    stage.feed(ev.PlaybackStarted("a1"), ev.Heard("a1", 1_900))
    effects = stage.feed(ev.SpeechStarted("u2"))
    assert ev.StopPlayback() in effects
    assert stage.sent(effects) == [], "the provider cancels by itself"
    effects = stage.feed(ev.PlaybackStopped({"a1": 2_100.7}))
    assert stage.sent(effects) == [ev.TruncateItem("a1", 2_100)]
    item = stage.item("a1")
    assert (item.status, item.shown) == (ItemStatus.INTERRUPTED, "One two three ")
    late = stage.feed(ev.AudioDelta("r1", "a1", SECOND), ev.TextDelta("r1", "a1", "six", True))
    assert late == [], "nothing of a dead response is played or shown"
    stage.feed(ev.ResponseDone("r1", ev.ResponseStatus.CANCELLED))
    assert stage.item("a1").text == "One two three four five "


def test_a_reply_received_to_its_end_is_cut_the_same_way() -> None:
    stage = replying(online(), seconds=1)
    stage.feed(ev.ResponseDone("r1"), ev.PlaybackStarted("a1"), ev.Heard("a1", 900))
    effects = stage.feed(ev.SpeechStarted("u2"), ev.PlaybackStopped({"a1": 1_000.0}))
    assert stage.sent(effects) == [ev.TruncateItem("a1", 1_000)]


def test_an_item_nobody_heard_is_deleted_not_truncated_at_zero() -> None:
    stage = replying(online(), seconds=1)
    stage.feed(ev.SpeechStarted("u2"))
    assert stage.sent(stage.feed(ev.PlaybackStopped({"a1": 0.0}))) == []
    effects = stage.feed(ev.ResponseDone("r1", ev.ResponseStatus.CANCELLED))
    assert stage.sent(effects) == [ev.DeleteItem("a1")]


def test_several_items_of_a_response_are_each_cut_where_they_were_heard() -> None:
    stage = online()
    stage.feed(ev.ResponseCreated("r1"))
    for item_id in ("a1", "a2"):
        stage.feed(ev.OutputItemAdded("r1", item_id), ev.AudioDelta("r1", item_id, SECOND))
    stage.feed(ev.AudioDone("r1", "a1"), ev.ResponseDone("r1"))
    stage.feed(ev.PlaybackStarted("a1"), ev.PlaybackFinished("a1"), ev.PlaybackStarted("a2"))
    effects = stage.feed(ev.Interrupt(), ev.PlaybackStopped({"a2": 400.0}))
    assert stage.sent(effects) == [ev.TruncateItem("a2", 400)]
    assert stage.item("a1").status is ItemStatus.COMPLETED


def test_a_silent_sound_side_does_not_hold_up_the_truncation() -> None:
    stage = replying(online(), seconds=1)
    stage.feed(ev.PlaybackStarted("a1"), ev.Heard("a1", 700), ev.SpeechStarted("u2"))
    assert ev.TruncateItem("a1", 700) in stage.sent(stage.later(1.0))


def test_a_false_alarm_loses_nothing() -> None:
    stage = replying(online())
    stage.feed(ev.PlaybackStarted("a1"), ev.LocalSpeech(confirmed=False))
    assert stage.floor is ev.Floor.SPEAKING
    stage.feed(ev.LocalSpeech(confirmed=True))
    assert stage.floor is ev.Floor.HEARING
    assert stage.later(CONFIRM_S + 0.01).count(ev.ResumePlayback()) == 1
    assert stage.floor is ev.Floor.SPEAKING
    assert stage.feed(ev.AudioDelta("r1", "a1", SECOND)) == [ev.Play("a1", SECOND)]


def test_the_provider_confirms_what_the_sound_side_heard() -> None:
    stage = replying(online())
    stage.feed(ev.PlaybackStarted("a1"), ev.LocalSpeech(confirmed=True))
    assert ev.StopPlayback() in stage.feed(ev.SpeechStarted("u2"))
    assert ev.ResumePlayback() not in stage.later(CONFIRM_S * 2)


def test_the_interrupt_key_stops_speech_thinking_and_tools() -> None:
    stage = replying(online())
    stage.feed(ev.ToolCallReady("r1", "f1", "c1", "look", "{}"))
    effects = stage.feed(ev.Interrupt())
    assert ev.StopPlayback() in effects
    assert ev.CancelTools(("c1",)) in effects
    kinds = [type(c) for c in stage.sent(effects)]
    assert kinds == [ev.CancelResponse, ev.ToolResult]
    stage.feed(ev.ResponseDone("r1", ev.ResponseStatus.CANCELLED))
    assert ev.CreateResponse not in [type(c) for c in stage.sent()]
    assert stage.feed(ev.ToolFinished("c1", "late")) == []


def test_interrupting_before_the_response_exists_cancels_it_when_it_does() -> None:
    stage = online(hands_free=False)
    stage.feed(ev.Typed("hello"), ev.Interrupt())
    effects = stage.feed(ev.ResponseCreated("r1"))
    assert stage.sent(effects) == [ev.CancelResponse("r1")]
    assert stage.feed(ev.AudioDelta("r1", "a1", SECOND)) == []
    stage.feed(ev.ResponseDone("r1", ev.ResponseStatus.CANCELLED))
    assert stage.floor is ev.Floor.IDLE


def test_typing_over_a_reply_interrupts_and_asks_once_it_is_over() -> None:
    stage = replying(online(hands_free=False))
    effects = stage.feed(ev.Typed("stop, what about tea?"))
    kinds = [type(c) for c in stage.sent(effects)]
    assert kinds == [ev.CancelResponse, ev.CreateMessage]
    effects = stage.feed(ev.ResponseDone("r1", ev.ResponseStatus.CANCELLED))
    assert stage.sent(effects) == [ev.CreateResponse()]


def test_push_to_talk_clears_commits_and_asks() -> None:
    stage = online(hands_free=False)
    assert ev.CloseMic(closed=True) in stage.effects
    assert stage.feed(ev.MicBlock(SECOND)) == []
    effects = stage.feed(ev.Talk(True))
    assert ev.CloseMic(closed=False) in effects
    assert stage.floor is ev.Floor.HEARING
    stage.feed(ev.MicBlock(SECOND))
    stage.now += 1.0
    effects = stage.feed(ev.Talk(False))
    assert stage.sent(effects) == [ev.CommitAudio(), ev.CreateResponse()]
    stage.feed(ev.InputCommitted("u1"))
    assert stage.item("u1").role is Role.USER


@pytest.mark.parametrize(
    ("sent_ms", "held_s"),
    [
        pytest.param(20, 1.0, id="nothing was heard"),
        pytest.param(300, 0.1, id="only what was heard before the key"),
    ],
)
def test_push_to_talk_that_is_a_slip_asks_nothing(sent_ms: int, held_s: float) -> None:
    stage = online(hands_free=False)
    stage.feed(ev.Talk(True), ev.MicBlock(bytes(48 * sent_ms)))
    stage.now += held_s
    effects = stage.feed(ev.Talk(False))
    assert stage.sent(effects) == [ev.ClearAudio()]
    assert any(isinstance(e, ev.Notice) for e in effects)


def test_where_a_commit_starts_the_reply_none_is_asked_for() -> None:
    stage = online(hands_free=False, commit_starts_response=True)
    stage.feed(ev.Talk(True), ev.MicBlock(SECOND))
    stage.now += 1.0
    effects = stage.feed(ev.Talk(False))
    assert ev.CreateResponse() not in stage.sent(effects)
    assert stage.floor is ev.Floor.THINKING


def test_two_calls_of_one_response_get_one_answer_each_and_one_follow_up() -> None:
    stage = online()
    effects = stage.feed(
        ev.ResponseCreated("r1"),
        ev.OutputItemAdded("r1", "f1", ev.ItemKind.TOOL_CALL, "c1", "look"),
        ev.ToolArgumentsDelta("r1", "f1", "c1", '{"at":'),
        ev.ToolCallReady("r1", "f1", "c1", "look", '{"at":1}'),
        ev.ToolCallReady("r1", "f1", "c1", "look", '{"at":1}'),
        ev.ToolCallReady("r1", "f2", "c2", "look", '{"at":2}'),
    )
    assert [e for e in effects if isinstance(e, ev.RunTool)] == [
        ev.RunTool("c1", "look", '{"at":1}'),
        ev.RunTool("c2", "look", '{"at":2}'),
    ]
    effects = stage.feed(ev.ToolFinished("c1", "one"))
    assert stage.sent(effects) == [ev.ToolResult("c1", "one", "look")]
    stage.feed(ev.ResponseDone("r1"))
    assert stage.floor is ev.Floor.WORKING
    effects = stage.feed(ev.ToolFinished("c2", "two", failed=True))
    assert stage.sent(effects) == [
        ev.ToolResult("c2", "two", "look", failed=True),
        ev.CreateResponse(),
    ]
    call = stage.conversation.transcript.get("c2")
    assert isinstance(call, ToolCall)
    assert call.state is ToolState.FAILED


def test_results_of_cancelled_calls_are_dropped() -> None:
    stage = online()
    stage.feed(ev.ResponseCreated("r1"), ev.ToolCallReady("r1", "f1", "c1", "look", "{}"))
    assert ev.CancelTools(("c1",)) in stage.feed(ev.ToolCallsCancelled(("c1",)))
    assert stage.feed(ev.ToolFinished("c1", "late")) == []
    stage.feed(ev.ResponseDone("r1"))
    assert ev.CreateResponse() not in stage.sent()


def test_a_response_that_never_ends_is_cancelled_and_then_given_up() -> None:
    stage = replying(online())
    stage.feed(ev.PlaybackStarted("a1"))
    effects = stage.later(PATIENCE_S[SlotState.RUNNING] + PATIENCE_S[SlotState.CANCELLING])
    assert stage.sent(effects)[0] == ev.CancelResponse("r1")
    assert ev.StopPlayback() in effects
    assert any(isinstance(e, ev.Recycle) for e in effects)


def test_a_response_that_is_still_being_heard_is_not_overdue() -> None:
    stage = replying(online())
    stage.feed(ev.AudioDelta("r1", "a1", bytes(48_000 * 60)), ev.PlaybackStarted("a1"))
    for second in range(1, 40):
        assert stage.sent(stage.later(1.0)) == []
        stage.feed(ev.Heard("a1", second * 1000.0))
    assert stage.sent(stage.later(PATIENCE_S[SlotState.RUNNING] + 0.1))


def test_words_may_come_when_their_response_is_over() -> None:
    stage = replying(online())
    stage.feed(ev.ResponseDone("r1"), ev.TextDelta("r1", "a1", " And more.", True))
    assert stage.item("a1").text.endswith(" And more.")
    stage.feed(ev.Interrupt(), ev.TextDelta("r1", "a1", " Unwanted.", True))
    assert "Unwanted" not in stage.item("a1").text


def test_usage_that_comes_by_itself_counts() -> None:
    stage = online()
    stage.feed(ev.UsageReported(Usage(total_tokens=7)), ev.UsageReported(Usage(total_tokens=3)))
    assert stage.conversation.meter.total.total_tokens == 10


def test_a_refused_request_is_made_again_later() -> None:
    stage = online(hands_free=False)
    stage.feed(ev.Typed("hello"))
    error = ev.ProviderError("busy", "conversation_already_has_active_response", "CreateResponse")
    assert ev.CreateResponse() not in stage.sent(stage.feed(error)), "not in a tight loop"
    assert stage.sent(stage.later(5.0)) == [ev.CreateResponse()]


def test_a_failed_response_says_why() -> None:
    stage = online(hands_free=False, speaker=False)
    stage.feed(ev.Typed("hello"), ev.ResponseCreated("r"), ev.TextDelta("r", "a", "Hm", False))
    effects = stage.feed(ev.ResponseDone("r", ev.ResponseStatus.FAILED, error="No quota left."))
    assert ev.Notice("No quota left.", ev.Level.ERROR) in effects
    assert stage.item("a").status is ItemStatus.FAILED
    assert stage.floor is ev.Floor.IDLE


def test_silence_taken_for_speech_leaves_no_trace() -> None:
    stage = online()
    stage.feed(ev.SpeechStarted("u"), ev.SpeechStopped("u"), ev.InputCommitted("u"))
    assert ev.EntryRemoved("u") in stage.feed(ev.UserTranscript("u", "", final=True))
    assert stage.floor is ev.Floor.LISTENING


def test_an_idle_nudge_is_not_a_turn() -> None:
    stage = online()
    stage.feed(ev.IdleTimeout("n"), ev.InputCommitted("n"), ev.UserTranscript("n", "", final=True))
    assert stage.conversation.transcript.entries == []


def test_a_lost_connection_keeps_what_was_said_and_replays_it() -> None:
    stage = replying(online(), seconds=1)
    stage.feed(ev.Typed("first"))
    stage.feed(ev.PlaybackStopped({"a1": 2_500.0}), ev.Disconnected("gone"))
    assert stage.feed(ev.AudioDelta("r1", "a1", SECOND)) == []
    commands = stage.sent(stage.feed(ev.SessionCreated("s2")))
    assert isinstance(commands[0], ev.UpdateSession)
    assert commands[1:] == [
        ev.CreateMessage("a1", "assistant", "One two three "),
        ev.CreateMessage("typed_1", "user", "first"),
        ev.CreateResponse(),
    ]


def test_without_a_speaker_the_reply_is_read() -> None:
    stage = replying(online(speaker=False))
    assert not [e for e in stage.effects if isinstance(e, ev.Play)]
    assert stage.item("a1").shown == "One two three four five "
    stage.feed(ev.ResponseDone("r1"))
    assert stage.item("a1").status is ItemStatus.COMPLETED


def test_a_speaker_that_goes_away_leaves_the_whole_text() -> None:
    stage = replying(online())
    stage.feed(ev.PlaybackStarted("a1"), ev.Heard("a1", 100), ev.ResponseDone("r1"))
    stage.feed(ev.SpeakerChanged(False))
    assert stage.item("a1").shown == "One two three four five "
    assert stage.item("a1").status is ItemStatus.COMPLETED
    assert stage.floor is ev.Floor.LISTENING


def test_a_response_outside_the_conversation_never_takes_the_floor() -> None:
    stage = online()
    stage.feed(ev.ResponseCreated("o", out_of_band=True), ev.TextDelta("o", "x", "aside", False))
    assert stage.floor is ev.Floor.LISTENING
    assert stage.conversation.transcript.entries == []


def test_choosing_push_to_talk_switches_turn_detection_off() -> None:
    stage = online()
    effects = stage.feed(ev.HandsFree(False))
    update = stage.sent(effects)[0]
    assert isinstance(update, ev.UpdateSession)
    assert update.settings.turn_detection is None
    assert ev.CloseMic(closed=True) in effects
    assert stage.floor is ev.Floor.IDLE


def test_typing_while_the_provider_still_hears_someone_is_answered() -> None:
    stage = online()
    stage.feed(ev.SpeechStarted("u"), ev.Typed("hello"))
    assert ev.CreateResponse() in stage.sent()


def test_what_is_said_while_reconnecting_is_sent_on_the_next_connection() -> None:
    stage = online()
    stage.feed(ev.Disconnected("gone"))
    half = len(SECOND) // 2
    for _ in range(30):
        stage.feed(ev.MicBlock(SECOND[:half]))
    commands = stage.sent(stage.feed(ev.SessionCreated("s2")))
    assert isinstance(commands[-1], ev.AppendAudio)
    assert len(commands[-1].pcm) == len(SECOND) * 10, "the last ten seconds"


def test_a_resumed_session_is_not_told_what_it_knows() -> None:
    stage = online(speaker=False)
    stage.feed(ev.Typed("first"), ev.ResponseCreated("r"))
    stage.feed(ev.TextDelta("r", "a", "Yes.", False), ev.ResponseDone("r"))
    stage.feed(ev.Typed("second"), ev.Disconnected("gone"), ev.Typed("third"))
    commands = stage.sent(stage.feed(ev.SessionCreated("s", resumed=True)))
    told = [command.text for command in commands if isinstance(command, ev.CreateMessage)]
    assert told == ["second", "third"], "what nobody may have received"
    assert commands[-1] == ev.CreateResponse()


def test_a_reply_that_had_begun_is_not_asked_for_again() -> None:
    stage = online(speaker=False)
    stage.feed(ev.Typed("hi"), ev.ResponseCreated("r"), ev.TextDelta("r", "a", "Well", False))
    stage.feed(ev.Disconnected("gone"))
    assert ev.CreateResponse() not in stage.sent(stage.feed(ev.SessionCreated("s2")))


def test_a_reply_of_which_nothing_was_said_is_asked_for_again() -> None:
    stage = online(speaker=False)
    stage.feed(ev.Typed("hi"), ev.ResponseCreated("r"), ev.Disconnected("gone"))
    assert ev.CreateResponse() in stage.sent(stage.feed(ev.SessionCreated("s2")))
