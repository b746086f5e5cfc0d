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
* `ledger.Ledger`        how much of which item came out of the speaker?
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

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from voicechat.core import events as ev
from voicechat.core.calls import Calls
from voicechat.core.items import (
    Entry,
    Item,
    ItemStatus,
    Role,
    ToolCall,
    ToolState,
    Transcript,
    Turn,
    Usage,
    entry_id,
)
from voicechat.core.ledger import Ledger, Spoken
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

STOP_S = 0.5
"""Seconds the sound side has to say where it stopped."""

OWED_S = 8.0
"""Seconds after a committed turn in which the provider may begin to answer."""

MIN_TALK_MS = 150.0
"""Push-to-talk shorter than this is a slip; providers refuse commits under 100 ms."""

INTERRUPTED_OUTPUT = '{"error": "The person interrupted before this finished. Do not repeat it."}'

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
        self.transcript = Transcript()
        self.usage = Usage()
        self.latency_ms: float | None = None
        self.online = False
        self.floor = ev.Floor.IDLE
        self._settings = settings
        self._can = capabilities or Capabilities()
        self._hands_free = hands_free
        self._speaker = speaker
        self._slot = ResponseSlot()
        self._ledger = Ledger()
        self._cuts: deque[list[Spoken]] = deque()
        self._calls = Calls()
        self._here = Presence()
        self._turn: Turn | None = None
        self._outside = RecentIds()
        self._nudges = RecentIds()
        self._unheard: dict[str, list[str]] = {}
        self._hung = False
        self._slot_seen = 0.0
        self._timers: dict[str, float] = {}
        self._mic_ms = 0.0
        self._typed = 0
        self._now = 0.0
        self._out: list[ev.Effect] = []

    # ----------------------------------------------------------------- the way in

    def handle(self, happening: ev.Event | ev.Input, now: float) -> list[ev.Effect]:
        """Take in one happening at the time `now` (s); returns what to do, in order."""
        self._now = max(now, self._now)
        state = self._slot.state
        _ON[type(happening)](self, happening)
        self._advance()
        if self._slot.state is not state:
            self._slot_seen = self._now
        effects, self._out = self._out, []
        return effects

    @property
    def deadline(self) -> float | None:
        """When to send the next `Tick`, on the clock of `now`; None when nothing is awaited."""
        limits = list(self._timers.values())
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
        self.online = True
        self._mic_ms = 0.0
        self._send(ev.UpdateSession(self.settings))
        for entry in self.transcript.entries:
            self._replay(entry)
        self._do(ev.CloseMic(closed=not self._hands_free))

    def _replay(self, entry: Entry) -> None:
        if isinstance(entry, Item) and entry.shown.strip() and not entry.hidden:
            self._send(ev.CreateMessage(entry.item_id, entry.role.value, entry.shown))

    def _disconnected(self, event: ev.Disconnected) -> None:
        self.online = False
        self._slot.reset()
        self._hung = False
        self._unheard.clear()
        self._timers.pop("owed", None)
        self._here.user_speaking = self._here.talking = False
        lost = self._calls.forget()
        for call in lost:
            call.state, call.output = ToolState.CANCELLED, "The connection was lost."
            self._changed(call)
        if lost:
            self._do(ev.CancelTools(tuple(call.call_id for call in lost)))
        for spoken in self._ledger:
            self._end_sound(spoken)
        for entry in list(self.transcript.entries):
            if isinstance(entry, Item) and entry.status is ItemStatus.IN_PROGRESS:
                self._close_item(entry, ItemStatus.INTERRUPTED)

    # ----------------------------------------------------------------- the person

    def _mic(self, block: ev.MicBlock) -> None:
        if self.online and (self._hands_free or self._here.talking):
            self._mic_ms += self._settings.input_format.ms(len(block.pcm))
            self._send(ev.AppendAudio(block.pcm))

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
        self._changed(item)
        self._send(ev.CreateMessage(item.item_id, Role.USER.value, text))
        self._slot.wanted = True
        self._turn = Turn(self._now)

    def _interrupt(self, _: ev.Interrupt) -> None:
        self._stop_everything()

    def _stop_everything(self) -> None:
        self._slot.wanted = False
        self._timers.pop("owed", None)
        self._barge_in(provider_cancels=False)
        stopped = tuple(self._calls.waiting)
        for call_id in stopped:
            self._answer(call_id, ToolState.CANCELLED, INTERRUPTED_OUTPUT)
        if stopped:
            self._do(ev.CancelTools(stopped))

    def _talk(self, talk: ev.Talk) -> None:
        if self._hands_free or not self.online or talk.on is self._here.talking:
            return
        self._here.talking = talk.on
        if talk.on:
            self._slot.wanted = False
            self._barge_in(provider_cancels=False)
            self._mic_ms = 0.0
            self._send(ev.ClearAudio())
            self._do(ev.CloseMic(closed=False))
            return
        self._do(ev.CloseMic(closed=True))
        if self._mic_ms < MIN_TALK_MS:
            self._send(ev.ClearAudio())
            self._do(
                ev.Notice("That was too short to hear.", hint="Talk, then press the key again.")
            )
            return
        self._send(ev.CommitAudio())
        self._turn = Turn(self._now)
        self._slot.wanted = not self._can.commit_starts_response
        self._timers["owed"] = self._now + OWED_S

    def _drop_talk(self) -> None:
        """Push-to-talk was overtaken by something else: nothing of it is committed."""
        if self._here.talking:
            self._here.talking = False
            self._send(ev.ClearAudio())
            self._do(ev.CloseMic(closed=True))

    def _set_hands_free(self, mode: ev.HandsFree) -> None:
        if mode.on is self._hands_free:
            return
        self._here.talking = self._here.user_speaking = False
        self._hands_free = mode.on
        if self.online:
            self._send(ev.UpdateSession(self.settings))
            self._send(ev.ClearAudio())
        self._do(ev.CloseMic(closed=not mode.on))

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
                self._remove(item)
                return
        self._changed(item)

    def _idle_timeout(self, event: ev.IdleTimeout) -> None:
        self._nudges.add(event.item_id)

    def _user_item(self, item_id: str, after: str | None = None) -> Item:
        item = self.transcript.item(item_id)
        if item is None:
            item = Item(item_id, Role.USER, spoken=True)
            self.transcript.add(item, after)
            self._changed(item)
        return item

    # ----------------------------------------------------------------- barge-in

    def _local_speech(self, heard: ev.LocalSpeech) -> None:
        if not heard.confirmed:
            return
        if not (self._hands_free and self._ledger.sounding):
            self._do(ev.ResumePlayback())
        elif self._here.user_speaking:
            self._barge_in(provider_cancels=True)
        else:
            self._here.held = True
            self._timers["confirm"] = self._now + CONFIRM_S

    def _false_alarm(self) -> None:
        self._here.held = False
        self._timers.pop("confirm", None)
        self._do(ev.ResumePlayback())

    def _barge_in(self, *, provider_cancels: bool) -> None:
        """Nothing of what is being said is wanted: silence it and find out what was heard."""
        self._here.held = False
        self._timers.pop("confirm", None)
        running = self._slot.cancel()
        if running is not None:
            self._close_items(running, ItemStatus.INTERRUPTED)
            if self._can.cancel and not provider_cancels:
                self._send(ev.CancelResponse(running))
        spoken = list(self._ledger)
        if not spoken:
            return
        for account in spoken:
            self._slot.dead.add(account.item.response_id or "")
            self._ledger.close(account.item.item_id)
        self._cuts.append(spoken)
        self._timers.setdefault("stop", self._now + STOP_S)
        self._do(ev.StopPlayback())

    def _playback_stopped(self, stopped: ev.PlaybackStopped) -> None:
        self._timers.pop("stop", None)
        if not self._cuts:
            return
        for spoken in self._cuts.popleft():
            item = spoken.item
            spoken.hear(stopped.heard.get(item.item_id, item.heard_ms))
            self._cut(spoken)
        if self._cuts:
            self._timers["stop"] = self._now + STOP_S

    def _cut(self, spoken: Spoken) -> None:
        item = spoken.item
        whole = spoken.ended and item.heard_ms >= item.received_ms - 1 and spoken.sounded
        item.status = ItemStatus.COMPLETED if whole else ItemStatus.INTERRUPTED
        self._changed(item)
        if whole or not (self._can.truncate and self.online):
            return
        audio_end_ms = int(item.heard_ms)
        if audio_end_ms > 0:
            self._send(ev.TruncateItem(item.item_id, audio_end_ms))
        elif (item.response_id or "") in self._slot.ended:
            self._send(ev.DeleteItem(item.item_id))
        else:
            self._unheard.setdefault(item.response_id or "", []).append(item.item_id)

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
                self._send(ev.CancelResponse(response_id))
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
        for item_id in self._unheard.pop(rid, []):
            self._send(ev.DeleteItem(item_id))
        outcome = _OUTCOMES[event.status]
        for spoken in self._ledger.of_response(rid):
            self._end_sound(spoken)
        self._close_items(rid, outcome, event.error)
        self._calls.response_over(rid)
        if event.status is ev.ResponseStatus.FAILED:
            self._do(ev.Notice(event.error or "The model could not answer.", ev.Level.ERROR))
        if event.reason == "turn_detected" and rid not in self._slot.dead and self._ledger.sounding:
            self._barge_in(provider_cancels=True)

    def _item_added(self, event: ev.OutputItemAdded) -> None:
        if not self._alive(event.response_id):
            return
        if event.kind is ev.ItemKind.MESSAGE:
            self._assistant_item(event.response_id, event.item_id)
        elif event.kind is ev.ItemKind.TOOL_CALL and event.call_id:
            self._call_entry(event.response_id, event.item_id, event.call_id, event.name or "")

    def _assistant_item(self, response_id: str, item_id: str) -> Item:
        item = self.transcript.item(item_id)
        if item is None:
            item = Item(item_id, Role.ASSISTANT, response_id=response_id)
            self.transcript.add(item)
        return item

    def _audio(self, event: ev.AudioDelta) -> None:
        if not (self._alive(event.response_id) and self._speaker and event.pcm):
            return
        spoken = self._account(event.response_id, event.item_id)
        if spoken is None:
            return
        ms = self._settings.output_format.ms(len(event.pcm))
        spoken.item.received_ms += ms
        spoken.captions.add_sound(ms)
        self._do(ev.Play(event.item_id, event.pcm))

    def _account(self, response_id: str, item_id: str) -> Spoken | None:
        """The item's account in the ledger; None when the item was heard to its end already."""
        item = self._assistant_item(response_id, item_id)
        if item.status is not ItemStatus.IN_PROGRESS:
            return None
        item.spoken = True
        return self._ledger.open(item)

    def _audio_done(self, event: ev.AudioDone) -> None:
        spoken = self._ledger.get(event.item_id)
        if spoken is not None and self._alive(event.response_id):
            self._end_sound(spoken)

    def _text(self, event: ev.TextDelta) -> None:
        if not self._alive(event.response_id):
            return
        spoken = self._speaking(event)
        if spoken is not None:
            spoken.captions.add_text(event.text)
        self._set_text(
            event, spoken, self._assistant_item(event.response_id, event.item_id).text + event.text
        )

    def _text_done(self, event: ev.TextDone) -> None:
        if event.text is None or not self._alive(event.response_id):
            return
        spoken = self._speaking(event)
        if spoken is not None:
            spoken.captions.set_text(event.text)
        self._set_text(event, spoken, event.text)

    def _speaking(self, event: ev.TextDelta | ev.TextDone) -> Spoken | None:
        if not (event.spoken and self._speaker):
            return None
        return self._account(event.response_id, event.item_id)

    def _set_text(
        self, event: ev.TextDelta | ev.TextDone, spoken: Spoken | None, text: str
    ) -> None:
        item = self._assistant_item(event.response_id, event.item_id)
        item.text = text
        if spoken is not None:
            spoken.hear(item.heard_ms)
        elif item.heard_chars is not None:
            item.heard_chars = len(text)
        else:
            self._answered(event.response_id)
        self._changed(item)

    # ----------------------------------------------------------------- what is heard

    def _playback_started(self, event: ev.PlaybackStarted) -> None:
        spoken = self._ledger.get(event.item_id)
        if spoken is not None:
            spoken.audible = True
            self._answered(spoken.item.response_id or "")

    def _heard(self, event: ev.Heard) -> None:
        spoken = self._ledger.get(event.item_id)
        if spoken is None:
            return
        before = spoken.item.heard_chars
        spoken.hear(event.ms)
        if spoken.item.heard_chars != before:
            self._changed(spoken.item)

    def _playback_finished(self, event: ev.PlaybackFinished) -> None:
        spoken = self._ledger.get(event.item_id)
        if spoken is None or not spoken.ended:
            return
        self._ledger.close(event.item_id)
        spoken.hear(spoken.item.received_ms)
        spoken.item.heard_chars = len(spoken.item.text)
        if spoken.item.status is ItemStatus.IN_PROGRESS:
            spoken.item.status = spoken.outcome
        self._changed(spoken.item)

    def _speaker_changed(self, event: ev.SpeakerChanged) -> None:
        self._speaker = event.present
        if event.present:
            return
        unheard = [*self._ledger, *(spoken for cut in self._cuts for spoken in cut)]
        self._cuts.clear()
        self._timers.pop("stop", None)
        for spoken in unheard:
            self._ledger.close(spoken.item.item_id)
            spoken.item.heard_chars = None
            self._changed(spoken.item)
            if (spoken.item.response_id or "") in self._slot.ended:
                self._close_item(spoken.item, spoken.outcome)

    def _end_sound(self, spoken: Spoken) -> None:
        if spoken.ended:
            return
        spoken.ended = spoken.captions.complete = True
        if spoken.sounded:
            self._do(ev.EndItem(spoken.item.item_id))
        else:
            self._ledger.close(spoken.item.item_id)
            spoken.item.heard_chars = None

    def _answered(self, response_id: str) -> None:
        turn = self._turn
        if turn is None or turn.response_id != response_id:
            return
        turn.answered_at = self._now
        self._turn = None
        self.latency_ms = turn.latency_ms or 0.0
        self._do(ev.TurnMeasured(self.latency_ms))

    # ----------------------------------------------------------------- tools

    def _call_entry(self, response_id: str, item_id: str, call_id: str, name: str) -> ToolCall:
        entry = self.transcript.get(call_id)
        if isinstance(entry, ToolCall):
            return entry
        call = ToolCall(call_id, item_id, response_id, name)
        self.transcript.add(call)
        self._changed(call)
        return call

    def _arguments(self, event: ev.ToolArgumentsDelta) -> None:
        call = self.transcript.get(event.call_id)
        if isinstance(call, ToolCall) and call.state is ToolState.STREAMING:
            call.arguments += event.text
            self._changed(call)

    def _call_ready(self, event: ev.ToolCallReady) -> None:
        alive = self._alive(event.response_id)
        call = self._call_entry(event.response_id, event.item_id, event.call_id, event.name)
        if not self._calls.opens(call):
            return
        call.name, call.arguments = event.name or call.name, event.arguments
        if not alive:
            self._answer(event.call_id, ToolState.CANCELLED, INTERRUPTED_OUTPUT)
            return
        call.state, call.started_at = ToolState.RUNNING, self._now
        self._changed(call)
        self._do(ev.RunTool(call.call_id, call.name, call.arguments))

    def _tool_finished(self, event: ev.ToolFinished) -> None:
        self._answer(
            event.call_id, ToolState.FAILED if event.failed else ToolState.DONE, event.output
        )

    def _calls_cancelled(self, event: ev.ToolCallsCancelled) -> None:
        dropped = []
        for call_id in event.call_ids:
            call = self._calls.close(call_id, ToolState.CANCELLED, None, self._now)
            if call is not None:
                dropped.append(call_id)
                self._changed(call)
        if dropped:
            self._do(ev.CancelTools(tuple(dropped)))

    def _answer(self, call_id: str, state: ToolState, output: str) -> None:
        call = self._calls.close(call_id, state, output, self._now)
        if call is not None:
            self._send(ev.ToolResult(call_id, output, call.name, state is not ToolState.DONE))
            self._changed(call)

    # ----------------------------------------------------------------- errors and time

    def _provider_error(self, event: ev.ProviderError) -> None:
        if event.fatal:
            self._do(ev.Recycle(event.message))
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
        self._do(ev.Notice(event.message, ev.Level.ERROR))

    def _tick(self, _: ev.Tick) -> None:
        for name in [name for name, at in self._timers.items() if at <= self._now]:
            del self._timers[name]
            if name == "confirm":
                self._false_alarm()
            elif name == "stop":
                self._playback_stopped(ev.PlaybackStopped())
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
            self._do(ev.Recycle("The model stopped answering."))

    # ----------------------------------------------------------------- shared steps

    def _advance(self) -> None:
        """Ask for the response that is due, and see who has the floor now."""
        slot, here = self._slot, self._here
        if self._calls.take_finished():
            slot.wanted = True
        if slot.may_ask and self.online and not (here.user_speaking or here.talking):
            slot.ask()
            self._send(ev.CreateResponse())
        here.open_mic = self.online and self._hands_free
        here.sounding = self._ledger.audible or (not self._speaker and self._writing())
        here.owed = slot.wanted or slot.busy or "owed" in self._timers or self._ledger.sounding
        here.tools = bool(self._calls.waiting)
        floor = here.floor()
        if floor is not self.floor:
            self.floor = floor
            self._do(ev.FloorChanged(floor))

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

    def _close_items(self, response_id: str, status: ItemStatus, error: str | None = None) -> None:
        """End the items of a response; what is still being spoken ends when it was heard."""
        for entry in reversed(list(self.transcript.entries)):
            if isinstance(entry, ToolCall):
                if entry.response_id == response_id and entry.state is ToolState.STREAMING:
                    entry.state = ToolState.CANCELLED
                    self._changed(entry)
            elif entry.response_id == response_id and entry.status is ItemStatus.IN_PROGRESS:
                entry.error = error
                spoken = self._ledger.get(entry.item_id)
                if spoken is not None:
                    spoken.outcome = status
                else:
                    self._close_item(entry, status)

    def _close_item(self, item: Item, status: ItemStatus) -> None:
        if not item.text.strip() and not item.received_ms and not item.error:
            self._remove(item)
            return
        item.status = status
        self._changed(item)

    def _count(self, usage: Usage) -> None:
        self.usage += usage
        self._do(ev.UsageChanged(self.usage))

    def _remove(self, item: Item) -> None:
        self.transcript.remove(item.item_id)
        self._do(ev.EntryRemoved(item.item_id))

    def _changed(self, entry: Entry) -> None:
        self._do(ev.EntryChanged(entry_id(entry)))

    def _send(self, command: ev.Command) -> None:
        if self.online:
            self._do(ev.Send(command))

    def _do(self, effect: ev.Effect) -> None:
        self._out.append(effect)

    def _nothing(self, _: object) -> None:
        """The happening changes nothing here."""


_OUTCOMES = {
    ev.ResponseStatus.COMPLETED: ItemStatus.COMPLETED,
    ev.ResponseStatus.CANCELLED: ItemStatus.INTERRUPTED,
    ev.ResponseStatus.INCOMPLETE: ItemStatus.INTERRUPTED,
    ev.ResponseStatus.FAILED: ItemStatus.FAILED,
}

_C = Conversation
_ON: dict[type[Any], Callable[[Conversation, Any], None]] = {
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
    ev.OutputItemAdded: _C._item_added,
    ev.OutputItemDone: _C._nothing,
    ev.AudioDelta: _C._audio,
    ev.AudioDone: _C._audio_done,
    ev.TextDelta: _C._text,
    ev.TextDone: _C._text_done,
    # what comes out of the speaker
    ev.PlaybackStarted: _C._playback_started,
    ev.Heard: _C._heard,
    ev.PlaybackFinished: _C._playback_finished,
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
