"""Text to speech of xAI: `POST /v1/tts`, and the socket that takes the text as it is written.

There is no model to choose: `grok-tts` only names the service. A socket lasts about 35 minutes; a
longer text goes to several.

Sources: xAI docs, "Text to Speech" (request, codecs, speed, 15,000 characters) and "Streaming
Text to Speech" (`text.delta`, `text.done`, `audio.delta`, `audio.done`); `@ai-sdk/xai`,
`xai-speech-model.ts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from voicechat.providers.base_url import socket_base
from voicechat.providers.json_fields import as_text, encode, message
from voicechat.providers.rest import HttpRequest, bearer, http_base, post
from voicechat.providers.speech_service import (
    SPEECH_RATE,
    SpeechEvent,
    SpeechReader,
    SpeechRequest,
    SpeechService,
    WholeBody,
    audio_in,
    failure_in,
)
from voicechat.system.dial_target import DialTarget

API = "wss://api.x.ai/v1"
DEFAULT_VOICE = "eve"
_ANY_LANGUAGE = "auto"


def _root(request: SpeechRequest) -> str:
    """Return the root of the API with a socket's scheme."""
    root = socket_base(request.base_url or API).rstrip("/").removesuffix("/realtime")
    return root if root.endswith("/v1") else f"{root}/v1"


def _request(request: SpeechRequest, text: str) -> HttpRequest:
    body: dict[str, object] = {
        "text": text,
        "voice_id": request.voice or DEFAULT_VOICE,
        "language": request.language or _ANY_LANGUAGE,
        "output_format": {"codec": request.format, "sample_rate": SPEECH_RATE},
    }
    if request.speed is not None:
        body["speed"] = request.speed
    root = _root(request)
    url = f"{http_base(root, root, '/v1')}/v1/tts"
    return post(url, bearer(request.key) if request.key else {}, body)


def _reader(_: SpeechRequest, media_type: str) -> SpeechReader:
    return WholeBody(media_type)


@dataclass(slots=True)
class XaiSpeechDialog:
    """One text over the socket."""

    request: SpeechRequest
    finished: bool = field(default=False, init=False)

    @property
    def target(self) -> DialTarget:
        """How to dial the socket."""
        request = self.request
        query = {
            "voice": request.voice or DEFAULT_VOICE,
            "language": request.language or _ANY_LANGUAGE,
            "codec": request.format,
            "sample_rate": str(SPEECH_RATE),
        }
        if request.speed is not None:
            query["speed"] = f"{request.speed:g}"
        headers = bearer(request.key) if request.key else {}
        return DialTarget(f"{_root(request)}/tts?{urlencode(query, quote_via=quote)}", headers)

    def start(self) -> list[str]:
        """Return nothing: the address holds all settings."""
        return []

    def text(self, delta: str) -> list[str]:
        """Return the frame for more text."""
        return [encode({"type": "text.delta", "delta": delta})]

    def end(self) -> list[str]:
        """Return the frame after the last text."""
        return [encode({"type": "text.done"})]

    def read(self, frame: str | bytes) -> Iterable[SpeechEvent]:
        """Read a frame of the server."""
        found = message(frame) or {}
        kind = as_text(found.get("type"))
        if kind == "audio.delta":
            return audio_in(found.get("delta"))
        if kind == "error":
            return [failure_in(found.get("error") or found.get("message"))]
        self.finished = self.finished or kind == "audio.done"
        return []


SPEECH = SpeechService(
    models=("grok-tts",),
    request=_request,
    reader=_reader,
    formats=("mp3", "wav", "pcm"),
    most_characters=15_000,
    speeds=(0.7, 1.5),
    takes_language=True,
    dialog=XaiSpeechDialog,
    dialog_s=1_800.0,
    bills_characters=lambda _: True,
)
