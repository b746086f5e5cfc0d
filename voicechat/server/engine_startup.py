"""The engines of a server: created from the options, and warmed up before the server listens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voicechat.errors import ServerError, UsageError
from voicechat.server.engine_protocols import Assistant, SpeechToText, TextToSpeech
from voicechat.server.recognizer_pool import Detectors
from voicechat.server.serve_options import ServeOptions

_OPEN_SECONDS = 60.0
_CLOSE_SECONDS = 0.7

Progress = Callable[[str, float], None]
"""Called with the name of the engine that is warm and the share that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class EngineSet:
    """The engines of one server, before they are warm."""

    stt: SpeechToText
    assistant: Assistant
    tts: TextToSpeech
    detectors: Detectors

    async def open(self, progress: Progress) -> None:
        """Warm up all engines at once. Raises `VoicechatError` when one of them fails."""
        opening: dict[str, Awaitable[None]] = {
            "speech synthesizer": self.tts.open(),
            "assistant": self.assistant.open(),
            "speech recognizer": self.stt.open(),
            "speech detector": asyncio.to_thread(self.detectors.warm),
        }
        done = 0

        async def warm(name: str, opened: Awaitable[None]) -> None:
            nonlocal done
            try:
                async with asyncio.timeout(_OPEN_SECONDS):
                    await opened
            except TimeoutError as error:
                raise ServerError(f"The {name} did not start in time.") from error
            done += 1
            progress(name, done / len(opening))

        progress("engines", 0.0)
        results = await asyncio.gather(
            *(warm(name, opened) for name, opened in opening.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        """Stop all engines, with a short deadline. A hanging worker dies with this process."""
        closing = (self.stt.close(), self.assistant.close(), self.tts.close())
        async with asyncio.timeout(_CLOSE_SECONDS):
            await asyncio.gather(*closing, return_exceptions=True)


def create_engines(options: ServeOptions) -> EngineSet:
    """Create the engines for these options without warming them up."""
    from voicechat.server.stt.pocketsphinx_stt import pocketsphinx_stt
    from voicechat.server.tts.espeak_tts import espeak_tts
    from voicechat.speech.vad import detector

    tts = espeak_tts()
    if options.voice is not None and options.voice not in tts.names:
        raise UsageError(
            f"There is no voice {options.voice!r}.", f"Choose one of: {', '.join(tts.names)}."
        )
    return EngineSet(pocketsphinx_stt(), _assistant(options), tts, Detectors(detector))


def _assistant(options: ServeOptions) -> Assistant:
    if options.chat_url is None:
        from voicechat.server.assistant.offline_assistant import offline_assistant
        from voicechat.skills.notebook import notebook_folder

        folder = notebook_folder() if options.user_notebook else None
        return offline_assistant(folder, options.forbidden_tools)
    from voicechat.server.assistant.chat_assistant import chat_assistant

    return chat_assistant(options.chat_url, options.chat_model, options.chat_key)
