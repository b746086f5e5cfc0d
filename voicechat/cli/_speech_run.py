"""One run of `voicechat speak`: from a text to the speaker, a file or standard output."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from voicechat.cli.command import say
from voicechat.config.options import Options
from voicechat.core.price import dollars
from voicechat.core.text import clean, one_of
from voicechat.errors import UsageError
from voicechat.providers.speech_service import SPEECH_FORMATS, SpeechFormat
from voicechat.synthesis.sound_encoder import STREAMED
from voicechat.synthesis.speech_file import OTHER_SUFFIXES, SUFFIXES, speech_output
from voicechat.synthesis.speech_settings import SpeechSettings
from voicechat.synthesis.speech_text import (
    CHARACTERS_PER_SECOND,
    MOST_CHARACTERS,
    nothing_to_speak,
)
from voicechat.synthesis.synthesizer import Synthesizer, seconds_of
from voicechat.synthesis.text_source import LiveText, TextSource, WholeText, read_pipe
from voicechat.system import exit_deadline
from voicechat.system.escape_key import escape_pressed
from voicechat.system.terminal_guard import is_dumb

if TYPE_CHECKING:
    from voicechat.synthesis.speech_player import SpeechPlayer


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    """The options of one run, as they were typed."""

    words: tuple[str, ...] = ()
    file: str | None = None
    out: str | None = None
    """A file; - for standard output; None to play."""
    audio_format: str | None = None
    voice: str | None = None
    speed: str | None = None
    instructions: str | None = None
    language: str | None = None

    def check(self) -> None:
        """Raise `UsageError` for a wrong option, before anything is read."""
        if self.words.count("-") and len(self.words) > 1:
            raise UsageError("Write - alone, without other words.")
        if self.audio_format is not None and self.audio_format not in SPEECH_FORMATS:
            raise UsageError(
                f"--format must be {one_of(SPEECH_FORMATS)}, not {clean(self.audio_format)[:20]!r}."
            )
        if self.out == "":
            raise UsageError("--out is empty.", "Name a file, or - for standard output.")
        suffix = Path(self.out or "").suffix.lower()
        if self.audio_format is None and suffix in OTHER_SUFFIXES:
            raise UsageError(
                f"{suffix} files are not made.",
                f"Choose {one_of(SPEECH_FORMATS)}.",
            )
        if self.audio_format is not None and self.out is None:
            raise UsageError("--format needs a file.", "Name one with --out.")
        _ = self.settings

    @property
    def settings(self) -> SpeechSettings:
        """How to speak. Raises `UsageError` for a speed that is no number."""
        speed = None
        if self.speed is not None:
            try:
                speed = float(self.speed)
            except ValueError:
                speed = math.nan
            if not math.isfinite(speed):
                raise UsageError(f"--speed must be a number, not {clean(self.speed)[:20]!r}.")
        return SpeechSettings(self.voice, speed, self.instructions, self.language)

    @property
    def format(self) -> SpeechFormat:
        """The format of the file: as typed, or as the file is named."""
        if self.audio_format is not None:
            return cast("SpeechFormat", self.audio_format)
        return SUFFIXES.get(Path(self.out or "").suffix.lower(), "wav")

    @property
    def reads_input(self) -> bool:
        """True if the text comes from standard input."""
        return self.file == "-" or (self.file is None and self.words in {(), ("-",)})


def program(request: SpeakRequest, flags: Mapping[str, object]) -> str:
    """Return the Python program that writes the same file. Raises `UsageError` without one."""
    if request.out in {None, "-"} or request.reads_input or "budget" in flags:
        raise UsageError(
            "--show-code needs a text and a file, and no budget.", "Name the file with --out."
        )
    text = json.dumps(" ".join(request.words), ensure_ascii=False)
    if request.file is not None:
        text = f'Path({json.dumps(request.file)}).read_text(encoding="utf-8")'
    settings = request.settings
    given = {
        "format": request.format,
        "voice": settings.voice,
        "speed": settings.speed,
        "instructions": settings.instructions,
        "language": settings.language,
        "base_url": flags.get("base_url"),
        "profile": flags.get("profile"),
    }
    arguments = [text, *([json.dumps(flags["model"])] if "model" in flags else [])]
    arguments += [f"{n}={json.dumps(v)}" for n, v in given.items() if v is not None]
    return "".join(
        [
            '"""Made by voicechat --show-code."""\n\nfrom pathlib import Path\n\n',
            "import voicechat\n\nspeech = voicechat.speak(\n",
            *(f"    {each},\n" for each in arguments),
            f")\nPath({json.dumps(request.out)}).write_bytes(speech.audio)\n",
        ]
    )


def speak(options: Options, request: SpeakRequest) -> int:
    """Speak the text; the exit code."""
    return exit_deadline.run(_run(options, request))


async def _run(options: Options, request: SpeakRequest) -> int:
    line = ProgressLine()
    async with AsyncExitStack() as stack:
        stack.callback(line.clear)
        for sentence in options.warnings:
            line.print_message(sentence)
        speech = Synthesizer(options, request.settings, line.print_message)
        stack.push_async_callback(speech.close)
        run = _Run(options, request, speech, line)
        code = await _until_stopped(run, request)
    if code == 0:
        run.report()
    return code


async def _until_stopped(run: _Run, request: SpeakRequest) -> int:
    """Run until the end or until a signal or Esc stops it; the exit code."""
    speaking = asyncio.create_task(run.run(), name="speech")
    signals: list[int] = []

    def stop(number: int) -> None:
        if not signals:
            run.stop()
            speaking.cancel()
        signals.append(number)

    exit_deadline.on_signals(exit_deadline.ENDING, stop)
    with escape_pressed(lambda: stop(signal.SIGINT), watches=not request.reads_input):
        try:
            await speaking
        except asyncio.CancelledError:
            if not signals:
                raise
            return 128 + signals[0]
    return 0


class _Run:
    """A text, its speech and where it goes."""

    def __init__(
        self, options: Options, request: SpeakRequest, speech: Synthesizer, line: ProgressLine
    ) -> None:
        self._options, self._request = options, request
        self._speech, self._line = speech, line
        self._player: SpeechPlayer | None = None
        self._text: TextSource | None = None
        self._pcm_bytes = 0
        self._bytes = 0

    async def run(self) -> None:
        """Speak the text to its end."""
        request = self._request
        is_played = request.out is None
        # The other formats are complete at the end only, so their text may be complete, too.
        self._text = text = await _text(request, is_live=is_played or request.format in STREAMED)
        if is_played:
            await self._play(text)
            return
        is_native = self._speech.is_native(request.format, text)
        output = speech_output(request.out or "-", None if is_native else request.format)
        made = self._native(text, request.format) if is_native else self._sound(text)
        try:
            async with aclosing(made) as pieces:
                async for data in pieces:
                    output.write(data)
            output.finish()
        finally:
            output.discard()

    async def _play(self, text: TextSource) -> None:
        from voicechat.synthesis.speech_player import SpeechPlayer

        self._player = SpeechPlayer(self._options)
        self._player.on_heard = self._show
        self._speech.pace = self._player.wait_for_text
        try:
            async with aclosing(self._sound(text)) as sound:
                await self._player.play(sound)
        finally:
            await self._player.close()

    async def _native(
        self, text: TextSource, audio_format: SpeechFormat
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._speech.native(text, audio_format)) as pieces:
            async for data in pieces:
                self._bytes += len(data)
                self._show()
                yield data

    async def _sound(self, text: TextSource) -> AsyncGenerator[bytes, None]:
        made = self._speech.sound(text, is_played=self._player is not None)
        async with aclosing(made) as pieces:
            async for pcm in pieces:
                self._pcm_bytes += len(pcm)
                self._show()
                yield pcm

    def stop(self) -> None:
        """Silence the speaker at once."""
        if self._player is not None:
            self._player.stop()

    def _show(self) -> None:
        """Show how much of the text is speech."""
        seconds = seconds_of(self._pcm_bytes)
        amount = f"{seconds:,.0f} s of speech" if seconds else f"{self._bytes / 1000:,.0f} kB"
        if self._player is not None:
            amount = f"{self._player.heard_s:,.0f} s heard of {seconds:,.0f} s"
        whole = self._text.characters if self._text is not None else None
        share = ""
        if whole:
            guessed = max(self._speech.spoken, seconds * CHARACTERS_PER_SECOND)
            done = self._speech.spoken >= whole
            share = f", {1.0 if done else min(guessed / whole, 0.99):.0%} of the text"
        self._line.show(f"{self._speech.name}: {amount}{share}")

    def report(self) -> None:
        """Say what a file cost."""
        cost = self._speech.spending.cost
        if self._request.out not in {None, "-"} and cost and sys.stderr.isatty():
            say(f"Estimated cost: about {dollars(cost)}.")


async def _text(request: SpeakRequest, *, is_live: bool) -> TextSource:
    """Return the text of this run; a pipe is spoken while it is written if `is_live`."""
    if not request.reads_input:
        if request.file is not None:
            return WholeText(await asyncio.to_thread(_read_file, Path(request.file)))
        return WholeText(" ".join(request.words))
    if sys.stdin.isatty() and not request.words and request.file is None:
        raise nothing_to_speak()
    parts: AsyncIterator[str] = read_pipe(0)
    if is_live:
        return LiveText(parts)
    return WholeText("".join([part async for part in parts]))


def _read_file(path: Path) -> str:
    """Return the text of a file. Raises `UsageError`."""
    name = clean(str(path))
    try:
        with open(path, "rb") as file:
            raw = file.read(4 * MOST_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"{name} cannot be read: {reason}.", "Check --file.") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{name} is not a UTF-8 text.", "Check --file.")
    return text


class ProgressLine:
    """A line on the terminal with the progress; messages go above it."""

    def __init__(self) -> None:
        self._shown = ""
        self._is_shown = sys.stderr.isatty() and not is_dumb()

    def show(self, text: str) -> None:
        """Replace the line; empty removes it."""
        if not self._is_shown or text == self._shown:
            return
        self._shown = text
        sys.stderr.write(f"\r\x1b[K{_fitting(text)}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        self.show("")

    def print_message(self, sentence: str) -> None:
        """Write a message for the user."""
        shown = self._shown
        self.show("")
        say(sentence)
        self.show(shown)


def _fitting(text: str) -> str:
    """Return the start of a line that fits into the terminal."""
    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        width = 80
    return text[: width - 1]
