"""The text of one run: complete, or read from a pipe while another program writes it."""

from __future__ import annotations

import asyncio
import codecs
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from voicechat.errors import UsageError, VoicechatError
from voicechat.synthesis.speech_text import (
    MOST_CHARACTERS,
    SentenceBuffer,
    cut_text,
    is_speakable,
    nothing_to_speak,
    plain_text,
    weight,
)

_READ_BYTES = 8_192
_READS_AHEAD = 32
"""Blocks of a pipe that wait; then the program that writes it waits."""


class WholeText:
    """A complete text. Raises `UsageError` if there is nothing to speak."""

    def __init__(self, text: str) -> None:
        if len(text) > MOST_CHARACTERS:
            raise UsageError(f"The text has more than {MOST_CHARACTERS:,} characters.")
        self.plain = plain_text(text)
        """The text without markup."""
        if not is_speakable(self.plain):
            raise nothing_to_speak()
        self.characters: int | None = len(self.plain)

    async def pieces(self, most: int) -> AsyncGenerator[str, None]:
        """Yield pieces of at most `most` characters."""
        for piece in cut_text(self.plain, most):
            yield piece

    def fits(self, most: int) -> bool:
        """Return True if the text is one piece of at most `most` characters."""
        return weight(self.plain) <= most

    async def deltas(self) -> AsyncGenerator[str, None]:
        """Yield the text as written."""
        yield self.plain


class LiveText:
    """A text that arrives in parts, such as from a pipe."""

    characters: int | None = None
    """Unknown before its end."""

    def __init__(self, parts: AsyncIterator[str]) -> None:
        self._parts = parts

    async def pieces(self, most: int) -> AsyncGenerator[str, None]:
        """Yield complete sentences as soon as they are written, as many as a request takes.

        Raises `UsageError` at the end if there was nothing to speak.
        """
        queue: asyncio.Queue[str | None] = asyncio.Queue(_READS_AHEAD)
        filling = asyncio.create_task(self._fill(queue), name="text to speak")
        buffer, is_open, has_spoken = SentenceBuffer(), True, False
        try:
            while is_open:
                part = await queue.get()
                while part is not None:
                    buffer.add(part)
                    if queue.empty():
                        break
                    part = queue.get_nowait()
                is_open = part is not None
                for piece in cut_text(buffer.take() if is_open else buffer.rest(), most):
                    has_spoken = True
                    yield piece
            await filling
        finally:
            filling.cancel()
        if not has_spoken:
            raise nothing_to_speak()

    async def _fill(self, queue: asyncio.Queue[str | None]) -> None:
        try:
            async for part in self._parts:
                await queue.put(part)
        except VoicechatError:
            await queue.put(None)
            raise
        await queue.put(None)

    async def deltas(self) -> AsyncGenerator[str, None]:
        """Yield the text as it is written."""
        async for part in self._parts:
            yield part


TextSource = WholeText | LiveText


async def read_pipe(descriptor: int) -> AsyncGenerator[str, None]:
    """Yield the text of a pipe as it is written; UTF-8, wrong bytes become U+FFFD."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    free = threading.Semaphore(_READS_AHEAD)

    def read() -> None:
        block = b"more"
        while block:
            free.acquire()
            try:
                block = os.read(descriptor, _READ_BYTES)
            except OSError:
                block = b""
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(queue.put_nowait, block)

    # A daemon thread: one that waits for a pipe does not delay the end of the program.
    threading.Thread(target=read, name="text pipe", daemon=True).start()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    characters = 0
    while block := await queue.get():
        free.release()
        text = decoder.decode(block)
        characters += len(text)
        if characters > MOST_CHARACTERS:
            raise UsageError(f"The text has more than {MOST_CHARACTERS:,} characters.")
        yield text
    if rest := decoder.decode(b"", final=True):
        yield rest
