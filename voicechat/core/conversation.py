"""The conversation: events of the provider and inputs of the person become state and effects.

Theory of operation
-------------------
`Conversation.handle(happening, now)` is the only way in. It takes one `Event` or `Input`,
changes the transcript, and returns the `Effect`s the shell has to carry out, in order. It
never waits, sends or plays: `Send`, `Play`, `RunTool` and the rest are requests to the shell,
whose results come back as further inputs. `now` is any clock that only goes forward, in
seconds; when `deadline` is reached the shell sends a `Tick`.

Four small ledgers hold the state, each with one question to answer:

* `turns.ResponseSlot`   may a response be asked for now? (one at a time, ever)
* `replies.Replies`      how much of which item came out of the speaker?
* `calls.Calls`          which tool calls still need an answer, and is the batch complete?
* `turns.Presence`       who has the floor?

A barge-in goes: the person is heard (by the provider, a key, a typed line) -> the response is
declared dead, so nothing of it that still arrives is played or shown -> `StopPlayback` ->
the sound side answers with the exact heard positions -> each item that was cut is truncated
there on the provider's side and marked in the transcript. When the sound side itself believes
to hear the person it has only *held* the reply; without the provider's word within
`CONFIRM_S` that was a false alarm and the reply goes on.

Every wait has a deadline: a response that never ends is cancelled, then given up, so after any
sequence of happenings the next turn can still be taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

from voicechat.core import events as ev
from voicechat.core.calls import Calls
from voicechat.core.items import Entry, Item, ItemStatus, Role, Transcript, Turn, Usage
from voicechat.core.outbox import Outbox
from voicechat.core.replies import Replies
from voicechat.core.settings import Capabilities, SessionSettings, TurnDetection
from voicechat.core.turns import Presence, RecentIds, ResponseSlot, SlotState, Trigger

PATIENCE_S = {
    SlotState.REQUESTED: 15.0,
    SlotState.RUNNING: 15.0,
    SlotState.CANCELLING: 3.0,
    SlotState.REFUSED: 2.0,
}
"""Seconds without any sign of a response until it is given up, by state of the slot."""

CONFIRM_S = 0.6
"""Seconds the provider has to confirm speech that the sound side heard."""

OWED_S = 8.0
"""Seconds after a committed turn in which the provider may begin to answer."""

MIN_TALK_MS = 150.0
"""Push-to-talk shorter than this is a slip; providers refuse commits under 100 ms."""

_QUIET_CODES = frozenset({"response_cancel_not_active"})
_QUIET_COMMANDS = frozenset({"TruncateItem", "DeleteItem", "CancelResponse", "ClearAudio"})


class Conversation:
    """One conversation, from its first word to its last, over any number of connections."""

    def __init__(
        self,
        settings: SessionSettings,
        capabilities: Capabilities | None = None,
        *,
        hands_free: bool = True,
        speaker: bool = True,
    ) -> None:
        self.usage = Usage()
        self.latency_ms: float | None = None
        self.floor = ev.Floor.IDLE
        self._settings = settings
        self._can = capabilities or Capabilities()
        self._hands_free = hands_free
        self._outbox = Outbox()
        self._slot = ResponseSlot()
        self._calls = Calls(self._outbox)
        self._replies = Replies(
            self._outbox,
            self._can,
            settings.output_format,
            speaker=speaker,
            answered=self._answered,
        )
        self._here = Presence()
        self._turn: Turn | None = None
        self._outside = RecentIds()
        self._nudges = RecentIds()
        self._hung = False
        self._slot_seen = 0.0
        self._timers: dict[str, float] = {}
        self._mic_ms = 0.0
        self._typed = 0
        self._now = 0.0

    # ----------------------------------------------------------------- the way in

    def handle(self, happening: ev.Event | ev.Input, now: float) -> list[ev.Effect]:
        """Take in one happening at the time `now` (s); returns what to do, in order."""
        if not self.online and type(happening) in _OF_A_CONNECTION:
            return []
        self._now = max(now, self._now)
        state = self._slot.state
        _ON[type(happening)](self, happening)
        self._advance()
        if self._slot.state is not state:
            self._slot_seen = self._now
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
        limits = list(self._timers.values())
        if self._replies.stop_due is not None:
            limits.append(self._replies.stop_due)
        if self._slot.state in PATIENCE_S:
            limits.append(self._slot_seen + PATIENCE_S[self._slot.state])
        return min(limits, default=None)

    @property
    def settings(self) -> SessionSettings:
        """The settings in force: without hands-free there is no turn detection."""
        return self._settings if self._hands_free else replace(self._settings, turn_detection=None)

    @property
    def hands_free(self) -> bool:
        """Whether the provider's turn detection ends the person's turns."""
        return self._hands_free

    @property
    def talking(self) -> bool:
        """Whether push-to-talk is down."""
        return self._here.talking

    @property
    def owes(self) -> bool:
        """Whether the provider owes something, so that silence on the wire is suspicious."""
        return self.online and self._slot.busy

    # ----------------------------------------------------------------- connection

    def _session_created(self, event: ev.SessionCreated) -> None:
        self._outbox.online = True
        self._mic_ms = 0.0
        self._outbox.send(ev.UpdateSession(self.settings))
        for entry in self.transcript.entries:
            self._replay(entry)
        self._outbox.do(ev.CloseMic(closed=not self._hands_free))

    def _replay(self, entry: Entry) -> None:
        if isinstance(entry, Item) and entry.shown.strip() and not entry.hidden:
            self._outbox.send(ev.CreateMessage(entry.item_id, entry.role.value, entry.shown))

    def _disconnected(self, event: ev.Disconnected) -> None:
        self._outbox.online = False
        self._slot.reset()
        self._hung = False
        self._timers.pop("owed", None)
        self._here.user_speaking = self._here.talking = False
        self._calls.connection_lost(self._now)
        self._replies.connection_lost()

    # ----------------------------------------------------------------- the person

    def _mic(self, block: ev.MicBlock) -> None:
        if self.online and (self._hands_free or self._here.talking):
            self._mic_ms += self._settings.input_format.ms(len(block.pcm))
            self._outbox.send(ev.AppendAudio(block.pcm))

    def _type(self, typed: ev.Typed) -> None:
        text = typed.text.strip()
        if not text:
            return
        self._stop_everything()
        self._here.user_speaking = False
        self._drop_talk()
        self._typed += 1
        item = Item(f"typed_{self._typed}", Role.USER, text, ItemStatus.COMPLETED)
        self.transcript.add(item)
        self._outbox.changed(item)
        self._outbox.send(ev.CreateMessage(item.item_id, Role.USER.value, text))
        self._slot.wanted = True
        self._turn = Turn(self._now)

    def _interrupt(self, _: ev.Interrupt) -> None:
        self._stop_everything()

    def _stop_everything(self) -> None:
        self._slot.wanted = False
        self._timers.pop("owed", None)
        self._barge_in(provider_cancels=False)
        self._calls.interrupt(self._now)

    def _talk(self, talk: ev.Talk) -> None:
        if self._hands_free or not self.online or talk.on is self._here.talking:
            return
        self._here.talking = talk.on
        if talk.on:
            self._slot.wanted = False
            self._barge_in(provider_cancels=False)
            self._mic_ms = 0.0
            self._outbox.send(ev.ClearAudio())
            self._outbox.do(ev.CloseMic(closed=False))
            return
        self._outbox.do(ev.CloseMic(closed=True))
        if self._mic_ms < MIN_TALK_MS:
            self._outbox.send(ev.ClearAudio())
            self._outbox.do(
                ev.Notice("That was too short to hear.", hint="Talk, then press the key again.")
            )
            return
        self._outbox.send(ev.CommitAudio())
        self._turn = Turn(self._now)
        self._slot.wanted = not self._can.commit_starts_response
        self._timers["owed"] = self._now + OWED_S

    def _drop_talk(self) -> None:
        """Push-to-talk was overtaken by something else: nothing of it is committed."""
        if self._here.talking:
            self._here.talking = False
            self._outbox.send(ev.ClearAudio())
            self._outbox.do(ev.CloseMic(closed=True))

    def _set_hands_free(self, mode: ev.HandsFree) -> None:
        if mode.on is self._hands_free:
            return
        self._here.talking = self._here.user_speaking = False
        self._hands_free = mode.on
        if self.online:
            self._outbox.send(ev.UpdateSession(self.settings))
            self._outbox.send(ev.ClearAudio())
        self._outbox.do(ev.CloseMic(closed=not mode.on))

    # ----------------------------------------------------------------- the person's speech

    def _speech_started(self, event: ev.SpeechStarted) -> None:
        self._here.user_speaking = True
        self._timers.pop("owed", None)
        self._user_item(event.item_id)
        detection = self._detection
        if detection is None or detection.interrupt_response:
            self._barge_in(provider_cancels=True)
        elif self._here.held:
            self._false_alarm()

    def _speech_stopped(self, event: ev.SpeechStopped) -> None:
        self._here.user_speaking = False
        behind_ms = self._mic_ms - event.audio_end_ms if event.audio_end_ms else 0.0
        self._turn = Turn(self._now - min(max(behind_ms, 0.0), 5_000.0) / 1000)
        self._expect_answer()

    def _committed(self, event: ev.InputCommitted) -> None:
        self._here.user_speaking = False
        if event.item_id in self._nudges:
            return
        self._user_item(event.item_id, event.previous_item_id)
        self._expect_answer()

    def _expect_answer(self) -> None:
        detection = self._detection
        if detection is not None and detection.create_response:
            self._slot.wanted = False
            if not self._slot.busy:
                self._timers["owed"] = self._now + OWED_S

    def _user_transcript(self, event: ev.UserTranscript) -> None:
        if event.usage:
            self._count(event.usage)
        if event.item_id in self._nudges:
            return
        item = self._user_item(event.item_id)
        if event.replace or event.final:
            item.text = event.text or ("" if event.final else item.text)
        else:
            item.text += event.text
        if event.final:
            item.status, item.error = ItemStatus.COMPLETED, event.error
            if not item.text.strip() and not event.error:
                self._timers.pop("owed", None)
                self._outbox.remove(item)
                return
        self._outbox.changed(item)

    def _idle_timeout(self, event: ev.IdleTimeout) -> None:
        self._nudges.add(event.item_id)

    def _user_item(self, item_id: str, after: str | None = None) -> Item:
        item = self.transcript.item(item_id)
        if item is None:
            item = Item(item_id, Role.USER, spoken=True)
            self.transcript.add(item, after)
            self._outbox.changed(item)
        return item

    # ----------------------------------------------------------------- barge-in

    def _local_speech(self, heard: ev.LocalSpeech) -> None:
        if not heard.confirmed:
            return
        if not (self._hands_free and self._replies.sounding):
            self._outbox.do(ev.ResumePlayback())
        elif self._here.user_speaking:
            self._barge_in(provider_cancels=True)
        else:
            self._here.held = True
            self._timers["confirm"] = self._now + CONFIRM_S

    def _false_alarm(self) -> None:
        self._here.held = False
        self._timers.pop("confirm", None)
        self._outbox.do(ev.ResumePlayback())

    def _barge_in(self, *, provider_cancels: bool) -> None:
        """Nothing of what is being said is wanted: silence it and find out what was heard."""
        self._here.held = False
        self._timers.pop("confirm", None)
        running = self._slot.cancel()
        if running is not None:
            self._replies.close_items(running, ItemStatus.INTERRUPTED)
            if self._can.cancel and not provider_cancels:
                self._outbox.send(ev.CancelResponse(running))
        for response_id in self._replies.silence(self._now):
            self._slot.dead.add(response_id)

    # ----------------------------------------------------------------- responses

    def _response_created(self, event: ev.ResponseCreated) -> None:
        if event.out_of_band:
            self._outside.add(event.response_id)
            return
        self._begin(event.response_id)

    def _begin(self, response_id: str) -> None:
        previous = self._slot.response_id
        if self._slot.created(response_id):
            self._slot.response_id = response_id
            self._slot.fire(Trigger.CANCEL)
            if self._can.cancel:
                self._outbox.send(ev.CancelResponse(response_id))
        elif previous not in (None, response_id):
            self._calls.response_over(previous or "")
        self._timers.pop("owed", None)
        if self._turn is not None and self._turn.response_id is None:
            self._turn.response_id = response_id

    def _alive(self, response_id: str) -> bool:
        """Whether this response may still be played and shown; one never announced begins here."""
        slot = self._slot
        if response_id in slot.dead or response_id in slot.ended or response_id in self._outside:
            return False
        if slot.response_id != response_id:
            if slot.state not in {SlotState.IDLE, SlotState.REQUESTED}:
                return False
            self._begin(response_id)
        self._slot_seen = self._now
        return response_id not in slot.dead

    def _response_done(self, event: ev.ResponseDone) -> None:
        if event.usage:
            self._count(event.usage)
        rid = event.response_id
        if rid in self._outside:
            return
        first = rid not in self._slot.ended
        self._slot.done(rid)
        if not first:
            return
        self._hung = False
        self._replies.response_over(rid, _OUTCOMES[event.status], event.error)
        self._calls.response_over(rid)
        if event.status is ev.ResponseStatus.FAILED:
            self._outbox.do(ev.Notice(event.error or "The model could not answer.", ev.Level.ERROR))
        if (
            event.reason == "turn_detected"
            and rid not in self._slot.dead
            and self._replies.sounding
        ):
            self._barge_in(provider_cancels=True)

    def _item_added(self, event: ev.OutputItemAdded) -> None:
        if event.kind is ev.ItemKind.MESSAGE:
            self._replies.item(event.response_id, event.item_id)
        elif event.kind is ev.ItemKind.TOOL_CALL and event.call_id:
            self._calls.entry(event.response_id, event.item_id, event.call_id, event.name or "")

    # ----------------------------------------------------------------- what is heard

    def _playback_stopped(self, event: ev.PlaybackStopped) -> None:
        self._replies.stopped(event.heard, self._now)

    def _speaker_changed(self, event: ev.SpeakerChanged) -> None:
        self._replies.set_speaker(event.present)

    def _answered(self, response_id: str) -> None:
        turn = self._turn
        if turn is None or turn.response_id != response_id:
            return
        turn.answered_at = self._now
        self._turn = None
        self.latency_ms = turn.latency_ms or 0.0
        self._outbox.do(ev.TurnMeasured(self.latency_ms))

    # ----------------------------------------------------------------- tools

    def _arguments(self, event: ev.ToolArgumentsDelta) -> None:
        self._calls.arguments(event)

    def _call_ready(self, event: ev.ToolCallReady) -> None:
        alive = self._alive(event.response_id)
        self._calls.ready(event, self._now, alive=alive)

    def _tool_finished(self, event: ev.ToolFinished) -> None:
        self._calls.finished(event, self._now)

    def _calls_cancelled(self, event: ev.ToolCallsCancelled) -> None:
        self._calls.cancelled(event, self._now)

    # ----------------------------------------------------------------- errors and time

    def _provider_error(self, event: ev.ProviderError) -> None:
        if event.fatal:
            self._outbox.do(ev.Recycle(event.message))
            return
        if event.code in _QUIET_CODES or event.command in _QUIET_COMMANDS:
            return
        if event.code == "conversation_already_has_active_response":
            self._slot.wanted = True
            self._slot.fire(Trigger.REFUSE)
            return
        if event.command == "CreateResponse" and self._slot.state is SlotState.REQUESTED:
            self._slot.expire()
        self._timers.pop("owed", None)
        self._outbox.do(ev.Notice(event.message, ev.Level.ERROR))

    def _tick(self, _: ev.Tick) -> None:
        for name in [name for name, at in self._timers.items() if at <= self._now]:
            del self._timers[name]
            if name == "confirm":
                self._false_alarm()
        if self._replies.stop_due is not None and self._now >= self._replies.stop_due:
            self._replies.stopped({}, self._now)
        patience = PATIENCE_S.get(self._slot.state)
        if patience is not None and self._now >= self._slot_seen + patience:
            self._give_up()

    def _give_up(self) -> None:
        """The response is overdue: cancel it first, then go on without it."""
        if self._slot.state is SlotState.RUNNING:
            self._hung = True
            self._barge_in(provider_cancels=False)
            return
        recycle = self._hung or self._slot.state is SlotState.REQUESTED
        self._hung = False
        response_id = self._slot.response_id
        self._slot.expire()
        if response_id is not None:
            self._calls.response_over(response_id)
        if recycle:
            self._outbox.do(ev.Recycle("The model stopped answering."))

    # ----------------------------------------------------------------- shared steps

    def _advance(self) -> None:
        """Ask for the response that is due, and see who has the floor now."""
        slot, here = self._slot, self._here
        if self._calls.take_finished():
            slot.wanted = True
        if slot.may_ask and self.online and not (here.user_speaking or here.talking):
            slot.ask()
            self._outbox.send(ev.CreateResponse())
        here.open_mic = self.online and self._hands_free
        here.sounding = self._replies.audible or (not self._replies.speaker and self._writing())
        here.owed = slot.wanted or slot.busy or "owed" in self._timers or self._replies.sounding
        here.tools = self._calls.waiting
        floor = here.floor()
        if floor is not self.floor:
            self.floor = floor
            self._outbox.do(ev.FloorChanged(floor))

    def _writing(self) -> bool:
        last = self.transcript.entries[-1] if self.transcript.entries else None
        return (
            self._slot.state is SlotState.RUNNING
            and isinstance(last, Item)
            and last.role is Role.ASSISTANT
            and bool(last.text)
        )

    @property
    def _detection(self) -> TurnDetection:
        return self._settings.turn_detection if self._hands_free else None

    def _count(self, usage: Usage) -> None:
        self.usage += usage
        self._outbox.do(ev.UsageChanged(self.usage))

    def _nothing(self, _: object) -> None:
        """The happening changes nothing here."""


_OF_A_CONNECTION = frozenset(get_args(ev.Event)) - {ev.SessionCreated}
"""What a provider says means nothing once its connection is gone."""

_OUTCOMES = {
    ev.ResponseStatus.COMPLETED: ItemStatus.COMPLETED,
    ev.ResponseStatus.CANCELLED: ItemStatus.INTERRUPTED,
    ev.ResponseStatus.INCOMPLETE: ItemStatus.INTERRUPTED,
    ev.ResponseStatus.FAILED: ItemStatus.FAILED,
}

_Step = Callable[[Conversation, Any], None]


def _reply(step: Callable[[Replies, Any], None]) -> _Step:
    """A step that concerns the model's side alone."""

    def run(conversation: Conversation, happening: Any) -> None:
        step(conversation._replies, happening)

    return run


