"""A recognizer behind any OpenAI-compatible `/v1/audio/transcriptions` endpoint.

One request holds the whole sound of an utterance as WAV.
Source: OpenAI API reference, "Create transcription".
"""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import Callable
from typing import TYPE_CHECKING

from voicechat.errors import ConnectError, Secret
from voicechat.server.api_endpoint import ApiEndpoint, read_body
from voicechat.server.stt.remote_stt import SpeechSound
from voicechat.speech.vad import VAD_RATE

if TYPE_CHECKING:
    import httpx

DEFAULT_MODEL = "whisper-1"
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 180.0
"""The caller sets a shorter deadline, which depends on the length of the sound."""
_MAX_BYTES = 1_000_000


class TranscriptionEndpoint:
    """A `RemoteRecognizer` behind `{url}/audio/transcriptions`.

    url: the root with its version, such as http://localhost:8000/v1. language: such as `en`; None
    lets the model detect it. Raises `UsageError` for an invalid URL.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        language: str | None = None,
        key: Secret | None = None,
    ) -> None:
        root = url.strip().rstrip("/").removesuffix("/audio/transcriptions")
        self._api = ApiEndpoint(
            "speech recognizer", root, key, "--stt", "VOICECHAT_STT_KEY", _CONNECT_SECONDS
        )
        self._fields = {"model": model or DEFAULT_MODEL, "response_format": "json"}
        if language:
            self._fields["language"] = language
        # Where a key is needed, each request may cost money.
        self.uses_pauses = key is None
        self._client: httpx.AsyncClient | None = None

    @property
    def label(self) -> str:
        """The beginning of a sentence about this recognizer."""
        return self._api.label

    async def check(self) -> None:
        """Ask for the list of models. Raises `VoicechatError` unless the server answers."""
        await self._api.check(self._open_client())

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = self._api.create_client()
        return self._client

    async def recognize(self, sound: SpeechSound, on_text: Callable[[str], None]) -> str:
        """Return the text of the sound, after its end. Cancel it to hang up.

        Raises `VoicechatError`.
        """
        file = ("speech.wav", _wav(await sound.whole()), "audio/wav")
        post = self._api.answer(
            self._open_client(),
            "audio/transcriptions",
            _ANSWER_SECONDS,
            data=self._fields,
            files={"file": file},
        )
        async with post as response, asyncio.timeout(_ANSWER_SECONDS):
            content = await read_body(response, _MAX_BYTES)
        try:
            text = json.loads(content)["text"] if len(content) <= _MAX_BYTES else None
        except (ValueError, KeyError, TypeError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise ConnectError(
                f"{self.label} sent something that is not a transcription.", "Check --stt."
            )
        return text

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _wav(pcm: bytes) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VAD_RATE)
        file.writeframes(pcm)
    return content.getvalue()
