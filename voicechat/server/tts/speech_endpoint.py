"""A voice behind any OpenAI-compatible `/v1/audio/speech` endpoint.

The request is for WAV, because its header names the sample rate; raw PCM is 24 kHz unless the
content type says otherwise. Compressed sound is refused.
Source: OpenAI API reference, "Create speech".
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from voicechat.core.text import clean, excerpt
from voicechat.errors import Secret, SessionLost
from voicechat.server.api_endpoint import ApiEndpoint, ApiEngine
from voicechat.server.tts.remote_sound import (
    MonoConverter,
    SoundFormat,
    WavHeader,
    read_wav_header,
)
from voicechat.speech.pcm import Samples
from voicechat.system.http_body import pieces

if TYPE_CHECKING:
    import httpx

DEFAULT_MODEL = "tts-1"
DEFAULT_VOICE = "alloy"
_PCM_RATE = 24_000
_SLOWEST, _FASTEST = 0.25, 4.0
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 6.0
_MOST_AFTER_SOUND = 256 * 1024
"""Bytes of other chunks after the sound that are read, so that the connection can be reused."""
_PCM_TYPE = re.compile(r"audio/(?:pcm|x-pcm)\b(?:.*\brate=(\d{4,6}))?", re.IGNORECASE)


class SpeechEndpoint(ApiEngine):
    """A `RemoteVoice` behind `{url}/audio/speech`.

    url: the root with its version, such as http://localhost:8000/v1. rate: sample rate in Hz of
    the samples that `synthesize` yields. Raises `UsageError` for an invalid URL.
    """

    takes_whole_texts = False

    def __init__(
        self,
        url: str,
        rate: int,
        model: str | None = None,
        voice: str | None = None,
        key: Secret | None = None,
    ) -> None:
        root = url.strip().rstrip("/").removesuffix("/audio/speech")
        super().__init__(
            ApiEndpoint("voice", root, key, "--tts", "VOICECHAT_TTS_KEY", _CONNECT_SECONDS)
        )
        self._model = model or DEFAULT_MODEL
        self._voice = voice or DEFAULT_VOICE
        self._rate = rate

    async def synthesize(self, text: str, speed: float) -> AsyncGenerator[Samples, None]:
        """Yield the speech. Close the iterator to hang up. Raises `VoicechatError`."""
        body = {
            "model": self._model,
            "input": text,
            "voice": self._voice,
            "response_format": "wav",
            "speed": min(_FASTEST, max(_SLOWEST, speed)),
        }
        post = self._api.answer(self._open_client(), "audio/speech", _ANSWER_SECONDS, json=body)
        async with post as response, aclosing(self._sound(response)) as sound:
            async for samples in sound:
                yield samples

    async def _sound(self, response: httpx.Response) -> AsyncGenerator[Samples, None]:
        """Yield the samples of a body. The caller bounds their number."""
        converter = self._raw_converter(response)
        pending, left = b"", None
        async with aclosing(pieces(response)) as chunks:
            async for chunk in chunks:
                pending += chunk
                if converter is None:
                    header = self._header(pending, response)
                    if header is None:
                        continue
                    converter = MonoConverter(header.format, self._rate, self.label)
                    pending, left = pending[header.start :], header.size
                yield converter.convert(pending if left is None else pending[: max(left, 0)])
                left = None if left is None else left - len(pending)
                if left is not None and left < -_MOST_AFTER_SOUND:
                    break
                pending = b""
        if converter is None:
            raise SessionLost(f"{self.label} sent no sound.")
        yield converter.finish()

    def _header(self, content: bytes, response: httpx.Response) -> WavHeader | None:
        try:
            return read_wav_header(content)
        except ValueError:
            kind = excerpt(clean(response.headers.get("content-type", "")) or "unnamed content")
            raise SessionLost(
                f"{self.label} sent {kind}, which cannot be played.",
                "It must support the response format wav.",
            ) from None

    def _raw_converter(self, response: httpx.Response) -> MonoConverter | None:
        found = _PCM_TYPE.match(response.headers.get("content-type", ""))
        if found is None:
            return None
        rate = int(found[1]) if found[1] else _PCM_RATE
        return MonoConverter(SoundFormat(rate), self._rate, self.label)
