"""Speech over a socket of the provider, which takes the text word by word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from urllib.parse import urlsplit

from voicechat.errors import Secret, SessionLost
from voicechat.providers.speech_service import SpeechDialog, SpeechEvent, SpeechFailed
from voicechat.synthesis.provider_speech import check_encrypted, failed
from voicechat.synthesis.speech_text import WordBuffer, is_speakable, nothing_to_speak
from voicechat.transports.connection_errors import ConnectionLost
from voicechat.transports.websocket import SocketConnection, dial

SILENCE_S = 60.0
"""Seconds without a frame, after the last text, in which the rest of the sound must begin."""


async def dialog_speech(
    dialog: SpeechDialog,
    text: AsyncIterator[str],
    key: Secret | None,
    on_sent: Callable[[int], object] = lambda characters: None,
) -> AsyncGenerator[SpeechEvent, None]:
    """Speak a text while it is written; yield the sound.

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
    connection: SocketConnection,
    dialog: SpeechDialog,
    text: AsyncIterator[str],
    on_sent: Callable[[int], object],
) -> None:
    words, has_words = WordBuffer(), False
    await connection.send(dialog.start())
    async for more in _words(words, text):
        has_words = has_words or is_speakable(more)
        await connection.send(dialog.text(more))
        on_sent(len(more))
    if not has_words:
        raise nothing_to_speak()
    await connection.send(dialog.end())


async def _words(words: WordBuffer, text: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    async for delta in text:
        if more := words.add(delta):
            yield more
    if rest := words.rest():
        yield rest


async def _frames(
    connection: SocketConnection, sending: asyncio.Task[None], host: str
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
