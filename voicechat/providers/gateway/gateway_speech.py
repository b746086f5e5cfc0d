"""Text to speech of the Vercel AI Gateway: `POST …/speech-model`, and its socket.

The model has the name of its provider in front. The answer over HTTP is one JSON object; the socket
takes the text as it is written and is closed after `finish`.

Sources: `@ai-sdk/gateway`, `gateway-speech-model.ts` and `gateway-provider-options.ts`;
`@ai-sdk/provider-utils`, `speech-stream-envelope.ts` (frames of the socket).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from voicechat.errors import Secret
from voicechat.providers.base_url import socket_base
from voicechat.providers.gateway.gateway_account import team_of
from voicechat.providers.gateway.gateway_address import URL, protocol_headers, team_header
from voicechat.providers.gateway.gateway_options import provider_options
from voicechat.providers.json_fields import as_list, as_text, count, encode, fields, message
from voicechat.providers.rest import HttpRequest, http_base, post
from voicechat.providers.speech_service import (
    SPEECH_RATE,
    JsonBody,
    SpeechEvent,
    SpeechFailed,
    SpeechFormat,
    SpeechReader,
    SpeechRequest,
    SpeechService,
    SpeechUsage,
    SpeechWarning,
    audio_in,
    character_usage,
    failure_in,
    token_usage,
)
from voicechat.system.dial_target import DialTarget

_SPECIFICATION = "4"
_SUBPROTOCOL = "ai-gateway-speech.v1"
_LONGEST_DELTA = 8_192
"""Characters of one frame; escaped, they stay below the 64 KiB that the gateway takes."""
_SOCKET_FORMATS: dict[SpeechFormat, dict[str, object]] = {
    "pcm": {"type": "audio/pcm", "rate": SPEECH_RATE},
    "wav": {"type": "audio/wav"},
}


def _base(request: SpeechRequest) -> str:
    """Return the root of the API with a socket's scheme."""
    return http_base(socket_base(request.base_url or URL), URL, "/v4/ai/")


def _headers(request: SpeechRequest) -> dict[str, Secret]:
    headers = {
        "ai-speech-model-specification-version": Secret(_SPECIFICATION),
        "ai-model-id": Secret(request.model),
    }
    if request.key is not None:
        headers |= protocol_headers(request.key)
    return headers | team_header(team_of(request.environ))


def _settings(request: SpeechRequest) -> dict[str, object]:
    found = {
        "voice": request.voice,
        "instructions": request.instructions,
        "speed": request.speed,
        "language": request.language,
    }
    given: dict[str, object] = {name: value for name, value in found.items() if value is not None}
    return given | provider_options(request.options)


def _request(request: SpeechRequest, text: str) -> HttpRequest:
    body = {"text": text, "outputFormat": request.format, **_settings(request)}
    return post(f"{_base(request)}/v4/ai/speech-model", _headers(request), body)


def _reader(_: SpeechRequest, __: str) -> SpeechReader:
    return JsonBody(_answer)


def _answer(found: dict[str, object]) -> Iterable[SpeechEvent]:
    yield from _warnings(found.get("warnings"))
    yield from audio_in(found.get("audio"))
    yield from _usage(found.get("usage"))


def _usage(value: object) -> list[SpeechEvent]:
    """Return the usage in the shape of the gateway, or of the provider behind it."""
    for inward, outward in (
        ("inputTokens", "outputTokens"),
        ("input_tokens", "output_tokens"),
        ("promptTokenCount", "candidatesTokenCount"),
    ):
        if found := token_usage(value, inward, outward):
            return found
    characters = count(fields(value).get("inputCharacters"))
    return [SpeechUsage(character_usage(characters))] if characters else []


def _warnings(value: object) -> Iterable[SpeechEvent]:
    """Return the warnings of the AI SDK as sentences."""
    for each in map(fields, as_list(value)):
        about = as_text(each.get("feature")) or as_text(each.get("setting"))
        text = as_text(each.get("details")) or as_text(each.get("message"))
        if about and not text:
            text = f"The model does not support {about}."
        if text:
            yield SpeechWarning(text)


@dataclass(slots=True)
class GatewaySpeechDialog:
    """One text over the socket."""

    request: SpeechRequest
    finished: bool = field(default=False, init=False)

    @property
    def target(self) -> DialTarget:
        """How to dial the socket."""
        request = self.request
        base = _base(request).replace("http", "ws", 1)
        url = f"{base}/v4/ai/speech-model?ai-model-id={quote(request.model, safe='')}"
        return DialTarget(url, _headers(request), (_SUBPROTOCOL,))

    def start(self) -> list[str]:
        """Return the frame with the settings."""
        form = _SOCKET_FORMATS[self.request.format]
        start = {"type": "speech-stream.start", "outputFormat": form, **_settings(self.request)}
        return [encode(start)]

    def text(self, delta: str) -> list[str]:
        """Return the frames for more text."""
        return [
            encode({
                "type": "speech-stream.text-delta",
                "delta": delta[start : start + _LONGEST_DELTA],
            })
            for start in range(0, len(delta), _LONGEST_DELTA)
        ]  # fmt: skip

    def end(self) -> list[str]:
        """Return the frame after the last text."""
        return [encode({"type": "speech-stream.text-done"})]

    def read(self, frame: str | bytes) -> Iterable[SpeechEvent]:
        """Read a frame of the gateway."""
        found = message(frame) or {}
        kind = as_text(found.get("type"))
        if kind == "stream-start":
            return _warnings(found.get("warnings"))
        if kind == "audio":
            return self._sound(found)
        if kind == "error":
            return [failure_in(found.get("error"))]
        if kind == "finish":
            self.finished = True
            return _usage(found.get("usage"))
        return []

    def _sound(self, frame: dict[str, object]) -> Iterable[SpeechEvent]:
        sent = fields(frame.get("audioFormat"))
        kind = as_text(sent.get("type")).lower()
        wanted = as_text(_SOCKET_FORMATS[self.request.format]["type"])
        if kind not in {"", wanted}:
            return [SpeechFailed(f"It sent {kind[:60]} instead of {wanted}.")]
        return audio_in(frame.get("audio"), count(sent.get("rate")) or SPEECH_RATE)


SPEECH = SpeechService(
    models=(
        "openai/gpt-4o-mini-tts", "openai/tts-1", "openai/tts-1-hd", "spacexai/grok-tts",
        "google/gemini-3.8-flash-tts", "google/gemini-3.8-flash-lite-tts",
        "elevenlabs/eleven-v4", "elevenlabs/eleven-v4-turbo",
    ),
    request=_request,
    reader=_reader,
    sound=lambda _: "wav",
    most_characters=4_000,
    speeds=(0.25, 4.0),
    takes_instructions=lambda _: True,
    takes_language=True,
    dialog=GatewaySpeechDialog,
    bills_characters=lambda _: True,
)  # fmt: skip
