"""Text to speech of OpenAI and of servers that imitate it: `POST /v1/audio/speech`.

OpenAI streams its newer models as server-sent events, which end with the usage. A server at an
address of the user's own is asked for WAV, because only its header names the sample rate.

Sources: OpenAI API reference, "Create speech" and "Speech streaming events"
(`speech.audio.delta`, `speech.audio.done`); model page of gpt-4o-mini-tts (2,000 input tokens).
speaches names the usage `token_usage`.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from voicechat.providers.base_url import checked
from voicechat.providers.json_fields import as_text
from voicechat.providers.rest import HttpRequest, bearer, post
from voicechat.providers.speech_service import (
    ServerSentEvents,
    SpeechEvent,
    SpeechFormat,
    SpeechReader,
    SpeechRequest,
    SpeechService,
    WholeBody,
    audio_in,
    failure_in,
    token_usage,
)

API = "https://api.openai.com/v1"
DEFAULT_VOICE = "alloy"
VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
    "shimmer", "verse",
)  # fmt: skip
_CUSTOM_VOICE = "voice_"


def _request(request: SpeechRequest, text: str) -> HttpRequest:
    voice = request.voice or DEFAULT_VOICE
    body: dict[str, object] = {
        "model": request.model,
        "input": text,
        "voice": {"id": voice} if voice.startswith(_CUSTOM_VOICE) else voice,
        "response_format": request.format,
    }
    if request.speed is not None:
        body["speed"] = request.speed
    if request.instructions:
        body["instructions"] = request.instructions
    if _streams_events(request.model):
        body["stream_format"] = "sse"
    headers = bearer(request.key) if request.key else {}
    return post(f"{_root(request.base_url)}/audio/speech", headers, body)


def _root(base_url: str | None) -> str:
    if base_url is None:
        return API
    parts = checked(base_url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/")
    for known in ("/realtime", "/audio/speech"):
        path = path.removesuffix(known)
    return f"{scheme}://{parts.netloc}{path or '/v1'}"


def _streams_events(model: str) -> bool:
    """Return True for OpenAI's own models with events; tts-1 has none."""
    return model.startswith("gpt-")


def _sound(request: SpeechRequest) -> SpeechFormat:
    own = urlsplit(_root(request.base_url)).hostname != urlsplit(API).hostname
    return "wav" if own and not _streams_events(request.model) else "pcm"


def _reader(_: SpeechRequest, media_type: str) -> SpeechReader:
    is_stream = media_type.startswith("text/event-stream")
    return ServerSentEvents(_event) if is_stream else WholeBody(media_type)


def _event(event: dict[str, object]) -> tuple[Iterable[SpeechEvent], bool]:
    kind = as_text(event.get("type"))
    if kind == "speech.audio.delta":
        return audio_in(event.get("audio")), False
    if kind == "speech.audio.done":
        usage = event.get("usage") or event.get("token_usage")
        return token_usage(usage, "input_tokens", "output_tokens"), True
    if kind in {"error", "speech.audio.error"} or "error" in event:
        return [failure_in(event.get("error") or event.get("message"))], False
    return [], False


SPEECH = SpeechService(
    models=("gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15", "tts-1", "tts-1-hd"),
    request=_request,
    reader=_reader,
    voices=VOICES,
    sound=_sound,
    most_characters=4_096,
    speeds=(0.25, 4.0),
    takes_instructions=lambda model: not model.startswith("tts-1"),
    bills_characters=lambda model: model.startswith("tts-1"),
    own_model="tts-1",
)
