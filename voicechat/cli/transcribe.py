"""`voicechat transcribe`: what is said, as lines on standard output.

One line for each passage, in the order in which they were said, as soon as it is final; with
`as_json` one JSON object for each. On a terminal the words in the making are shown on standard
error and wiped off again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast

import msgspec

from voicechat.audio.messages import AudioSettings
from voicechat.config.options import Options
from voicechat.core.items import Usage
from voicechat.core.settings import AudioFormat, SessionSettings, Transcription
from voicechat.core.transcript_order import Passage
from voicechat.errors import Secret
from voicechat.line_mode.app import nobody_reads
from voicechat.providers import catalog
from voicechat.providers.codec import Codec, unsupported
from voicechat.system.terminal_guard import is_dumb
from voicechat.transcription.audio_sources import Microphone, Recorded, Source
from voicechat.transcription.transcriber import Transcriber

if TYPE_CHECKING:
    from voicechat.session.local_server import LocalServer

LOGPROBS = "item.input_audio_transcription.logprobs"

RATE = 24_000
"""Hz; every provider that transcribes takes it."""

LAST_WORDS_S = 8.0
"""Seconds that the last words may take after Ctrl-C."""

GOODBYE_S = 1.5
"""The same when the program is told to end."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of one run."""

    source: str | None = None
    """A file, - for standard input, None for the microphone."""
    language: str | None = None
    as_json: bool = False
    logprobs: bool = False


def transcribe(options: Options, wish: Wish, out: TextIO | None = None) -> int:
    """Write down what is said until it ends, or Ctrl-C; the exit code."""
    page = Page(out or sys.stdout, wish)
    try:
        return asyncio.run(_transcribe(options, wish, page))
    except BrokenPipeError:
        return nobody_reads()
    except BaseExceptionGroup as group:
        if group.split(BrokenPipeError)[1] is not None:
            raise
        return nobody_reads()


async def _transcribe(options: Options, wish: Wish, page: Page) -> int:
    choice, model = catalog.transcriber(
        options.model, base_url=options.base_url, environ=options.environ, wire=options.wire
    )
    settings = _settings(options, wish, model)
    async with AsyncExitStack() as stack:
        source = _source(options, wish, page, choice.name)
        stack.push_async_callback(source.close)
        codec: Callable[[], Awaitable[Codec]] = partial(_made, choice.codec)
        if choice.needs_local_server:
            codec = await _embedded(options, page, stack)
        for doubt in unsupported(await codec(), settings):
            page.tell(doubt)
        writer = Transcriber(
            codec, settings, source, write=page.write, show=page.show, tell=page.tell
        )
        return await _until_stopped(writer, page)


async def _until_stopped(writer: Transcriber, page: Page) -> int:
    """Run to the end, which a signal may bring nearer; the exit code."""
    running = asyncio.create_task(writer.run())
    told: list[int] = []

    def end(number: int) -> None:
        told.append(number)
        if len(told) > 1:
            running.cancel()
            return
        writer.stop()
        patience = LAST_WORDS_S if number == signal.SIGINT else GOODBYE_S
        asyncio.get_running_loop().call_later(patience, running.cancel)

    _on_signals(end)
    try:
        await running
    except asyncio.CancelledError:
        if not told:
            raise
        page.tell("The last words were not written down in time.")
        return 128 + told[0]
    finally:
        page.show("")
    # Ctrl-C is how a person says that they have said everything.
    return 128 + told[0] if told and told[0] != signal.SIGINT else 0


def _on_signals(end: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, end, number)
        except (NotImplementedError, RuntimeError):
            with suppress(ValueError):  # not the main thread
                signal.signal(number, lambda number, _: loop.call_soon_threadsafe(end, number))


def _settings(options: Options, wish: Wish, model: str | None) -> SessionSettings:
    wanted = options.wanted
    heard = cast("Transcription | None", wanted.get("transcription")) or Transcription()
    if wish.language:
        heard = replace(heard, language=wish.language, languages=())
    settings = SessionSettings(
        purpose="transcription",
        turn_detection=None,
        transcription=replace(heard, model=model),
        input_format=AudioFormat(rate=RATE),
        include=(LOGPROBS,) if wish.logprobs else (),
    )
    noise = {name: wanted[name] for name in ("noise_reduction",) if name in wanted}
    return replace(settings, **noise)  # type: ignore[arg-type]


