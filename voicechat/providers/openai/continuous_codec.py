"""One connection to a continuous session of OpenAI: the part of the wire that all of them share.

Both sides may speak at any time, and there are no items, turns or responses; `DuplexTurns` infers
them. The session advances only while it receives sound, so the session sends `silence` while the
microphone is closed.

Sources: OpenAI API reference, `live/sessions` and `realtime/translations`.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import msgspec

from voicechat.core.commands import named_in
from voicechat.core.events import Event, ProviderError, SessionCreated, SessionUpdated, Unmapped
from voicechat.core.items import Usage
from voicechat.core.settings import CONVERSATION_ONLY, AudioFormat, Capabilities
from voicechat.providers.json_fields import (
    as_text,
    base64_bytes,
    encode,
    fields,
    number,
    parse,
    text_or_none,
)
from voicechat.providers.openai.duplex_turns import DuplexTurns, SentSound
from voicechat.speech import g711
from voicechat.system.dial_target import DialTarget

CAPABILITIES: Final = replace(
    CONVERSATION_ONLY,
    truncate=False,
    semantic_vad=False,
    text_output=False,
    commit_starts_response=True,
    speech_end=False,
    text_leads=False,
    continuous=True,
    speed_range=None,
)
"""The capabilities that all continuous sessions share."""

FATAL: Final = frozenset({
    "session_expired", "invalid_api_key", "invalid_model", "credit_balance_exhausted",
})  # fmt: skip
"""Error codes after which the session does not continue."""


class ContinuousFrame(msgspec.Struct):
    """The fields of all frames that are read. Any of them may hold any JSON value."""

    type: object = None
    session: object = None
    delta: object = None
    start_ms: object = None
    end_ms: object = None
    elapsed_ms: object = None
    delegation: object = None
    delegation_id: object = None
    event: object = None
    usage: object = None
    reason: object = None
    error: object = None
    message: object = None
    client_event_id: object = None


Reader = Callable[[ContinuousFrame], Iterable[Event]]
"""Returns the events in one type of frame."""


class ContinuousCodec:
    """One connection. A subclass adds readers of its own frames, and encodes the commands."""

    def __init__(
        self, endpoint: DialTarget, capabilities: Capabilities, turns: DuplexTurns, sound_type: str
    ) -> None:
        """Prepare a connection to `endpoint`.

        `turns` infers items and responses; `sound_type` is the type of frames with the user's
        sound.
        """
        self.capabilities = capabilities
        self.stale = False
        self._endpoint = endpoint
        self._turns = turns
        self._sent = SentSound()
        self._reported_s = 0.0
        """Seconds of the session that were reported as usage."""
        self._input_format = self._output_format = AudioFormat()
        self._sound_start = f'{{"type":"{sound_type}","audio":"'
        self._readers: dict[str, Reader] = {
            "session.updated": self._updated,
            "session.output_audio.delta": self._audio,
            "session.input_transcript.delta": self._heard,
            "session.output_transcript.delta": self._spoken,
            "session.closed": self._closed,
            "error": self._error,
        }

    def endpoint(self) -> DialTarget:
        """Return where and how to dial."""
        return self._endpoint

    def redirect(self, endpoint: DialTarget) -> None:
        """Dial this target instead, with a short-lived token."""
        self._endpoint = endpoint

    def closing(self) -> list[str | bytes]:
        """Return the frame that ends the session; the server sends the rest before it closes."""
        return [encode({"type": "session.close"})] if self._sent.started else []

    def unreported(self, connected_s: float) -> Usage:
        """Return the time of the session that no event has reported: that of the sent sound."""
        seconds = max(0.0, self._sent.seconds - self._reported_s)
        self._reported_s += seconds
        return Usage(seconds=seconds)

    # ----------------------------------------------------------------- decoding

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame. Never raises: an unreadable frame is `Unmapped`."""
        found = parse(frame, ContinuousFrame)
        if found is None:
            return [Unmapped("")]
        kind = as_text(found.type)
        read = self._readers.get(kind)
        return [Unmapped(kind)] if read is None else list(read(found))

    def _started(self, frame: ContinuousFrame) -> Iterable[Event]:
        session = fields(frame.session)
        self._sent.started = True
        yield SessionCreated(as_text(session.get("id")), number(session.get("expires_at")) or None)

    def _updated(self, frame: ContinuousFrame) -> Iterable[Event]:
        yield SessionUpdated()

    def _closed(self, frame: ContinuousFrame) -> Iterable[Event]:
        self._sent.started = False
        return self._turns.finish()

    def _audio(self, frame: ContinuousFrame) -> Iterable[Event]:
        sound = base64_bytes(frame.delta)
        if sound is None:
            return [Unmapped(as_text(frame.type), broken=True)]
        encoding = self._output_format.encoding
        pcm = sound if encoding == "pcm16" else g711.to_pcm16(sound, encoding)
        return self._turns.audio(pcm, number(frame.end_ms))

    def _heard(self, frame: ContinuousFrame) -> Iterable[Event]:
        return self._turns.heard(frame.delta, *self._times(frame))

    def _spoken(self, frame: ContinuousFrame) -> Iterable[Event]:
        return self._turns.text(frame.delta, *self._times(frame))

    def _times(self, frame: ContinuousFrame) -> tuple[float, float]:
        """Return start and end of a piece of transcript in ms; 0 where the frame has no time."""
        return number(frame.start_ms), number(frame.end_ms or frame.elapsed_ms)

    def _error(self, frame: ContinuousFrame) -> Iterable[Event]:
        error = fields(frame.error)
        code = text_or_none(error.get("code"))
        said = text_or_none(error.get("message")) or text_or_none(frame.message)
        about = error.get("client_event_id") or error.get("event_id") or frame.client_event_id
        yield ProviderError(
            said or code or "The provider reported an error without a message.",
            code,
            command=named_in(as_text(about)),
            fatal=code in FATAL,
        )

    # ----------------------------------------------------------------- the user's sound

    def silence(self, ms: float) -> list[str | bytes]:
        """Return silence for the last `ms` milliseconds unless sound was sent in that time."""
        missing = self._sent.missing(ms, self._input_format.rate)
        return [self._sound(missing)] if missing else []

    def _append_audio(self, pcm: bytes) -> list[str | bytes]:
        self._sent.sent = True
        return [self._sound(pcm)]

    def _sound(self, pcm: bytes) -> str:
        # Formatted by hand: this frame is sent fifty times a second.
        self._sent.seconds += len(pcm) / (2 * self._input_format.rate)
        encoding = self._input_format.encoding
        sound = pcm if encoding == "pcm16" else g711.from_pcm16(pcm, encoding)
        data = b2a_base64(sound, newline=False).decode("ascii")
        return f'{self._sound_start}{data}"}}'
