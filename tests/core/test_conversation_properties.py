"""Whatever a network, a provider and a person do in whatever order, the promises hold."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from voicechat.core import events as ev
from voicechat.core.conversation import Conversation
from voicechat.core.items import Item, ItemStatus, ToolCall
from voicechat.core.pictures import Kind, Picture
from voicechat.core.settings import Capabilities, SessionSettings, ToolSpec

RESPONSES = st.sampled_from(["r1", "r2", "r3", "r4"])
ITEMS = st.sampled_from(["a1", "a2", "a3", "b1"])
CALLS = st.sampled_from(["c1", "c2", "c3"])
USERS = st.sampled_from(["u1", "u2"])
PCM = st.integers(1, 4_800).map(lambda samples: b"\0\0" * samples)
CHAOS: dict[str, st.SearchStrategy[ev.Event | ev.Input]] = {
    "created": st.builds(ev.ResponseCreated, RESPONSES, out_of_band=st.just(False)),
    "outside": st.builds(ev.ResponseCreated, st.just("o1"), out_of_band=st.just(True)),
    "done": st.builds(
        ev.ResponseDone, RESPONSES | st.just("o1"), st.sampled_from(list(ev.ResponseStatus))
    ),
    "item": st.builds(ev.OutputItemAdded, RESPONSES, ITEMS),
    "call item": st.builds(
        ev.OutputItemAdded, RESPONSES, ITEMS, st.just(ev.ItemKind.TOOL_CALL), CALLS, st.just("t")
    ),
    "sound": st.builds(ev.AudioDelta, RESPONSES, ITEMS, PCM),
    "sound done": st.builds(ev.AudioDone, RESPONSES, ITEMS),
    "text": st.builds(ev.TextDelta, RESPONSES, ITEMS, st.just("word "), st.booleans()),
    "text done": st.builds(ev.TextDone, RESPONSES, ITEMS, st.just("word word"), st.booleans()),
    "arguments": st.builds(ev.ToolArgumentsDelta, RESPONSES, ITEMS, CALLS, st.just("{")),
    "call": st.builds(ev.ToolCallReady, RESPONSES, ITEMS, CALLS, st.just("t"), st.just("{}")),
    "calls cancelled": st.builds(ev.ToolCallsCancelled, st.tuples(CALLS)),
    "tool finished": st.builds(ev.ToolFinished, CALLS, st.just("x"), st.booleans()),
    "speech": st.builds(ev.SpeechStarted, USERS),
    "speech end": st.builds(ev.SpeechStopped, USERS, st.floats(0, 9e9)),
    "committed": st.builds(ev.InputCommitted, USERS, ITEMS | USERS),
    "user text": st.builds(ev.UserTranscript, USERS, st.sampled_from(["", "hi"]), st.booleans()),
    "idle": st.builds(ev.IdleTimeout, USERS),
    "error": st.builds(
        ev.ProviderError,
        st.just("no"),
        st.sampled_from([None, "conversation_already_has_active_response", "odd"]),
        st.sampled_from([None, "CreateResponse", "TruncateItem"]),
    ),
    "mic": st.builds(ev.MicBlock, PCM),
    "typed": st.builds(ev.Typed, st.sampled_from(["", "hello"])),
    "shown": st.just(ev.Typed("", Picture(Kind.PNG, 1, 1, "p.png", b"png"))),
    "aside": st.builds(ev.AskAside, st.sampled_from(["k1", "k2"]), st.just("Sum it up.")),
    "inserted": st.builds(
        ev.InsertMessage, st.sampled_from(["n1", "n2"]), st.just("user"), st.just("so"), ITEMS
    ),
    "forget": st.builds(ev.ForgetItem, ITEMS | CALLS | USERS | st.just("typed_1")),
    "forget last": st.just(ev.ForgetLast()),
    "fetch": st.builds(ev.FetchItem, ITEMS),
    "configure": st.builds(ev.Configure, st.builds(SessionSettings, voice=st.just("cedar"))),
    "limits": st.builds(
        lambda left, reset: ev.RateLimits((ev.RateLimit("tokens", 100, left, reset),)),
        st.integers(0, 100),
        st.floats(0, 60),
    ),
    "interrupt": st.just(ev.Interrupt()),
    "talk": st.builds(ev.Talk, st.booleans()),
    "hands-free": st.builds(ev.HandsFree, st.booleans()),
    "local speech": st.builds(ev.LocalSpeech, st.booleans()),
    "heard": st.builds(ev.Heard, ITEMS, st.floats(0, 9e9)),
    "playback started": st.builds(ev.PlaybackStarted, ITEMS),
    "playback finished": st.builds(ev.PlaybackFinished, ITEMS),
    "playback stopped": st.builds(
        ev.PlaybackStopped, st.dictionaries(ITEMS, st.floats(0, 9e9), max_size=3)
    ),
    "speaker": st.builds(ev.SpeakerChanged, st.booleans()),
    "lost": st.builds(ev.Disconnected, st.just("lost"), st.booleans()),
    "new session": st.just(ev.SessionCreated("s")),
}


FROM_THE_PROVIDER = set(get_args(ev.Event)) - {ev.SessionCreated}


class Promises(RuleBasedStateMachine):
    """A conversation among chaos, and an independent witness of what it may do."""

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
        self.excused: set[str] = set()
        self.open_asides: Counter[str] = Counter()
        self.retold: set[str] = set()
        self.take(ev.SessionCreated("s"))

    @rule(happening=st.one_of(*CHAOS.values()))
    def happens(self, happening: ev.Event | ev.Input) -> None:
        self.take(happening)

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.take(ev.Tick())

    def take(self, happening: ev.Event | ev.Input) -> list[ev.Effect]:
        if self.conversation.online or type(happening) not in FROM_THE_PROVIDER:
            self.witness_before(happening)
            self.witness_asked(happening)
        effects = self.conversation.handle(happening, self.now)
        for effect in effects:
            self.witness(happening, effect)
        return effects

    # ------------------------------------------------------------------- the witness

    def witness_before(self, happening: ev.Event | ev.Input) -> None:
        match happening:
            case ev.Interrupt() | ev.Typed("hello"):
                self.dead |= self.seen
            case ev.ResponseDone(rid):
                self.witness_done(rid)
            case ev.ResponseCreated(rid, _, True):
                self.outside.add(rid)
            case ev.ResponseCreated(rid):
                self.asked = self.asked and rid in self.ended
                self.running = self.running_after(rid)
                self.seen.add(rid)
            case ev.ProviderError() | ev.Disconnected() | ev.Tick():
                self.asked = False
                self.running = None
        self.known.add(getattr(happening, "response_id", ""))
        if isinstance(happening, ev.Disconnected):
            self.dead |= self.seen
        if isinstance(happening, ev.SessionCreated):
            self.answers.clear()
            self.retold.clear()
        if isinstance(happening, ev.ToolCallsCancelled):
            self.excused |= set(happening.call_ids)

    def running_after(self, created: str) -> str | None:
        """What runs when this is announced: one that was heard of before may have begun or not.

        A new one replaces what runs; one that is over already changes nothing.
        """
        if created in self.ended or created == self.running:
            return self.running
        return None if created in self.known else created

    def witness_asked(self, happening: ev.Event | ev.Input) -> None:
        """What is asked for anew is answered anew."""
        if isinstance(happening, ev.AskAside):
            self.open_asides[happening.key] += 1
        if isinstance(happening, ev.ToolCallReady) and happening.call_id in self.retold:
            self.retold.discard(happening.call_id)
            self.answers[happening.call_id] = 0

    def witness_done(self, response_id: str) -> None:
        """A response ended: what was asked for has been answered."""
        if response_id not in self.ended | self.outside:
            self.asked = False
        self.ended.add(response_id)
        self.seen.add(response_id)
        self.running = None if self.running == response_id else self.running

    def witness(self, happening: ev.Event | ev.Input, effect: ev.Effect) -> None:
        match effect:
            case ev.Send(ev.CreateResponse(out_of_band=True)):
                assert self.conversation.online
            case ev.AsideAnswered(key):
                self.open_asides[key] -= 1
                assert self.open_asides[key] >= 0, "an aside is answered twice"
            case ev.EntryRemoved(entry_id):
                self.excused.add(entry_id)
            case ev.Send(ev.CreateResponse()):
                assert not self.asked, "two responses asked at once"
                assert self.running is None, "asked while a response runs"
                self.asked = True
            case ev.Play(item_id, pcm):
                assert isinstance(happening, ev.AudioDelta)
                assert happening.response_id not in self.dead, "a dead response is played"
                assert happening.response_id not in self.ended
                self.seen.add(happening.response_id)
                self.received[item_id] += len(pcm)
            case ev.Send(ev.TruncateItem(item_id, audio_end_ms)):
                assert 0 < audio_end_ms <= self.received[item_id] / 48
            case ev.Send(ev.ToolResult() | ev.RetellResult() as result):
                self.witness_result(result)
            case ev.RunTool(call_id):
                assert call_id not in self.ran, "a call is run twice"
                self.ran.add(call_id)
            case ev.Send(command):
                assert self.conversation.online, f"{command} is sent on a dead connection"

    def witness_result(self, result: ev.ToolResult | ev.RetellResult) -> None:
        self.told.add(result.call_id)
        self.answers[result.call_id] += 1
        assert self.answers[result.call_id] == 1, "a connection is told a result twice"
        if isinstance(result, ev.RetellResult):
            self.retold.add(result.call_id)

    # ------------------------------------------------------------------- at the end

    def teardown(self) -> None:
        if not hasattr(self, "conversation"):
            return
        for call_id in list(self.ran):
            self.take(ev.ToolFinished(call_id, "done"))
        self.settle()
        assert self.ran - self.excused <= self.told, "a call was never answered"
        assert not +self.open_asides, "an aside was never answered"
        self.take(ev.Typed("hello"))
        for round_ in range(4):
            self.wait_until_asked()
            response_id, item_id = f"last{round_}", f"final{round_}"
            self.take(ev.ResponseCreated(response_id))
            self.take(ev.TextDelta(response_id, item_id, "Yes.", spoken=False))
            self.take(ev.ResponseDone(response_id))
            final = self.conversation.transcript.item(item_id)
            if final is not None:
                break
        assert final is not None, "the turn is never answered"
        assert (final.text, final.status) == ("Yes.", ItemStatus.COMPLETED)
        self.check_transcript()

    def settle(self) -> None:
        """Let every deadline pass; a conversation that asks for a new connection gets one."""
        for _ in range(20):
            deadline = self.conversation.deadline
            if deadline is None:
                break
            self.now = max(self.now, deadline)
            if any(isinstance(effect, ev.Recycle) for effect in self.take(ev.Tick())):
                self.take(ev.Disconnected("recycled"))
                self.take(ev.SessionCreated("again"))
        assert self.conversation.deadline is None, "something is awaited for ever"
        if not self.conversation.online:
            self.take(ev.SessionCreated("again"))

    def wait_until_asked(self) -> None:
        for _ in range(20):
            if self.asked:
                return
            deadline = self.conversation.deadline
            assert deadline is not None, "the turn is never asked for"
            self.now = max(self.now, deadline)
            if any(isinstance(effect, ev.Recycle) for effect in self.take(ev.Tick())):
                self.take(ev.Disconnected("recycled"))
                self.take(ev.SessionCreated("again"))
        raise AssertionError("the turn is never asked for")

    def check_transcript(self) -> None:
        for entry in self.conversation.transcript.entries:
            if isinstance(entry, Item):
                assert 0 <= (entry.heard_chars or 0) <= len(entry.text)
                assert entry.heard_ms <= entry.received_ms
            else:
                assert isinstance(entry, ToolCall)


def test_a_response_replaces_one_although_a_word_of_it_came_before_its_beginning() -> None:
    promises = Promises()
    promises.begin(True, True, cancel=True, truncate=True, commit_starts_response=False)
    promises.take(ev.ResponseCreated("r1"))
    promises.take(ev.AudioDelta("r2", "a1", b"\0\0" * 10))
    promises.take(ev.ResponseCreated("r2"))
    promises.take(ev.ResponseDone("r2"))
    promises.take(ev.Typed("hello"))
    assert promises.asked
    promises.teardown()


TestPromises = Promises.TestCase
TestPromises.settings = settings(stateful_step_count=40)
