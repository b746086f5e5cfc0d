"""Invariants of the conversation under any order of network, provider and user actions."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from voicechat.core import commands, events, inputs
from voicechat.core.conversation import _SHORT, Conversation
from voicechat.core.effects import (
    Effect,
    EntryChanged,
    EntryRemoved,
    OutOfBandAnswered,
    Play,
    Recycle,
    RunTool,
    Send,
    StopPlayback,
)
from voicechat.core.items import Item, ItemStatus, ToolCall
from voicechat.core.pictures import Kind, Picture
from voicechat.core.settings import Capabilities, SessionSettings, ToolSpec

RESPONSES = st.sampled_from(["r1", "r2", "r3", "r4"])
ITEMS = st.sampled_from(["a1", "a2", "a3", "b1"])
CALLS = st.sampled_from(["c1", "c2", "c3"])
USERS = st.sampled_from(["u1", "u2"])
PCM = st.integers(1, 4_800).map(lambda samples: b"\0\0" * samples)
RANDOM_EVENTS: dict[str, st.SearchStrategy[events.Event | inputs.Input]] = {
    "created": st.builds(events.ResponseCreated, RESPONSES, out_of_band=st.just(False)),
    "outside": st.builds(events.ResponseCreated, st.just("o1"), out_of_band=st.just(True)),
    "done": st.builds(
        events.ResponseDone, RESPONSES | st.just("o1"), st.sampled_from(list(events.ResponseStatus))
    ),
    "item": st.builds(events.OutputItemAdded, RESPONSES, ITEMS),
    "call item": st.builds(
        events.OutputItemAdded,
        RESPONSES,
        ITEMS,
        st.just(events.ItemKind.TOOL_CALL),
        CALLS,
        st.just("t"),
    ),
    "sound": st.builds(events.AudioDelta, RESPONSES, ITEMS, PCM),
    "sound done": st.builds(events.AudioDone, RESPONSES, ITEMS),
    "text": st.builds(events.TextDelta, RESPONSES, ITEMS, st.just("word "), st.booleans()),
    "text done": st.builds(events.TextDone, RESPONSES, ITEMS, st.just("word word"), st.booleans()),
    "arguments": st.builds(events.ToolArgumentsDelta, RESPONSES, ITEMS, CALLS, st.just("{")),
    "call": st.builds(events.ToolCallReady, RESPONSES, ITEMS, CALLS, st.just("t"), st.just("{}")),
    "calls cancelled": st.builds(events.ToolCallsCancelled, st.tuples(CALLS)),
    "tool progress": st.builds(inputs.ToolProgressed, CALLS, st.just("half")),
    "tool finished": st.builds(inputs.ToolFinished, CALLS, st.just("x"), st.booleans()),
    "speech": st.builds(events.SpeechStarted, USERS),
    "speech end": st.builds(events.SpeechStopped, USERS, st.floats(0, 9e9)),
    "committed": st.builds(events.InputCommitted, USERS, ITEMS | USERS),
    "user text": st.builds(
        events.UserTranscript, USERS, st.sampled_from(["", "hi"]), st.booleans()
    ),
    "idle": st.builds(events.IdleTimeout, USERS),
    "error": st.builds(
        events.ProviderError,
        st.just("no"),
        st.sampled_from([None, "conversation_already_has_active_response", "odd"]),
        st.sampled_from([None, "CreateResponse", "TruncateItem"]),
    ),
    "mic": st.builds(inputs.MicBlock, PCM),
    "typed": st.builds(inputs.Typed, st.sampled_from(["", "hello"])),
    "shown": st.just(inputs.Typed("", Picture(Kind.PNG, 1, 1, "p.png", b"png"))),
    "out of band": st.builds(
        inputs.AskOutOfBand, st.sampled_from(["k1", "k2"]), st.just("Sum it up.")
    ),
    "inserted": st.builds(
        inputs.InsertMessage, st.sampled_from(["n1", "n2"]), st.just("user"), st.just("so"), ITEMS
    ),
    "forget": st.builds(inputs.ForgetItem, ITEMS | CALLS | USERS | st.just("typed_1")),
    "forget last": st.just(inputs.ForgetLast()),
    "fetch": st.builds(inputs.FetchItem, ITEMS),
    "configure": st.builds(inputs.Configure, st.builds(SessionSettings, voice=st.just("cedar"))),
    "limits": st.builds(
        lambda left, reset: events.RateLimits((events.RateLimit("tokens", 100, left, reset),)),
        st.integers(0, 100),
        st.floats(0, 60),
    ),
    "interrupt": st.just(inputs.Interrupt()),
    "talk": st.builds(inputs.Talk, st.booleans()),
    "hands-free": st.builds(inputs.HandsFree, st.booleans()),
    "local speech": st.builds(inputs.LocalSpeech, st.booleans()),
    "heard": st.builds(inputs.Heard, ITEMS, st.floats(0, 9e9)),
    "playback started": st.builds(inputs.PlaybackStarted, ITEMS),
    "playback finished": st.builds(inputs.PlaybackFinished, ITEMS),
    "playback stopped": st.builds(
        inputs.PlaybackStopped, st.dictionaries(ITEMS, st.floats(0, 9e9), max_size=3)
    ),
    "speaker": st.builds(inputs.SpeakerChanged, st.booleans()),
    "lost": st.builds(inputs.Disconnected, st.just("lost"), st.booleans()),
    "new session": st.just(events.SessionCreated("s")),
}


FROM_THE_PROVIDER = set(get_args(events.Event)) - {events.SessionCreated}


class Promises(RuleBasedStateMachine):
    """A conversation under random events, and an independent model of what it may do."""

    @initialize(
        hands_free=st.booleans(),
        speaker=st.booleans(),
        cancel=st.booleans(),
        truncate=st.booleans(),
        commit_starts_response=st.booleans(),
    )
    def begin(self, hands_free: bool, speaker: bool, **flags: bool) -> None:
        self.conversation = Conversation(
            SessionSettings(tools=(ToolSpec("t", "Do it.", {}),)),
            Capabilities(**flags),
            hands_free=hands_free,
            speaker=speaker,
        )
        self.now = 0.0
        self.asked = False
        self.running: str | None = None
        self.seen: set[str] = set()
        self.known: set[str] = set()
        self.dead: set[str] = set()
        self.ended: set[str] = set()
        self.outside: set[str] = set()
        self.received: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.told: set[str] = set()
        self.ran: set[str] = set()
        self.wire_ids: dict[str, str] = {}
        """Of the calls that ran: a provider may repeat an id."""
        self.shown_calls: dict[str, str] = {}
        """The same of all calls that were shown, also of forgotten ones."""
        self.cancelled_calls: set[str] = set()
        self.open_requests: Counter[str] = Counter()
        self.stopped = False
        self.replies = 0
        self.repeated_calls: set[str] = set()
        self.take(events.SessionCreated("s"))

    @rule(event=st.one_of(*RANDOM_EVENTS.values()))
    def feed(self, event: events.Event | inputs.Input) -> None:
        self.take(event)

    @rule(heard=st.floats(1, 90), ends_first=st.booleans())
    def type_over_a_reply(self, heard: float, ends_first: bool) -> None:
        self.replies += 1
        rid, item_id = f"reply{self.replies}", f"spoken{self.replies}"
        self.take(events.ResponseCreated(rid))
        self.take(events.AudioDelta(rid, item_id, bytes(4_800)))
        self.take(inputs.PlaybackStarted(item_id))
        if ends_first:
            self.take(events.ResponseDone(rid))
        self.take(inputs.Typed("hello"))
        self.take(events.ResponseDone(rid, events.ResponseStatus.CANCELLED))
        self.take(inputs.PlaybackStopped({item_id: heard}))

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.take(inputs.Tick())

    def take(self, event: events.Event | inputs.Input) -> list[Effect]:
        if self.conversation.online or type(event) not in FROM_THE_PROVIDER:
            self.observe_before(event)
            self.observe_requested(event)
        effects = self.conversation.handle(event, self.now)
        for effect in effects:
            self.stopped = self.stopped or isinstance(effect, StopPlayback)
            if isinstance(effect, EntryChanged):
                self.note_call(effect.entry_id)
            self.observe(event, effect)
        if type(event) in _SHORT:
            self.observe_short_path()
        return effects

    # ------------------------------------------------------------------- the observer

    def note_call(self, entry_id: str) -> None:
        entry = self.conversation.transcript.get(entry_id)
        if isinstance(entry, ToolCall):
            self.shown_calls[entry_id] = entry.wire_id

    def observe_short_path(self) -> None:
        """Check that the whole machine adds no effect after a short path, and no earlier deadline.
        Check that the whole machine adds no effect after a short path, and no earlier deadline."""
        conversation = self.conversation
        said = conversation.deadline
        conversation._responses.begin(conversation._now)
        conversation._advance()
        assert conversation._buffer.take() == []
        due = conversation._next_deadline()
        assert due is None if said is None else due is None or due >= said

    def observe_before(self, event: events.Event | inputs.Input) -> None:
        match event:
            case inputs.Interrupt() | inputs.Typed("hello"):
                self.dead |= self.seen
            case events.ResponseDone(rid):
                self.observe_done(rid)
            case events.ResponseCreated(rid, _, True):
                self.outside.add(rid)
            case events.ResponseCreated(rid):
                self.asked = self.asked and rid in self.ended
                self.running = self.running_after(rid)
                self.seen.add(rid)
            case events.ProviderError() | inputs.Disconnected() | inputs.Tick():
                self.asked = False
                self.running = None
        self.known.add(getattr(event, "response_id", ""))
        if isinstance(event, inputs.Disconnected):
            self.dead |= self.seen
            if event.unacceptable and self.conversation.online:
                self.cancelled_calls |= self.ran  # the next session knows only the end
        if isinstance(event, events.SessionCreated):
            self.answers.clear()
            self.repeated_calls.clear()
        if isinstance(event, events.ToolCallsCancelled):
            self.cancelled_calls |= set(event.call_ids)

    def running_after(self, created: str) -> str | None:
        """Return the running response after this one is announced; None if that is ambiguous.

        A new one replaces the running one; one that ended changes nothing.
        """
        if created in self.ended or created == self.running:
            return self.running
        return None if created in self.known else created

    def observe_requested(self, event: events.Event | inputs.Input) -> None:
        """Note that a repeated request is answered again."""
        if isinstance(event, inputs.AskOutOfBand):
            self.open_requests[event.key] += 1
        if isinstance(event, events.ToolCallReady) and event.call_id in self.repeated_calls:
            self.repeated_calls.discard(event.call_id)
            self.answers[event.call_id] = 0

    def observe_done(self, response_id: str) -> None:
        """Note that a response ended and the request was answered."""
        if response_id not in self.ended | self.outside:
            self.asked = False
        self.ended.add(response_id)
        self.seen.add(response_id)
        self.running = None if self.running == response_id else self.running

    def observe(self, event: events.Event | inputs.Input, effect: Effect) -> None:
        match effect:
            case Send(commands.CreateResponse(out_of_band=True)):
                assert self.conversation.online
            case OutOfBandAnswered(key):
                self.open_requests[key] -= 1
                assert self.open_requests[key] >= 0, "an out-of-band request is answered twice"
            case EntryRemoved(entry_id):
                self.cancelled_calls.add(entry_id)
            case Send(commands.CreateResponse()):
                assert not self.asked, "two responses requested at once"
                assert self.running is None, "requested while a response runs"
                self.asked, self.stopped = True, False
            case Play(item_id, pcm):
                assert isinstance(event, events.AudioDelta)
                assert event.response_id not in self.dead, "a dead response is played"
                assert event.response_id not in self.ended
                self.seen.add(event.response_id)
                self.received[item_id] += len(pcm)
            case Send(commands.TruncateItem(item_id, audio_end_ms)):
                assert 0 < audio_end_ms <= self.received[item_id] / 48
                assert self.stopped, "truncated after the request that takes all as heard"
            case Send(commands.ToolResult() | commands.SeedResult() as result):
                self.observe_result(result)
            case RunTool(call_id):
                assert call_id not in self.ran, "a call is run twice"
                self.ran.add(call_id)
                call = self.conversation.transcript.get(call_id)
                assert isinstance(call, ToolCall)
                self.wire_ids[call_id] = call.wire_id
            case Send(command):
                assert self.conversation.online, f"{command} is sent on a dead connection"

    def observe_result(self, result: commands.ToolResult | commands.SeedResult) -> None:
        self.told.add(result.call_id)
        self.answers[result.call_id] += 1
        calls = list(self.shown_calls.values()).count(result.call_id)
        assert self.answers[result.call_id] <= max(1, calls), "a connection has a result twice"
        if isinstance(result, commands.SeedResult):
            self.repeated_calls.add(result.call_id)

    # ------------------------------------------------------------------- at the end

    def teardown(self) -> None:
        if not hasattr(self, "conversation"):
            return
        for call_id in list(self.ran):
            self.take(inputs.ToolFinished(call_id, "done"))
        self.settle()
        due = {self.wire_ids[call_id] for call_id in self.ran - self.cancelled_calls}
        assert due <= self.told | self.cancelled_calls, "a call was never answered"
        assert not +self.open_requests, "an out-of-band request was never answered"
        self.take(inputs.Typed("hello"))
        for round_ in range(4):
            self.wait_until_asked()
            response_id, item_id = f"last{round_}", f"final{round_}"
            self.take(events.ResponseCreated(response_id))
            self.take(events.TextDelta(response_id, item_id, "Yes.", spoken=False))
            self.take(events.ResponseDone(response_id))
            final = self.conversation.transcript.item(item_id)
            if final is not None:
                break
        assert final is not None, "the turn is never answered"
        assert (final.text, final.status) == ("Yes.", ItemStatus.COMPLETED)
        self.check_transcript()

    def settle(self) -> None:
        """Let every deadline pass; a conversation that requests a new connection gets one."""
        for _ in range(20):
            deadline = self.conversation.deadline
            if deadline is None:
                break
            self.now = max(self.now, deadline)
            if any(isinstance(effect, Recycle) for effect in self.take(inputs.Tick())):
                self.take(inputs.Disconnected("recycled"))
                self.take(events.SessionCreated("again"))
        assert self.conversation.deadline is None, "a deadline never ends"
        if not self.conversation.online:
            self.take(events.SessionCreated("again"))

    def wait_until_asked(self) -> None:
        for _ in range(20):
            if self.asked:
                return
            deadline = self.conversation.deadline
            assert deadline is not None, "the turn is never requested"
            self.now = max(self.now, deadline)
            if any(isinstance(effect, Recycle) for effect in self.take(inputs.Tick())):
                self.take(inputs.Disconnected("recycled"))
                self.take(events.SessionCreated("again"))
        raise AssertionError("the turn is never requested")

    def check_transcript(self) -> None:
        for entry in self.conversation.transcript.entries:
            if isinstance(entry, Item):
                assert 0 <= (entry.heard_chars or 0) <= len(entry.text)
                assert entry.heard_ms <= entry.received_ms
            else:
                assert isinstance(entry, ToolCall)


def test_a_response_whose_audio_precedes_its_start_replaces_the_running_one() -> None:
    promises = Promises()
    promises.begin(True, True, cancel=True, truncate=True, commit_starts_response=False)
    promises.take(events.ResponseCreated("r1"))
    promises.take(events.AudioDelta("r2", "a1", b"\0\0" * 10))
    promises.take(events.ResponseCreated("r2"))
    promises.take(events.ResponseDone("r2"))
    promises.take(inputs.Typed("hello"))
    assert promises.asked
    promises.teardown()


def test_a_call_is_answered_though_an_entry_before_it_is_forgotten() -> None:
    promises = Promises()
    promises.begin(
        hands_free=False, speaker=False, cancel=True, truncate=True, commit_starts_response=False
    )
    promises.take(inputs.Typed("hello"))
    promises.take(events.ToolCallReady("r1", "i1", "c1", "t", "{}"))
    promises.take(inputs.Disconnected("lost", unacceptable=True))
    promises.take(inputs.ForgetItem("typed_1"))
    promises.teardown()


TestPromises = Promises.TestCase
TestPromises.settings = settings(stateful_step_count=40)
