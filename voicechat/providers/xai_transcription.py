"""Transcription of recordings with xAI, whose answers hold the time of each word.

Source: xAI docs, "Speech to Text" (`POST /v1/stt`; the file is the last field of the form); the AI
SDK's provider (`@ai-sdk/xai`, `XaiTranscriptionModel`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from voicechat.core.recorded_speech import RecordedSpeech, TimedWord, segments_of
from voicechat.providers.json_fields import as_list, as_text, fields, number, parse
from voicechat.providers.rest import bearer
from voicechat.providers.transcription_service import (
    TranscriptionJob,
    TranscriptionPost,
    TranscriptionService,
    UploadedSound,
    api_root,
)

URL = "https://api.x.ai/v1"

MODEL = "grok-stt"
"""The only recognizer; requests name none."""


def _form(job: TranscriptionJob) -> Iterator[tuple[str, str]]:
    wishes = job.wishes
    if wishes.language:
        yield "language", wishes.language
        yield "format", "true"  # numbers as figures; needs a language
    if wishes.diarize:
        yield "diarize", "true"
    yield from (("keyterm", each) for each in wishes.keywords)


def _request(job: TranscriptionJob, sound: UploadedSound) -> TranscriptionPost:
    headers = {} if job.key is None else bearer(job.key)
    return TranscriptionPost(f"{api_root(job.base_url or URL)}/stt", headers, tuple(_form(job)))


class _Answer(msgspec.Struct):
    text: object = None
    language: object = None
    duration: object = None
    words: object = None


def _read(job: TranscriptionJob, body: bytes) -> RecordedSpeech | None:
    answer = parse(body, _Answer)
    if answer is None or not isinstance(answer.text, str):
        return None
    words = tuple(_words(answer.words))
    return RecordedSpeech(
        text=as_text(answer.text).strip(),
        segments=segments_of(words),
        words=words if job.wishes.times == "word" else (),
        language=as_text(answer.language),
        duration_s=number(answer.duration),
    )


def _words(value: object) -> Iterator[TimedWord]:
    for found in map(fields, as_list(value)):
        if text := as_text(found.get("text")).strip():
            yield TimedWord(
                text, number(found.get("start")), number(found.get("end")), _speaker(found)
            )


def _speaker(word: dict[str, object]) -> str:
    """Return the label of a voice, which is a number from 0."""
    speaker = word.get("speaker")
    return f"{speaker}" if isinstance(speaker, int) else as_text(speaker)


def _lost(job: TranscriptionJob) -> list[str]:
    lost = {"a prompt": bool(job.wishes.prompt), "log probabilities": job.wishes.logprobs}
    return [name for name, is_lost in lost.items() if is_lost]


TRANSCRIPTION = TranscriptionService(
    choose=lambda wishes, own: MODEL,
    models=(MODEL,),
    request=_request,
    read=_read,
    gives_times=lambda model: True,
    lost=_lost,
)
