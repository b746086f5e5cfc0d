"""Text to speech of Gemini: `generateContent` with sound as the response.

The answer is one JSON object with base64: WAV, and PCM from models before 3.8. Those models take
instructions in front of the text, later ones as its style.

Sources: Gemini API docs, "Text-to-speech generation"; `@ai-sdk/google`, `google-speech-model.ts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from voicechat.providers.base_url import socket_base
from voicechat.providers.google.google_address import URL
from voicechat.providers.json_fields import as_list, as_text, fields
from voicechat.providers.rest import HttpRequest, http_base, post
from voicechat.providers.speech_service import (
    JsonBody,
    SpeechEvent,
    SpeechFailed,
    SpeechReader,
    SpeechRequest,
    SpeechService,
    audio_in,
    rate_in,
    token_usage,
)

DEFAULT_VOICE = "Kore"
_STYLE_IN_TEXT = ("gemini-2.5-", "gemini-3.1-")


def _request(request: SpeechRequest, text: str) -> HttpRequest:
    in_text = request.model.startswith(_STYLE_IN_TEXT)
    part: dict[str, object] = {"text": text}
    if request.instructions and in_text:
        part["text"] = f"{request.instructions}: {text}"
    elif request.instructions:
        part["speechMetadata"] = {"style": request.instructions}
    voice = {"prebuiltVoiceConfig": {"voiceName": request.voice or DEFAULT_VOICE}}
    speech: dict[str, object] = {"voiceConfig": voice}
    if request.language:
        speech["languageCode"] = request.language
    config: dict[str, object] = {"responseModalities": ["AUDIO"], "speechConfig": speech}
    body = {"contents": [{"role": "user", "parts": [part]}], "generationConfig": config}
    base = http_base(socket_base(request.base_url or URL), URL, "/ws/google.")
    # The key goes into a header: addresses end up in logs.
    headers = {"x-goog-api-key": request.key} if request.key else {}
    name = quote(request.model, safe="")
    return post(f"{base}/v1beta/models/{name}:generateContent", headers, body)


def _reader(_: SpeechRequest, __: str) -> SpeechReader:
    return JsonBody(_answer)


def _answer(found: dict[str, object]) -> Iterable[SpeechEvent]:
    candidates = [fields(each) for each in as_list(found.get("candidates"))]
    parts = [
        fields(part)
        for each in candidates
        for part in as_list(fields(each.get("content")).get("parts"))
    ]
    sounds = [data for part in parts if (data := fields(part.get("inlineData"))).get("data")]
    if sounds:
        # One sound for each request; further ones would be alternatives.
        yield from audio_in(sounds[0].get("data"), rate_in(as_text(sounds[0].get("mimeType"))))
    else:
        yield SpeechFailed(_why_silent(found, candidates))
    yield from token_usage(found.get("usageMetadata"), "promptTokenCount", "candidatesTokenCount")


def _why_silent(found: dict[str, object], candidates: list[dict[str, object]]) -> str:
    blocked = as_text(fields(found.get("promptFeedback")).get("blockReason"))
    reasons = [as_text(each.get("finishReason")) for each in candidates]
    reason = blocked or next(filter(None, reasons), "")
    return f"It sent no sound ({reason})." if reason else "It sent no sound."


SPEECH = SpeechService(
    models=(
        "gemini-3.8-flash-tts", "gemini-3.8-flash-lite-tts", "gemini-3.1-flash-tts-preview",
        "gemini-2.5-flash-preview-tts", "gemini-2.5-pro-preview-tts",
    ),
    request=_request,
    reader=_reader,
    formats=("wav", "pcm"),
    sound=lambda _: "wav",
    takes_instructions=lambda _: True,
    takes_language=True,
)  # fmt: skip
