"""A live session: joins provider, audio and tools, and executes the effects of a conversation.

`Session.run` opens the audio and, for the embedded voice, starts the server. Then one connection
follows another until the user closes the session or no connection is possible. Every event and
input except microphone blocks (`audio_link`) passes `_handle`: the conversation turns it into
effects, and `_execute` executes them.

The session sees a `Codec`, never a provider, and knows no screen: it publishes everything on its
event stream, to which screens, line mode, recorder and earcons subscribe.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from voicechat.audio import messages as sound
from voicechat.core import effects, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.items import Transcript
from voicechat.core.text import clean, has_key
from voicechat.errors import BudgetSpent, CallEnded, VoicechatError, first_error
from voicechat.session.audio_link import AudioLink, AudioReceiver, OpenAudio, SoundLine
from voicechat.session.call_controls import CallControls
from voicechat.session.controls import SETTLED
from voicechat.session.device_choice import DeviceChoice, with_devices
from voicechat.session.earcons import play_earcons
from voicechat.session.event_stream import Direction, EventStream, RawFrame, without_keys
from voicechat.session.images import PATH_MARKS
from voicechat.session.key_mask import KeyMask
from voicechat.session.latency_log import LatencyLog
from voicechat.session.model import ChosenModel
from voicechat.session.reconnect import ConnectionLoop
from voicechat.session.requested_settings import sound_settings
from voicechat.session.session_recording import SessionRecording, StartRecording
from voicechat.session.sound_notices import other_devices
from voicechat.session.updates import (
    LevelsChanged,
    Link,
    LinkChanged,
    ModelChanged,
    SoundChanged,
    Update,
)
from voicechat.system.task_group import TaskGroup

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.history.stored_conversation import StoredConversation
    from voicechat.providers.codec import Codec
    from voicechat.session.budget_watch import Ledger
    from voicechat.tools.guardrails import Guardrail
    from voicechat.tools.registry import Tool
    from voicechat.tools.tool_context import AppCommand


ACCOUNT_S = 0.3
"""Seconds after an answer until its usage is counted."""

RETRY_S, LONGEST_RETRY_S = 15.0, 240.0
"""Seconds until an offline session tries to connect again, and the longest such wait."""


class Session(CallControls):
    """One conversation of the user with a model.

    Raises `UsageError` or `KeyMissing` if the options name no available model. Call `subscribe`
    before `run`. Call all methods on the event loop; they return at once.
    """

    def __init__(
        self,
        options: Options,
        *,
        tools: Iterable[Tool] = (),
        guardrails: Iterable[Guardrail] = (),
        open_audio: OpenAudio | None = None,
        start_recording: StartRecording | None = None,
        open_ledger: Callable[[], Ledger] | None = None,
        commands: Callable[[Session], tuple[AppCommand, ...]] | None = None,
        keeps_history: bool = False,
        stored: StoredConversation | None = None,
    ) -> None:
        """`tools` and `guardrails` come before all others. `open_audio` replaces the audio process.

        `commands` returns the commands of the app that the model may run.
        `start_recording` is called if the options name a folder to record into. `open_ledger`
        opens the usage of all sessions; without it only this session counts for a budget.
        `stored` is the conversation of the history to continue.
        """
        from voicechat.session.guardrail_runner import GuardrailRunner
        from voicechat.session.tool_runner import ToolRunner
        from voicechat.session.toolbox import Toolbox
        from voicechat.tools.journal import Journal

        self._stream = EventStream()
        self._mask = KeyMask(options)
        self._options = options
        super().__init__(
            ChosenModel(options, lambda: self._tools.specs, self._report_startup, self._warn),
            open_ledger,
        )
        self._tools = Toolbox(
            options,
            self._handle,
            self._publish_update,
            self._announce,
            commands(self) if commands is not None else (),
        )
        self._tools.registry.add(tools)
        self._open_audio = open_audio
        self._audio: AudioLink | None = None
        self._sound = sound.AudioSettings()
        self._sound_opened_once = False
        self._devices = DeviceChoice()
        self._conversation = self._new_conversation(stored.transcript() if stored else None)
        self._connections = ConnectionLoop(
            self._next_codec,
            lambda: self._conversation.settings,
            without_keys(self._mask.keys, self._handle),
            lambda: self.floor,
            self._set_link,
            trace=self._trace,
            warn=self._warn,
        )
        self._receiver = AudioReceiver(
            self._conversation, self._connections, self._stream, self._on_audio_event
        )
        self._latency = LatencyLog(
            lambda: self.model, lambda: self._connections.connection, self._budget.turns
        )
        self._latency.follow(self._stream)
        self._journal = Journal()
        self._runs = ToolRunner(self._tools, self._journal, self._handle, self._publish_update)
        self._guardrails = GuardrailRunner(self._handle, self._warn, options.guardrails, guardrails)
        self._tools.take_guardrails = self._guardrails.add
        if options.earcons:
            play_earcons(self._stream, lambda cue: self._play(sound.Cue(cue)))
        self._closing = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._retries = 0
        """Attempts to connect in a row that no action of the user asked for."""
        self._recording: SessionRecording | None = None
        if start_recording is not None and options.record is not None:
            self._recording = start_recording(
                self._stream,
                options,
                self._chosen.settings,
                self._chosen.capabilities,
                self._publish_update,
            )
        self._stored = stored
        if keeps_history:
            from voicechat.session.conversation_log import keep_history

            self._log = keep_history(self, self._stream, options, self._mask.text, stored)
            if options.history_titles == "model":
                from voicechat.session.title_request import TitleRequest

                TitleRequest(self, self._stream, self._log)
        self._guardrails.offer()
        self._publish(ModelChanged(self.model, self.voice))

    def _new_conversation(self, transcript: Transcript | None = None) -> Conversation:
        with_sound = self._options.with_sound
        return Conversation(
            self._chosen.settings,
            self._chosen.capabilities,
            transcript=transcript,
            has_budget=self._budget.has_limits,
            hands_free=self._has_turn_detection,
            speaker=with_sound and (self.speaker is not None or self._audio is None),
        )

    # ----------------------------------------------------------------- state

    @property
    def recording(self) -> bool:
        """True while the session is recorded."""
        return self._recording is not None and self._recording.is_recording

    def type(self, text: str) -> None:
        """Send a typed line, or show the image whose path it is. Interrupts the assistant."""
        if self._options.call is not None:
            self.instruct(text)
        elif PATH_MARKS.isdisjoint(text) and not has_key(text):
            self._handle(inputs.Typed(text))
        else:
            self._type_unusual(text)

    # ----------------------------------------------------------------- for the controls

    def _codec(self) -> Codec | None:
        return self._connections.codec

    def _renew(self) -> None:
        self._connections.renew()

    def _disconnect(self, error: VoicechatError) -> None:
        self._connections.stop(error)

    def _restart_conversation(
        self, why: str, transcript: Transcript | None = None, is_new_peer: bool = False
    ) -> None:
        """Start another conversation on a new connection, empty or seeded with this transcript."""
        self._handle(inputs.Interrupt())
        self._handle(inputs.Disconnected(why))
        before = self._conversation
        self._conversation = self._new_conversation(transcript)
        self._receiver.conversation = self._conversation
        self._handle(inputs.SpeakerChanged(self.speaker is not None))
        self._handle(inputs.HandsFree(before.hands_free))
        self._connections.renew(new_session=True, is_new_peer=is_new_peer)
        self._set_link(Link.CONNECTING, why)
        self._publish_model()
        self._publish_mode()

    def close(self) -> None:
        """End the session; `run` returns soon after."""
        self._closing.set()

    # ----------------------------------------------------------------- running

    async def run(self) -> None:
        """Run until `close`. Raises `VoicechatError` if the session cannot start or continue."""
        failure: VoicechatError | None = None
        try:
            async with TaskGroup() as tasks:
                self._tasks = self._runs.tasks = self._guardrails.tasks = tasks
                tools = tasks.create_task(self._tools.run())
                living = tasks.create_task(self._live())
                closing = tasks.create_task(self._closing.wait())
                await asyncio.wait({living, closing}, return_when=asyncio.FIRST_COMPLETED)
                self._runs.stop_all()
                self._tasks = self._guardrails.tasks = None
                for task in (tools, living, closing):
                    task.cancel()
        except* VoicechatError as group:
            failure = first_error(group)
        finally:
            await self._end()
        if failure is not None:
            raise failure

    async def _live(self) -> None:
        await self._open_sound()
        await self._find_model()
        while True:
            try:
                await self._budget.require()
                await self._connections.run()
            except VoicechatError as error:
                if self._closing.is_set():
                    return  # a task group that ends may swallow the cancellation
                if not isinstance(error, BudgetSpent) and self._continue_otherwise(error):
                    continue
                if isinstance(error, CallEnded) or not self._waits_offline:
                    raise
                await self._wait_offline(error)

    @property
    def _waits_offline(self) -> bool:
        has_begun = bool(self._connections.sessions_created or self.transcript.entries)
        waits = has_begun or self.offline_error is not None or self.budget_used_up
        return self.outlives_connections and waits

    async def _wait_offline(self, error: VoicechatError) -> None:
        """Wait until the user wants a connection, or until the server may be back."""
        if not self._retries:
            self._tell_offline(error)
        self.offline_error = error
        self._handle(inputs.Disconnected(error.message))
        self._set_link(Link.OFFLINE, "" if self.budget_used_up else error.message)
        wait_s = min(RETRY_S * 2**self._retries, LONGEST_RETRY_S)
        may_return = getattr(error, "retry", False)
        is_wanted = await self._connections.wait_for_renewal(wait_s if may_return else None)
        self._retries = 0 if is_wanted else self._retries + 1
        self._set_link(Link.CONNECTING, f"Connecting to {self.model}")

    async def _find_model(self) -> None:
        if self.recording:
            self._publish_update(
                effects.Notice(f"Recording to {clean(str(self._options.record))}.")
            )
        await self._chosen.find()
        if not (self._options.model or self._options.call):
            self._publish_update(effects.Notice(self._chosen.choice.why))
        self._publish_model()
        for sentence in (*self._options.warnings, *self._chosen.unsupported_settings):
            self._warn(sentence)
        if self._stored is not None:
            self._report_continued(self._stored)
        self._set_link(Link.CONNECTING, f"Connecting to {self.model}")

    def _report_startup(self, progress: str) -> None:
        """Report the progress of the embedded voice."""
        self._set_link(Link.CONNECTING, progress)

    async def _next_codec(self) -> Codec:
        """Return the codec of the next connection when everything it needs is ready."""
        if self._closing.is_set():
            raise asyncio.CancelledError  # a task group that ended may have swallowed it
        codec = await self._chosen.codec()
        await self._match_sound()
        await self._tools.ready.wait()
        return codec

    async def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._audio is not None:
            audio, self._audio = self._audio, None
            await audio.close()
        await self._chosen.stop()
        self._account()
        await self._budget.close()
        self._journal.close()
        if self.link is not Link.OFFLINE:
            self._set_link(Link.OFFLINE)
        self._stream.close()
        for kept in (self._recording, self._log):
            if kept is not None:
                await asyncio.to_thread(kept.close)

    # ----------------------------------------------------------------- events and inputs

    def _handle(self, event: events.Event | inputs.Input) -> None:
        """Process an event or an input, and execute its effects at once."""
        now = time.monotonic()
        if isinstance(event, events.UserTranscript):
            event = self._conversation.microphone.transcript(event)
        self._stream.publish(event, now)
        for effect in self._conversation.handle(event, now):
            self._stream.publish(effect, now)
            self._execute(effect)
        if isinstance(event, inputs.Typed) and self.link is Link.OFFLINE:
            self._connections.renew()
        if self._budget.has_limits:
            self._keep_budget(event)
        if isinstance(event, events.SessionCreated):
            self.offline_error, self._retries = None, 0
            self._confirm_model()
            if self._connections.sessions_created == 1 and self._sound_opened_once:
                self._play(sound.Cue("ready"))
        self._arm_timer()

    def _execute(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send(command):
                self._connections.send(command)
                return
            case effects.Play():
                self._play(effect)
                return
        match effect:
            case _ if isinstance(effect, sound.AudioEffect):
                self._play(effect)
            case effects.Recycle(reason):
                self._publish_update(effects.Notice(reason, effects.Level.WARNING))
                self._connections.renew()
            case effects.StartNewSession():
                self._connections.renew(new_session=True)
            case effects.UsageChanged(_, added, source):
                self._used.append((self._chosen.connected_name, source, added))
                self._account_soon()
            case effects.CheckBudget():
                self._check_budget(is_due=True)
            case effects.RunTool() | effects.CancelTools() | effects.KeepApproval():
                self._runs.settle(effect)
            case _ if isinstance(effect, SETTLED):
                self._settle(effect)

    def _account_soon(self) -> None:
        """Count the usage: at once for a budget, else when the answer is out of the way."""
        if self._budget.has_limits:
            self._account()
        elif len(self._used) == 1:
            asyncio.get_running_loop().call_later(ACCOUNT_S, self._account)

    def _arm_timer(self) -> None:
        deadline = self._conversation.deadline
        if deadline == self._armed_for:
            return
        self._armed_for = deadline
        if self._timer is not None:
            self._timer.cancel()
        if deadline is not None:
            loop = asyncio.get_running_loop()
            at = loop.time() + deadline - time.monotonic()
            self._timer = loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._armed_for = None
        self._handle(inputs.Tick())

    # ----------------------------------------------------------------- sound

    async def _open_sound(self) -> None:
        options = self._options
        if not options.with_sound:
            return
        self._sound = sound_settings(options, self._conversation.settings)
        self._audio = (self._open_audio or SoundLine)(self._sound, self._receiver.receive)
        self._play(effects.CloseMic(not self._conversation.hands_free))

    async def _match_sound(self) -> None:
        """Reopen the audio if this model has other sample rates, or its settings changed."""
        if self._audio is None:
            return
        if sound_settings(self._options, self._conversation.settings) != self._sound:
            audio, self._audio = self._audio, None
            await audio.close()
            self._conversation.microphone.drop_kept()  # it has the other rate
            await self._open_sound()
            self._play(sound.Mute(self.muted))
            self._play(sound.Volume(self.volume / 100))

    def use_device(self, kind: Literal["input", "output"], name: str) -> None:
        """Open another microphone ("input") or speaker ("output").

        `name` is a part of its name, or "default" for the default device of the system. An update
        reports the opened device. If none opens, a notice says why, and the old one stays.
        """
        used = self.microphone if kind == "input" else self.speaker
        self._open_devices(self._devices.choose(self._options, kind, name, used))

    def _open_devices(self, options: Options) -> None:
        self._options, self._sound = options, with_devices(self._sound, options)
        self._play(sound.UseDevices(options.input_device, options.output_device))

    def _play(self, command: sound.AudioCommand) -> None:
        if self._audio is not None:
            self._audio.send(command)

    def _on_audio_event(self, event: sound.AudioEvent) -> None:
        match event:
            case sound.Levels(mic, speaker, mic_peak, speaker_peak, hears):
                self.loudness = LevelsChanged(mic, speaker, mic_peak, speaker_peak, hears)
                self._publish_update(self.loudness)
            case sound.Opened():
                self._sound_opened(event)
            case sound.Switched(kind, name):
                self._sound_switched(kind, clean(name))
            case sound.DigitalSilence():
                self._microphone_silent(event)
            case sound.EchoGuarded(on, raised):
                self._echo_guarded(on, raised)
            case sound.Problem(text, hint):
                self._publish_update(effects.Notice(text, effects.Level.WARNING, hint))
            case sound.Played() | sound.Underrun():
                self._publish(event)
            case _:
                self._handle(event)

    def _sound_opened(self, opened: sound.Opened) -> None:
        if taken_back := self._devices.take_back(self._options, opened):
            options, notice = taken_back
            self._publish_update(notice)
            self._open_devices(options)
            return
        for notice in other_devices(self.microphone, self.speaker, opened):
            self._publish_update(notice)
        self._remember_devices(opened)
        if not self._sound_opened_once and self._connections.sessions_created:
            self._play(sound.Cue("ready"))
        self._sound_opened_once = True
        self.microphone, self.speaker = opened.input_name, opened.output_name
        self._handle(inputs.SpeakerChanged(self.speaker is not None))
        self._handle(inputs.HandsFree(self.microphone is not None and self._wants_hands_free))
        self._publish_update(
            SoundChanged(self.microphone, self.speaker, opened.problem, opened.hint)
        )
        self._publish_mode()

    # ----------------------------------------------------------------- publishing

    def _publish(self, event: object) -> None:
        self._stream.publish(event, time.monotonic())

    def _publish_update(self, update: Update) -> None:
        self._publish(update)

    def _trace(self, direction: Direction, frames: Sequence[str | bytes]) -> None:
        """Publish frames of the connection if a subscription wants them."""
        if not self._stream.wanted(RawFrame):
            return
        now = time.monotonic()
        apart = self.capabilities.separate_sound
        for frame in frames:
            if apart and isinstance(frame, bytes):
                continue  # sound, which the events carry
            masked, size = self._mask.frame(frame)
            self._stream.publish(RawFrame(direction, masked, now, size), now)

    def _set_link(self, link: Link, text: str = "") -> None:
        self.link = link
        self._publish_update(LinkChanged(link, text))
