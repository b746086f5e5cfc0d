"""Interruption: detected speech of the user, and what it stops.

The provider decides: speech that it detects interrupts the response, and a turn that it commits
is answered. The audio process reacts faster, but may mistake a cough for speech, so it only
holds playback. Without confirmation by the provider within `CONFIRM_TIMEOUT_S`, playback resumes.
"""

from __future__ import annotations

from voicechat.core import effects, events, inputs
from voicechat.core.assistant_items import AssistantItems
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.microphone import MicrophoneInput
from voicechat.core.responses import Responses
from voicechat.core.settings import Capabilities
from voicechat.core.usage_meter import UsageMeter
from voicechat.core.user_items import UserItems

CONFIRM_TIMEOUT_S = 0.6
"""Seconds in which the provider has to confirm speech that the audio process detected."""

MAX_LAG_MS = 5_000.0
"""Largest accepted delay (ms) of a reported end of speech."""

SILENCE_TIMEOUT_S = 4.0
"""Seconds without a transcript until speech counts as ended, if the provider reports no end."""

SPEECH_TIMEOUT_S = 90.0
"""Seconds without a transcript until speech counts as ended, if the report of its end was lost."""

RECENT_S = 8.0
"""Seconds for which a locally detected end of speech can belong to the turn that ends."""


