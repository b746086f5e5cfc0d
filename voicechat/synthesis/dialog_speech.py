"""Speech over a socket of the provider, which takes the text word by word."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from urllib.parse import urlsplit

from voicechat.errors import Secret, SessionLost
from voicechat.providers.speech_service import SpeechDialog, SpeechEvent, SpeechFailed
from voicechat.synthesis.provider_speech import check_encrypted, failed
from voicechat.synthesis.speech_text import (
    WordBuffer,
    is_speakable,
    last_sentence_end,
    nothing_to_speak,
)
from voicechat.transports.connection_errors import ConnectionLost
from voicechat.transports.websocket import Connection, dial

LONGEST_SENTENCE_S = 60.0
"""Seconds for which a socket takes text beyond its time, until a sentence ends."""

SILENCE_S = 60.0
"""Seconds without a frame, after the last text, in which the rest of the sound must begin."""


async def dialog_speech(
    dialog: SpeechDialog,
    text: DialogText,
    key: Secret | None,
    on_sent: Callable[[int], object] = lambda characters: None,
) -> AsyncGenerator[SpeechEvent, None]:
    """Speak what one socket takes of a text while it is written; yield the sound.

    key: the one that the dialog sends. `on_sent` receives the number of characters of each part
    that was sent. Raises `KeyMissing`, `ConnectError`, `SessionLost` and what `text` raises.
    """
    target = dialog.target
    host = urlsplit(target.url).hostname or ""
    check_encrypted(target.url, key)
    connection = await dial(target)
    sending = asyncio.create_task(_send(connection, dialog, text, on_sent), name="text to speak")
    try:
        async with aclosing(_frames(connection, sending, host)) as frames:
            async for frame in frames:
                for event in dialog.read(frame):
                    if isinstance(event, SpeechFailed):
                        raise failed(host, event, key)
                    yield event
                if dialog.finished:
                    return
    finally:
        sending.cancel()
        await asyncio.wait({sending})
        if not sending.cancelled():
            sending.exception()  # it was raised, or the connection is lost
        await connection.close()


async def _send(
    connection: Connection,
    dialog: SpeechDialog,
    text: DialogText,
    on_sent: Callable[[int], object],
) -> None:
    await connection.send(dialog.start())
    async for more in text.words():
        await connection.send(dialog.text(more))
        on_sent(len(more))
    if text.is_over and not text.has_words:
        raise nothing_to_speak()
    await connection.send(dialog.end())


class DialogText:
    """The words of a text, for one socket after the other. Close it at the end."""

    def __init__(
        self,
        text: AsyncIterator[str],
        most_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """most_s: seconds for which a socket takes text; it then ends with a sentence."""
        self.has_words = False
        """There was something to speak."""
        self._text, self._most_s, self._clock = text, most_s, clock
        self._buffer = WordBuffer()
        self._reading: asyncio.Task[str | None] | None = None
        self.is_over = False
        """All of it was read."""
        self._held = ""
        """Words for the next socket."""

    async def has_more(self) -> bool:
        """Wait for more words; return False at the end of the text."""
        while not self._held and not self.is_over:
            self._held = await self._read(math.inf)
        return bool(self._held)

    async def words(self) -> AsyncGenerator[str, None]:
        """Yield the words of one socket."""
        ends_at = self._clock() + self._most_s
        while self._held or not self.is_over:
            more, self._held = self._held or await self._read(ends_at - self._clock()), ""
            late_s = self._clock() - ends_at
            if late_s >= 0:
                end = last_sentence_end(more)
                if not end and late_s > LONGEST_SENTENCE_S:
                    end = len(more)
                more, self._held = (more[:end], more[end:]) if end else (more, "")
            self.has_words = self.has_words or is_speakable(more)
            if more:
                yield more
            if late_s >= 0 and (self._held or not more or end):
                return

    async def _read(self, seconds: float) -> str:
        """Return the next words; empty if there are none in time, or at the end of the text."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._next(), name="words to speak")
        await asyncio.wait({self._reading}, timeout=None if seconds == math.inf else seconds)
        if not self._reading.done():
            return ""
        reading, self._reading = self._reading, None
        delta = reading.result()
        self.is_over = delta is None
        return self._buffer.rest() if delta is None else self._buffer.add(delta)

    async def _next(self) -> str | None:
        return await anext(self._text, None)

    async def close(self) -> None:
        """Stop to read the text."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})


async def _frames(
    connection: Connection, sending: asyncio.Task[None], host: str
) -> AsyncGenerator[str | bytes, None]:
    """Yield the frames. Ends with an error: of the text, or of the connection."""
    received = aiter(connection)
    while True:
        waiting = asyncio.ensure_future(anext(received))
        try:
            await asyncio.wait({waiting, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not waiting.done():
                sending.result()
                await asyncio.wait({waiting}, timeout=SILENCE_S)
            if not waiting.done():
                raise SessionLost(f"{host} stopped answering.", "Try again.")
        finally:
            waiting.cancel()
        try:
            frame = waiting.result()
        except ConnectionLost as lost:
            raise lost.refusal or lost from None
        yield frame
