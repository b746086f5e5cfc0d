"""The built-in TTS engine: hibari in the worker process of the speech engines.

The code in the worker is `hibari_synthesizer.py`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import SpokenWords
from voicechat.server.engine_worker import Worker, WorkerStopped
from voicechat.server.missing_engine import SilentTts
from voicechat.server.tts.kokoro_model import is_kokoro
from voicechat.server.worker_lanes import WorkerLanes

RATE = 24_000
"""Sample rate of the sound, in Hz."""
DEFAULT_VOICE = "heart"
_SLOWEST, _FASTEST = 0.5, 2.0
_CLAUSE_MAX = 240
_DEADLINE_S, _KOKORO_DEADLINE_S = 10.0, 45.0
"""Seconds for the sound of a clause."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CLAUSE_END = re.compile(r"(?<=[.!?;:\n])\s+")


def bundled_voice() -> Path | None:
    """Return the model file of the voice in the package hibari-tts; None if it is missing."""
    found = importlib.util.find_spec("hibari")
    if found is None or found.origin is None:
        return None
    model = Path(found.origin).parent / "assets" / "hibari.onnx"
    return model if model.is_file() else None


class HibariTts:
    """`TextToSpeech` on a worker whose part `tts` is a `HibariSynthesizer`.

    voices: name -> model file. The first is the default.
    notify: called with a sentence when the engine fails and the replies become silent; None
    raises the error instead.
    lanes: the number of clauses that are spoken at the same time.
    """

    rate = RATE

    def __init__(
        self,
        worker: Worker,
        voices: Mapping[str, Path],
        notify: Callable[[str], None] | None = lambda sentence: None,
        lanes: int = 1,
    ) -> None:
        self.names = tuple(voices)
        self._deadlines = {
            name: _KOKORO_DEADLINE_S if is_kokoro(file) else _DEADLINE_S
            for name, file in voices.items()
        }
        self._worker = worker
        self._lanes = WorkerLanes("tts", lanes)
        self._notify = notify
        self._is_silent = False

    async def open(self) -> None:
        """Start and warm up the worker. Raises `ServerError` on failure."""
        await self._worker.start()

    async def speak(
        self, text: str, voice: str | None = None, speed: float = 1.0
    ) -> AsyncGenerator[SpokenWords, None]:
        """Yield the speech word by word; words without sound when the engine fails, or its error.

        The joined texts are the given text, with U+FFFD for lone surrogates. An unknown voice
        selects the default. speed: 1.0 is normal; limited to 0.5 to 2.0. When the worker ends
        within a clause, a new one speaks the rest.
        """
        chosen = voice if voice in self.names else self.names[0]
        held = min(_FASTEST, max(_SLOWEST, speed))
        text, said = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text), 0
        try:
            async with aclosing(self._spoken(text, chosen, held)) as pieces:
                async for piece in pieces:
                    said += len(piece.text)
                    yield piece
            self._is_silent = False
        except ServerError as error:
            if self._notify is None:
                raise
            self._report(error, self._notify)
            async for piece in SilentTts().speak(text[said:]):
                yield piece

    def _report(self, error: ServerError, notify: Callable[[str], None]) -> None:
        """Report the first failure after a success."""
        if not self._is_silent:
            self._is_silent = True
            notify(f"{error.message} Replies are only text until it works again.")

    async def _spoken(
        self, text: str, voice: str, speed: float
    ) -> AsyncGenerator[SpokenWords, None]:
        for clause in clauses(text):
            said = 0
            try:
                async with aclosing(self._clause(clause, voice, speed)) as pieces:
                    async for piece in pieces:
                        said += len(piece.text)
                        yield piece
            except WorkerStopped:
                async with aclosing(self._clause(clause[said:], voice, speed)) as pieces:
                    async for piece in pieces:
                        yield piece

    async def _clause(
        self, clause: str, voice: str, speed: float
    ) -> AsyncGenerator[SpokenWords, None]:
        await self._worker.start()
        lane = self._lanes.acquire()
        stream = self._worker.stream(
            lane.method("speak"), clause, voice, speed, deadline=self._deadlines[voice]
        )
        try:
            async with aclosing(stream) as pieces:
                async for words, pcm in pieces:
                    yield SpokenWords(words, pcm)
        finally:
            lane.users -= 1

    async def pronounce(self, words: list[str]) -> list[str]:
        """Return the phonemes of each word, in the alphabet of the voice. Raises `ServerError`."""
        await self._worker.start()
        found: list[str] = await self._worker.call("tts.pronounce", words, deadline=_DEADLINE_S)
        return found

    async def close(self) -> None:
        """Stop the worker."""
        await self._worker.stop()


def clauses(text: str) -> list[str]:
    """Split a text at pauses into parts of at most 240 characters. Joined, they are the text."""
    parts = []
    start = 0
    for end in [match.end() for match in _CLAUSE_END.finditer(text)] + [len(text)]:
        while end - start > _CLAUSE_MAX:
            space = text.rfind(" ", start + 1, start + _CLAUSE_MAX) + 1
            cut = space or start + _CLAUSE_MAX
            parts.append(text[start:cut])
            start = cut
        if end > start:
            parts.append(text[start:end])
            start = end
    return parts
