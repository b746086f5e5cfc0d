"""The built-in STT engine: two pocketsphinx decoders, each in a process of its own.

The domain decoder knows the sentences of the offline assistant and gives the partials. Its text
wins if it is such a sentence and explains the sound better than general English. Otherwise the text
of the stock decoder wins. Both decode at the same time, so that the likelihoods are comparable.

The code in the worker processes is `recognizer.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

import platformdirs

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Partial, SpeechToText
from voicechat.server.engine_worker import Worker, WorkerStopped
from voicechat.speech.vad import VAD_RATE

_RECOGNIZER = "voicechat.server.stt.recognizer:Recognizer"
_BUILDER = "voicechat.server.stt.recognizer:Builder"
_SENTENCES = "voicechat.server.assistant.intents:sample_sentences"
_FINISH_S = 15.0
_BUILD_S = 300.0
_SURE = 0.03
"""Minimum log-likelihood margin for other guesses of the domain decoder."""
_SURE_TO_CHANGE = 0.12
"""The same for one that changes something."""
_LONGEST = 60 * VAD_RATE * 2
Guess = tuple[str, bool, float]
_DOMAIN_SETTINGS: dict[str, object] = {
    "beam": 1e-80,
    "wbeam": 1e-60,
    "pbeam": 1e-80,
    "fwdflatbeam": 1e-80,
    "fwdflatwbeam": 1e-50,
}
"""Wider than the pocketsphinx default: the model is small, and a third fewer words are missed."""
_STOCK_SETTINGS: dict[str, object] = {}


_log = logging.getLogger(__name__)


class PocketsphinxStt:
    """`SpeechToText` without a download. Two worker processes with about 180 MB.

    cache: folder for the language model and the room acoustics; None selects the user's cache.
    understood: returns True for a complete request; None selects that of the offline assistant.
    sentences: "module:function" of the sample sentences, (count, seed) -> list of str.
    """

    def __init__(
        self,
        cache: Path | None = None,
        understood: Callable[[str], bool] | None = None,
        sentences: str = _SENTENCES,
    ) -> None:
        folder = str(cache or platformdirs.user_cache_path("voicechat") / "stt")
        self.on_partial: Callable[[Partial], None] = lambda _partial: None
        self._understood = understood or _parses
        self._ends = understood or _ends
        self._changes = _changes if understood is None else lambda _text: False
        self._domain = _Decoder(
            "domain", folder, sentences, _DOMAIN_SETTINGS, on_partial=self._on_partial
        )
        self._stock = _Decoder("stock", folder, sentences, _STOCK_SETTINGS)
        self._builder = Worker(
            _BUILDER, "Building the language model", cache=folder, source=sentences
        )
        self._growing: asyncio.Task[None] | None = None
        self._number = 0
        self._sound = bytearray()
        self._first = True
        self._settling: asyncio.Task[str] | None = None

    async def open(self) -> None:
        """Start both decoders. Raises `ServerError` on failure."""
        self._understood("")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._domain.worker.start())
                group.create_task(self._stock.worker.start())
        except* ServerError as errors:
            await self.close()
            raise ServerError(*_told(errors)) from errors
        self._growing = asyncio.create_task(self._grow())

    def begin(self) -> None:
        """Start an utterance. Drops an unfinished one."""
        self._unsettle()
        self._number += 1
        self._sound.clear()
        for decoder in (self._domain, self._stock):
            decoder.begin(self._number)

    def feed(self, pcm: bytes) -> None:
        """Add sound to the current utterance, PCM16 mono 16 kHz. Drops sound after one minute."""
        if len(self._sound) < _LONGEST:
            self._sound += pcm
            for decoder in (self._domain, self._stock):
                decoder.feed(pcm)

    def settle(self) -> None:
        """Compute the text now; it arrives as a partial unless `resume` is called."""
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle(self._number))

    def resume(self) -> None:
        """Undo `settle`: the user continues to speak."""
        if self._unsettle():
            self._domain.worker.post("resume")

    async def finish(self) -> str:
        """End the utterance and return its text; empty when no words were recognized.

        Restarts a decoder that crashed and repeats the utterance.
        Raises `ServerError` if the decoder cannot be restarted.
        """
        self.settle()
        settling, self._settling = self._settling, None
        assert settling is not None
        try:
            request = await settling
        finally:
            settling.cancel()
        self._first = False
        if request:
            self._stock.drop()
            return request
        return cast(Guess, await self._stock.ask("finish", bytes(self._sound)))[0]

    async def _settle(self, number: int) -> str:
        """Return the recognized request, or an empty string."""
        sound = bytes(self._sound)
        guess, weight = await asyncio.gather(
            self._domain.ask("settle", sound), self._stock.ask("weigh", sound)
        )
        text, _, likelihood = cast(Guess, guess)
        margin = likelihood - cast(float, weight)
        request = await self._request(text, margin) if text and margin > 0 else ""
        if number == self._number:
            self.on_partial(Partial(request or text, bool(request) and self._ends(request)))
        return request

    async def _request(self, text: str, margin: float) -> str:
        """Return the most likely domain guess that is a request, or an empty string."""
        if self._understood(text):
            return text
        if self._first:
            again, expected, _ = cast(Guess, await self._domain.again())
            if expected and self._understood(again):
                return again
        if margin < _SURE:
            return ""
        others = cast(list[str], await self._domain.others())
        found = next((other for other in others if self._ends(other)), "")
        return "" if margin < _SURE_TO_CHANGE and self._changes(found) else found

    def _unsettle(self) -> bool:
        """Undo `settle`; return True if it was in effect."""
        settling, self._settling = self._settling, None
        if settling is None:
            return False
        settling.cancel()
        return True

    def drop(self) -> None:
        """Discard the current utterance."""
        self._unsettle()
        self._number += 1
        self._sound.clear()
        for decoder in (self._domain, self._stock):
            decoder.drop()

    async def grown(self) -> None:
        """Wait until the full language model is in use: a few seconds, at the first start only."""
        if self._growing is not None:
            await self._growing

    async def _grow(self) -> None:
        try:
            if await self._domain.worker.call("is_first", deadline=_FINISH_S):
                await self._builder.start()
                await self._builder.call("build", deadline=_BUILD_S)
                await self._domain.worker.call("reload", deadline=_FINISH_S)
        except ServerError as error:
            _log.warning("Speech recognition continues with the small language model: %s", error)
        finally:
            await self._builder.stop()

    async def close(self) -> None:
        """Stop both decoders. The cache already holds the room acoustics."""
        self._unsettle()
        if self._growing is not None:
            self._growing.cancel()
            await asyncio.gather(self._growing, return_exceptions=True)
        await asyncio.gather(self._domain.worker.stop(), self._stock.worker.stop())

    def _on_partial(self, number: int, text: str) -> None:
        if number == self._number:
            self.on_partial(Partial(text, self._ends(text)))


class _Decoder:
    """The worker of one decoder. Tracks whether it has the whole current utterance."""

    def __init__(
        self,
        model: str,
        cache: str,
        source: str,
        settings: dict[str, object],
        on_partial: Callable[[int, str], None] | None = None,
    ) -> None:
        self.worker = Worker(
            _RECOGNIZER,
            "Speech recognition",
            on_event=None if on_partial is None else lambda event: on_partial(*event),
            model=model,
            cache=cache,
            source=source,
            settings=settings,
        )
        self._epoch = 0
        self._number = 0

    def begin(self, number: int) -> None:
        self._epoch, self._number = self.worker.epoch, number
        self.worker.post("begin", number)

    def feed(self, pcm: bytes) -> None:
        self.worker.post("feed", pcm)

    def drop(self) -> None:
        self.worker.post("drop")

    async def ask(self, method: str, sound: bytes) -> object:
        """Return the result for the current utterance.

        sound: the utterance so far, for a decoder that must repeat it.
        """
        if self.worker.alive and self.worker.epoch == self._epoch:
            try:
                return await self.worker.call(method, deadline=_FINISH_S)
            except WorkerStopped:
                pass
        await self.worker.start()
        self.begin(self._number)
        self.feed(sound)
        return await self.worker.call(method, deadline=_FINISH_S)

    async def again(self) -> object:
        return await self.worker.call("again", deadline=_FINISH_S)

    async def others(self) -> object:
        return await self.worker.call("others", deadline=_FINISH_S)


def _parses(text: str) -> bool:
    from voicechat.server.assistant.intents import is_complete

    return is_complete(text)


def _ends(text: str) -> bool:
    from voicechat.server.assistant.intents import is_closed

    return is_closed(text)


def _changes(text: str) -> bool:
    from voicechat.server.assistant.intents import changes

    return changes(text)


def _told(errors: BaseExceptionGroup[ServerError]) -> tuple[str, str]:
    first = errors.exceptions[0]
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first.message, first.hint


def pocketsphinx_stt() -> SpeechToText:
    """Create the built-in STT engine, not yet open."""
    return PocketsphinxStt()
