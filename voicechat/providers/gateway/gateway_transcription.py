"""Transcription of recordings with Vercel AI Gateway.

Source: the gateway provider of the AI SDK (`@ai-sdk/gateway`, `GatewayTranscriptionModel`): the
path, the headers, the body and the answer; `@ai-sdk/openai` and `@ai-sdk/xai` for the options of
their models.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import msgspec

from voicechat.core.recorded_speech import RecordedSpeech, TimedSegment
from voicechat.errors import Secret
from voicechat.providers.base_url import socket_base
from voicechat.providers.gateway.gateway_account import team_of
from voicechat.providers.gateway.gateway_address import URL, protocol_headers, team_header
from voicechat.providers.gateway.gateway_options import provider_options
from voicechat.providers.json_fields import as_list, as_text, encode, fields, number, parse
from voicechat.providers.rest import http_base
from voicechat.providers.transcription_service import (
    TranscriptionJob,
    TranscriptionPost,
    TranscriptionService,
    TranscriptionWishes,
    UploadedSound,
    billed,
)

_TEXT, _TIMED = "openai/gpt-4o-transcribe", "openai/whisper-1"
_XAI = ("xai/", "spacexai/")
_TIMED_MODELS = (_TIMED, *_XAI)


def _choose(wishes: TranscriptionWishes, own: bool) -> str:
    return _TIMED if wishes.times else _TEXT


def _options(job: TranscriptionJob) -> dict[str, object]:
    """Return the options of the model, which the gateway passes on to its provider."""
    wishes, provider = job.wishes, job.model.partition("/")[0]
    if job.model.startswith(_XAI):
        found: dict[str, object] = {
            "language": wishes.language,
            "diarize": wishes.diarize or None,
            "keyterm": list(wishes.keywords) or None,
        }
    else:
        prompt = " ".join(filter(None, [wishes.prompt, ", ".join(wishes.keywords)]))
        granular = ["segment", "word"] if wishes.times == "word" else ["segment"]
        found = {
            "language": wishes.language,
            "prompt": prompt or None,
            "timestampGranularities": granular if job.model.startswith(_TIMED) else None,
        }
    named = {name: value for name, value in found.items() if value is not None}
    return {provider: named} if named else {}


def _request(job: TranscriptionJob, sound: UploadedSound) -> TranscriptionPost:
    headers = {
        **({} if job.key is None else protocol_headers(job.key)),
        **team_header(team_of(job.environ)),
        "Content-Type": Secret("application/json"),
        "ai-transcription-model-specification-version": Secret("4"),
        "ai-model-id": Secret(job.model),
    }
    body: dict[str, object] = {
        "audio": b64encode(sound.read()).decode("ascii"),
        "mediaType": sound.media_type,
        **provider_options(job.options, _options(job)),
    }
    base = http_base(socket_base(job.base_url or URL), URL, "/v4/ai/")
    return TranscriptionPost(
        f"{base}/v4/ai/transcription-model", headers, body=encode(body).encode()
    )


class _Answer(msgspec.Struct):
    text: object = None
    segments: object = None
    language: object = None
    durationInSeconds: object = None
    warnings: object = None
    usage: object = None


def _read(job: TranscriptionJob, body: bytes) -> RecordedSpeech | None:
    answer = parse(body, _Answer)
    if answer is None or not isinstance(answer.text, str):
        return None
    return RecordedSpeech(
        text=as_text(answer.text).strip(),
        segments=tuple(_segments(answer.segments)),
        language=as_text(answer.language),
        duration_s=number(answer.durationInSeconds),
        usage=billed(answer.usage),
        warnings=tuple(_warnings(answer.warnings)),
    )


def _segments(value: object) -> Iterator[TimedSegment]:
    for found in map(fields, as_list(value)):
        if text := as_text(found.get("text")).strip():
            yield TimedSegment(
                text,
                number(found.get("startSecond")),
                number(found.get("endSecond")),
            )


def _warnings(value: object) -> Iterator[str]:
    for found in map(fields, as_list(value)):
        about = as_text(found.get("feature")) or as_text(found.get("setting"))
        details = as_text(found.get("details")) or as_text(found.get("message"))
        if text := f"{about}: {details}".strip(": "):
            yield f"The gateway warns: {text[:300].rstrip('.')}."


def _lost(job: TranscriptionJob) -> list[str]:
    wishes, is_xai = job.wishes, job.model.startswith(_XAI)
    lost = {
        "a prompt": bool(wishes.prompt) and is_xai,
        "speakers": wishes.diarize,
        "times of words": wishes.times == "word",
        "log probabilities": wishes.logprobs,
    }
    return [name for name, is_lost in lost.items() if is_lost]


TRANSCRIPTION = TranscriptionService(
    choose=_choose,
    models=(_TEXT, _TIMED, "openai/gpt-4o-mini-transcribe"),
    request=_request,
    read=_read,
    gives_times=lambda model: model.startswith(_TIMED_MODELS),
    lost=_lost,
    most_bytes=12_000_000,
    most_seconds=1_200.0,
)
"""In base64, the largest file has 16 MB."""
