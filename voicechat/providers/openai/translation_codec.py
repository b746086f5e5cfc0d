"""OpenAI translation: one connection's translation between its wire and the vocabulary.

The session interprets: it speaks what it hears in another language, without turns, text input or
tools. The user's words become items of the user, their translation becomes responses
(`DuplexTurns`).

Sources: OpenAI API reference, `realtime/translations` (client and server events); guide "Realtime
translation".
"""

from __future__ import annotations

import secrets
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import SplitResult, quote, urlunsplit

from voicechat.core.commands import AppendAudio, Command, UpdateSession
from voicechat.core.events import (
    Event,
    SessionCreated,
    SessionEnding,
    SessionUpdated,
    Unmapped,
    UsageReported,
)
from voicechat.core.items import Usage
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.errors import Secret
from voicechat.providers.base_url import SOCKET_SCHEMES, checked
from voicechat.providers.json_fields import as_text, base64_bytes, encode, fields, number, parse
from voicechat.providers.openai import openai_parts as parts
from voicechat.providers.openai.duplex_turns import DuplexTurns, SentSound
from voicechat.providers.openai.live_codec import LiveFrame, read_error
from voicechat.providers.openai.openai_parts import Message, changes, ignored, without_none
from voicechat.providers.rest import bearer
from voicechat.system.dial_target import DialTarget

RATE = 24_000
"""The only rate of the sound, in Hz."""

_REPORTED = 10 * 2 * RATE
"""Bytes of sent sound after which its usage is reported."""

TRANSCRIBER = parts.STREAMING_TRANSCRIBER
"""Writes down the words that are translated."""

_UNSUPPORTED = (
    "voice", "speed", "temperature", "tracing", "truncation", "prompt", "include",
    "max_output_tokens", "tool_choice", "parallel_tool_calls", "reasoning_effort", "backing_model",
    "mcp_servers", "transcription.language", "transcription.languages", "transcription.prompt",
    "transcription.keywords", "transcription.delay",
)  # fmt: skip


def is_translator(model: str) -> bool:
    """Return True for a model that only `realtime/translations` serves."""
    return model.startswith("gpt-realtime-translate")


def translation_url(base_url: str, model: str) -> str:
    """Return the address of the socket below a base URL, with or without `/realtime`.

    Raises `UsageError` if the base URL is not an address.
    """
    found = checked(base_url)
    path = found.path.rstrip("/").removesuffix("/translations") or "/v1"
    path = path.removesuffix("/realtime") + "/realtime/translations"
    scheme = SOCKET_SCHEMES[found.scheme]
    return urlunsplit(SplitResult(scheme, found.netloc, path, f"model={quote(model)}", ""))


def session_object(settings: SessionSettings) -> Message:
    """Return the session object of `session.update`."""
    heard = settings.transcription
    transcription = heard and {"model": heard.model or TRANSCRIBER}
    reduction = parts.noise_reduction(settings.noise_reduction)
    language = settings.translate_to
    return {
        "audio": {
            "input": {
                "transcription": transcription,
                **without_none({"noise_reduction": reduction}),
            },
            **({"output": {"language": language}} if language else {}),
        }
    }


