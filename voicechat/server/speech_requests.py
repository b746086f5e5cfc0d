"""Speech over HTTP: `POST /v1/audio/speech`, sent while it is spoken.

Source: OpenAI API reference, "Create speech". The answer is PCM16 mono at 24 kHz, raw or as
WAV. Every voice of the server can be named, and `model` is ignored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import numpy as np
from websockets.http11 import Response

from voicechat.core.wav_header import wav_header
from voicechat.errors import VoicechatError
from voicechat.server.http_connection import (
    ClientRequest,
    HttpAnswer,
    StreamedResponse,
    refusal,
)
from voicechat.server.realtime.server_frames import WireError, decode_object
from voicechat.speech.pcm import Resampler

if TYPE_CHECKING:
    from voicechat.server.engine_protocols import SpokenWords, TextToSpeech

PATH = "/v1/audio/speech"
RATE = 24_000
"""Sample rate in Hz of the answers."""
MAX_CHARACTERS = 4_096
"""Longest text, as that of OpenAI."""
FIRST_S = 15.0
"""Seconds until the speech begins."""
MAX_AT_ONCE = 4
"""Requests that are answered at the same time."""


class SpeechRequests:
    """Answers requests for speech with the server's own text-to-speech."""

    def __init__(self, tts: TextToSpeech, voice: str | None = None) -> None:
        """`voice` speaks when a request names none."""
        self._tts = tts
        self._voice = voice
        self._running = 0

    def answer(self, request: ClientRequest) -> Response | Awaitable[HttpAnswer]:
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

    async def _speak(self, text: str, voice: str | None, *, is_wav: bool) -> HttpAnswer:
        blocks = self._blocks(text, voice)
        try:
            async with asyncio.timeout(FIRST_S):
                first = await anext(blocks, b"")
        except TimeoutError:
            await blocks.aclose()
            message = f"The speech did not begin within {FIRST_S:g} seconds. Try again later."
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "timeout", message)
        except VoicechatError as error:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "engine_failed", str(error))
        kind = "audio/wav" if is_wav else f"audio/pcm; rate={RATE}"
        return StreamedResponse(kind, _after(wav_header(RATE) + first if is_wav else first, blocks))

    async def _blocks(self, text: str, voice: str | None) -> AsyncGenerator[bytes, None]:
        """Yield PCM16 mono at `RATE`. Raises `VoicechatError`."""
        self._running += 1
        resampler = Resampler(self._tts.rate, RATE)
        try:
            speech = cast("AsyncGenerator[SpokenWords, None]", self._tts.speak(text, voice))
            async with aclosing(speech) as words:
                async for each in words:
                    sound = resampler.convert(np.frombuffer(each.pcm, np.int16))
                    if len(sound):
                        yield sound.tobytes()
            yield resampler.finish().tobytes()
        finally:
            self._running -= 1


async def _after(first: bytes, blocks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(blocks):
        yield first
        async for block in blocks:
            yield block


def _wrong(field: str, requirement: str) -> Response:
    message = f"Invalid '{field}': it {requirement}."
    return refusal(HTTPStatus.BAD_REQUEST, "invalid_value", message, field)
