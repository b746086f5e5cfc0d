"""A recognizer on a Wyoming server, such as wyoming-faster-whisper.

    transcribe, audio-start, audio-chunk …, audio-stop ──> transcript
                                                      ──> transcript-start, -chunk …, transcript

The sound is sent while the user speaks. A server that streams sends the second form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart
from wyoming.event import Event

from voicechat.server.stt.remote_stt import MOST_CHARACTERS, SpeechSound
from voicechat.server.wyoming_link import WyomingConnection, WyomingServer
from voicechat.speech.vad import VAD_RATE

_FORMAT: Mapping[str, int] = {"rate": VAD_RATE, "width": 2, "channels": 1}


class WyomingRecognizer:
    """A `RemoteRecognizer` on a Wyoming server.

    model, language: None selects the defaults of the server.
    """

    uses_pauses = True

    def __init__(self, url: str, model: str | None = None, language: str | None = None) -> None:
        self._server = WyomingServer("speech recognizer", url)
        self._request = Transcribe(name=model, language=language)

    @property
    def label(self) -> str:
        """The beginning of a sentence about this recognizer."""
        return self._server.label

    async def check(self) -> None:
        """Ask the server for its services. Raises `VoicechatError` unless it has recognition."""
        await self._server.program("asr")

    async def recognize(self, sound: SpeechSound, on_text: Callable[[str], None]) -> str:
        """Return the text of the sound. Cancel it to drop the connection.

        Raises `VoicechatError`. The caller sets the deadline for the text.
        """
        async with self._server.connect() as link:
            sending = asyncio.create_task(self._send(link, sound))
            reading = asyncio.create_task(self._text(link, sound, on_text))
            try:
                await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_EXCEPTION)
                return await (reading if reading.done() else sending)
            finally:
                sending.cancel()
                reading.cancel()
                await asyncio.gather(sending, reading, return_exceptions=True)

    async def _send(self, link: WyomingConnection, sound: SpeechSound) -> str:
        await link.write(self._request.event())
        # `wyoming.audio` has these events, but its import of audioop warns in Python 3.11 and 3.12.
        await link.write(Event("audio-start", dict(_FORMAT)))
        async for piece in sound.pieces():
            await link.write(Event("audio-chunk", dict(_FORMAT), piece))
        await link.write(Event("audio-stop"))
        return ""

    async def _text(
        self, link: WyomingConnection, sound: SpeechSound, on_text: Callable[[str], None]
    ) -> str:
        """Return the transcript. One that comes before the end of the sound is a text so far."""
        streamed = ""
        while True:
            event = await link.read()
            text = event.data.get("text")
            if TranscriptStart.is_type(event.type):
                streamed = ""
            elif TranscriptChunk.is_type(event.type) and isinstance(text, str):
                streamed = (streamed + text)[:MOST_CHARACTERS]
                on_text(streamed)
            elif Transcript.is_type(event.type) and isinstance(text, str):
                if sound.ended:
                    return text
                on_text(text)

    async def close(self) -> None:
        """Do nothing: each request has a connection of its own."""