class TranslationCodec:
    """One connection. Make a new one for every connection."""

    def __init__(self, url: str, key: Secret | None = None, *, tag: str | None = None) -> None:
        """Prepare a connection to `url`; `tag` becomes part of all ids of this connection."""
        self.capabilities = Capabilities(
            truncate=False,
            cancel=False,
            semantic_vad=False,
            text_output=False,
            commit_starts_response=True,
            out_of_band=False,
            retrieve=False,
            delete=False,
            clear_output=False,
            pictures=(),
            speech_end=False,
            remote_tools=False,
            continuous=True,
            speed_range=None,
            text_input=False,
        )
        self.stale = False
        self._endpoint = DialTarget(url, bearer(key) if key else {}, key_variable="OPENAI_API_KEY")
        self._turns = DuplexTurns(tag or secrets.token_hex(3), yields=False)
        self._sent = SentSound()
        self._unreported = 0
        """Bytes of sound that were sent and not reported as usage yet."""
        self._session: Message = {}

    def endpoint(self) -> DialTarget:
        """Return where and how to dial."""
        return self._endpoint

    def redirect(self, endpoint: DialTarget) -> None:
        """Dial this target instead, with a short-lived token."""
        self._endpoint = endpoint

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return nothing: the server sends the first frame, then `UpdateSession` the settings."""
        return []

    def closing(self) -> list[str | bytes]:
        """Return the frame after which the server sends the rest and closes the session."""
        return [encode({"type": "session.close"})] if self._sent.started else []

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that this wire does not have."""
        return ignored("openai", settings, _UNSUPPORTED)

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame. Never raises: an unreadable frame is `Unmapped`."""
        found = parse(frame, LiveFrame)
        if found is None:
            return [Unmapped("")]
        kind = as_text(found.type)
        read = _TABLE.get(kind)
        return [Unmapped(kind)] if read is None else [*read(self, found), *self._usage(kind)]

    def _usage(self, kind: str) -> Iterable[Event]:
        """Report the sound that was sent, which the server bills and does not count."""
        if self._unreported >= _REPORTED or (self._unreported and kind == "session.closed"):
            seconds, self._unreported = self._unreported / (2 * RATE), 0
            yield UsageReported(Usage(seconds=seconds))

    def _created(self, frame: LiveFrame) -> Iterable[Event]:
        session = fields(frame.session)
        self._sent.started = True
        yield SessionCreated(as_text(session.get("id")), number(session.get("expires_at")) or None)

    def _updated(self, frame: LiveFrame) -> Iterable[Event]:
        yield SessionUpdated()

    def _closed(self, frame: LiveFrame) -> Iterable[Event]:
        self._sent.started = False
        yield from self._turns.finish()
        yield SessionEnding(0.0)

    def _audio(self, frame: LiveFrame) -> Iterable[Event]:
        pcm = base64_bytes(frame.delta)
        if pcm is None:
            return [Unmapped(as_text(frame.type), broken=True)]
        return self._turns.audio(pcm)

    def _heard(self, frame: LiveFrame) -> Iterable[Event]:
        return self._turns.heard(frame.delta, 0.0, number(frame.elapsed_ms))

    def _spoken(self, frame: LiveFrame) -> Iterable[Event]:
        return self._turns.text(frame.delta, 0.0, number(frame.elapsed_ms))

    def _error(self, frame: LiveFrame) -> Iterable[Event]:
        yield read_error(frame)

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out one command; empty if the wire has no such command."""
        match command:
            case AppendAudio(pcm):
                self._sent.sent = True
                return [self._sound(pcm)]
            case UpdateSession(settings):
                before, self._session = self._session, session_object(settings)
                self._turns.shows_words = settings.transcription is not None
                if changed := changes(before, self._session):
                    return [encode({"type": "session.update", "session": changed})]
                return []
            case _:
                return []

    def silence(self, ms: float) -> list[str | bytes]:
        """Return silence for the last `ms` milliseconds unless sound was sent in that time."""
        missing = self._sent.missing(ms, RATE)
        return [self._sound(missing)] if missing else []

    def _sound(self, pcm: bytes) -> str:
        self._unreported += len(pcm)
        sound = b2a_base64(pcm, newline=False).decode("ascii")
        return f'{{"type":"session.input_audio_buffer.append","audio":"{sound}"}}'


_TABLE: Mapping[str, Callable[[TranslationCodec, LiveFrame], Iterable[Event]]] = {
    "session.created": TranslationCodec._created,
    "session.updated": TranslationCodec._updated,
    "session.closed": TranslationCodec._closed,
    "session.output_audio.delta": TranslationCodec._audio,
    "session.input_transcript.delta": TranslationCodec._heard,
    "session.output_transcript.delta": TranslationCodec._spoken,
    "error": TranslationCodec._error,
}
