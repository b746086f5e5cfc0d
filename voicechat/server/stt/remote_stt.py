"""A remote recognizer with the built-in one behind it.

    feed ── sound of the utterance ──┬── attempt: a request to the remote recognizer
                                     │      │ fails: one sentence for the user
                                     └──────┴── the same sound ── built-in recognizer

An attempt begins with the utterance, so that a server can recognize while the user speaks. A pause
ends its sound, so that the text is there when the pause proves to be the end of the turn; when the
user continues, the next attempt begins with all the sound. The built-in recognizer loads at its
first use.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from voicechat.core.text import clean
from voicechat.errors import ServerError, SessionLost, VoicechatError
from voicechat.server.engine_outage import EngineOutage, Notify
from voicechat.server.engine_protocols import Partial, SpeechToText, SttUtterance
from voicechat.speech.vad import VAD_RATE

_FINISH_SECONDS = 8.0
_SHARE_OF_SOUND = 0.5
"""Deadline for the text after the end: 8 s and half the length of the sound."""
_BUILTIN_SECONDS = 20.0
"""The same for the built-in recognizer, with its start."""
_LONGEST = 300 * VAD_RATE * 2
"""Bytes of sound in one utterance."""
_PIECE = VAD_RATE * 2 // 10
"""Bytes in one piece of sound: 100 ms."""
MOST_CHARACTERS = 8_000
"""Longest text of one utterance."""
_NOTE = re.compile(r"\[[^\]]*\]|\([^)]*\)|♪[^♪]*♪?")
"""Notes of Whisper on sound without speech: [BLANK_AUDIO], (music)."""

_log = logging.getLogger(__name__)


class SpeechSound:
    """The sound of one attempt: PCM16 mono at 16 kHz, which grows until it is ended."""

    def __init__(self, pcm: bytearray) -> None:
        self._pcm = pcm
        self._end: int | None = None
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        """True if no more sound follows."""
        return self._end is not None

    def grow(self) -> None:
        """Announce new sound."""
        self._changed.set()

    def end(self) -> None:
        """End the sound at its present length."""
        self._end = len(self._pcm)
        self._changed.set()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the sound as it grows, in pieces of at most 100 ms."""
        place = 0
        while True:
            end = len(self._pcm) if self._end is None else self._end
            while place < end:
                piece = bytes(self._pcm[place : min(place + _PIECE, end)])
                place += len(piece)
                yield piece
            if self._end is not None and place >= self._end:
                return
            self._changed.clear()
            await self._changed.wait()

    async def whole(self) -> bytes:
        """Wait for the end and return all the sound."""
        while self._end is None:
            self._changed.clear()
            await self._changed.wait()
        return bytes(self._pcm[: self._end])