class UserSpeech:
    """The user's speech as the provider detects it. Times are seconds on one clock."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.active = False
        """True while the provider detects speech."""
        self._timeout_s = SPEECH_TIMEOUT_S if capabilities.speech_end else SILENCE_TIMEOUT_S
        self._active_at = 0.0
        self._voice_ended_at: float | None = None

    @property
    def due(self) -> float | None:
        """Time at which speech counts as ended without an event of the provider."""
        return self._active_at + self._timeout_s if self.active else None

    def start(self, now: float) -> None:
        """Note that speech started."""
        self.active, self._active_at = True, now

    def note_activity(self, now: float) -> None:
        """Note that a part of the speech was transcribed."""
        self._active_at = now

    def end(self) -> None:
        """Note that speech ended."""
        self.active = False

    def voice_ended(self, at: float) -> None:
        """Note when the audio process heard the voice end."""
        self._voice_ended_at = at

    def ended_at(self, now: float) -> float | None:
        """Return when the voice of the turn that ends now fell silent; None if unknown."""
        at, self._voice_ended_at = self._voice_ended_at, None
        return at if at is not None and now - RECENT_S <= at <= now else None

    def tick(self, now: float) -> None:
        """Check the deadline at the time `now` (s)."""
        if self.due is not None and now >= self.due:
            self.end()


class Interruption:
    """Tracks whether the user speaks, and interrupts the response."""

    def __init__(
        self,
        buffer: EffectBuffer,
        capabilities: Capabilities,
        mic: MicrophoneInput,
        user_items: UserItems,
        items: AssistantItems,
        responses: Responses,
        meter: UsageMeter,
    ) -> None:
        self._buffer = buffer
        self._mic = mic
        self._user_items = user_items
        self._items = items
        self._responses = responses
        self._meter = meter
        self._continuous = capabilities.continuous
        self._commit_starts_response = capabilities.commit_starts_response
        self.speech = UserSpeech(capabilities)
        """The user's speech as the provider hears it."""
        self.confirm_until: float | None = None
        """Deadline (s) for the provider to confirm local speech; None if no reply is held."""

    @property
    def deadlines(self) -> list[float]:
        """Deadlines of this part, in seconds on the clock of `now`."""
        return [at for at in (self.confirm_until, self.speech.due) if at is not None]

    def end_speech(self) -> None:
        """End the current speech."""
        self.speech.end()

    def clear(self) -> None:
        """End the current speech and any wait for a confirmation."""
        self.confirm_until = None
        self.speech.end()

    def tick(self, now: float) -> None:
        """Check the deadlines at the time `now` (s)."""
        if self.confirm_until is not None and now >= self.confirm_until:
            self._false_alarm()
        self.speech.tick(now)

    # ----------------------------------------------------------------- push-to-talk

    def talk(self, talk: inputs.Talk, now: float, *, is_closed: bool) -> None:
        """Handle the push-to-talk key. is_closed: the budget allows no response."""
        if self._mic.hands_free or talk.on is self._mic.talking:
            return
        if is_closed:
            self._mic.drop()
        elif not self._buffer.online:
            self._buffer.do(effects.Notice("You cannot talk without a connection."))
        elif talk.on:
            self._responses.request(False)
            self.barge_in(provider_cancels=False)
            self._mic.press(now)
        elif self._mic.release(now):
            self._responses.turn_ended()
            self._responses.request(not self._commit_starts_response)
            self._responses.expect()

    def set_hands_free(self, on: bool) -> None:
        """Select how a turn ends: by turn detection (`on`) or by push-to-talk."""
        if on is not self._mic.hands_free:
            self.end_speech()
            self._mic.set_hands_free(on)

    # ----------------------------------------------------------------- as the provider hears it

    def speech_started(self, event: events.SpeechStarted, now: float) -> None:
        """Handle a start of speech: interrupt the response if the settings say so."""
        self.speech.start(now)
        self._responses.expect_none()
        self._responses.turn_started()
        self._user_items.spoken(event.item_id)
        detection = self._mic.detection
        if self._continuous:
            return
        if detection is None or detection.interrupt_response:
            self.barge_in(provider_cancels=True)
        elif self.confirm_until is not None:
            self._false_alarm()

    def speech_stopped(self, event: events.SpeechStopped, now: float) -> None:
        """Handle an end of speech."""
        self.speech.end()
        behind_ms = self._mic.sent_ms - event.audio_end_ms if event.audio_end_ms else 0.0
        self._responses.turn_ended(now - min(max(behind_ms, 0.0), MAX_LAG_MS) / 1000)
        self._expect_answer()

    def committed(self, event: events.InputCommitted, now: float) -> None:
        """Handle the end of the user's turn."""
        self.speech.end()
        self._user_items.spoken(event.item_id, event.previous_item_id)
        ended_at = self.speech.ended_at(now)
        if ended_at is not None and self._mic.hands_free and not self._responses.awaits_answer:
            self._responses.turn_ended(ended_at)
        self._expect_answer()

    def _expect_answer(self) -> None:
        detection = self._mic.detection
        if detection is not None and detection.create_response:
            self._responses.expect_automatic()

    def user_transcript(self, event: events.UserTranscript, now: float) -> None:
        """Handle a transcript of the user's speech, whole or in part."""
        if event.usage:
            self._meter.transcribed(event.usage)
        self.speech.note_activity(now)
        is_empty = not self._user_items.transcribed(event)
        if is_empty and self._mic.transcribes:
            self._responses.expect_none()

    # --------------------------------------------------------------- as the audio process hears it

    def local_speech(self, heard: inputs.LocalSpeech, now: float) -> None:
        """Handle speech that the audio process detected."""
        if not heard.confirmed:
            return
        if self._continuous or not (self._mic.hands_free and self._items.sounding):
            self._buffer.do(effects.ResumePlayback())
        elif self.speech.active:
            self.barge_in(provider_cancels=True)
        else:
            self.confirm_until = now + CONFIRM_TIMEOUT_S

    def voice_ended(self, event: inputs.VoiceEnded) -> None:
        """Handle the end of a voice in the audio process."""
        self.speech.voice_ended(event.at)

    def _false_alarm(self) -> None:
        self.confirm_until = None
        self._buffer.do(effects.ResumePlayback())

    # ----------------------------------------------------------------- what it cuts

    def barge_in(self, *, provider_cancels: bool) -> None:
        """Interrupt the response and find out how much of it was heard."""
        self.confirm_until = None
        self._responses.interrupt(provider_cancels=provider_cancels)
