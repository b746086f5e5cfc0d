"""Replacements for speech engines that this machine cannot run. Typed use does not need them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Partial, SpokenWords

_REMEDY = "Type instead, or run: voicechat models pull moonshine-tiny-en"


def missing_part(model: object, voice: object, *, runtime: bool) -> str:
    """Return a sentence about the part of speech that this machine lacks; empty if none.

    model, voice: the files found, or None. runtime: ONNX Runtime is installed.
    """
    if not runtime:
        return "This machine cannot recognize or speak: it has no ONNX Runtime. Type instead."
    if model is None:
        return f"This machine has no speech recognition. {_REMEDY}"
    if voice is None:
        return "This machine has no voice: the package hibari-tts is missing. Answers are text."
    return ""


class MissingStt:
    """`SpeechToText` that reports at each utterance that no engine is installed."""

    async def open(self) -> None:
        """Open nothing."""

    def utterance(
        self, on_partial: Callable[[Partial], None], *, dictation: bool = False
    ) -> MissingUtterance:
        """Begin an utterance whose text is not available."""
        return MissingUtterance()

    async def close(self) -> None:
        """Close nothing."""


class MissingUtterance:
    """Speech that is not recognized."""

    def feed(self, pcm: bytes) -> None:
        """Drop the sound."""

    def settle(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    async def finish(self) -> str:
        """Raise `ServerError` with the remedy."""
        raise ServerError("This machine has no speech recognition.", _REMEDY)

    def drop(self) -> None:
        """Do nothing."""


class SilentTts:
    """`TextToSpeech` without sound: the text appears, and nothing is heard."""

    rate = 24_000
    names: tuple[str, ...] = ("silent",)

    async def open(self) -> None:
        """Open nothing."""

    async def speak(
        self, text: str, voice: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpokenWords, None]:
        """Yield the words of the text without sound."""
        for word in re.findall(r"\s*\S+\s*", text):
            yield SpokenWords(word)

    async def close(self) -> None:
        """Close nothing."""
