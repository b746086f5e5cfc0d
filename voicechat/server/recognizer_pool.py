"""Sharing of detectors and of the one recognizer: one utterance uses it, the others wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Partial, SpeechToText
from voicechat.speech.vad import Detector

_FINISH_SECONDS = 15.0
_WAIT_SECONDS = 75.0


class Detectors:
    """Reusable speech detectors. Creating one takes 50 ms."""

    def __init__(self, make: Callable[[], Detector]) -> None:
        self._make = make
        self._unused: list[Detector] = []

    def warm(self) -> None:
        """Create one in advance. Can be called on another thread."""
        self.release(self._make())

    def acquire(self) -> Detector:
        """Return a detector in its initial state, for one connection."""
        return self._unused.pop() if self._unused else self._make()

    def release(self, detector: Detector) -> None:
        """Return a detector to the pool."""
        detector.reset()
        self._unused.append(detector)


class SharedStt:
    """Lends the recognizer to one utterance at a time."""

    def __init__(self, stt: SpeechToText) -> None:
        self.stt = stt
        self._holder: SttUtterance | None = None
        self._free = asyncio.Event()

    def acquire(self, utterance: SttUtterance) -> bool:
        """Take the recognizer if it is free; return True if this utterance holds it."""
        if self._holder is None:
            self._holder = utterance
            self._free.clear()
            self.stt.on_partial = utterance.partial
            self.stt.begin()
        return self._holder is utterance

    async def wait(self, utterance: SttUtterance) -> None:
        """Wait until the utterance holds the recognizer."""
        while not self.acquire(utterance):
            await self._free.wait()

    def release(self, utterance: SttUtterance) -> None:
        """Release the recognizer, if this utterance holds it."""
        if self._holder is utterance:
            self._holder = None
            self._free.set()


class SttUtterance:
    """The speech of one turn. End it with `finish` or `drop`."""

    def __init__(self, shared: SharedStt, on_partial: Callable[[Partial], None]) -> None:
        self.stable = StableWords()
        self._shared = shared
        self._on_partial = on_partial
        self._pending = bytearray()
        self._finished = False

    def partial(self, partial: Partial) -> None:
        """Pass on a partial text."""
        if not self._finished:
            self._on_partial(partial)

    def feed(self, pcm: bytes) -> None:
        """Add sound, PCM16 mono at 16 kHz."""
        self._pending += pcm
        if self._shared.acquire(self):
            self._feed_pending()

    def _feed_pending(self) -> None:
        if self._pending:
            self._shared.stt.feed(bytes(self._pending))
            self._pending.clear()

    def settle(self) -> None:
        """Compute the text now, because the user may have finished."""
        if self._shared.acquire(self):
            self._feed_pending()
            self._shared.stt.settle()

    def resume(self) -> None:
        """Undo `settle`: the user continues to speak."""
        if self._shared.acquire(self):
            self._shared.stt.resume()

    async def finish(self) -> str:
        """Return the text of the utterance. Raises `ServerError` at the deadline."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._shared.wait(self)
            self._feed_pending()
            self._finished = True
            async with asyncio.timeout(_FINISH_SECONDS):
                return await self._shared.stt.finish()
        except TimeoutError as error:
            raise ServerError("The speech recognizer did not respond in time.") from error
        finally:
            self._finished = True
            self._shared.release(self)

    def drop(self) -> None:
        """Discard the utterance."""
        self._finished = True
        if self._shared.acquire(self):
            self._shared.stt.drop()
        self._shared.release(self)


class StableWords:
    """Finds the stable words of a changing text: two texts agree on them, and more words follow."""

    def __init__(self) -> None:
        self._previous: list[str] = []
        self._reported: list[str] = []

    def update(self, text: str, final: bool = False) -> str:
        """Return the stable words beyond the reported ones; empty if the text took those back."""
        words = text.split()
        stable_words = words
        if not final:
            pairs = zip(self._previous, words, strict=False)
            stable_words = words[: next((at for at, (a, b) in enumerate(pairs) if a != b), None)]
            stable_words = stable_words[: min(len(self._previous), len(words) - 1)]
        self._previous = words
        reported = len(self._reported)
        if stable_words[:reported] != self._reported or len(stable_words) == reported:
            return ""
        new_words = " ".join(stable_words[reported:])
        self._reported = stable_words
        return f" {new_words}" if reported else new_words
