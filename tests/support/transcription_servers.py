"""Scripted providers that transcribe beeps (`beeps.py`), as strict as the real ones.

OpenAI: the parameters are checked with the types of the `openai` package, and against what its
`TranscriptionCreateParams` says about each model; answers are those of its types. xAI and the
gateway: what `@ai-sdk/xai` (`XaiTranscriptionModel`) and `@ai-sdk/gateway`
(`GatewayTranscriptionModel`) send and accept.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_type_hints

from beeps import Beep, heard
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionVerbose,
)
from openai.types.audio.transcription_create_params import TranscriptionCreateParamsNonStreaming
from pydantic import ConfigDict, ValidationError, create_model

KEY = "sk-planted-0123456789abcdef"
_FIELDS: dict[str, Any] = {
    name: (hint, ...) if name in {"file", "model"} else (hint, None)
    for name, hint in get_type_hints(TranscriptionCreateParamsNonStreaming).items()
}
PARAMETERS = create_model(
    "Parameters", __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **_FIELDS
)
"""The parameters of `openai.audio.transcriptions.create`; unknown ones are refused."""
SUFFIXES = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm")
MOST_BYTES, MOST_SECONDS = 25 * 1024 * 1024, 1_400
_LISTS = {
    "keywords", "languages", "include", "timestamp_granularities", "known_speaker_names",
    "known_speaker_references",
}  # fmt: skip
MOST_SPEAKERS = 4


class Refused(Exception):
    """A request that the provider refuses with this status and body."""

    def __init__(self, status: int, body: object, headers: str = "") -> None:
        self.status, self.body, self.headers = status, body, headers


def refused(message: str, status: int = 400, code: str | None = None) -> Refused:
    """Return a refusal in the shape of OpenAI and the gateway."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Refused(status, {"error": error})


class Part(NamedTuple):
    """A part of a form."""

    name: str
    file_name: str | None
    media_type: str
    content: bytes


class Seen(NamedTuple):
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    fields: dict[str, Any]
    beeps: list[Beep]
    seconds: float


