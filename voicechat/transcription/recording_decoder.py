"""The sound of a recording as a stream, decoded by a process of its own.

Source of the formats: libsndfile (WAV, FLAC, MP3, Ogg with Vorbis or Opus) with the package
`soundfile`, and FFmpeg (MP4, WebM, AAC) with the package `av`.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from voicechat.core.text import clean, excerpt
from voicechat.errors import UsageError
from voicechat.system import child_process
from voicechat.system.frames import FrameBuffer
from voicechat.transcription.recording_format import RecordingFormat

BLOCK_S = 30.0
"""Seconds in which the decoder must deliver more sound."""

_READ = 65_536
_END_S = 1.0


class _Start(msgspec.Struct):
    seconds: float | None = None


class _End(msgspec.Struct):
    problem: str = ""


class DecodedSound:
    """The sound of one file: PCM16 mono at 16 kHz. `decoded` opens it."""

    def __init__(self, name: str, child: asyncio.subprocess.Process) -> None:
        self.seconds: float | None = None
        """Length that the file states; None if it states none."""
        self.problem = ""
        """A sentence about sound that is missing; complete after the last block."""
        self._name = name
        self._child = child
        self._frames = FrameBuffer()
        self._waiting: list[bytes] = []

    async def start(self) -> None:
        """Read the length. Raises `UsageError` when the file cannot be decoded."""
        body = await self._next()
        if body is None or body[:1] != b"h":
            raise self._failure(body)
        self.seconds = msgspec.json.decode(body[1:], type=_Start).seconds

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Yield the sound in blocks of at most half a second. Raises `UsageError`."""
        has_sound = False
        while (body := await self._next()) is not None:
            if body[:1] == b"e":
                self.problem = clean(msgspec.json.decode(body[1:], type=_End).problem)
                if not has_sound:
                    raise UsageError(f"{self._name} contains no sound. {self.problem}".strip())
                return
            if body[:1] != b"d":
                break
            has_sound = has_sound or len(body) > 1
            yield body[1:]
        raise self._failure(body)

    def _failure(self, body: bytes | None) -> UsageError:
        said = body[1:].decode("utf-8", "replace") if body and body[:1] == b"f" else ""
        reason = excerpt(" ".join(clean(said).split())).rstrip(".")
        return UsageError(
            f"{self._name} cannot be decoded{f': {reason}' if reason else ''}.",
            "Save or convert it again.",
        )

    async def _next(self) -> bytes | None:
        """Return the next frame; None at the end of the process."""
        assert self._child.stdout is not None
        while not self._waiting:
            try:
                async with asyncio.timeout(BLOCK_S):
                    data = await self._child.stdout.read(_READ)
            except TimeoutError:
                raise UsageError(
                    f"{self._name} cannot be decoded: its decoder stopped.",
                    "Convert the file to WAV.",
                ) from None
            if not data:
                return None
            try:
                self._waiting = self._frames.feed(data)[::-1]
            except ValueError:
                return None
        return self._waiting.pop()


def decoder_for(name: str, found: RecordingFormat) -> str:
    """Return the decoder of a format. Raises `UsageError` when it is not installed."""
    package, extra = ("av", "voicechat[media]") if found.needs_media else ("soundfile", "soundfile")
    if importlib.util.find_spec(package) is None:
        raise UsageError(
            f"{name} is {found.name}, which needs a part that is not installed.",
            f"Type: pip install '{extra}'",
        )
    return package


@asynccontextmanager
async def decoded(name: str, path: Path, found: RecordingFormat) -> AsyncIterator[DecodedSound]:
    """Decode a file while the block runs.

    name: of the file in messages. Raises `UsageError` when it cannot be decoded.
    """
    command = child_process.module_command(
        "voicechat.transcription.recording_decoder_main", str(path), decoder_for(name, found)
    )
    try:
        child = await child_process.start(
            child_process.sandboxed_command(command),
            child_process.module_environment(),
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise UsageError(f"The decoder cannot start: {error.strerror}.") from None
    try:
        sound = DecodedSound(name, child)
        await sound.start()
        yield sound
    finally:
        await _stop(child)


async def _stop(child: asyncio.subprocess.Process) -> None:
    """End the decoder, which ends when its input closes."""
    if child.stdin is not None:
        child.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_S):
            # An unread pipe would keep the process from being seen to end.
            await child_process.drain(child.stdout)
    await child_process.stop(child)
