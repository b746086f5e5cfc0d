"""Text-to-speech servers on loopback that behave as the sources of their providers say.

Each speaks with a sound that depends on the text alone: `sound_of`. `wrong` holds what the real
server would refuse without a documented error.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
from typing import Any

from http_stub import CUT, HttpStub, SeenRequest
from openai.types.audio.speech_create_params import SpeechCreateParams
from pydantic import TypeAdapter, ValidationError

_PARAMS = TypeAdapter[Any](SpeechCreateParams)
KEY = "sk-planted-0123456789abcdef"
TYPES = {"mp3": "audio/mpeg", "opus": "audio/opus", "aac": "audio/aac", "flac": "audio/flac",
         "wav": "audio/wav", "pcm": "audio/pcm"}  # fmt: skip


def sound_of(text: str) -> bytes:
    """Return PCM16: 20 samples for each character, which no other text has."""
    seed = hashlib.sha256(text.encode()).digest() * (len(text) * 40 // 32 + 1)
    return seed[: len(text) * 40]


def wav_of(pcm: bytes, rate: int = 24_000, size: int = 0xFFFF_FFFF) -> bytes:
    """Return a WAV file as servers stream it: with sizes that are not known yet."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", size, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16,
        b"data", size,
    )  # fmt: skip
    return head + pcm


MP3_HEADER = bytes.fromhex("fff384c4")
"""MPEG 2 layer III, 64 kbit/s, 24 kHz, mono: frames of 192 bytes."""


def mp3_frames(text: str) -> bytes:
    """Return the frames with sound of the mp3 file for a text."""
    return b"".join((MP3_HEADER + bytes([n % 250]) * 188) for n in range(1, len(text) // 20 + 2))


def mp3_of(text: str) -> bytes:
    """Return an mp3 file as LAME writes it: an ID3 tag, a frame with the Info tag, frames."""
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
    info = (MP3_HEADER + bytes(9) + b"Info").ljust(192, b"\0")
    return tag + info + mp3_frames(text)


def encoded_of(text: str, audio_format: str) -> bytes:
    """Return the file for a text; of formats without frames of their own, a stand-in."""
    if audio_format == "pcm":
        return sound_of(text)
    if audio_format == "wav":
        return wav_of(sound_of(text))
    if audio_format == "mp3":
        return mp3_of(text)
    return audio_format.encode() + sound_of(text)


class OpenAISpeech(HttpStub):
    """OpenAI, `POST /v1/audio/speech`: validated with the types of the package `openai`.

    Texts beyond 4096 characters, unknown voices and other keys are errors in its shape. Models
    that begin with gpt- stream server-sent events when asked; tts-1 does not know them. Source:
    OpenAI API reference, "Create speech".
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.arrived = asyncio.Semaphore(0)
        """Released for each text."""
        self.wrong: list[str] = []
        self.cuts_at: int | None = None
        """Number of the request whose answer is cut off, from 0."""
        self.fails: list[tuple[int, dict[str, Any]]] = []
        """Statuses and errors of the next requests."""
        self.has_events = True

    def answer_post(self, request: SeenRequest) -> None:
        self.status, self.headers = 200, {}
        if self.fails:
            self._refuse(*self.fails.pop(0))
            return
        if request.line != "POST /v1/audio/speech HTTP/1.1":
            self._refuse(404, {"message": "Invalid URL", "code": None})
            return
        if request.headers.get("authorization") != f"Bearer {KEY}":
            said = f"Incorrect API key provided: {request.headers.get('authorization')}."
            self._refuse(401, {"message": said, "code": "invalid_api_key"})
            return
        body = json.loads(request.body)
        try:
            _PARAMS.validate_python(body)
        except ValidationError as error:
            self.wrong.append(str(error))
        if unknown := set(body) - set(SpeechCreateParams.__annotations__):
            self.wrong.append(f"unknown fields {unknown}")
        if body["model"].startswith("tts-1") and {"instructions", "stream_format"} & set(body):
            self.wrong.append("a field that tts-1 does not have")
        self._speak(body)

    def _speak(self, body: dict[str, Any]) -> None:
        text, voice = body["input"], body["voice"]
        if len(text) > 4096:
            self._refuse(400, {"message": "String too long.", "code": "string_above_max_length"})
            return
        if voice == "nobody":
            self._refuse(400, {"message": "Input should be 'alloy'.", "code": None})
            return
        self.texts.append(text)
        self.arrived.release()
        data = encoded_of(text, body["response_format"])
        parts = [data[start : start + 1_001] for start in range(0, len(data), 1_001)]
        if body.get("stream_format") == "sse" and self.has_events:
            self.headers = {"Content-Type": "text/event-stream; charset=utf-8"}
            deltas = [{"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()}
                      for part in parts]  # fmt: skip
            usage = {"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}
            done = {"type": "speech.audio.done", "usage": usage}
            self.chunks = [f"data: {json.dumps(each)}\n\n".encode() for each in (*deltas, done)]
        else:
            self.headers = {"Content-Type": TYPES[body["response_format"]]}
            self.chunks = parts
        if self.cuts_at == len(self.texts) - 1:
            self.chunks = [*self.chunks[: len(self.chunks) // 2], CUT]

    def _refuse(self, status: int, error: dict[str, Any]) -> None:
        self.status = status
        self.headers = {"Content-Type": "application/json"}
        body = {"error": {"type": "invalid_request_error", "param": None, **error}}
        self.chunks = [json.dumps(body).encode()]
