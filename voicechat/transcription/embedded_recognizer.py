"""Transcription by the embedded recognizer, in a worker process like that of `voicechat serve`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import cast

from voicechat.core.recorded_speech import RecordedSpeech, TimedSegment
from voicechat.core.text import clean, excerpt
from voicechat.errors import ServerError
from voicechat.server.worker_lanes import available_cores
from voicechat.transcription.sound_pieces import RecordedPiece, SpeechScoring

_MOST_LANES = 4
_HEARD_S = 10.0
"""Seconds of sound that the model hears at once: it needs half the memory of 14 s, and makes no
more mistakes."""
_BUILT_IN = ("en",)
"""Languages of the recognizer that is installed with the package."""
_SCORES_S = 15.0
"""Seconds to score a block of sound, which lasts half a second."""
_TRIES = 3
_PIECE_S = 60.0
"""Seconds for the text of a piece, which lasts at most a minute."""


def language_problem(language: str | None) -> str:
    """Return a sentence about a language that the recognizer does not know; empty if it does."""
    from voicechat.local_models.installed_model import chosen_model
    from voicechat.local_models.model_catalog import local_model

    chosen = chosen_model("stt", lambda _: None)
    known = local_model(chosen.id).languages if chosen is not None else _BUILT_IN
    if not language or language.lower().replace("_", "-").partition("-")[0] in known:
        return ""
    name = excerpt(clean(language), 20)
    return f"The embedded recognizer understands {', '.join(known)}, not {name}."


class EmbeddedRecognizer:
    """The built-in recognizer. It starts with the first piece."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        """notify: receives a sentence when a chosen model cannot be loaded."""
        from voicechat.local_models.installed_model import chosen_model, detector_file
        from voicechat.server.engine_worker import Worker
        from voicechat.server.stt.moonshine_stt import MoonshineStt, bundled_model

        self.lanes = min(available_cores(), _MOST_LANES)
        """Pieces at a time."""
        chosen = chosen_model("stt", notify)
        folder = chosen.folder if chosen is not None else bundled_model()
        if folder is None:
            raise ServerError(
                "The embedded recognizer is not installed on this machine.",
                "Name another --model, or see voicechat models.",
            )
        vad = detector_file("vad")
        self._detects_speech = vad is not None
        self._worker = Worker(
            "voicechat.server.speech_engines:SpeechEngines",
            "The speech recognizer",
            stt=str(folder),
            voices={},
            tokens_per_second=chosen.tokens_per_second if chosen is not None else 6.5,
            vad=None if vad is None else str(vad),
            spares_memory=True,
            longest_s=_HEARD_S,
            encoders=max(1, self.lanes // 2),
        )
        self._stt = MoonshineStt(self._worker, None, self.lanes)
        self._numbers = count()

    async def recognize(self, piece: RecordedPiece) -> RecordedSpeech:
        """Return the text of a piece of speech as one segment. Raises `ServerError`."""
        utterance = self._stt.utterance(lambda _: None, dictation=True)
        # Settled before it has sound, it is decoded once, as a whole.
        utterance.settle()
        utterance.feed(piece.pcm)
        try:
            async with asyncio.timeout(_PIECE_S):
                text = (await utterance.finish()).strip()
        except TimeoutError:
            raise ServerError("The speech recognizer did not respond in time.") from None
        if not text:
            return RecordedSpeech(duration_s=piece.seconds)
        segment = TimedSegment(text, piece.lead_s, piece.seconds)
        return RecordedSpeech(text, (segment,), duration_s=piece.seconds)

    def speech_scores(self) -> SpeechScoring | None:
        """Return how to score the speech of one recording; None if this process has to.

        It raises `ServerError`.
        """
        if not self._detects_speech:
            return None
        from voicechat.server.engine_worker import WorkerStopped

        number = next(self._numbers)

        async def scores(pcm: bytes) -> list[float]:
            for attempt in range(_TRIES):
                try:
                    await self._worker.start()
                    found = await self._worker.call("vad.scores", number, pcm, deadline=_SCORES_S)
                except WorkerStopped:
                    if attempt == _TRIES - 1:
                        raise
                else:
                    return cast("list[float]", found)
            raise AssertionError

        return scores

    async def close(self) -> None:
        """Stop the worker."""
        await self._stt.close()


@asynccontextmanager
async def embedded_recognizer(notify: Callable[[str], None]) -> AsyncIterator[EmbeddedRecognizer]:
    """Open the embedded recognizer while the block runs. Raises `ServerError`."""
    recognizer = EmbeddedRecognizer(notify)
    try:
        yield recognizer
    finally:
        await recognizer.close()
