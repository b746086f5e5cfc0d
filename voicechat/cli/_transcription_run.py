"""One run of `voicechat transcribe`: from a source of audio to lines on standard output.

Prints one line for each passage, in the order in which they were spoken, as soon as it is final;
with `as_json`, one JSON object for each. On a terminal, standard error shows the words of the
unfinished passage.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
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
from voicechat.providers import catalog
from voicechat.providers.codec import Codec, unsupported
from voicechat.session.model_spending import ModelSpending
from voicechat.system import exit_deadline
from voicechat.system.terminal_guard import is_dumb
from voicechat.transcription.audio_sources import AudioSource, FileSource, MicrophoneSource
from voicechat.transcription.transcriber import Transcriber

if TYPE_CHECKING:
    from voicechat.session.local_server import LocalServer

LOGPROBS = "item.input_audio_transcription.logprobs"

RATE = 24_000
"""Hz; every provider that transcribes accepts it."""

LAST_WORDS_S = 8.0
"""Seconds for the last words after Ctrl-C."""

SPEECH_S = 30.0
"""Seconds in which speech has to begin when one utterance is wanted."""

SHUTDOWN_S = 1.5
"""Seconds for the last words after SIGTERM or SIGHUP."""


@dataclass(frozen=True, slots=True)
class TranscribeRequest:
    """The options of one run."""

    source: str | None = None
    """A file; - for standard input; None for the microphone."""
    language: str | None = None
    as_json: bool = False
    logprobs: bool = False
    raw: bool = False
    """The source is PCM16 mono at `RATE` without a header."""
    once: bool = False
    """End after the first passage with words."""
    head: bytes = b""
    """What was read of standard input already."""


def transcribe(options: Options, request: TranscribeRequest, out: TextIO | None = None) -> int:
    """Transcribe until the source ends or the user stops it; the exit code."""
    printer = PassagePrinter(out or sys.stdout, request)
    return exit_deadline.run(_run(options, request, printer))


async def _run(options: Options, request: TranscribeRequest, printer: PassagePrinter) -> int:
    choice, model = catalog.transcription_choice(
        options.model, base_url=options.base_url, environ=options.environ, wire=options.wire
    )
    settings = _settings(options, request, model)
    async with AsyncExitStack() as stack:
        source = _source(options, request, printer, choice.name)
        stack.push_async_callback(source.close)
        codec: Callable[[], Awaitable[Codec]] = partial(_make_codec, choice.codec)
        if choice.needs_local_server:
            codec = await _embedded(options, printer, stack)
        for sentence in (*options.warnings, *unsupported(await codec(), settings)):
            printer.print_message(sentence)
        budget = ModelSpending(options, choice.name, printer.print_message)
        stack.push_async_callback(budget.close)
        writer = Transcriber(
            codec,
            settings,
            source,
            on_passage=printer.write,
            on_partial=printer.show,
            notify=printer.print_message,
            budget=budget,
        )
        code = await _until_stopped(writer, printer)
        if request.source is not None and code == 0 and not printer.has_written:
            printer.print_message("No speech was recognized.")
        return code


async def _until_stopped(writer: Transcriber, printer: PassagePrinter) -> int:
    """Run until the source ends or a signal stops it; the exit code."""
    transcribing = asyncio.create_task(writer.run())
    signals: list[int] = []

    def on_signal(number: int) -> None:
        signals.append(number)
        if len(signals) == 2:
            transcribing.cancel()
        if len(signals) > 1:
            return
        writer.stop()
        deadline = LAST_WORDS_S if number == signal.SIGINT else SHUTDOWN_S
        asyncio.get_running_loop().call_later(deadline, transcribing.cancel)

    def give_up() -> None:
        if writer.is_hearing:
            asyncio.get_running_loop().call_later(SPEECH_S, give_up)
        else:
            printer.print_message(f"No speech was heard within {SPEECH_S:g} s.")
            transcribing.cancel()

    printer.on_finished = transcribing.cancel
    if printer.request.once:
        asyncio.get_running_loop().call_later(SPEECH_S, give_up)
    seconds = LAST_WORDS_S + exit_deadline.END_S
    exit_deadline.on_signals(exit_deadline.ENDING, on_signal, seconds)
    try:
        await transcribing
    except asyncio.CancelledError:
        if printer.request.once and not signals:
            return 0 if printer.is_finished else 1
        if not signals:
            raise
        printer.print_message("The last words were not transcribed in time.")
        return 128 + signals[0]
    finally:
        printer.show("")
    # Ctrl-C is the normal way to stop.
    return 128 + signals[0] if signals and signals[0] != signal.SIGINT else 0


def _settings(options: Options, request: TranscribeRequest, model: str | None) -> SessionSettings:
    requested = options.session_settings
    transcription = cast("Transcription | None", requested.get("transcription")) or Transcription()
    if request.language:
        transcription = replace(transcription, language=request.language, languages=())
    settings = SessionSettings(
        purpose="transcription",
        turn_detection=None,
        transcription=replace(transcription, model=model),
        input_format=AudioFormat(rate=RATE),
        include=(LOGPROBS,) if request.logprobs else (),
    )
    noise = {name: requested[name] for name in ("noise_reduction",) if name in requested}
    return replace(settings, **noise)  # type: ignore[arg-type]


def _source(
    options: Options, request: TranscribeRequest, printer: PassagePrinter, model: str
) -> AudioSource:
    if request.source is not None:
        return FileSource(
            request.source,
            RATE,
            raw=request.raw,
            head=request.head,
            notify=printer.print_message,
        )
    from voicechat.config.remembered_devices import remember

    return MicrophoneSource(
        AudioSettings(
            input_device=options.input_device,
            output_device=options.output_device,
            preferred=options.remembered_devices,
            input_rate=RATE,
            output_rate=RATE,
            echo_cancel=False,
            barge_in="off",
        ),
        printer.print_message,
        f"Listening with {model}. "
        + ("A pause ends it." if request.once else "Press Ctrl-C to stop."),
        lambda: remember(options, ("input",)),
    )


async def _make_codec(codec: Callable[[], Codec]) -> Codec:
    return codec()


async def _embedded(
    options: Options, printer: PassagePrinter, stack: AsyncExitStack
) -> Callable[[], Awaitable[Codec]]:
    """A function that makes codecs for the embedded voice, and restarts it when it has ended."""
    from voicechat.session.local_server import LocalServer

    server: LocalServer | None = None
    url, token = "", Secret("")

    async def stop() -> None:
        if server is not None:
            await server.stop()

    async def make_codec() -> Codec:
        nonlocal server, url, token
        if server is None or not server.running:
            await stop()
            server = LocalServer(options, printer.show, on_warning=printer.print_message)
            url, token = await server.start()
            printer.show("")
        return catalog.local_codec(url, token, "transcription")

    stack.push_async_callback(stop)
    await make_codec()
    return make_codec


class PassagePrinter:
    """Prints passages, and shows the unfinished one on a terminal."""

    def __init__(self, out: TextIO, request: TranscribeRequest) -> None:
        self._out = out
        self.request = request
        self.has_written = False
        """True once a passage was printed."""
        self.is_finished = False
        """True once the wanted passage was printed; others are ignored then."""
        self.on_finished: Callable[[], object] = lambda: None
        self._draft = ""
        self._shows_draft = sys.stderr.isatty() and not is_dumb()

    def write(self, passage: Passage) -> None:
        """Print a final passage."""
        if self.is_finished:
            return
        draft = self._draft
        self.show("")
        line = self._json(passage) if self.request.as_json else " ".join(passage.spoken.split())
        if passage.error and not self.request.as_json:
            self.print_message(f"A passage could not be transcribed: {passage.error}")
        if line:
            self._out.write(f"{line}\n")
            self._out.flush()
            self.has_written = True
        if line and self.request.once and passage.spoken.strip():
            self.is_finished = True
            self.on_finished()
            return
        self.show(draft)

    def _json(self, passage: Passage) -> str:
        if not (passage.text.strip() or passage.error):
            return ""
        fields: dict[str, object] = {
            "item_id": passage.item_id,
            "previous_item_id": passage.previous_item_id,
            "text": passage.text,
        }
        if passage.error:
            fields["error"] = passage.error
        if passage.languages:
            fields["languages"] = passage.languages
        if passage.segments:
            fields["segments"] = [
                {"speaker": s.speaker, "text": s.text, "start": s.start_s, "end": s.end_s}
                for s in passage.segments
            ]
        if self.request.logprobs:
            fields["logprobs"] = [
                {"token": token.text, "logprob": token.logprob} for token in passage.tokens
            ]
        if passage.usage:
            fields["usage"] = _usage_fields(passage.usage)
        return msgspec.json.encode(fields).decode()

    def show(self, text: str) -> None:
        """Replace the words of the unfinished passage on the terminal; empty removes them."""
        if not self._shows_draft or text == self._draft:
            return
        self._draft = text
        sys.stderr.write(f"\r\x1b[K{_fit_line(text)}")
        sys.stderr.flush()

    def print_message(self, sentence: str) -> None:
        """Write a message for the user."""
        draft = self._draft
        self.show("")
        sys.stderr.write(f"voicechat: {sentence}\n")
        sys.stderr.flush()
        self.show(draft)


def _usage_fields(usage: Usage) -> dict[str, object]:
    fields = {name: getattr(usage, name) for name in Usage.__slots__}
    return {name: value for name, value in fields.items() if value}


def _fit_line(text: str) -> str:
    """The end of the text that fits into a line of the terminal."""
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
