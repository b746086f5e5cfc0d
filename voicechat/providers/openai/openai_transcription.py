"""Transcription of recordings with the OpenAI API, and with servers that imitate it.

Source: OpenAI API reference, `POST /v1/audio/transcriptions`; the types of the `openai` package
(`TranscriptionCreateParams`, `Transcription`, `TranscriptionVerbose`, `TranscriptionDiarized`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import msgspec

from voicechat.core.recorded_speech import RecordedSpeech, TimedSegment, TimedWord, segments_of
from voicechat.core.transcript_events import Token
from voicechat.providers.json_fields import as_list, as_text, fields, number, parse
from voicechat.providers.rest import bearer
from voicechat.providers.transcription_service import (
    TranscriptionJob,
    TranscriptionPost,
    TranscriptionService,
    TranscriptionWishes,
    UploadedSound,
    api_root,
    billed,
)

URL = "https://api.openai.com/v1"

_KEYWORDS = "gpt-transcribe"
"""Takes keywords and languages."""
_DIARIZE = "gpt-4o-transcribe-diarize"
_LOGPROBS = "gpt-4o-transcribe"
_TIMES = "whisper-1"
_MOST_PROMPT = 4_000


def _choose(wishes: TranscriptionWishes, own: bool) -> str:
    if wishes.diarize:
        return _DIARIZE
    if own or wishes.times:
        return _TIMES
    return _LOGPROBS if wishes.logprobs else _KEYWORDS


def _is_json_only(model: str) -> bool:
    """Return True for the models of OpenAI that give a text without times."""
    return model.startswith(("gpt-transcribe", "gpt-4o")) and not _tells_speakers(model)


def _tells_speakers(model: str) -> bool:
    return model.startswith(_DIARIZE)


def _gives_times(model: str) -> bool:
    return not _is_json_only(model)


def _takes_logprobs(model: str) -> bool:
    return model.startswith("gpt-4o") and not _tells_speakers(model)


def _form(job: TranscriptionJob) -> Iterator[tuple[str, str]]:
    model, wishes = job.model, job.wishes
    yield "model", model
    if _tells_speakers(model):
        yield "response_format", "diarized_json"
        yield "chunking_strategy", "auto"
        for each in job.speakers:
            yield "known_speaker_names[]", each.name
            sound = b64encode(each.wav).decode("ascii")
            yield "known_speaker_references[]", f"data:audio/wav;base64,{sound}"
    elif _is_json_only(model):
        yield "response_format", "json"
    else:
        yield "response_format", "verbose_json"
        yield "timestamp_granularities[]", "segment"
        if wishes.times == "word":
            yield "timestamp_granularities[]", "word"
    if wishes.language:
        yield ("languages[]" if model.startswith(_KEYWORDS) else "language"), wishes.language
    if model.startswith(_KEYWORDS):
        yield from (("keywords[]", each) for each in wishes.keywords)
    if (prompt := _prompt(job)) and not _tells_speakers(model):
        yield "prompt", prompt
    if wishes.logprobs and _takes_logprobs(model):
        yield "include[]", "logprobs"


def _prompt(job: TranscriptionJob) -> str:
    """Return the prompt; models without keywords find them there."""
    parts = [job.wishes.prompt or ""]
    if job.wishes.keywords and not job.model.startswith(_KEYWORDS):
        parts.append(", ".join(job.wishes.keywords))
    return " ".join(filter(None, parts))[:_MOST_PROMPT]


def _request(job: TranscriptionJob, sound: UploadedSound) -> TranscriptionPost:
    headers = {} if job.key is None else bearer(job.key)
    url = f"{api_root(job.base_url or URL)}/audio/transcriptions"
    return TranscriptionPost(url, headers, tuple(_form(job)))


def _lost(job: TranscriptionJob) -> list[str]:
    model, wishes = job.model, job.wishes
    lost = {
        "a prompt": bool(wishes.prompt or wishes.keywords) and _tells_speakers(model),
        "speakers": wishes.diarize and not _tells_speakers(model),
        "times of words": wishes.times == "word" and not _takes_words(model),
        "log probabilities": wishes.logprobs and not _takes_logprobs(model),
    }
    return [name for name, is_lost in lost.items() if is_lost]


def _takes_words(model: str) -> bool:
    return _gives_times(model) and not _tells_speakers(model)


class _Answer(msgspec.Struct):
    text: object = None
    language: object = None
    languages: object = None
    duration: object = None
    segments: object = None
    words: object = None
    logprobs: object = None
    usage: object = None


def _read(job: TranscriptionJob, body: bytes) -> RecordedSpeech | None:
    answer = parse(body, _Answer)
    if answer is None or not isinstance(answer.text, str):
        return None
    words = tuple(_words(answer))
    codes = [as_text(fields(each).get("code")) for each in as_list(answer.languages)]
    return RecordedSpeech(
        text=as_text(answer.text).strip(),
        segments=tuple(_segments(answer)) or segments_of(words),
        words=words,
        language=as_text(answer.language) or next(filter(None, codes), ""),
        duration_s=number(answer.duration),
        usage=billed(answer.usage),
        tokens=tuple(_tokens(answer)),
    )


def _segments(answer: _Answer) -> Iterator[TimedSegment]:
    for found in map(fields, as_list(answer.segments)):
        if text := as_text(found.get("text")).strip():
            yield TimedSegment(
                text,
                number(found.get("start")),
                number(found.get("end")),
                as_text(found.get("speaker")),
            )


def _words(answer: _Answer) -> Iterator[TimedWord]:
    for found in map(fields, as_list(answer.words)):
        if text := as_text(found.get("word")).strip():
            yield TimedWord(text, number(found.get("start")), number(found.get("end")))


def _tokens(answer: _Answer) -> Iterator[Token]:
    for found in map(fields, as_list(answer.logprobs)):
        yield Token(as_text(found.get("token")), number(found.get("logprob")))


TRANSCRIPTION = TranscriptionService(
    choose=_choose,
    models=(_KEYWORDS, _LOGPROBS, "gpt-4o-mini-transcribe", _DIARIZE, _TIMES),
    request=_request,
    read=_read,
    gives_times=_gives_times,
    lost=_lost,
    knows_speakers=_tells_speakers,
    live_only=("gpt-live-transcribe", "gpt-realtime-whisper"),
)
