"""OpenAI Live over WebRTC: the same events on a data channel, sound apart from them.

The request for the call carries the session, so the channel begins with `session.started`. The
tracks are the session's two streams of sound: a frame of bytes is 20 ms of one. Their formats are
negotiated, and the session advances by itself.

Sources: OpenAI API reference, `POST /v1/live/sessions`; guide "WebRTC" (GPT-Live).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from voicechat.core.commands import AppendAudio, Command
from voicechat.core.events import Event
from voicechat.core.items import Usage
from voicechat.core.settings import SessionSettings
from voicechat.errors import Secret
from voicechat.providers.json_fields import encode, fields
from voicechat.providers.openai import live_session
from voicechat.providers.openai.call_codec import CHANNEL, converted
from voicechat.providers.openai.continuous_codec import ContinuousFrame
from voicechat.providers.openai.live_codec import LiveCodec
from voicechat.providers.openai.openai_parts import no_setting
from voicechat.providers.rest import http_address
from voicechat.speech.pcm import Resampler
from voicechat.system.dial_target import CallOffer, DialTarget
from voicechat.system.ice_servers import IceServer

RATE: Final = live_session.RATES[0]

_BLOCK_MS: Final = 20.0
_LATE_BLOCKS: Final = 10
"""Empty blocks after which sound is not late: the peer sends nothing in a pause."""
_PLAUSIBLE_MS: Final = 5_000.0
"""Largest difference of a time of the session from the sound that has come."""


class LiveCallCodec(LiveCodec):
    """One connection. Make a new one for every connection."""

    def __init__(self, url: str, model: str, key: Secret | None = None, **more: Any) -> None:
        """Prepare a call to `url`, the ws(s) address of the sessions; the rest as `LiveCodec`."""
        super().__init__(url, model, key, **more)
        self.capabilities = replace(self.capabilities, separate_sound=True)
        self.ice_servers: tuple[IceServer, ...] = ()
        """STUN and TURN servers to use."""
        self._session = ""
        self._from_microphone = self._to_speaker = Resampler(RATE, RATE)
        self._empty = 0

    def begin(self, settings: SessionSettings) -> None:
        """Use these settings for the session, whose object goes with the request."""
        self._take(settings)
        session = live_session.session_object(self._model, settings)
        voice = fields(session.pop("audio")).get("output")
        self._session = encode({**session, **({"audio": {"output": voice}} if voice else {})})
        self._use_formats(settings)

    def _use_formats(self, settings: SessionSettings) -> None:
        """Convert to and from the formats of the session, which need no other connection."""
        self._settings = replace(
            self._settings,
            input_format=settings.input_format,
            output_format=settings.output_format,
        )
        self._turns.ms_per_byte = settings.output_format.decoded.ms(1)
        if settings.input_format.rate != self._from_microphone.source:
            self._from_microphone = Resampler(settings.input_format.rate, RATE)
        if settings.output_format.rate != self._to_speaker.target:
            self._to_speaker = Resampler(RATE, settings.output_format.rate)

    def _update(self, settings: SessionSettings) -> list[str | bytes]:
        self._use_formats(settings)
        return super()._update(settings)

    def endpoint(self) -> DialTarget:
        """Return where and how to dial."""
        target = super().endpoint()
        url = http_address(target.url)
        offer = CallOffer(url, CHANNEL, self._session, RATE, True, self.ice_servers)
        return replace(target, call=offer)

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return no frames: the request has started the session."""
        return []

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that has no effect over WebRTC."""
        found = super().unsupported(settings)
        if settings.input_format.encoding != "pcm16":
            setting = f"input_format {settings.input_format.encoding} over WebRTC"
            found.append(no_setting(self._provider, setting, "Opus is used"))
        return found

    def deferred(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that needs a new connection."""
        return super().deferred(replace(settings, input_format=self._settings.input_format))

    def unreported(self, connected_s: float) -> Usage:
        """Return the time of the session that no event has reported: it is open all the time."""
        seconds = max(0.0, connected_s - self._reported_s)
        self._reported_s += seconds
        return Usage(seconds=seconds)

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame, or in 20 ms of sound."""
        if isinstance(frame, str):
            return super().decode(frame)
        due, self._due = self._due, []
        pcm = converted(self._to_speaker, frame[: len(frame) // 2 * 2])
        self._empty = 0 if pcm else self._empty + 1
        is_pause = self._empty > _LATE_BLOCKS
        now = self._turns.clock + _BLOCK_MS if is_pause else 0.0
        return [*due, *self._turns.audio(pcm, now)]

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out the command; sound as it is."""
        if isinstance(command, AppendAudio):
            return [converted(self._from_microphone, command.pcm)]
        return super().encode(command)

    def silence(self, ms: float) -> list[str | bytes]:
        """Return nothing: the track is silent by itself."""
        return []

    def _times(self, frame: ContinuousFrame) -> tuple[float, float]:
        """Return the start of a piece of transcript. The sound alone moves the clock."""
        start_ms, end_ms = super()._times(frame)
        is_plausible = abs(end_ms - self._turns.clock) < _PLAUSIBLE_MS
        return (start_ms if is_plausible else 0.0), 0.0
