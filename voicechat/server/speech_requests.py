"""Speech over HTTP: `POST /v1/audio/speech` for a short text, such as a sample of a voice.

Source: OpenAI API reference, "Create speech". The answer is PCM16 mono at 24 kHz, raw or as
WAV. Every voice of the server can be named, and `model` is ignored.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Awaitable
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import numpy as np
from websockets.datastructures import Headers
from websockets.http11 import Response

from voicechat.errors import VoicechatError
from voicechat.server.http_connection import ClientRequest, refusal
from voicechat.server.realtime.server_frames import WireError, decode_object
from voicechat.speech.pcm import Resampler

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from voicechat.server.engine_protocols import SpokenWords, TextToSpeech

PATH = "/v1/audio/speech"
RATE = 24_000
"""Sample rate in Hz of the answers."""
MAX_CHARACTERS = 300
"""Longest text."""
DEADLINE_S = 4.0
"""Seconds for the speech: the connection must be answered before its handshake times out."""
MAX_AT_ONCE = 2
"""Requests that are answered at the same time."""


class SpeechRequests:
    """Answers requests for speech with the server's own text-to-speech."""

    def __init__(self, tts: TextToSpeech, voice: str | None = None) -> None:
        """`voice` speaks when a request names none."""
        self._tts = tts
        self._voice = voice
        self._running = 0

    def answer(self, request: ClientRequest) -> Response | Awaitable[Response]:
        """Return the answer, or a coroutine that returns it."""
        try:
            body = decode_object(request.body or b"{}")
        except WireError as error:
            return refusal(HTTPStatus.BAD_REQUEST, error.code, error.message, error.param)
        text, voice = body.get("input"), body.get("voice") or self._voice
        if not isinstance(text, str) or not 0 < len(text.strip()) <= MAX_CHARACTERS:
            return _wrong("input", f"must be a text of 1 to {MAX_CHARACTERS} characters")
        if voice is not None and voice not in self._tts.names:
            return _wrong("voice", f"must be one of {', '.join(self._tts.names)}")
        form = body.get("response_format")
        if form not in ("pcm", "wav"):
            return _wrong("response_format", "must be pcm or wav")
        if self._running >= MAX_AT_ONCE:
            message = "The server speaks other texts. Try again."
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "server_overloaded", message)
        return self._speak(text.strip(), cast("str | None", voice), is_wav=form == "wav")

    async def _speak(self, text: str, voice: str | None, *, is_wav: bool) -> Response:
        self._running += 1
        try:
            async with asyncio.timeout(DEADLINE_S):
                pcm = await self._pcm(text, voice)
        except TimeoutError:
            message = f"The speech took longer than {DEADLINE_S:g} seconds. Try a shorter text."
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "timeout", message)
        except VoicechatError as error:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "engine_failed", str(error))
        finally:
            self._running -= 1
        content = _wav(pcm) if is_wav else pcm
        fields = {
            "Content-Type": "audio/wav" if is_wav else f"audio/pcm; rate={RATE}",
            "Content-Length": str(len(content)),
            "Connection": "close",
            "Cache-Control": "no-store",
        }
        return Response(HTTPStatus.OK.value, HTTPStatus.OK.phrase, Headers(fields), content)

    async def _pcm(self, text: str, voice: str | None) -> bytes:
        pieces: list[bytes] = []
        speech = cast("AsyncGenerator[SpokenWords, None]", self._tts.speak(text, voice))
        async with aclosing(speech) as words:
            async for each in words:
                pieces.append(each.pcm)  # noqa: PERF401
        pcm = b"".join(pieces)
        resampler = Resampler(self._tts.rate, RATE)
        sound = resampler.convert(np.frombuffer(pcm, np.int16))
        return sound.tobytes() + resampler.finish().tobytes()


def _wav(pcm: bytes) -> bytes:
    """Return a WAV file with this sound."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(pcm)
    return file.getvalue()


def _wrong(field: str, requirement: str) -> Response:
    message = f"Invalid '{field}': it {requirement}."
    return refusal(HTTPStatus.BAD_REQUEST, "invalid_value", message, field)
