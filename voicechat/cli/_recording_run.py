"""One run of `voicechat transcribe` on recordings: from files and addresses to transcripts."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from voicechat.cli.command import say
from voicechat.config.options import Options
from voicechat.core.recorded_speech import RecordedSpeech
from voicechat.core.text import clean
from voicechat.errors import VoicechatError, first_error
from voicechat.providers.transcription_service import TranscriptionWishes
from voicechat.system import exit_deadline
from voicechat.system.process_memory import limit_memory
from voicechat.system.task_group import TaskGroup
from voicechat.system.terminal_guard import is_dumb
from voicechat.transcription.recording_session import RecordingSession, recording_session
from voicechat.transcription.recording_transcriber import Advance
from voicechat.transcription.recordings import decoded_base64, opened
from voicechat.transcription.transcript_files import different, targets, write_whole
from voicechat.transcription.transcript_formats import TranscriptFormat, formatted, json_line

_SHOWN_S = 0.2
"""Seconds between two lines of progress."""


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """The options of one run."""

    sources: tuple[str, ...]
    """Files, addresses, or - for standard input."""
    wishes: TranscriptionWishes
    form: TranscriptFormat = "txt"
    out_dir: Path | None = None
    """Folder of the transcripts; None for standard output."""
    jobs: int = 1
    """Recordings at a time."""
    is_base64: bool = False
    """The sources hold base64 text."""
    head: bytes = b""
    """What was read of standard input already."""


def transcribe_recordings(
    options: Options, request: RecordingRequest, out: TextIO | None = None
) -> int:
    """Transcribe the recordings; the exit code is that of the first one that failed."""
    limit_memory()
    return exit_deadline.run(_Run(options, request, out or sys.stdout).run())


@dataclass
class _Run:
    options: Options
    request: RecordingRequest
    out: TextIO
    exit_code: int = 0
    _progress: _Progress = field(default_factory=lambda: _Progress())

    async def run(self) -> int:
        """Transcribe; the exit code."""
        request = self.request
        sources = different(request.sources)
        places: list[Path | None] = [None] * len(sources)
        if request.out_dir is not None:
            places = list(targets(sources, request.out_dir, request.form))
        todo = [
            (source, place)
            for source, place in zip(sources, places, strict=True)
            if place is None or not place.exists()
        ]
        if len(todo) < len(places):
            self._say(f"{len(places) - len(todo)} of {len(places)} transcripts exist already.")
        if not todo:
            return 0
        for sentence in self.options.warnings:
            self._say(sentence)
        session = recording_session(self.options, request.wishes, self._say, resumes=True)
        async with session as opened_session:
            for sentence in opened_session.choice.unsupported:
                self._say(sentence)
            await self._transcribe_all(opened_session, todo)
        return self.exit_code

    async def _transcribe_all(
        self, session: RecordingSession, todo: list[tuple[str, Path | None]]
    ) -> None:
        free = asyncio.Semaphore(self.request.jobs)

        async def one(source: str, place: Path | None) -> None:
            async with free:
                try:
                    await self._transcribe(session, source, place)
                except VoicechatError as error:
                    if len(self.request.sources) == 1 or error.exit_code in _ENDS_ALL:
                        raise
                    self._say(str(error))
                    self.exit_code = self.exit_code or error.exit_code

        failure: VoicechatError | None = None
        try:
            async with TaskGroup() as tasks:
                for source, place in todo:
                    tasks.create_task(one(source, place))
        except* VoicechatError as group:
            failure = first_error(group)
        finally:
            self._progress.clear()
            if session.transcriber.may_continue:
                self._say("The finished parts are kept: the same command continues.")
        if failure is not None:
            raise failure

    async def _transcribe(self, session: RecordingSession, source: str, place: Path | None) -> None:
        found = await decoded_base64(source) if self.request.is_base64 else source
        async with opened(found, self.request.head) as recording:
            bar = self._progress.begin(recording.name)
            try:
                speech = await session.transcriber.transcribe(recording, bar)
            finally:
                self._progress.end(recording.name)
            for sentence in speech.warnings:
                self._say(sentence)
            if not speech.text.strip():
                self._say(f"{recording.name} contains no speech that was recognized.")
            name = Path(recording.name).name
            await self._save(speech, name, session.choice.name, place)
            session.transcriber.saved(recording)

    async def _save(
        self, speech: RecordedSpeech, name: str, model: str, place: Path | None
    ) -> None:
        content = formatted(speech, self.request.form, name, model)
        if place is not None:
            await asyncio.to_thread(write_whole, place, content)
            self._say(f"{clean(str(place))} is written.")
            return
        if self.request.form == "json":
            content = json_line(speech, name, model)
        self._progress.clear()
        self.out.write(content)
        self.out.flush()

    def _say(self, sentence: str) -> None:
        self._progress.clear()
        say(sentence)


_ENDS_ALL = (3, 4, 7, 8)
"""Exit codes of failures that every recording would meet: key, network, engine, budget."""


class _Progress:
    """One line on the terminal: how much of which recordings is done, and the time left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown = sys.stderr.isatty() and not is_dumb()
        self._parts: dict[str, str] = {}
        self._drawn_at = 0.0
        self._is_drawn = False

    def begin(self, name: str) -> Callable[[Advance], None]:
        """Return the function that takes the advance of a recording."""
        started_at = self._clock()
        short = Path(name).name[-30:]
        self._parts[name] = short
        self._draw()

        def advance(reached: Advance) -> None:
            text = short
            if reached.total_s:
                share = min(1.0, reached.done_s / reached.total_s)
                text += f" {share:.0%}"
                worked = reached.done_s - reached.earlier_s
                if worked > 0:
                    rate = (self._clock() - started_at) / worked
                    text += f", {_left((reached.total_s - reached.done_s) * rate)} left"
            self._parts[name] = text
            if self._clock() - self._drawn_at >= _SHOWN_S:
                self._draw()

        return advance

    def end(self, name: str) -> None:
        """Remove a recording."""
        self._parts.pop(name, None)
        self.clear()

    def clear(self) -> None:
        """Remove the line."""
        if self._is_drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._is_drawn = False

    def _draw(self) -> None:
        if not self._shown:
            return
        from rich.cells import set_cell_size

        try:
            width = os.get_terminal_size(sys.stderr.fileno()).columns
        except OSError:
            width = 80
        line = " · ".join(self._parts.values())
        sys.stderr.write(f"\r\x1b[K{set_cell_size(line, width - 1).rstrip()}")
        sys.stderr.flush()
        self._drawn_at, self._is_drawn = self._clock(), True


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"
