"""The conversation: events of the provider and inputs of the user become state and effects.

Theory of operation
-------------------
`Conversation.handle(event, now)` is the only entry point. It takes one `Event` or `Input`,
changes the transcript, and returns the `Effect`s for the session to execute, in order. It never
waits, sends or plays: `Send`, `Play`, `RunTool` and the others are requests to the session, whose
results come back as further inputs. `now` is any monotonic clock in seconds; at `deadline`, the
session sends a `Tick`.

These parts hold the state, each in the file of its name:

* `Responses`           the single response slot: due, requested, running, hanging
* `SettingsUpdates`     the settings, without what the provider refused
* `MicrophoneInput`     which microphone blocks are sent, and what ends a turn
* `UserItems`           typed text and transcripts of the user
* `Interruption`        detected speech of the user, and what it stops
* `AssistantItems`      the assistant's items and their playout positions
* `ToolCalls`           open tool calls, approvals, complete batches
* `ProviderTools`       tools that the provider runs itself
* `Announcements`       events that the model has not spoken about yet
* `Seeding`             the part of the conversation that a new session receives
* `OutOfBandResponses`  responses outside the conversation
* `ReplyGate`           guardrails, which see events before the rest does; `Interventions`
* `ItemEdits`, `ProviderErrors`, `UsageMeter`, and `turns.Presence` for the floor

A barge-in: the user is detected (by the provider, a key, a typed line) -> the response is dead, and
its later events are neither played nor shown -> `StopPlayback` -> the audio process reports the
exact positions -> each item is truncated there at the provider and marked in the transcript. If
only the audio process detects the user, it *holds* playback; without confirmation by the provider
within `interruption.CONFIRM_TIMEOUT_S`, playback resumes.

Every wait has a deadline: after any sequence of events, the next turn is possible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from voicechat.core import commands, effects, events, inputs
from voicechat.core.announcements import Announcements
from voicechat.core.assistant_items import AssistantItems
from voicechat.core.budget_gate import BudgetGate
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.interruption import Interruption
from voicechat.core.intervention import Interventions
from voicechat.core.item_edits import ItemEdits
from voicechat.core.items import Role, ToolCall, Transcript
from voicechat.core.microphone import MicrophoneInput
from voicechat.core.out_of_band import OutOfBandResponses
from voicechat.core.provider_errors import ProviderErrors
from voicechat.core.provider_tools import ProviderTools
from voicechat.core.reply_gate import ReplyGate
from voicechat.core.responses import Responses
from voicechat.core.seeding import Seeding
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.core.settings_updates import SettingsUpdates
from voicechat.core.tool_calls import ToolCalls
from voicechat.core.tool_pictures import ToolPictures
from voicechat.core.turns import Presence
from voicechat.core.usage_meter import UsageMeter
from voicechat.core.user_items import UserItems


class Conversation:
    """One conversation, from start to end, over any number of connections."""

    def __init__(
        self,
        settings: SessionSettings,
        capabilities: Capabilities | None = None,
        *,
        hands_free: bool = True,
        speaker: bool = True,
        transcript: Transcript | None = None,
        has_budget: bool = False,
    ) -> None:
        """Start a conversation; with a `transcript` it continues another one."""
        self.floor = effects.Floor.IDLE
        self.deadline: float | None = None
        """Time of the next `Tick` (s, on the clock of `now`); None if none is needed."""
        self._capabilities = capabilities or Capabilities()
        self._buffer = buffer = EffectBuffer(transcript)
        self._now = 0.0
        self._updates = SettingsUpdates(buffer, lambda: self.microphone.settings, lambda: self._now)
        self.microphone = MicrophoneInput(
            self._buffer, settings, hands_free=hands_free, updates=self._updates
        )
        """Decides which microphone blocks are sent. A session may call its `block` directly."""
        self._user_items = UserItems(self._buffer, self._capabilities.transcription_remedy)
        self._tool_calls = ToolCalls(self._buffer, settings.tools)
        calls, items = self._tool_calls, self._user_items
        self._tool_pictures = ToolPictures(self._buffer, self._capabilities, calls, items)
        self._provider_tools = ProviderTools(self._buffer)
        self._announcements = Announcements(self._buffer)
        self._items = AssistantItems(
            self._buffer,
            self._capabilities,
            settings.output_format.decoded,
            speaker=speaker,
            on_answered=lambda response_id: self._responses.answered(response_id),
        )
        self._gate = BudgetGate(self._buffer, asks=has_budget)
        self._responses = Responses(buffer, self._capabilities, self._items, calls, self._gate)
        self._out_of_band = OutOfBandResponses(self._buffer, self._capabilities, self._gate)
        self._errors = ProviderErrors(buffer, self._responses, self._out_of_band, self._updates)
        self._edits = ItemEdits(self._buffer, self._capabilities, self._user_items, self._responses)
        self.meter = UsageMeter(self._buffer)
        """Usage and rate limits."""
        self._interruption = Interruption(
            self._buffer, self._capabilities, self.microphone, self._user_items,
            self._items, self._responses, self.meter,
        )  # fmt: skip
        self._presence = Presence()
        self._seeding = Seeding(self._buffer, self._capabilities)
        self._interventions = Interventions(buffer, self._capabilities, self._responses)
        self._guard = ReplyGate(self, self._responses, self._items, self._capabilities)

    # ----------------------------------------------------------------- entry point

    def handle(self, event: events.Event | inputs.Input, now: float) -> list[effects.Effect]:
        """Process one event or input at the time `now` (s); return the effects in order."""
        return self._guard.handle(event, now) if self._guard.active else self.step(event, now)

    def step(self, event: events.Event | inputs.Input, now: float) -> list[effects.Effect]:
        """Process an event that the guardrails let through."""
        now = max(now, self._now)
        lane = _SHORT.get(type(event))
        if lane is not None and (done := lane(self, event, now)) is not None:
            return done
        if not self._buffer.online and type(event) in _OF_A_CONNECTION:
            return []
        self._now = now
        self._responses.begin(now)
        _ON[type(event)](self, event)
        self._advance()
        self.deadline = self._next_deadline()
        return self._buffer.take()

    # ----------------------------------------------------------------- short paths

    # Each returns its effects, or None if the event needs the whole machine. A short path changes
    # neither floor nor response slot. It may only postpone `deadline`: a tick that is too early
    # then updates it.

    def _mic_block(self, block: inputs.MicBlock, _: float) -> list[effects.Effect]:
        command = self.microphone.block(block)
        return [] if command is None else [effects.Send(command)]

    def _more_audio(self, delta: events.AudioDelta, now: float) -> list[effects.Effect] | None:
        if not self._responses.continues(delta.response_id, now):
            return None
        play = self._items.more_audio(delta)
        return None if play is None else [play]

    def _heard(self, heard: inputs.Heard, now: float) -> list[effects.Effect]:
        # Some providers end a response only after its last audio was played.
        if self._items.heard(heard):
            self._responses.note_activity(now)
        return self._buffer.take()

    # ----------------------------------------------------------------- state

    @property
    def transcript(self) -> Transcript:
        """The conversation so far; read only."""
        return self._buffer.transcript

    @property
    def online(self) -> bool:
        """True if there is a connection to a provider."""
        return self._buffer.online

    def _next_deadline(self) -> float | None:
        limits = [
            self._items.stop_due, self.meter.due, self._updates.due,
            self._out_of_band.due if self._out_of_band.open else None,
            self._provider_tools.due(self._now) if self._provider_tools.continuation_due else None,
            *self._responses.deadlines,
        ]  # fmt: skip
        heard = self._interruption
        if heard.speech.active or heard.confirm_until is not None:
            limits += heard.deadlines
        return min((at for at in limits if at is not None), default=None)

    @property
    def latency_ms(self) -> float | None:
        """Latency of the last turn, from its end to the first audio or text, in ms."""
        return self._responses.latency_ms

    @property
    def settings(self) -> SessionSettings:
        """The effective settings: those of the microphone input that the provider accepts."""
        return self._updates.settings

    @property
    def asking(self) -> tuple[ToolCall, ...]:
        """Tool calls that wait for the user's decision, local and remote."""
        return self._tool_calls.asking + self._provider_tools.asking

    @property
    def hands_free(self) -> bool:
        """True if the provider's turn detection ends the user's turns."""
        return self.microphone.hands_free

    @property
    def talking(self) -> bool:
        """True if the push-to-talk key is down."""
        return self.microphone.talking

    # ----------------------------------------------------------------- connection

    def _session_created(self, event: events.SessionCreated) -> None:
        self._buffer.online = True
        self._updates.connected()
        self._tool_calls.connected(resumed=event.resumed)
        seeded = self._seeding.send(resumed=event.resumed)
        self._user_items.sent()
        if self._seeding.nothing_left:
            self._responses.request(False)
        is_announced = self._announcements.remove_seeded(seeded)
        if is_announced or any(isinstance(each, commands.ToolResult) for each in seeded):
            self._responses.request()
        self.microphone.connected()

    def _disconnected(self, event: inputs.Disconnected) -> None:
        if event.refused_part:
            self._updates.refused_at_opening(event.reason, event.refused_part)
        unacceptable = event.unacceptable and self.online
        self._buffer.online = False
        if self._tool_calls.waiting or self.transcript.ends_with_call:
            # It is unknown whether a resumed session has the running call.
            self._buffer.do(effects.StartNewSession())
        self._interruption.end_speech()
        self.microphone.disconnected()
        self._responses.connection_lost(may_repeat=not event.too_large)
        self._out_of_band.connection_lost()
        self._provider_tools.connection_lost(self._now)
        self._seeding.connection_lost(unacceptable=unacceptable)

    # ----------------------------------------------------------------- the user

    def _type(self, typed: inputs.Typed) -> None:
        text = typed.text.strip()
        if not text and typed.picture is None:
            return
        if not self._capabilities.text_input:
            self._buffer.do(effects.Notice("This model takes no typed text.", hint="Speak to it."))
            return
        # Typing interrupts the response, like speech; tools and approvals continue.
        self._responses.cancel_request()
        self._responses.interrupt(provider_cancels=False)
        heard = self._interruption
        if heard.speech.active or heard.confirm_until is not None:
            heard.clear()
        if self.microphone.talking:
            self.microphone.drop()
        item = self._user_items.typed(text, typed.picture)
        self._buffer.send(
            commands.CreateMessage(item.item_id, Role.USER.value, text, picture=typed.picture)
        )
        self._responses.request()
        self._responses.turn_ended()

    def _forget(self, event: inputs.ForgetItem | inputs.ForgetLast) -> None:
        entries = self._edits.selected(event)
        running = any(isinstance(e, ToolCall) and not e.state.final for e in entries)
        if running or (entries and entries[-1] is self.transcript.entries[-1]):
            self._stop_everything()
            self._interruption.end_speech()
        self._edits.forget(entries)

    def _stop_everything(self) -> None:
        self._responses.cancel_request()
        self._interruption.barge_in(provider_cancels=False)
        self._tool_calls.interrupt(self._now)
        self._provider_tools.interrupt(self._now)

    def _intervene(self, event: inputs.Intervene) -> None:
        if event.stops:
            self._responses.reject_expected()
            self._stop_everything()
        self._interventions.add(event)

    def _interrupt(self) -> None:
        if self.microphone.talking:
            self.microphone.drop()
            self._buffer.do(effects.Notice("Discarded what you said."))
        self._stop_everything()

    # ----------------------------------------------------------------- responses

    def _response_created(self, event: events.ResponseCreated) -> None:
        if event.out_of_band:
            self._out_of_band.created(event)
        self._responses.created(event)

    def _response_done(self, event: events.ResponseDone) -> None:
        out_of_band = bool(self._out_of_band.open) and self._out_of_band.done(event)
        if event.usage:
            (self.meter.other if out_of_band else self.meter.responded)(event.usage)
        if self._responses.done(event) and self._items.sounding:
            self._interruption.barge_in(provider_cancels=True)

    def _item_added(self, event: events.OutputItemAdded) -> None:
        if event.kind is events.ItemKind.MESSAGE:
            self._provider_tools.continuation_due = False
            self._items.item(event.response_id, event.item_id)
        elif event.kind is events.ItemKind.TOOL_CALL and event.call_id:
            self._tool_calls.entry(
                event.response_id, event.item_id, event.call_id, event.name or ""
            )
        elif event.kind is events.ItemKind.OTHER:
            self._responses.note_output(event.response_id)

    # ----------------------------------------------------------------- tools

    def _call_ready(self, event: events.ToolCallReady) -> None:
        alive = self._responses.is_live(event.response_id)
        self._tool_calls.ready(event, self._now, alive=alive)

    def _remote_call(self, event: events.RemoteCall) -> None:
        if event.response_id:
            self._responses.is_live(event.response_id)
        self._provider_tools.changed(event, self._now)

    def _offer(self, offer: inputs.OfferTools) -> None:
        self._tool_calls.offer(offer.tools, self._now)
        if self.microphone.offer(offer.tools):
            self._updates.send()

    def _decide(self, decided: inputs.Decided) -> None:
        if not self._tool_calls.decide(decided, self._now):
            self._provider_tools.decided(decided)
        if self._responses.awaits_answer:
            # The time for the decision is not latency.
            self._responses.turn_ended()

    # ----------------------------------------------------------------- time

    def _tick(self, _: inputs.Tick) -> None:
        self._interruption.tick(self._now)
        if self._items.stop_due is not None and self._now >= self._items.stop_due:
            self._items.stopped({}, self._now)
        if self._provider_tools.is_working(self._now):
            self._responses.note_activity(self._now)
        self._out_of_band.tick(self._now)
        if self._updates.due is not None:
            self._updates.tick(self._now)
        self.meter.tick(self._now)
        if self._responses.tick():
            self._interruption.barge_in(provider_cancels=False)

    # ----------------------------------------------------------------- shared steps

    def _advance(self) -> None:
        """Request the response that is due, and update the floor."""
        remote = self._provider_tools
        if remote.continuation_due and not (self._responses.busy or remote.is_working(self._now)):
            remote.continuation_due = False
            self._responses.expect_more()
        here = self._presence
        here.user_speaking = self._interruption.speech.active
        here.held = self._interruption.confirm_until is not None
        busy = here.user_speaking or self.microphone.talking or self._items.truncation_due
        free = self.online and not busy and self._updates.due is None
        if (
            free
            and not (self._responses.busy or self._items.sounding)
            and self._announcements.waiting
            and self._announcements.send_all()
        ):
            self._responses.request()
        self._responses.settle(free=free)
        here.talking = self.microphone.talking
        here.open_mic = self.online and self.microphone.hands_free
        writing = not self._items.speaker and self._responses.running and self._items.ends_with_text
        here.sounding = self._items.audible or writing
        here.response_pending = self._responses.response_pending or self._items.sounding
        here.tools = self._tool_calls.waiting or bool(self._provider_tools.undecided)
        floor = here.floor()
        if floor is not self.floor:
            self.floor = floor
            self._buffer.do(effects.FloorChanged(floor))