@dataclass
class TranscriptionServer:
    """Answers on one port for all providers. `before` runs before each answer and may refuse."""

    before: Callable[[int], Any] = lambda number: None
    seen: list[Seen] = field(default_factory=list)
    active: int = 0
    most_active: int = 0
    port: int = 0
    requests: int = 0
    voice_of: Callable[[int], int] = lambda number: number % 2
    """Tells who speaks a beep with this number."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rows = head.strip().split("\r\n")
                pairs = (row.partition(": ") for row in rows)
                headers = {name.lower(): value for name, _, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                status, answer, extra = await self._answered(line.split()[1], headers, body)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                size = f"Content-Length: {len(content)}\r\n"
                writer.write(f"HTTP/1.1 {status} X\r\n{extra}{size}\r\n".encode() + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answered(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, object, str]:
        self.requests += 1
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            waiting = self.before(self.requests)
            if waiting is not None:
                await waiting
            if headers.get("authorization") != f"Bearer {KEY}":
                raise refused(f"Incorrect API key provided: {headers['authorization'][7:]}.", 401)
            return 200, getattr(self, _ROUTES[path])(path, headers, body), ""
        except Refused as refusal:
            return refusal.status, refusal.body, refusal.headers
        finally:
            self.active -= 1

    # ----------------------------------------------------------------- OpenAI

    def openai(self, path: str, headers: dict[str, str], body: bytes) -> object:
        parts = parsed_form(headers["content-type"], body)
        fields: dict[str, Any] = {}
        for part in parts:
            name = part.name.removesuffix("[]")
            if part.name.endswith("[]"):
                fields.setdefault(name, []).append(part.content.decode())
            elif name in fields or name in _LISTS:
                raise refused(f"{name} must be sent once, or as {name}[].")
            else:
                fields[name] = part.content if part.file_name else part.content.decode()
        try:
            PARAMETERS.model_validate(fields)
        except ValidationError as error:
            raise refused(str(error)) from None
        (file,) = [part for part in parts if part.file_name]
        _check_openai(fields, file)
        beeps, seconds = self._listen(file.content)
        hidden = {"file", "known_speaker_references"}
        shown = {name: value for name, value in fields.items() if name not in hidden}
        self.seen.append(Seen(path, headers, shown, beeps, seconds))
        return _openai_answer(fields, beeps, seconds, self._speakers(fields, beeps))

    def _speakers(self, fields: dict[str, Any], beeps: list[Beep]) -> list[str]:
        """Return the name of a known speaker, or a letter that is new in each request."""
        names = fields.get("known_speaker_names", [])
        sounds = fields.get("known_speaker_references", [])
        if len(names) != len(sounds) or len(names) > MOST_SPEAKERS:
            raise refused("up to four speakers need a name and a sound each.")
        voices: dict[int, str] = {}
        for name, sound in zip(names, sounds, strict=True):
            kind, _, content = sound.partition(";base64,")
            assert kind == "data:audio/wav"
            (beep, *_), _ = heard(b64decode(content, validate=True))
            voices[self.voice_of(int(beep.word[1:]))] = name
        letters = iter("ABCDEFGH")
        for beep in beeps:
            voice = self.voice_of(int(beep.word[1:]))
            voices[voice] = voices.get(voice) or next(letters)
        return [voices[self.voice_of(int(beep.word[1:]))] for beep in beeps]

    @staticmethod
    def _listen(content: bytes) -> tuple[list[Beep], float]:
        try:
            beeps, seconds = heard(content)
        except ValueError:
            raise refused("Audio file might be corrupted or unsupported") from None
        if seconds > MOST_SECONDS:
            raise refused(f"audio duration {seconds} seconds is longer than {MOST_SECONDS} seconds")
        return beeps, seconds

    # ----------------------------------------------------------------- xAI

    def xai(self, path: str, headers: dict[str, str], body: bytes) -> object:
        *parts, file = parsed_form(headers["content-type"], body)
        if file.name != "file" or not file.file_name:
            raise Refused(400, {"code": "invalid-argument", "error": "file must be the last field"})
        fields: dict[str, Any] = {}
        for part in parts:
            if part.name == "keyterm":
                fields.setdefault("keyterm", []).append(part.content.decode())
            elif part.name in {"language", "format", "diarize"} and part.name not in fields:
                fields[part.name] = part.content.decode()
            else:
                raise Refused(400, {"error": f"unexpected field {part.name}"})
        if "format" in fields and "language" not in fields:
            raise Refused(400, {"error": "format needs a language"})
        beeps, seconds = self._listen(file.content)
        self.seen.append(Seen(path, headers, fields, beeps, seconds))
        words = [
            {"text": each.word, "start": each.start, "end": each.end}
            | ({"speaker": number % 2} if fields.get("diarize") == "true" else {})
            for number, each in enumerate(beeps)
        ]
        text = " ".join(each.word for each in beeps)
        return {"text": text, "language": "", "duration": seconds, "words": words}

    # ----------------------------------------------------------------- the gateway

    def gateway(self, path: str, headers: dict[str, str], body: bytes) -> object:
        assert headers["ai-transcription-model-specification-version"] == "4"
        assert headers["ai-gateway-protocol-version"] == "0.0.1"
        assert headers["content-type"] == "application/json"
        sent = json.loads(body)
        assert set(sent) <= {"audio", "mediaType", "providerOptions"}
        beeps, seconds = self._listen(b64decode(sent["audio"], validate=True))
        fields = {"mediaType": sent["mediaType"], "options": sent.get("providerOptions", {})}
        self.seen.append(Seen(path, headers, fields, beeps, seconds))
        is_timed = headers["ai-model-id"].endswith("whisper-1")
        return {
            "text": " ".join(each.word for each in beeps),
            "segments": [
                {"text": each.word, "startSecond": each.start, "endSecond": each.end}
                for each in beeps
                if is_timed
            ],
            "language": "en",
            "durationInSeconds": seconds,
            "warnings": [{"type": "unsupported", "feature": "x", "details": "x is gone."}],
            "providerMetadata": {"gateway": {"cost": "0.001"}},
        }


_ROUTES = {
    "/v1/audio/transcriptions": "openai",
    "/v1/stt": "xai",
    "/v4/ai/transcription-model": "gateway",
}


def _check_openai(fields: dict[str, Any], file: Part) -> None:
    model, form = fields["model"], fields.get("response_format", "json")
    if model == "nonsense":
        raise refused("The model `nonsense` does not exist", 404, "model_not_found")
    if len(file.content) > MOST_BYTES:
        raise refused("Maximum content size limit (26214400) exceeded", 413)
    assert file.file_name is not None
    if file.file_name.rpartition(".")[2] not in SUFFIXES:
        raise refused(f"Unrecognized file format. Supported formats: {SUFFIXES}")
    diarizes = model == "gpt-4o-transcribe-diarize"
    allowed = {"json", "text", "diarized_json"} if diarizes else {"json"}
    if model != "whisper-1" and form not in allowed:
        raise refused(f"response_format '{form}' is not compatible with model '{model}'.")
    if "timestamp_granularities" in fields and form != "verbose_json":
        raise refused("timestamp_granularities needs verbose_json.")
    rules = {
        "keywords": model == "gpt-transcribe",
        "languages": model == "gpt-transcribe",
        "prompt": not diarizes,
        "include": model.startswith("gpt-4o") and not diarizes,
        "chunking_strategy": diarizes,
        "known_speaker_names": diarizes,
    }
    for name, is_taken in rules.items():
        if name in fields and not is_taken:
            raise refused(f"{name} is not supported with model '{model}'.")


def _openai_answer(
    fields: dict[str, Any], beeps: list[Beep], seconds: float, speakers: list[str]
) -> object:
    text = " ".join(each.word for each in beeps)
    billed = {"type": "duration", "seconds": seconds}
    model = fields["model"]
    if model == "whisper-1":
        granular = fields.get("timestamp_granularities", ["segment"])
        answer: dict[str, Any] = {
            "task": "transcribe", "language": "english", "duration": seconds, "text": text,
            "usage": billed,
        }  # fmt: skip
        if "segment" in granular:
            answer["segments"] = [_segment(number, each) for number, each in enumerate(beeps)]
        if "word" in granular:
            answer["words"] = [
                {"word": each.word, "start": each.start, "end": each.end} for each in beeps
            ]
        TranscriptionVerbose.model_validate(answer, strict=True)
        return answer
    if model == "gpt-4o-transcribe-diarize":
        answer = {
            "task": "transcribe", "duration": seconds, "text": text, "usage": billed,
            "segments": [
                {
                    "id": f"seg_{number}", "type": "transcript.text.segment", "text": each.word,
                    "start": each.start, "end": each.end, "speaker": speakers[number],
                }
                for number, each in enumerate(beeps)
            ],
        }  # fmt: skip
        TranscriptionDiarized.model_validate(answer, strict=True)
        return answer
    usage = {
        "type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
    }  # fmt: skip
    answer = {"text": text, "usage": usage}
    if model == "gpt-transcribe":
        answer["languages"] = [{"code": code} for code in fields.get("languages", ["en"])]
    if "logprobs" in fields.get("include", ()):
        answer["logprobs"] = [
            {"token": each.word, "bytes": list(each.word.encode()), "logprob": -0.25}
            for each in beeps
        ]
    Transcription.model_validate(answer)
    return answer


def _segment(number: int, beep: Beep) -> dict[str, Any]:
    return {
        "id": number, "seek": 0, "start": beep.start, "end": beep.end, "text": f" {beep.word}",
        "tokens": [], "temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }  # fmt: skip


_DISPOSITION = re.compile(r'form-data; name="([^"]+)"(?:; filename="([^"]+)")?')


def parsed_form(content_type: str, body: bytes) -> list[Part]:
    """Parse multipart/form-data (RFC 7578) without any tolerance. Raises `Refused`."""
    kind, _, boundary = content_type.partition("; boundary=")
    if kind != "multipart/form-data" or not boundary:
        raise refused(f"unexpected content type {content_type}")
    line = b"--" + boundary.encode()
    if not body.startswith(line + b"\r\n") or not body.endswith(b"\r\n" + line + b"--\r\n"):
        raise refused("the form does not begin or end with its boundary")
    inner = body[len(line) + 2 : -len(line) - 6]
    return [_part(each) for each in inner.split(b"\r\n" + line + b"\r\n")]


def _part(raw: bytes) -> Part:
    head, found, content = raw.partition(b"\r\n\r\n")
    if not found:
        raise refused("a part has no headers")
    pairs = (row.partition(": ") for row in head.decode("ascii").split("\r\n"))
    headers = {name.lower(): value for name, _, value in pairs}
    match = _DISPOSITION.fullmatch(headers.pop("content-disposition", ""))
    if match is None:
        raise refused("a part has no name")
    kind = headers.pop("content-type", "")
    if bool(match[2]) != bool(kind) or headers:
        raise refused(f"the part {match[1]} has unexpected headers")
    return Part(match[1], match[2], kind, content)


@asynccontextmanager
async def transcription_server(
    before: Callable[[int], Any] = lambda number: None,
) -> AsyncIterator[TranscriptionServer]:
    """Serve on a free port of this machine."""
    server = TranscriptionServer(before)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 20) as listener:
        server.port = listener.sockets[0].getsockname()[1]
        yield server
