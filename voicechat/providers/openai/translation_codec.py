"""OpenAI translation: one connection's translation between its wire and the vocabulary.

The session interprets: it speaks what it hears in another language, without turns, text input or
tools. The user's words become items of the user, their translation becomes responses
(`DuplexTurns`).

Sources: OpenAI API reference, `realtime/translations` (client and server events); guide "Realtime
translation".
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import SplitResult, quote, urlunsplit

from voicechat.core.commands import AppendAudio, Command, UpdateSession
from voicechat.core.events import Event, SessionEnding
from voicechat.core.settings import SessionSettings
from voicechat.errors import Secret
from voicechat.providers.base_url import SOCKET_SCHEMES, checked
from voicechat.providers.codec import unreported
from voicechat.providers.json_fields import encode
from voicechat.providers.openai import openai_parts as parts
from voicechat.providers.openai.continuous_codec import (
    CAPABILITIES,
    ContinuousCodec,
    ContinuousFrame,
)
from voicechat.providers.openai.duplex_turns import DuplexTurns
from voicechat.providers.openai.openai_client_events import TRANSLATION_EVENTS
from voicechat.providers.openai.openai_parts import Message, changes, ignored, without_none
from voicechat.providers.rest import bearer
from voicechat.system.dial_target import DialTarget

RATE = 24_000
"""The only rate of the sound, in Hz."""

_REPORT_S = 10.0
"""Seconds of sent sound after which its usage is reported."""

TRANSCRIBER = parts.STREAMING_TRANSCRIBER
"""Writes down the words that are translated."""

_UNSUPPORTED = (
    "voice", "speed", "pronunciation", "temperature", "tracing", "truncation", "prompt", "include",
    "max_output_tokens", "tool_choice", "parallel_tool_calls", "reasoning_effort", "backing_model",
    "mcp_servers", "transcription.language", "transcription.languages", "transcription.prompt",
    "transcription.keywords", "transcription.delay",
)  # fmt: skip


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


class TranslationCodec(ContinuousCodec):
    """One connection. Make a new one for every connection."""

    client_events = TRANSLATION_EVENTS

    def __init__(self, url: str, key: Secret | None = None, *, tag: str | None = None) -> None:
        """Prepare a connection to `url`; `tag` becomes part of all ids of this connection."""
        super().__init__(
            DialTarget(url, bearer(key) if key else {}, key_variable="OPENAI_API_KEY"),
            replace(CAPABILITIES, cancel=False, remote_tools=False, text_input=False),
            DuplexTurns(tag or secrets.token_hex(3), yields=False),
            "session.input_audio_buffer.append",
        )
        self._readers["session.created"] = self._started
        self._session: Message = {}

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return nothing: the server sends the first frame, then `UpdateSession` the settings."""
        return []

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that this wire does not have."""
        return ignored("openai", settings, _UNSUPPORTED)

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame, and the usage of the sound that was sent before it.

        The server bills that sound and does not count it. Never raises.
        """
        found = super().decode(frame)
        ended = any(isinstance(event, SessionEnding) for event in found)
        if ended or self._sent.seconds - self._reported_s >= _REPORT_S:
            found += unreported(self, 0.0)
        return found

    def _closed(self, frame: ContinuousFrame) -> Iterable[Event]:
        yield from super()._closed(frame)
        yield SessionEnding(0.0)

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out one command; empty if the wire has no such command."""
        match command:
            case AppendAudio(pcm):
                return self._append_audio(pcm)
            case UpdateSession(settings):
                before, self._session = self._session, session_object(settings)
                self._turns.shows_words = settings.transcription is not None
                if changed := changes(before, self._session):
                    return [encode({"type": "session.update", "session": changed})]
                return []
            case _:
                return []