def _source(options: Options, wish: Wish, page: Page, model: str) -> Source:
    if wish.source is not None:
        return Recorded(wish.source, RATE)
    return Microphone(
        AudioSettings(
            input_device=options.input_device,
            output_device=options.output_device,
            input_rate=RATE,
            output_rate=RATE,
            echo_cancel=False,
            barge_in="off",
        ),
        page.tell,
        f"Listening, with {model}. Ctrl-C ends.",
    )


async def _made(codec: Callable[[], Codec]) -> Codec:
    return codec()


async def _embedded(
    options: Options, page: Page, stack: AsyncExitStack
) -> Callable[[], Awaitable[Codec]]:
    """What makes codecs for the embedded voice, which is started first, and again if it ended."""
    from voicechat.session.local_server import LocalServer

    server: LocalServer | None = None
    url, token = "", Secret("")

    async def stop() -> None:
        if server is not None:
            await server.stop()

    async def made() -> Codec:
        nonlocal server, url, token
        if server is None or not server.running:
            await stop()
            server = LocalServer(options, on_progress=page.show)
            url, token = await server.start()
            page.show("")
        return catalog.local_codec(url, token, "transcription")

    stack.push_async_callback(stop)
    await made()
    return made


class Page:
    """Where the passages go, and the words in the making."""

    def __init__(self, out: TextIO, wish: Wish) -> None:
        self._out = out
        self._wish = wish
        self._draft = ""
        self._drafts = sys.stderr.isatty() and not is_dumb()

    def write(self, passage: Passage) -> None:
        """A passage is final."""
        draft = self._draft
        self.show("")
        line = self._json(passage) if self._wish.as_json else " ".join(passage.spoken.split())
        if passage.error and not self._wish.as_json:
            self.tell(f"A passage could not be written down: {passage.error}")
        if line:
            self._out.write(f"{line}\n")
            self._out.flush()
        self.show(draft)

    def _json(self, passage: Passage) -> str:
        if not (passage.text.strip() or passage.error):
            return ""
        told: dict[str, object] = {
            "item_id": passage.item_id,
            "previous_item_id": passage.previous_item_id,
            "text": passage.text,
        }
        if passage.error:
            told["error"] = passage.error
        if passage.languages:
            told["languages"] = passage.languages
        if passage.segments:
            told["segments"] = [
                {"speaker": s.speaker, "text": s.text, "start": s.start_s, "end": s.end_s}
                for s in passage.segments
            ]
        if self._wish.logprobs:
            told["logprobs"] = [
                {"token": token.text, "logprob": token.logprob} for token in passage.tokens
            ]
        if passage.usage:
            told["usage"] = _used(passage.usage)
        return msgspec.json.encode(told).decode()

    def show(self, text: str) -> None:
        """Show words in the making in place of those before; empty to show none."""
        if not self._drafts or text == self._draft:
            return
        self._draft = text
        sys.stderr.write(f"\r\x1b[K{_fitting(text)}")
        sys.stderr.flush()

    def tell(self, sentence: str) -> None:
        """A sentence for the person."""
        draft = self._draft
        self.show("")
        sys.stderr.write(f"voicechat: {sentence}\n")
        sys.stderr.flush()
        self.show(draft)


def _used(usage: Usage) -> dict[str, object]:
    told = {name: getattr(usage, name) for name in Usage.__slots__}
    return {name: value for name, value in told.items() if value}


def _fitting(text: str) -> str:
    """The end of the text, as much as fits into a line of the terminal."""
    from rich.cells import cell_len

    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        width = 80
    text = " ".join(text[-1_000:].split())
    if cell_len(text) < width:
        return text
    while text and cell_len(text) > width - 2:
        text = text[1:]
    return f"…{text}"