_OF_A_CONNECTION = frozenset(get_args(events.Event)) - {events.SessionCreated, events.UsageReported}
"""Events that are ignored without a connection. Usage counts after its end, too."""

_Step = Callable[[Conversation, Any], object]


def _nothing(conversation: Conversation, event: object) -> None:
    """Ignore the event."""


def _reply(step: Callable[[AssistantItems, Any], None]) -> _Step:
    """Return a step for the assistant's items."""
    return lambda c, e: step(c._items, e)


def _if_alive(step: _Step) -> _Step:
    """Return a step for live responses only."""
    return lambda c, e: step(c, e) if c._responses.is_live(e.response_id) else None


def _if_wanted(step: _Step) -> _Step:
    """Return a step for text, which may arrive after its response unless that was silenced.

    Text of an out-of-band response goes to its request.
    """
    return lambda c, e: (
        step(c, e)
        if not (c._out_of_band.open and c._out_of_band.text(e))
        and c._responses.is_valid(e.response_id)
        else None
    )


_C = Conversation
_ON: dict[type[Any], _Step] = {
    # the connection
    events.SessionCreated: _C._session_created,
    inputs.Disconnected: _C._disconnected,
    # the user
    inputs.Typed: _C._type,
    inputs.SayVerbatim: lambda c, e: c._responses.say(e.text),
    inputs.Interrupt: lambda c, e: c._interrupt(),
    events.SessionUpdated: lambda c, e: c._updates.accepted(),
    inputs.Configure: lambda c, e: c.microphone.configure(e.settings),
    inputs.AskOutOfBand: lambda c, e: c._out_of_band.ask(e, c._now),
    inputs.CancelOutOfBand: lambda c, e: c._out_of_band.cancel(e.key),
    # the transcript
    inputs.InsertMessage: lambda c, e: c._edits.insert(e),
    **dict.fromkeys((inputs.ForgetItem, inputs.ForgetLast), _C._forget),
    inputs.FetchItem: lambda c, e: c._edits.fetch(e),
    events.ItemRetrieved: lambda c, e: c._buffer.do(effects.ItemFetched(e.item_id, e.item)),
    inputs.Talk: lambda c, e: c._interruption.talk(e, c._now, is_closed=c._gate.closed),
    inputs.HandsFree: lambda c, e: c._interruption.set_hands_free(e.on),
    # speech detected by the provider
    events.SpeechStarted: lambda c, e: c._interruption.speech_started(e, c._now),
    events.SpeechStopped: lambda c, e: c._interruption.speech_stopped(e, c._now),
    events.InputCommitted: lambda c, e: c._interruption.committed(e, c._now),
    events.IdleTimeout: lambda c, e: c._user_items.hide_idle_timeout(e),
    events.UserTranscript: lambda c, e: c._interruption.user_transcript(e, c._now),
    # speech detected by the audio process
    inputs.LocalSpeech: lambda c, e: c._interruption.local_speech(e, c._now),
    inputs.VoiceEnded: lambda c, e: c._interruption.voice_ended(e),
    # responses
    events.ResponseCreated: _C._response_created,
    events.ResponseDone: _C._response_done,
    events.UsageReported: lambda c, e: c.meter.other(e.usage, delegated=e.delegated),
    events.RateLimits: lambda c, e: c.meter.limited(e, c._now),
    events.OutputItemAdded: _if_alive(_C._item_added),
    events.AudioDelta: _if_alive(_reply(AssistantItems.audio)),
    events.AudioDone: _if_alive(_reply(AssistantItems.audio_done)),
    events.TextDelta: _if_wanted(_reply(AssistantItems.text)),
    events.TextDone: _if_wanted(_reply(AssistantItems.text_done)),
    # playback
    events.ItemTruncated: _reply(AssistantItems.truncated),
    inputs.PlaybackStarted: _reply(AssistantItems.playback_started),
    inputs.PlaybackFinished: _reply(AssistantItems.playback_finished),
    inputs.PlaybackStopped: lambda c, e: c._items.stopped(e.heard, c._now),
    inputs.SpeakerChanged: lambda c, e: c._items.set_speaker(e.present),
    # tools
    events.ToolArgumentsDelta: _if_alive(lambda c, e: c._tool_calls.arguments(e)),
    events.ToolCallReady: _C._call_ready,
    events.ToolCallsCancelled: lambda c, e: c._responses.calls_cancelled(e),
    inputs.ToolProgressed: lambda c, e: c._tool_calls.progressed(e),
    inputs.ToolFinished: lambda c, e: (c._tool_pictures if e.pictures else c._tool_calls).finished(
        e, c._now
    ),
    inputs.OfferTools: _C._offer,
    inputs.OfferGuardrails: lambda c, e: c._guard.offer(e),
    inputs.Intervene: _C._intervene,
    inputs.Decided: _C._decide,
    inputs.BudgetChecked: lambda c, e: c._gate.answered(e, c._now),
    inputs.Announce: lambda c, e: c._announcements.add(e),
    events.RemoteTools: lambda c, e: c._provider_tools.tools_listed(e),
    events.RemoteCall: _C._remote_call,
    events.RemoteApproval: lambda c, e: c._provider_tools.approval_requested(e),
    # errors and time
    events.ProviderError: lambda c, e: c._errors.take(e),
    inputs.Tick: _C._tick,
    # ignored
    **dict.fromkeys((events.SessionEnding, events.ResumptionHandle, events.Unmapped), _nothing),
    **dict.fromkeys((events.ItemAdded, events.ItemDeleted), _nothing),
    **dict.fromkeys((events.OutputItemDone, events.TranscriptSegment), _nothing),
    **dict.fromkeys((events.InputCleared, events.KeypadPressed), _nothing),
    **dict.fromkeys((inputs.LocalSpeechEnded, inputs.GuardrailAnswered), _nothing),
}
"""Event or input -> step: the whole conversation at a glance."""

_SHORT: dict[type[Any], Callable[[Conversation, Any, float], list[effects.Effect] | None]] = {
    inputs.MicBlock: _C._mic_block,
    inputs.Heard: _C._heard,
    events.AudioDelta: _C._more_audio,
}
"""Event or input -> short path, for the frequent ones."""
