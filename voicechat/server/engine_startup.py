"""The engines of a server, made from its options and warmed up before anyone connects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voicechat.errors import ServerError, UsageError
from voicechat.server.engine_protocols import Ears, Mind, Voice
from voicechat.server.recognizer_pool import Detectors
from voicechat.server.serve_options import ServeOptions

_OPEN_SECONDS = 60.0
_CLOSE_SECONDS = 0.7

Progress = Callable[[str, float], None]
"""Called with the name of what is warm now and the share of all that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The engines before they are warm."""

    ears: Ears
    mind: Mind
    voice: Voice
    detectors: Detectors

    async def open(self, progress: Progress) -> None:
        """Warm up everything at once. Raises `VoicechatError` when something cannot be had."""
        opening: dict[str, Awaitable[None]] = {
            "voice": self.voice.open(),
            "mind": self.mind.open(),
            "ears": self.ears.open(),
            "detector": asyncio.to_thread(self.detectors.warm),
        }
        done = 0

        async def warm(name: str, opened: Awaitable[None]) -> None:
            nonlocal done
            try:
                async with asyncio.timeout(_OPEN_SECONDS):
                    await opened
            except TimeoutError as error:
                raise ServerError(f"The {name} did not get ready in time.") from error
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
        """Stop everything, within a moment; a worker that does not stop dies with this process."""
        closing = (self.ears.close(), self.mind.close(), self.voice.close())
        async with asyncio.timeout(_CLOSE_SECONDS):
            await asyncio.gather(*closing, return_exceptions=True)


def stage(options: ServeOptions) -> Stage:
    """The engines that the options ask for, not yet warm. Nothing heavy is loaded before this."""
    from voicechat.server.stt.pocketsphinx_stt import ears
    from voicechat.server.tts.espeak_tts import voice
    from voicechat.speech.vad import detector

    speaker = voice()
    if options.voice is not None and options.voice not in speaker.names:
        raise UsageError(
            f"There is no voice {options.voice!r}.", f"Choose one of: {', '.join(speaker.names)}."
        )
    return Stage(ears(), _mind(options), speaker, Detectors(detector))


def _mind(options: ServeOptions) -> Mind:
    if options.chat_url is None:
        from voicechat.server.assistant.offline_assistant import mind

        return mind()
    from voicechat.server.assistant.chat_assistant import chat

    return chat(options.chat_url, options.chat_model, options.chat_key)
