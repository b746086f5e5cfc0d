"""Replacements for speech engines that this machine cannot run. Typed use does not need them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Partial, SpokenWords

_REMEDY = "Type instead, or run: voicechat models pull {model}"


class MissingStt:
    """`SpeechToText` that reports at each utterance that no engine is installed."""

    def __init__(self, model: str) -> None:
        """model: name of the model in the catalog of local models."""
        self._model = model

    async def open(self) -> None:
        """Open nothing."""

    def utterance(self, on_partial: Callable[[Partial], None]) -> MissingUtterance:
        """Begin an utterance whose text is not available."""
        return MissingUtterance(self._model)

    async def close(self) -> None:
        """Close nothing."""


class MissingUtterance:
    """Speech that is not recognized."""

    def __init__(self, model: str) -> None:
        self._model = model

    def feed(self, pcm: bytes) -> None:
        """Drop the sound."""

    def settle(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    async def finish(self) -> str:
        """Raise `ServerError` with the remedy."""
        raise ServerError(
            "This machine has no speech recognition.", _REMEDY.format(model=self._model)
        )

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
