"""The conversation: events of the provider and inputs of the person become state and effects.

Theory of operation
-------------------
`Conversation.handle(happening, now)` is the only way in. It takes one `Event` or `Input`,
changes the transcript, and returns the `Effect`s the shell has to carry out, in order. It
never waits, sends or plays: `Send`, `Play`, `RunTool` and the rest are requests to the shell,
whose results come back as further inputs. `now` is any clock that only goes forward, in
seconds; when `deadline` is reached the shell sends a `Tick`.

Seven small parts hold the state, each with one question to answer:

* `answers.Answers`      may a response be asked for now (one at a time, ever), and which live?
* `microphone.Microphone` when is the person's sound sent, and who ends the turn?
* `person.Person`        what did the person say?
* `listening.Listening`  does the person speak, and what does that cut?
* `replies.Replies`      how much of which item came out of the speaker?
* `calls.Calls`          which tool calls still need an answer, and is the batch complete?
* `turns.Presence`       who has the floor?

Beside them stand `retelling.Retelling` (what a new session is told of the old one),
`asides.Asides` (questions that are not part of the conversation), `edits.Edits` (what is put in
and taken out), `complaints.Complaints` (what an error means) and `meter.Meter` (what it costs).

A barge-in goes: the person is heard (by the provider, a key, a typed line) -> the response is
declared dead, so nothing of it that still arrives is played or shown -> `StopPlayback` ->
the sound side answers with the exact heard positions -> each item that was cut is truncated
there on the provider's side and marked in the transcript. When the sound side itself believes
to hear the person it has only *held* the reply; without the provider's word within
`listening.CONFIRM_S` that was a false alarm and the reply goes on.

Every wait has a deadline: after any sequence of happenings the next turn can still be taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from voicechat.core import commands, effects, events, inputs
from voicechat.core.announcements import Tidings
from voicechat.core.assistant_items import Replies
from voicechat.core.effect_buffer import Outbox
from voicechat.core.interruption import Listening
from voicechat.core.item_edits import Edits
from voicechat.core.items import Role, ToolCall, Transcript
from voicechat.core.microphone import Microphone
from voicechat.core.out_of_band import Asides
from voicechat.core.provider_errors import Complaints
from voicechat.core.provider_tools import RemoteCalls
from voicechat.core.responses import Answers
from voicechat.core.seeding import Retelling, ends_with_call
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.core.tool_calls import Calls
from voicechat.core.turns import Presence
from voicechat.core.usage_meter import Meter
from voicechat.core.user_items import Person


class Conversation:
    """One conversation, from its first word to its last, over any number of connections."""

    def __init__(
        self,
        settings: SessionSettings,
        capabilities: Capabilities | None = None,
        *,
        hands_free: bool = True,
        speaker: bool = True,
        transcript: Transcript | None = None,
    ) -> None:
        """With a `transcript` it goes on where another conversation stopped."""
        self.floor = effects.Floor.IDLE
        self._can = capabilities or Capabilities()
        self._outbox = Outbox(transcript)
        self._mic = Microphone(self._outbox, settings, hands_free=hands_free)
        self._person = Person(self._outbox)
        self._calls = Calls(self._outbox, settings.tools)
        self._remote = RemoteCalls(self._outbox)
        self._tidings = Tidings(self._outbox)
        self._replies = Replies(
            self._outbox,
            self._can,
            settings.output_format.decoded,
            speaker=speaker,
            answered=lambda response_id: self._answers.began(response_id),
        )
        self._answers = Answers(self._outbox, self._can, self._replies, self._calls)
        self._asides = Asides(self._outbox, self._can)
        self._complaints = Complaints(self._outbox, self._answers, self._asides)
        self._edits = Edits(self._outbox, self._can, self._person, self._answers)
        self.meter = Meter(self._outbox)
        """What was used, and what is left."""
        self._listening = Listening(
            self._outbox,
            self._can,
            self._mic,
            self._person,
            self._replies,
            self._answers,
            self.meter,
        )
        self._here = Presence()
        self._retelling = Retelling(self._outbox, self._can)
        self._now = 0.0

    # ----------------------------------------------------------------- the way in

    def handle(self, happening: events.Event | inputs.Input, now: float) -> list[effects.Effect]:
        """Take in one happening at the time `now` (s); returns what to do, in order."""
        if not self.online and type(happening) in _OF_A_CONNECTION:
            return []
        self._now = max(now, self._now)
        self._answers.begin(self._now)
        _ON[type(happening)](self, happening)
        self._advance()
        return self._outbox.take()

    @property
    def transcript(self) -> Transcript:
        """Everything said so far; read only."""
        return self._outbox.transcript

    @property
    def online(self) -> bool:
        """Whether there is a connection to a provider."""
        return self._outbox.online

    @property
    def deadline(self) -> float | None:
        """When to send the next `Tick`, on the clock of `now`; None when nothing is awaited."""
        limits = [
            self._replies.stop_due, self._asides.due, self.meter.due,
            *self._listening.deadlines, *self._answers.deadlines,
        ]  # fmt: skip
        return min((at for at in limits if at is not None), default=None)

    @property
    def latency_ms(self) -> float | None:
        """What the last turn took, from its end to the first of the answer."""
        return self._answers.latency_ms

    @property
    def settings(self) -> SessionSettings:
        """The settings in force: without hands-free there is no turn detection."""
        return self._mic.settings

    @property
    def asking(self) -> tuple[ToolCall, ...]:
        """The tool calls that wait for the person's decision, ours and the provider's."""
        return self._calls.asking + self._remote.asking

    @property
    def hands_free(self) -> bool:
        """Whether the provider's turn detection ends the person's turns."""
        return self._mic.hands_free

    @property
    def talking(self) -> bool:
        """Whether push-to-talk is down."""
        return self._mic.talking

    # ----------------------------------------------------------------- connection

    def _session_created(self, event: events.SessionCreated) -> None:
        self._outbox.online = True
        self._outbox.send(commands.UpdateSession(self.settings))
        told = self._retelling.tell(resumed=event.resumed)
        if self._retelling.forgot_all:
            self._answers.want(False)
        if self._tidings.retold(c.item_id for c in told if isinstance(c, commands.CreateMessage)):
            self._answers.want()
        self._mic.connected()

    def _disconnected(self, event: inputs.Disconnected) -> None:
        unacceptable = event.unacceptable and self.online
        self._outbox.online = False
        if self._calls.waiting or ends_with_call(self.transcript):
            # What a session that is resumed knows of a call that runs is anybody's guess.
            self._outbox.do(effects.StartAfresh())
        self._listening.over()
        self._mic.disconnected()
        self._answers.connection_lost()
        self._asides.connection_lost()
        self._remote.connection_lost(self._now)
        self._retelling.connection_lost(unacceptable=unacceptable)

    # ----------------------------------------------------------------- the person

    def _type(self, typed: inputs.Typed) -> None:
        text = typed.text.strip()
        if not text and typed.picture is None:
            return
        # What is typed overtakes what is being said, like speech; tools go on, and cards wait.
        self._answers.want_none()
        self._listening.barge_in(provider_cancels=False)
        self._listening.over()
        self._mic.drop()
        item = self._person.typed(text, typed.picture)
        self._outbox.send(
            commands.CreateMessage(item.item_id, Role.USER.value, text, picture=typed.picture)
        )
        self._answers.want()
        self._answers.turn_ended()

    def _forget(self, event: inputs.ForgetItem | inputs.ForgetLast) -> None:
        entries = self._edits.meant(event)
        running = any(isinstance(e, ToolCall) and not e.state.final for e in entries)
        if running or (entries and entries[-1] is self.transcript.entries[-1]):
            self._stop_everything()
            self._listening.over()
        self._edits.forget(entries)

    def _stop_everything(self) -> None:
        self._answers.want_none()
        self._listening.barge_in(provider_cancels=False)
        self._calls.interrupt(self._now)
        self._remote.interrupt(self._now)

    def _talk(self, talk: inputs.Talk) -> None:
        mic = self._mic
        if mic.hands_free or not self.online or talk.on is mic.talking:
            return
        if talk.on:
            self._answers.want(False)
            self._listening.barge_in(provider_cancels=False)
            mic.press(self._now)
        elif mic.release(self._now):
            self._answers.turn_ended()
            self._answers.want(not self._can.commit_starts_response)
            self._answers.expect()

    def _set_hands_free(self, mode: inputs.HandsFree) -> None:
        if mode.on is not self._mic.hands_free:
            self._listening.over()
            self._mic.set_hands_free(mode.on)

    # ----------------------------------------------------------------- responses

    def _heard(self, heard: inputs.Heard) -> None:
        # Some providers end a response only when it was heard to its end.
        if self._replies.heard(heard):
            self._answers.sign_of_life()

    def _response_created(self, event: events.ResponseCreated) -> None:
        if event.out_of_band:
            self._asides.created(event)
        self._answers.created(event)

    def _response_done(self, event: events.ResponseDone) -> None:
        beside = self._asides.done(event)
        if event.usage:
            (self.meter.other if beside else self.meter.responded)(event.usage)
        if self._answers.done(event) and self._replies.sounding:
            self._listening.barge_in(provider_cancels=True)

    def _item_added(self, event: events.OutputItemAdded) -> None:
        if event.kind is events.ItemKind.MESSAGE:
            self._remote.unspoken = False
            self._replies.item(event.response_id, event.item_id)
        elif event.kind is events.ItemKind.TOOL_CALL and event.call_id:
            self._calls.entry(event.response_id, event.item_id, event.call_id, event.name or "")

    # ----------------------------------------------------------------- tools

    def _call_ready(self, event: events.ToolCallReady) -> None:
        alive = self._answers.alive(event.response_id)
        self._calls.ready(event, self._now, alive=alive)

    def _remote_call(self, event: events.RemoteCall) -> None:
        if event.response_id:
            self._answers.alive(event.response_id)
        self._remote.changed(event, self._now)

    def _offer(self, offer: inputs.OfferTools) -> None:
        self._calls.offer(offer.tools, self._now)
        if self._mic.offer(offer.tools):
            self._outbox.send(commands.UpdateSession(self.settings))

    def _decide(self, decided: inputs.Decided) -> None:
        if not self._calls.decide(decided, self._now):
            self._remote.decided(decided)
        if self._answers.waited_for:
            # Thinking it over was the person's time: they wait from now on.
            self._answers.turn_ended()

    # ----------------------------------------------------------------- time

    def _tick(self, _: inputs.Tick) -> None:
        self._listening.tick(self._now)
        if self._replies.stop_due is not None and self._now >= self._replies.stop_due:
            self._replies.stopped({}, self._now)
        if self._remote.at_work(self._now):
            self._answers.sign_of_life()
        self._asides.tick(self._now)
        self.meter.tick(self._now)
        if self._answers.tick():
            self._listening.barge_in(provider_cancels=False)

    # ----------------------------------------------------------------- shared steps

    def _advance(self) -> None:
        """Ask for the response that is due, and see who has the floor now."""
        remote = self._remote
        if remote.unspoken and not (self._answers.busy or remote.at_work(self._now)):
            remote.unspoken = False
            self._answers.expect_more()
        here = self._here
        here.user_speaking, here.held = self._listening.speaking, self._listening.held
        busy = here.user_speaking or self._mic.talking
        free = self.online and not busy
        if free and not (self._answers.busy or self._replies.sounding) and self._tidings.tell():
            self._answers.want()
        self._answers.settle(free=free)
        here.talking = self._mic.talking
        here.open_mic = self.online and self._mic.hands_free
        writing = not self._replies.speaker and self._answers.running and self._replies.writing
        here.sounding = self._replies.audible or writing
        here.owed = self._answers.owed or self._replies.sounding
        here.tools = self._calls.waiting or bool(self._remote.asking)
        floor = here.floor()
        if floor is not self.floor:
            self.floor = floor
            self._outbox.do(effects.FloorChanged(floor))


_OF_A_CONNECTION = frozenset(get_args(events.Event)) - {events.SessionCreated}
"""What a provider says means nothing once its connection is gone."""

_Step = Callable[[Conversation, Any], None]


def _nothing(conversation: Conversation, happening: object) -> None:
    """The happening changes nothing here."""


def _reply(step: Callable[[Replies, Any], None]) -> _Step:
    """A step that concerns the model's side alone."""
    return lambda c, e: step(c._replies, e)