def _if_alive(step: _Step) -> _Step:
    """A step that is taken for living responses only."""

    def run(conversation: Conversation, happening: Any) -> None:
        if conversation._alive(happening.response_id):
            step(conversation, happening)

    return run


_C = Conversation
_ON: dict[type[Any], _Step] = {
    # the connection
    ev.SessionCreated: _C._session_created,
    ev.SessionUpdated: _C._nothing,
    ev.Disconnected: _C._disconnected,
    # the person
    ev.MicBlock: _C._mic,
    ev.Typed: _C._type,
    ev.Interrupt: _C._interrupt,
    ev.Talk: _C._talk,
    ev.HandsFree: _C._set_hands_free,
    # the person's speech, as the provider hears it
    ev.SpeechStarted: _C._speech_started,
    ev.SpeechStopped: _C._speech_stopped,
    ev.InputCommitted: _C._committed,
    ev.InputCleared: _C._nothing,
    ev.IdleTimeout: _C._idle_timeout,
    ev.UserTranscript: _C._user_transcript,
    # the person's speech, as the sound side hears it
    ev.LocalSpeech: _C._local_speech,
    ev.LocalSpeechEnded: _C._nothing,
    # the provider's items
    ev.ItemAdded: _C._nothing,
    ev.ItemDeleted: _C._nothing,
    ev.ItemTruncated: _C._nothing,
    ev.ItemRetrieved: _C._nothing,
    # responses
    ev.ResponseCreated: _C._response_created,
    ev.ResponseDone: _C._response_done,
    ev.OutputItemAdded: _if_alive(_C._item_added),
    ev.OutputItemDone: _C._nothing,
    ev.AudioDelta: _if_alive(_reply(Replies.audio)),
    ev.AudioDone: _if_alive(_reply(Replies.audio_done)),
    ev.TextDelta: _if_alive(_reply(Replies.text)),
    ev.TextDone: _if_alive(_reply(Replies.text_done)),
    # what comes out of the speaker
    ev.PlaybackStarted: _reply(Replies.playback_started),
    ev.Heard: _reply(Replies.heard),
    ev.PlaybackFinished: _reply(Replies.playback_finished),
    ev.PlaybackStopped: _C._playback_stopped,
    ev.SpeakerChanged: _C._speaker_changed,
    # tools
    ev.ToolArgumentsDelta: _C._arguments,
    ev.ToolCallReady: _C._call_ready,
    ev.ToolCallsCancelled: _C._calls_cancelled,
    ev.ToolFinished: _C._tool_finished,
    # errors and time
    ev.RateLimits: _C._nothing,
    ev.ProviderError: _C._provider_error,
    ev.Unmapped: _C._nothing,
    ev.Tick: _C._tick,
}
"""What each happening sets off: the whole conversation at a glance."""
