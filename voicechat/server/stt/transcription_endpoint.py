"""A recognizer behind any OpenAI-compatible `/v1/audio/transcriptions` endpoint.

One request holds the whole sound of an utterance as WAV.
Source: OpenAI API reference, "Create transcription".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from voicechat.core.wav_header import wav_header
from voicechat.errors import ConnectError, Secret
from voicechat.server.api_endpoint import ApiEndpoint, ApiEngine
from voicechat.server.stt.remote_stt import SpeechSound
from voicechat.speech.vad import VAD_RATE
from voicechat.system.http_body import read_start

DEFAULT_MODEL = "whisper-1"
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 180.0
"""The caller sets a shorter deadline, which depends on the length of the sound."""
_MAX_BYTES = 1_000_000


class TranscriptionEndpoint(ApiEngine):
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
        super().__init__(
            ApiEndpoint(
                "speech recognizer", root, key, "--stt", "VOICECHAT_STT_KEY", _CONNECT_SECONDS
            )
        )
        self._fields = {"model": model or DEFAULT_MODEL, "response_format": "json"}
        if language:
            self._fields["language"] = language
        # Where a key is needed, each request may cost money.
        self.uses_pauses = key is None

    async def recognize(self, sound: SpeechSound, on_text: Callable[[str], None]) -> str:
        """Return the text of the sound, after its end. Cancel it to hang up.

        Raises `VoicechatError`.
        """
        pcm = await sound.whole()
        file = ("speech.wav", wav_header(VAD_RATE, len(pcm)) + pcm, "audio/wav")
        post = self._api.answer(
            self._open_client(),
            "audio/transcriptions",
            _ANSWER_SECONDS,
            data=self._fields,
            files={"file": file},
        )
        async with post as response, asyncio.timeout(_ANSWER_SECONDS):
            content = await read_start(response, _MAX_BYTES)
        try:
            text = json.loads(content)["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise ConnectError(
                f"{self.label} sent something that is not a transcription.", "Check --stt."
            )
        return text
