"""OpenAI Realtime over WebRTC: the same events on a data channel, sound apart from them.

A frame of bytes is sound, in both directions. The session object names no formats, because the
connection negotiates Opus.

Sources: guide "Realtime API with WebRTC"; Realtime API reference, `POST /v1/realtime/calls`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from voicechat.core.commands import (
    AppendAudio,
    CancelResponse,
    ClearOutput,
    Command,
    CommitAudio,
    TruncateItem,
)
from voicechat.core.events import AudioDelta, Event, SpeechStarted
from voicechat.core.settings import SessionSettings
from voicechat.errors import Secret
from voicechat.providers.json_fields import as_text, encode, fields
from voicechat.providers.openai.call_sound import CallSound
from voicechat.providers.openai.openai_codec import Dialect, OpenAICodec
from voicechat.providers.openai.openai_frames import Frame, OpenAIState
from voicechat.providers.openai.openai_parts import Message, no_setting
from voicechat.providers.openai.openai_session import RATE
from voicechat.providers.rest import below_socket
from voicechat.speech.pcm import Resampler
from voicechat.system.dial_target import CallOffer, DialTarget
from voicechat.system.ice_servers import IceServer

CHANNEL: Final = "oai-events"

_PICTURE_BYTES: Final = 45_000
"""Largest picture: many peers take no message above 64 kB, and base64 needs a third more."""

_SETTLE_MS: Final = 100
"""Silence that is sent after a turn, so that the last words arrive before its commit."""


class CallCodec(OpenAICodec):
    """One WebRTC connection. Make a new one for every connection."""

    def __init__(self, url: str, model: str, key: Secret | None, dialect: Dialect) -> None:
        """Prepare a call below `url`, the complete ws(s) address of the socket."""
        self._sound = CallSound()
        super().__init__(url, key, self._over_call(dialect))
        self._offer = CallOffer(
            below_socket(url, "calls"),
            CHANNEL,
            encode({"type": "realtime", "model": model}),
            RATE,
        )
        self.ice_servers: tuple[IceServer, ...] = ()
        """STUN and TURN servers to use."""
        self._interrupts = True
        """The server interrupts a reply when the user speaks."""
        self._from_microphone = self._to_speaker = Resampler(RATE, RATE)

    def _over_call(self, dialect: Dialect) -> Dialect:
        recognize = dialect.recognize
        pictures = min(dialect.capabilities.picture_bytes, _PICTURE_BYTES)
        return replace(
            dialect,
            capabilities=replace(dialect.capabilities, separate_sound=True, picture_bytes=pictures),
            session=lambda settings: _without_formats(dialect.session(settings)),
            table={
                **dialect.table,
                "output_audio_buffer.started": self._started,
                "output_audio_buffer.stopped": self._stopped,
                "output_audio_buffer.cleared": self._cleared,
            },
            recognize=None if recognize is None else lambda said: self._over_call(recognize(said)),
        )

    def endpoint(self) -> DialTarget:
        """Return where and how to dial."""
        call = replace(self._offer, ice_servers=self.ice_servers)
        return replace(super().endpoint(), call=call)

    def redirect(self, endpoint: DialTarget) -> None:
        """Call this target instead, with a short-lived token, which holds the session."""
        super().redirect(endpoint)
        self._offer = replace(self._offer, url=below_socket(endpoint.url, "calls"), session="")

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that has no effect over WebRTC."""
        found = super().unsupported(settings)
        for name, wanted in (("input", settings.input_format), ("output", settings.output_format)):
            if wanted.encoding != "pcm16":
                setting = f"{name}_format {wanted.encoding} over WebRTC"
                found.append(no_setting(self.provider, setting, "Opus is used"))
        return found

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame, or in 20 ms of sound."""
        if isinstance(frame, str):
            events = super().decode(frame)
            if self._interrupts and any(isinstance(event, SpeechStarted) for event in events):
                self._sound.interrupted()
            return self._sound.held_back(events)
        whole = frame[: len(frame) // 2 * 2]
        found = list(self._sound.block(converted(self._to_speaker, whole)))
        if any(isinstance(event, AudioDelta) for event in found):
            self._state.spoke = True
        return self._ids.incoming(found)

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out the command; sound as it is."""
        frames = super().encode(command)
        match command:
            case AppendAudio(pcm):
                return [converted(self._from_microphone, pcm)]
            case CommitAudio():
                return [bytes(RATE // 1000 * _SETTLE_MS * 2), *frames]
            case CancelResponse(response_id) if self._sound.cut(response_id):
                return [*frames, *self._plain(ClearOutput())]
            case TruncateItem(item_id) if self._sound.cut(item_id):
                return [*self._plain(ClearOutput()), *frames]
        return frames

    def _append(self, pcm: bytes) -> list[str | bytes]:
        return []

    def _update(self, settings: SessionSettings) -> Message:
        if settings.input_format.rate != self._from_microphone.source:
            self._from_microphone = Resampler(settings.input_format.rate, RATE)
        if settings.output_format.rate != self._to_speaker.target:
            self._to_speaker = Resampler(RATE, settings.output_format.rate)
        detection = settings.turn_detection
        self._interrupts = detection is not None and detection.interrupt_response
        return super()._update(settings)

    # ----------------------------------------------------------------- the server's buffer

    def _started(self, state: OpenAIState, frame: Frame) -> Iterable[Event]:
        return self._sound.started(as_text(frame.response_id))

    def _stopped(self, state: OpenAIState, frame: Frame) -> Iterable[Event]:
        return self._sound.stopped(as_text(frame.response_id))

    def _cleared(self, state: OpenAIState, frame: Frame) -> Iterable[Event]:
        return self._sound.cleared(as_text(frame.response_id))


def converted(resampler: Resampler, pcm: bytes) -> bytes:
    """Return PCM16 at the rate of the other side."""
    if resampler.source == resampler.target:
        return pcm
    return resampler.convert(np.frombuffer(pcm, "<i2")).astype("<i2").tobytes()


def _without_formats(session: Message) -> Message:
    audio = fields(session.get("audio"))
    sides = {
        name: {key: value for key, value in fields(side).items() if key != "format"}
        for name, side in audio.items()
    }
    return {**session, "audio": {name: side for name, side in sides.items() if side}}
