"""Formats of a finished transcript: text, JSON, SubRip, WebVTT and Markdown.

Sources: W3C WebVTT; the format of SubRip has no standard, times are `hh:mm:ss,mmm`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, get_args

import msgspec

from voicechat.core.recorded_speech import RecordedSpeech, TimedSegment, segments_of

TranscriptFormat = Literal["txt", "json", "srt", "vtt", "md"]

TRANSCRIPT_FORMATS: tuple[TranscriptFormat, ...] = get_args(TranscriptFormat)

TIMED_FORMATS = ("srt", "vtt")
"""Formats that are made of times."""

_PARAGRAPH_S = 2.0
"""Seconds of silence between two paragraphs."""
_SHORTEST_CUE_S = 0.1
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#])")


class _Paragraph(NamedTuple):
    start_s: float
    speaker: str
    text: str


def formatted(speech: RecordedSpeech, form: TranscriptFormat, name: str, model: str) -> str:
    """Return a transcript as the content of a file. name: of the recording."""
    return _WRITERS[form](speech, name, model)


def _text(speech: RecordedSpeech, name: str, model: str) -> str:
    lines = [
        f"{each.speaker}: {each.text}" if each.speaker else each.text
        for each in _paragraphs(speech)
    ]
    return "".join(f"{line}\n" for line in lines)


def _paragraphs(speech: RecordedSpeech) -> Iterator[_Paragraph]:
    """Yield the text in parts between long pauses and changes of the speaker."""
    if not speech.segments:
        if text := " ".join(speech.text.split()):
            yield _Paragraph(0.0, "", text)
        return
    texts: list[str] = []
    first = last = speech.segments[0]
    for segment in speech.segments:
        is_apart = segment.start_s - last.end_s > _PARAGRAPH_S or segment.speaker != last.speaker
        if texts and is_apart:
            yield _Paragraph(first.start_s, first.speaker, " ".join(texts))
            texts, first = [], segment
        texts.append(" ".join(segment.text.split()))
        last = segment
    yield _Paragraph(first.start_s, first.speaker, " ".join(texts))


def _json(speech: RecordedSpeech, name: str, model: str) -> str:
    return msgspec.json.format(json_line(speech, name, model).strip(), indent=2) + "\n"


def json_line(speech: RecordedSpeech, name: str, model: str) -> str:
    """Return a transcript as one line of JSON."""
    found = {"source": name, "model": model, **fields_of(speech)}
    return msgspec.json.encode(found).decode() + "\n"


def fields_of(speech: RecordedSpeech) -> dict[str, object]:
    """Return a transcript for JSON, without empty fields; times are rounded to milliseconds."""
    usage = {name: getattr(speech.usage, name) for name in speech.usage.__slots__}
    found: dict[str, object] = {
        "language": speech.language,
        "duration": _rounded(speech.duration_s),
        "speakers": list(speech.speakers),
        "segments": [_timed(each.text, each) for each in speech.segments],
        "words": [_timed(each.text, each) for each in speech.words],
        "logprobs": [{"token": each.text, "logprob": each.logprob} for each in speech.tokens],
        "usage": {name: value for name, value in usage.items() if value},
        "warnings": list(speech.warnings),
    }
    return {"text": speech.text, **{name: value for name, value in found.items() if value}}


def _timed(text: str, timed: object) -> Mapping[str, object]:
    found: dict[str, object] = {
        "start": _rounded(timed.start_s),  # type: ignore[attr-defined]
        "end": _rounded(timed.end_s),  # type: ignore[attr-defined]
        "text": text,
    }
    speaker = timed.speaker  # type: ignore[attr-defined]
    return {**found, "speaker": speaker} if speaker else found


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def _srt(speech: RecordedSpeech, name: str, model: str) -> str:
    cues = []
    for number, cue in enumerate(_cues(speech), 1):
        text = f"{cue.speaker}: {cue.text}" if cue.speaker else cue.text
        times = f"{_time(cue.start_s, ',')} --> {_time(cue.end_s, ',')}"
        cues.append(f"{number}\n{times}\n{text.replace('-->', '->')}\n")
    return "\n".join(cues)


def _vtt(speech: RecordedSpeech, name: str, model: str) -> str:
    cues = ["WEBVTT\n"]
    for cue in _cues(speech):
        text = _escaped(cue.text)
        if cue.speaker:
            text = f"<v {_escaped(cue.speaker)}>{text}"
        cues.append(f"{_time(cue.start_s, '.')} --> {_time(cue.end_s, '.')}\n{text}\n")
    return "\n".join(cues)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cues(speech: RecordedSpeech) -> Iterator[TimedSegment]:
    """Yield the parts of the text to show, in order, each on one line."""
    segments = segments_of(speech.words) or speech.segments
    if not segments and speech.text.strip():
        segments = (TimedSegment(speech.text, 0.0, speech.duration_s),)
    for each in segments:
        if text := " ".join(each.text.split()):
            end = max(each.end_s, each.start_s + _SHORTEST_CUE_S)
            yield TimedSegment(text, each.start_s, end, each.speaker)


def _time(seconds: float, point: str) -> str:
    total, ms = divmod(round(max(0.0, seconds) * 1000), 1000)
    minutes, second = divmod(total, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{ms:03}"


def _markdown(speech: RecordedSpeech, name: str, model: str) -> str:
    parts = [f"# {_literal(name)}"]
    for each in _paragraphs(speech):
        time = f"`{_time(each.start_s, '.')[:8]}` " if speech.segments else ""
        speaker = f"**{_literal(each.speaker)}:** " if each.speaker else ""
        parts.append(f"{time}{speaker}{_literal(each.text)}")
    return "\n\n".join(parts) + "\n"


def _literal(text: str) -> str:
    """Return a text in which Markdown finds no markup."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


_WRITERS: Mapping[TranscriptFormat, Callable[[RecordedSpeech, str, str], str]] = {
    "txt": _text,
    "json": _json,
    "srt": _srt,
    "vtt": _vtt,
    "md": _markdown,
}