class RemoteRecognizer(Protocol):
    """A recognizer on another server."""

    uses_pauses: bool
    """True if a request at each pause is welcome; False where each request may cost money."""

    @property
    def label(self) -> str:
        """The beginning of a sentence about it."""
        ...

    async def check(self) -> None:
        """Raise `VoicechatError` unless the server answers."""
        ...

    async def recognize(self, sound: SpeechSound, on_text: Callable[[str], None]) -> str:
        """Return the text of the sound. `on_text` gets the text so far. Raises `VoicechatError`."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class RemoteStt:
    """`SpeechToText` with a remote recognizer. finish_seconds: deadline for the text
    of a short utterance."""

    def __init__(
        self,
        recognizer: RemoteRecognizer,
        builtin: SpeechToText,
        notify: Notify,
        finish_seconds: float = _FINISH_SECONDS,
    ) -> None:
        self.recognizer = recognizer
        self.builtin = builtin
        self.outage = EngineOutage(recognizer.check, notify)
        self.finish_seconds = finish_seconds

    async def open(self) -> None:
        """Check the recognizer; start the built-in one when it fails. Raises `VoicechatError`."""
        if not await self.outage.open():
            await self.builtin.open()

    def utterance(
        self, on_partial: Callable[[Partial], None], *, dictation: bool = False
    ) -> SttUtterance:
        """Begin an utterance. `on_partial` is called on the event loop with each new text."""
        if not self.outage.usable:
            return self.builtin.utterance(on_partial, dictation=dictation)
        return RemoteUtterance(self, on_partial, dictation=dictation)

    async def close(self) -> None:
        """Stop both engines."""
        self.outage.close()
        await asyncio.gather(self.recognizer.close(), self.builtin.close())


class RemoteUtterance:
    """The speech of one turn: at most five minutes, the sound after that is dropped."""

    def __init__(
        self, stt: RemoteStt, on_partial: Callable[[Partial], None], *, dictation: bool
    ) -> None:
        self._dictation = dictation
        self._stt = stt
        self._on_partial = on_partial
        self._pcm = bytearray()
        self._builtin: SttUtterance | None = None
        self._attempt: asyncio.Task[str]
        self._begin()

    def _begin(self) -> None:
        self._sound = SpeechSound(self._pcm)
        recognizing = self._stt.recognizer.recognize(self._sound, self._show)
        self._attempt = asyncio.create_task(recognizing)
        self._attempt.add_done_callback(self._end_attempt)

    def _show(self, text: str) -> None:
        if text := transcript_text(text):
            self._on_partial(Partial(text))

    def _end_attempt(self, attempt: asyncio.Task[str]) -> None:
        """Show the text of an attempt, or continue with the built-in recognizer."""
        if attempt.cancelled() or attempt is not self._attempt:
            return
        error = attempt.exception()
        if error is None:
            self._stt.outage.succeeded()
            self._show(attempt.result())
        elif self._builtin is None:
            self._fall_back(error)

    def _fall_back(self, error: BaseException) -> None:
        """Report the failure and give all the sound to the built-in recognizer."""
        if not isinstance(error, VoicechatError):
            _log.error("a request to the recognizer failed", exc_info=error)
            error = SessionLost(f"{self._stt.recognizer.label} sent an invalid answer.")
        self._stt.outage.failed(error)
        self._builtin = self._stt.builtin.utterance(self._on_partial, dictation=self._dictation)
        self._builtin.feed(bytes(self._pcm))
        if self._sound.ended:
            self._builtin.settle()

    def feed(self, pcm: bytes) -> None:
        """Add sound, PCM16 mono at 16 kHz. Never blocks."""
        pcm = pcm[: _LONGEST - len(self._pcm)]
        self._pcm += pcm
        if self._builtin is not None:
            self._builtin.feed(pcm)
        else:
            self._sound.grow()

    def settle(self) -> None:
        """Recognize all sound now; the text arrives as a partial unless `resume` is called."""
        if self._builtin is not None:
            self._builtin.settle()
        elif self._stt.recognizer.uses_pauses:
            self._sound.end()

    def resume(self) -> None:
        """Undo `settle`: the user continues to speak."""
        if self._builtin is not None:
            self._builtin.resume()
        elif self._sound.ended:
            self._attempt.cancel()
            self._begin()

    async def finish(self) -> str:
        """End the utterance and return its text; empty when no words were recognized.

        Raises `ServerError` when the built-in recognizer fails too.
        """
        try:
            if self._builtin is None and not self._pcm:
                return ""
            if self._builtin is None:
                error = await self._wait()
                if error is None:
                    return transcript_text(self._attempt.result())
                if self._builtin is None:
                    self._fall_back(error)
            assert self._builtin is not None
            async with asyncio.timeout(_BUILTIN_SECONDS):
                return await self._builtin.finish()
        except TimeoutError as error:
            raise ServerError("The speech recognizer did not respond in time.") from error
        finally:
            self._stop()

    async def _wait(self) -> BaseException | None:
        """Wait for the text of the attempt; return its error."""
        if not self._sound.ended:
            self._sound.end()
        seconds = len(self._pcm) / (VAD_RATE * 2)
        deadline = self._stt.finish_seconds + seconds * _SHARE_OF_SOUND
        await asyncio.wait({self._attempt}, timeout=deadline)
        if self._attempt.done():
            return self._attempt.exception()
        return SessionLost(f"{self._stt.recognizer.label} stopped answering.")

    def drop(self) -> None:
        """Discard the utterance."""
        if self._builtin is not None:
            self._builtin.drop()
        self._stop()

    def _stop(self) -> None:
        self._on_partial = _ignore
        self._attempt.cancel()


def transcript_text(text: str) -> str:
    """Return the text of a recognizer on one line: cleaned, bounded and without notes."""
    return " ".join(_NOTE.sub(" ", clean(text[:MOST_CHARACTERS])).split())


def _ignore(_partial: Partial) -> None:
    """Take no more partial texts."""
