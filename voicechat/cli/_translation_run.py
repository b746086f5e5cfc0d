"""One run of `voicechat translate`: a session with a translator, as lines on standard output.

Prints each sentence of the speaker and of the translation when it is complete; with `as_json`, one
JSON object for each.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import wave
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

import msgspec

from voicechat.cli.command import say
from voicechat.config.options import Options
from voicechat.core.items import Role
from voicechat.errors import UsageError
from voicechat.providers import catalog
from voicechat.session.budget_watch import kept_ledger
from voicechat.session.client import ClientSession
from voicechat.session.client_events import AudioChunk, ProblemEvent, TranscriptEvent
from voicechat.session.event_queue import EventQueue
from voicechat.session.session import Session
from voicechat.session.sound_card import CardLink, PcmCard
from voicechat.system import exit_deadline
from voicechat.transcription.audio_sources import FileSource

RATE = 24_000
"""Hz; the rate of translation sessions."""

LAST_WORDS_S = 4.0
"""Seconds without news after the end of a file until its translation counts as complete."""

_SENTENCE_END = re.compile(r"[.!?…]+[\"'»”)]*\s+|[。！？]+\s*")


@dataclass(frozen=True, slots=True)
class TranslateRequest:
    """The options of one run."""

    to: str
    """Code of the target language."""
    source: str | None = None
    """A file; - for standard input; None for microphone and speaker."""
    save: Path | None = None
    """File for the spoken translation."""
    model: str | None = None
    as_json: bool = False
    raw: bool = False
    """The source is PCM16 mono at `RATE` without a header."""


def translate(options: Options, request: TranslateRequest, out: TextIO | None = None) -> int:
    """Translate until the source ends or the user stops it; the exit code."""
    choice = catalog.translation_choice(
        request.model, base_url=options.base_url, environ=options.environ
    )
    if options.voice is not None:
        options = replace(options, voice=None)
    options = replace(
        options,
        model=choice.name,
        with_sound=True,
        push_to_talk=False,
        instructions=None,
        earcons=False,
        tools=(),
        mcp_servers=(),
        session_settings={**options.session_settings, "translate_to": request.to},
    )
    printer = SentencePrinter(out or sys.stdout, request)
    return exit_deadline.run(_Run(options, request, printer).run())


class SentencePrinter:
    """Prints messages sentence by sentence, as they grow."""

    def __init__(self, out: TextIO, request: TranslateRequest) -> None:
        self._out = out
        self._to = request.to
        self._as_json = request.as_json
        self._printed: dict[str, int] = {}
        """Characters of each message that were printed."""

    def take(self, message: TranscriptEvent) -> None:
        """Print what is complete of a message."""
        start = self._printed.get(message.item_id, 0)
        end = len(message.text) if message.final else _complete(message.text, start)
        if end > start:
            self._printed[message.item_id] = end
            self._line(message.role, " ".join(message.text[start:end].split()))

    def _line(self, role: Role, text: str) -> None:
        if not text:
            return
        is_source = role is Role.USER
        if self._as_json:
            fields = {"text": text, "language": None if is_source else self._to}
            line = msgspec.json.encode(fields).decode()
        else:
            line = text if is_source else f"{self._to}: {text}"
        self._out.write(f"{line}\n")
        self._out.flush()


def _complete(text: str, start: int) -> int:
    """Return the end of the last complete sentence after `start`; `start` if there is none."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text, start)]
    return ends[-1] if ends else start


class _Run:
    """A session, its source and its output."""

    def __init__(
        self, options: Options, request: TranslateRequest, printer: SentencePrinter
    ) -> None:
        self._request = request
        self._printer = printer
        self._options = options
        self._news = asyncio.Event()
        self._spoken = bytearray()

    async def run(self) -> int:
        """Translate; return the exit code."""
        request = self._request
        source = None
        if request.source is not None:
            source = FileSource(request.source, RATE, raw=request.raw)
        self._check_save()
        session = self._session(with_devices=source is None)
        signals: list[int] = []
        stopped = asyncio.Event()

        def on_signal(number: int) -> None:
            signals.append(number)
            stopped.set()

        exit_deadline.on_signals(exit_deadline.ENDING, on_signal)
        async with session:
            say(f"Translating into {request.to} with {session.model}. Press Ctrl-C to stop.")
            tasks = [
                asyncio.create_task(self._show(session)),
                asyncio.create_task(stopped.wait()),
            ]
            if source is not None:
                tasks.append(asyncio.create_task(self._send(session, source)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            if source is not None:
                await source.close()
            for task in done:
                task.result()
        self._save()
        # Ctrl-C is the normal way to stop.
        return 128 + signals[0] if signals and signals[0] != signal.SIGINT else 0

    def _session(self, *, with_devices: bool) -> ClientSession:
        events = EventQueue()
        if with_devices:
            session = Session(self._options, open_ledger=kept_ledger())
            return ClientSession(session, events, None, in_api=False)
        card = PcmCard(events.put_audio, events.drop_audio)
        session = Session(
            self._options, open_audio=partial(CardLink, card), open_ledger=kept_ledger()
        )
        return ClientSession(session, events, None, card, in_api=False)

    async def _show(self, session: ClientSession) -> None:
        async for event in session:
            match event:
                case TranscriptEvent():
                    self._news.set()
                    self._printer.take(event)
                case AudioChunk(_, pcm):
                    self._news.set()
                    self._spoken += pcm
                case ProblemEvent(text, hint):
                    say(f"{text} {hint}".strip())

    async def _send(self, session: ClientSession, source: FileSource) -> None:
        """Send the source in real time, then wait for the rest of its translation."""
        async for block in source.blocks():
            if block:
                await session.send(block)
        with suppress(TimeoutError):
            while True:
                self._news.clear()
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._news.wait()

    def _check_save(self) -> None:
        """Raise `UsageError` before the session if the file cannot be written."""
        if self._request.save is not None:
            self._save()

    def _save(self) -> None:
        path = self._request.save
        if path is None:
            return
        try:
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes(bytes(self._spoken))
        except OSError as error:
            raise UsageError(f"--save: {path} cannot be written: {error.strerror}.") from None
