"""All actions of a live session, in one place.

Call the methods on the event loop. They return at once, except the coroutines.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count, takewhile
from typing import TYPE_CHECKING

from voicechat.audio import messages as sound
from voicechat.core import commands, effects, inputs
from voicechat.core.items import Role, Transcript, entry_id
from voicechat.core.settings import Capabilities, Permission, SessionSettings, ToolSpec
from voicechat.core.text import has_key
from voicechat.errors import UsageError, VoicechatError
from voicechat.providers.codec import deferred, unsupported
from voicechat.session.aside_controls import AsideControls
from voicechat.session.images import PATH_MARKS, ImageInput, Place, named, places
from voicechat.session.model import ChosenModel
from voicechat.session.pending_requests import PendingRequests
from voicechat.session.request_controls import KEY_HINT, KEY_TYPED
from voicechat.session.sound_notices import ECHO_THRESHOLD_RAISED, SilenceNotices, device_switched
from voicechat.session.updates import (
    Cleared,
    ModeChanged,
    ModelChanged,
)

if TYPE_CHECKING:
    from voicechat.history.stored_conversation import StoredConversation
    from voicechat.session.budget_watch import Ledger
    from voicechat.session.conversation_log import ConversationLog
    from voicechat.tools.question import Question

SETTLED = (
    effects.OutOfBandAnswered, effects.CheckGuardrail, effects.ItemFetched, effects.SettingsRefused,
)  # fmt: skip
"""Effects that the controls carry out."""

_SESSION_FIELDS = frozenset(SessionSettings.__dataclass_fields__) - {"voice", "instructions"}
"""Fields that the settings file overrides for the session."""


class SessionControls(AsideControls):
    """Actions of a live session. `Session` adds the connections and the audio."""

    def __init__(
        self, chosen: ChosenModel, open_ledger: Callable[[], Ledger] | None = None
    ) -> None:
        super().__init__(chosen, open_ledger)
        self.model = chosen.name
        self.voice = chosen.options.voice or ""
        self._images = ImageInput(self._handle, self._publish_update)
        self._requests = PendingRequests(self._handle)
        self._inserted = count(1)
        self._voice_before = chosen.options.voice
        """The voice before the last change; it returns if the provider refuses the new one."""
        self._silence = SilenceNotices()
        self._echo_raised = False
        self._wants_hands_free = not chosen.options.push_to_talk

    # ----------------------------------------------------------------- what the session provides

    @abstractmethod
    def _execute(self, effect: effects.Effect) -> None:
        """Carry out an effect of the conversation."""

    @abstractmethod
    def _restart_conversation(
        self, why: str, transcript: Transcript | None = None, is_new_peer: bool = False
    ) -> None:
        """Start another conversation on a new connection, empty or seeded with this transcript."""

    # ----------------------------------------------------------------- state

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the current model."""
        return self._chosen.capabilities

    @property
    def pending(self) -> bool:
        """True while an image, a report, the budget or what was said last is checked or read."""
        busy = self._images.reading or self._jobs or self._is_stopping
        return bool(busy or self._guardrails.running)

    @property
    def history(self) -> ConversationLog | None:
        """Keeps the conversation in the history; None if it is not kept."""
        return self._log

    @property
    def conversation_id(self) -> str:
        """Id of the conversation in the history; empty if it is not kept."""
        return self._log.conversation_id if self._log and self._log.is_recording else ""

    @property
    def instructions(self) -> str:
        """Instructions for the model."""
        return self._chosen.settings_without_tools.instructions or ""

    @property
    def speaking_rate(self) -> float:
        """Speaking rate; 1 is normal."""
        return self._chosen.settings_without_tools.speed or 1.0

    @property
    def voices(self) -> tuple[str, ...]:
        """Voices of this model; empty when they are unknown."""
        return self._chosen.voices

    def _confirm_model(self) -> None:
        """Note that the model works, and ask its provider for its voices in the background."""
        self._chosen.confirm(self._codec())
        if self._tasks is not None and self._chosen.lists_voices:
            self._tasks.create_task(self._chosen.list_voices())

    def may_have_voice(self, name: str) -> bool:
        """Return False if this model is known not to have this voice."""
        return self._chosen.may_have_voice(name)

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """The tools that the model can call."""
        return tuple(spec for spec in self._tools.specs if spec.permission is not Permission.NEVER)

    @property
    def losses(self) -> str:
        """What the end of the session loses, in sentences; empty if that is nothing."""
        return self._tools.losses

    @property
    def waiting_servers(self) -> tuple[str, ...]:
        """Names of the MCP servers that wait for permission to start."""
        return self._tools.waiting_servers

    # ----------------------------------------------------------------- devices

    def _echo_guarded(self, on: bool, raised: bool) -> None:
        """Note if the echo canceller is trusted, and tell the user when the threshold rises."""
        self.half_duplex = on
        if raised and not self._echo_raised:
            self._publish_update(ECHO_THRESHOLD_RAISED)
        self._echo_raised = raised
        self._publish_mode()

    def _microphone_silent(self, silence: sound.DigitalSilence) -> None:
        self.microphone_is_silent = not silence.ended
        if notice := self._silence.take(silence):
            self._publish_update(notice)
        self._publish_mode()

    # ----------------------------------------------------------------- turns

    def _type_unusual(self, text: str) -> None:
        """Send a typed line that may hold a key, or show the image whose path it may be."""
        candidates = [] if PATH_MARKS.isdisjoint(text) else places(text)
        if candidates and self._tasks is not None:
            self._show(candidates, text)
        else:
            if has_key(text):
                self._publish_update(effects.Notice(KEY_TYPED, effects.Level.WARNING, KEY_HINT))
            self._handle(inputs.Typed(text))

    def say(self, text: str) -> None:
        """Speak this text word for word, without the model. Interrupts the assistant.

        Raises `UsageError` if the provider cannot.
        """
        if not self.capabilities.verbatim:
            raise UsageError(
                f"{self.model} cannot speak a given text.", "Use a model of xAI, or ask for it."
            )
        self._handle(inputs.SayVerbatim(text))

    def show(self, argument: str) -> None:
        """Show the image whose path begins the argument, with the text that follows.

        Raises `UsageError` if there is no path. A notice reports a missing image.
        """
        candidates = named(argument)
        if not candidates:
            raise UsageError("/image takes the path of an image and, optionally, words.")
        self._show(candidates)

    def _show(self, candidates: list[Place], fallback: str | None = None) -> None:
        if self._tasks is not None:
            chosen = self._chosen
            self._images.start(self._tasks, candidates, chosen.capabilities, chosen.name, fallback)

    def interrupt(self) -> None:
        """Stop playback, responses and tools; deny calls that wait for a decision.

        Discards a push-to-talk turn that is being spoken.
        """
        self._handle(inputs.Interrupt())
        self._publish_mode()

    def decide(
        self, call_id: str, arguments: str, decision: inputs.Decision, reason: str = ""
    ) -> None:
        """Decide on a tool call that asks, after it was shown completely.

        `reason` explains a denial to the model. For keys, clicks and typed commands only. Has no
        effect if the call no longer asks or if its arguments differ.
        """
        self._handle(inputs.Decided(call_id, arguments, decision, reason))

    def talk(self, on: bool) -> None:
        """Push-to-talk: start (`on`) or end a spoken turn. Ignored while hands-free."""
        self._handle(inputs.Talk(on))
        self._publish_mode()

    # ----------------------------------------------------------------- audio

    def set_hands_free(self, on: bool) -> None:
        """Select whether turns end automatically (`on`) or by `talk`."""
        if on and self.microphone is None:
            self._publish_update(effects.Notice("There is no microphone.", effects.Level.WARNING))
            return
        self._wants_hands_free = on
        self._handle(inputs.HandsFree(on))
        self._publish_mode()

    def set_muted(self, on: bool) -> None:
        """Mute or unmute the microphone; while muted, the provider receives silence."""
        self.muted = on
        self._play(sound.Mute(on))
        self._publish_mode()

    def set_volume(self, percent: int) -> None:
        """Set the playback volume in percent, 0 to `MAX_VOLUME`."""
        self.volume = percent
        self._play(sound.Volume(percent / 100))

    def _remember_devices(self, opened: sound.Opened) -> None:
        """Remember the devices of this command, once they have opened."""
        sides = (("input", opened.input_name), ("output", opened.output_name))
        kinds = [kind for kind, name in sides if name is not None]
        if self._tasks is not None and not self._options.typed_devices.keys().isdisjoint(kinds):
            from voicechat.config.remembered_devices import remember

            self._tasks.create_task(asyncio.to_thread(remember, self._options, kinds))

    def _sound_switched(self, kind: str, name: str) -> None:
        if kind == "input":
            self.microphone = name
        else:
            self.speaker = name
        noun = "microphone" if kind == "input" else "speaker"
        self._publish_update(device_switched(noun, name))

    def _publish_mode(self) -> None:
        self._publish_update(ModeChanged(self.muted, self.hands_free, self.talking))

    # ----------------------------------------------------------------- tools

    def allow_server(self, server: str) -> None:
        """Allow the program of a waiting MCP server to run. Raises `UsageError` if none waits."""
        self._tools.allow_server(server)

    @property
    def questions(self) -> tuple[Question, ...]:
        """Questions of MCP servers that wait for the user, the oldest first."""
        return self._tools.questions.waiting

    def answer_question(self, number: int, text: str) -> None:
        """Answer with `name=value …`, or with the value of the only field.

        Raises `UsageError` if no such question waits or a value does not fit.
        """
        self._tools.questions.answer(number, text)

    def decline_question(self, number: int) -> None:
        """Decline to answer. Raises `UsageError` if no such question waits."""
        self._tools.questions.decline(number)

    def dismiss_questions(self) -> None:
        """Dismiss all questions, because no user is present."""
        self._tools.questions.dismiss_all()

    async def wait_for_tools(self) -> None:
        """Wait until plugins and MCP servers have offered their tools or timed out."""
        await self._tools.complete.wait()

    # ----------------------------------------------------------------- the transcript

    def new_conversation(self) -> None:
        """Clear the transcript and start again on a new connection."""
        self._begin("Starting a new conversation.", None)

    def continue_conversation(self, stored: StoredConversation) -> None:
        """File the conversation away and continue this one of the history, or fork it."""
        self._begin("Opening a past conversation.", stored)
        self._report_continued(stored)

    def _begin(self, why: str, stored: StoredConversation | None) -> None:
        self._restart_conversation(why, stored.transcript() if stored else None)
        if self._log is not None:
            self._log.begin(stored)
        self._publish_update(Cleared())
        self._handle(inputs.OfferTools(self._tools.specs))
        self._guardrails.restart()

    def _report_continued(self, stored: StoredConversation) -> None:
        verb = "Forked" if stored.is_fork else "Continuing"
        text, hint = f'{verb} "{stored.row.title}".', ""
        if self._log is not None and self._log.forks_open_one:
            text = f'"{stored.row.title}" is open in another voicechat. This is a fork of it.'
            hint = "The conversation there goes on without it."
        self._publish_update(effects.Notice(text, hint=hint))
        if not self.capabilities.text_input:
            text = f"{self.model} takes no text, so it does not know the conversation so far."
            self._publish_update(effects.Notice(text, effects.Level.WARNING))

    def edit_message(self, item_id: str, text: str) -> None:
        """Send this text in place of a message, on a new session seeded with what precedes it."""
        before = takewhile(lambda entry: entry_id(entry) != item_id, self.transcript.entries)
        kept = Transcript()
        for entry in before:
            kept.add(entry)
        self._restart_conversation("Going on from an earlier message.", kept)
        self._publish_update(Cleared(is_new=False))
        self._handle(inputs.OfferTools(self._tools.specs))
        self._guardrails.restart()
        self.type(text)

    def insert(self, role: Role, text: str, after: str | None = None) -> str:
        """Insert a message after the item `after` or at the end; return its id. No response."""
        ids = (f"inserted_{number}" for number in self._inserted)
        item_id = next(each for each in ids if self.transcript.get(each) is None)
        self._handle(inputs.InsertMessage(item_id, role.value, text, after))
        return item_id

    def forget(self, entry_id: str) -> None:
        """Delete an item or a tool call, here and at the provider."""
        self._handle(inputs.ForgetItem(entry_id))

    def forget_last(self) -> None:
        """Delete the user's last turn and everything after it, if there is one."""
        self._handle(inputs.ForgetLast())

    async def fetch(self, item_id: str) -> Mapping[str, object]:
        """Return an item as the provider stores it, in the shape of its API.

        Raises `SessionLost` if the provider does not return it.
        """
        return await self._requests.fetch(item_id)

    def clear_output(self) -> None:
        """Drop the sound of the reply that the provider has buffered for a call (WebRTC, SIP).

        Raises `UsageError` if the provider has no such buffer.
        """
        if not self.capabilities.clear_output:
            raise UsageError("This provider has no buffer of sound to clear.")
        self._execute(effects.Send(commands.ClearOutput()))

    # ----------------------------------------------------------------- telling the user

    def _announce(self, text: str) -> None:
        """Announce an event aloud, even during speech."""
        self._play(sound.Cue("alarm"))
        self._handle(inputs.Announce(text))

    def _warn(self, sentence: str) -> None:
        self._publish_update(effects.Notice(sentence, effects.Level.WARNING))

    # ----------------------------------------------------------------- settings and model

    def change(self, **changes: object) -> list[str]:
        """Change `voice`, `instructions` or other fields of `SessionSettings` from now on.

        Returns a sentence for each setting that this model does not support or that takes effect
        with the next connection only.
        """
        chosen, codec = self._chosen, self._codec()
        before = chosen.settings
        self._voice_before = before.voice if "voice" in changes else self._voice_before
        overrides = dict(chosen.options.session_settings)
        for name in changes:
            self.settings.note(name)
        for name in _SESSION_FIELDS.intersection(changes):
            overrides[name] = changes.pop(name)
            if overrides[name] is None:
                del overrides[name]  # a removed setting has its default
        chosen.options = replace(chosen.options, session_settings=overrides, **changes)  # type: ignore[arg-type]
        settings, notes = chosen.settings, []
        if codec is not None:
            known = unsupported(codec, before)
            notes = [note for note in unsupported(codec, settings) if note not in known]
            notes += deferred(codec, settings)
        self._handle(inputs.Configure(settings))
        self._publish_model()
        return notes

    def _settle(self, effect: effects.Effect) -> None:
        """Take an answer of the provider to a request of the controls."""
        match effect:
            case effects.OutOfBandAnswered() | effects.CheckGuardrail():
                self._settle_aside(effect)
            case effects.ItemFetched():
                self._requests.settle(effect)
            case effects.SettingsRefused(parts):
                # The effects that follow belong to the settings without these parts.
                asyncio.get_running_loop().call_soon(self._settings_refused, parts)

    def _settings_refused(self, parts: tuple[str, ...]) -> None:
        """Return to the previous voice if the provider refused the chosen one."""
        chosen, refused = self._chosen, self.voice
        if "voice" not in parts or chosen.options.voice == self._voice_before:
            return
        chosen.options = replace(chosen.options, voice=self._voice_before)
        self._handle(inputs.Configure(chosen.settings))
        self._publish_model()
        text = f"There is no voice {refused}. The voice is still {self.voice or 'the default'}."
        self._publish_update(effects.Notice(text, effects.Level.WARNING))

    def change_model(self, name: str) -> None:
        """Continue with another model, PROVIDER/MODEL, seeded with the transcript.

        Raises `UsageError` for an unknown name and during a recording, `KeyMissing` without a key.
        If the model cannot be reached, a notice says so and the previous model continues.
        """
        if self._chosen.options.record is not None:
            raise UsageError(
                "A recording cannot change its model.", "Start another recording with --model."
            )
        self.settings.note("model")
        self._chosen.change(name)
        self._model_changed(is_new_peer=True)

    def _continue_otherwise(self, error: VoicechatError) -> bool:
        """Continue over WebRTC or with the previous model after this error, if that is possible.

        Raises the error of the WebSocket if the server takes no call either.
        """
        blocked_by = self._chosen.blocked_by
        if blocked_by and not (
            self._connections.sessions_created or getattr(error, "retry", False)
        ):
            raise blocked_by from None
        if self._chosen.use_webrtc(error):
            why = "The network lets no WebSocket through. Using WebRTC."
            self._publish_update(effects.Notice(why))
            self._restart_conversation(f"Connecting to {self._chosen.name}", self.transcript)
            return True
        failed = self._chosen.name
        if not self._chosen.restore_previous():
            return False
        text = f"Could not use {failed}. The model is still {self._chosen.name}. {error.message}"
        self._publish_update(effects.Notice(text, effects.Level.ERROR, error.hint))
        self._model_changed(is_new_peer=False)
        return True

    def _model_changed(self, *, is_new_peer: bool) -> None:
        self._restart_conversation(
            f"Continuing with {self._chosen.name}.", self.transcript, is_new_peer
        )
        self._guardrails.restart()
        for sentence in self._chosen.unsupported_settings:
            self._publish_update(effects.Notice(sentence, effects.Level.WARNING))

    def _publish_model(self) -> None:
        current = (self._chosen.name, self._chosen.options.voice or "")
        if current != (self.model, self.voice):
            self.model, self.voice = current
            self._publish_update(ModelChanged(self.model, self.voice))