def _if_alive(step: _Step) -> _Step:
    """A step that is taken for living responses only."""
    return lambda c, e: step(c, e) if c._answers.alive(e.response_id) else None


def _if_wanted(step: _Step) -> _Step:
    """The same for words, which may come when their response is over; silenced ones never do.

    Words of an aside are for whoever asked it.
    """
    return lambda c, e: (
        step(c, e) if not c._asides.text(e) and c._answers.counts(e.response_id) else None
    )


_C = Conversation
_ON: dict[type[Any], _Step] = {
    # the connection
    events.SessionCreated: _C._session_created,
    inputs.Disconnected: _C._disconnected,
    # the person
    inputs.MicBlock: lambda c, e: c._mic.block(e),
    inputs.Typed: _C._type,
    inputs.Interrupt: lambda c, e: c._stop_everything(),
    inputs.Configure: lambda c, e: c._mic.configure(e.settings),
    inputs.AskAside: lambda c, e: c._asides.ask(e, c._now),
    # what was said
    inputs.InsertMessage: lambda c, e: c._edits.insert(e),
    **dict.fromkeys((inputs.ForgetItem, inputs.ForgetLast), _C._forget),
    inputs.FetchItem: lambda c, e: c._edits.fetch(e),
    events.ItemRetrieved: lambda c, e: c._outbox.do(effects.ItemFetched(e.item_id, e.item)),
    inputs.Talk: _C._talk,
    inputs.HandsFree: _C._set_hands_free,
    # the person's speech, as the provider hears it
    events.SpeechStarted: lambda c, e: c._listening.speech_started(e, c._now),
    events.SpeechStopped: lambda c, e: c._listening.speech_stopped(e, c._now),
    events.InputCommitted: lambda c, e: c._listening.committed(e, c._now),
    events.IdleTimeout: lambda c, e: c._person.not_a_turn(e),
    events.UserTranscript: lambda c, e: c._listening.user_transcript(e, c._now),
    # the person's speech, as the sound side hears it
    inputs.LocalSpeech: lambda c, e: c._listening.local_speech(e, c._now),
    inputs.VoiceEnded: lambda c, e: c._listening.voice_ended(e),
    # responses
    events.ResponseCreated: _C._response_created,
    events.ResponseDone: _C._response_done,
    events.UsageReported: lambda c, e: c.meter.other(e.usage),
    events.RateLimits: lambda c, e: c.meter.limited(e, c._now),
    events.OutputItemAdded: _if_alive(_C._item_added),
    events.OutputItemDone: _nothing,
    events.AudioDelta: _if_alive(_reply(Replies.audio)),
    events.AudioDone: _if_alive(_reply(Replies.audio_done)),
    events.TextDelta: _if_wanted(_reply(Replies.text)),
    events.TextDone: _if_wanted(_reply(Replies.text_done)),
    # what comes out of the speaker
    inputs.PlaybackStarted: _reply(Replies.playback_started),
    inputs.Heard: _C._heard,
    inputs.PlaybackFinished: _reply(Replies.playback_finished),
    inputs.PlaybackStopped: lambda c, e: c._replies.stopped(e.heard, c._now),
    inputs.SpeakerChanged: lambda c, e: c._replies.set_speaker(e.present),
    # tools
    events.ToolArgumentsDelta: _if_alive(lambda c, e: c._calls.arguments(e)),
    events.ToolCallReady: _C._call_ready,
    events.ToolCallsCancelled: lambda c, e: c._calls.cancelled(e, c._now),
    inputs.ToolFinished: lambda c, e: c._calls.finished(e, c._now),
    inputs.OfferTools: _C._offer,
    inputs.Decided: _C._decide,
    inputs.Announce: lambda c, e: c._tidings.come(e),
    events.RemoteTools: lambda c, e: c._remote.listed(e),
    events.RemoteCall: _C._remote_call,
    events.RemoteApproval: lambda c, e: c._remote.asked(e),
    # errors and time
    events.ProviderError: lambda c, e: c._complaints.take(e),
    inputs.Tick: _C._tick,
    # of no consequence here
    **dict.fromkeys(
        (events.SessionUpdated, events.SessionEnding, events.ResumptionHandle), _nothing
    ),
    **dict.fromkeys((events.ItemAdded, events.ItemDeleted, events.ItemTruncated), _nothing),
    events.TranscriptSegment: _nothing,
    **dict.fromkeys((events.InputCleared, inputs.LocalSpeechEnded, events.Unmapped), _nothing),
}
"""What each happening sets off: the whole conversation at a glance."""
