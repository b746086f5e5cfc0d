"""Sources of speech for a transcription: the microphone, a WAV file or a pipe.

A source yields blocks of PCM16 mono at the rate it was made with. It ends at the end of its sound
or after `stop`.
"""

from __future__ import annotations

import asyncio
import threading
import wave
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol, cast

from voicechat.audio import messages as sound
from voicechat.core import effects, inputs
from voicechat.core.text import clean
from voicechat.errors import SoundError, UsageError

if TYPE_CHECKING:
    from voicechat.speech.pcm import Samples

BUFFER_MS = 10_000
"""Milliseconds of sound buffered for the microphone; then the oldest is dropped and counted."""

_BLOCK_MS = 100
_UNKNOWN_SIZE = 0x7FFF_0000
"""Bytes of sound from which a header states no length."""
_BLOCKS_AHEAD = 20
"""Blocks of a file that are read in advance."""


class AudioSource(Protocol):
    """A source of sound."""

    is_live: bool
    """True if the sound arrives in real time, False if it is read as fast as it is taken."""

    def blocks(self) -> AsyncIterator[bytes]:
        """Yield the sound. Raises `VoicechatError` when it cannot be captured or read."""
        ...

    def stop(self) -> None:
        """End the sound; `blocks` still yields what is buffered."""
        ...

    async def close(self) -> None:
        """Release the device or the file."""
        ...


class MicrophoneSource:
    """The microphone, captured by the audio process."""

    is_live = True

    def __init__(
        self,
        settings: sound.AudioSettings,
        notify: Callable[[str], None],
        ready_message: str = "",
        on_opened: Callable[[], object] = lambda: None,
    ) -> None:
        """Open the microphone. Call it on the event loop.

        `notify` receives sentences for the user, the first of them `ready_message` when the
        microphone is open; `on_opened` is called then, too.
        """
        from voicechat.session.audio_link import SoundLine

        self.dropped = 0
        """Blocks dropped since the last message about it."""
        self._notify, self._ready_message = notify, ready_message
        self._on_opened = on_opened
        self._reported_silence = False
        self._block_s = settings.block_ms / 1000
        self._blocks: deque[bytes] = deque(maxlen=BUFFER_MS // settings.block_ms)
        self._changed = asyncio.Event()
        self._stopped = False
        self._failure: SoundError | None = None
        self._line = SoundLine(settings, self._on_audio_event)

    def _on_audio_event(self, event: sound.AudioEvent) -> None:
        match event:
            case inputs.MicBlock(pcm):
                self.dropped += len(self._blocks) == self._blocks.maxlen
                self._blocks.append(pcm)
            case sound.Opened(input_name=None):
                problem = event.problem or "There is no microphone."
                self._failure = SoundError(problem, event.hint)
            case sound.Opened():
                self._failure = None
                self._on_opened()
                self._notify_ready()
            case sound.DigitalSilence(False, text, hint) if not self._reported_silence:
                self._reported_silence = True
                self._notify(f"{text} {hint}".strip())
            case sound.Problem(text, hint):
                self._notify(f"{text} {hint}".strip())
            case _:
                return
        self._changed.set()

    def _notify_ready(self) -> None:
        ready_message, self._ready_message = self._ready_message, ""
        if ready_message:
            self._notify(ready_message)

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the sound as it is captured. Raises `SoundError` without a microphone."""
        while True:
            if self.dropped:
                lost_s, self.dropped = self.dropped * self._block_s, 0
                self._notify(
                    f"{max(lost_s, 1):.0f} s of speech were lost: the transcription fell behind."
                )
            while self._blocks:
                yield self._blocks.popleft()
            if self._failure is not None:
                raise self._failure
            if self._stopped:
                return
            self._changed.clear()
            await self._changed.wait()

    def stop(self) -> None:
        """Close the microphone; `blocks` still yields what is buffered."""
        self._stopped = True
        self._line.send(effects.CloseMic(True))
        self._changed.set()

    async def close(self) -> None:
        """End the audio process."""
        await self._line.close()


class FileSource:
    """A WAV file, or raw PCM16 mono at the rate of the source. A pipe may carry either."""

    is_live = False

    def __init__(
        self,
        path: str,
        rate: int,
        *,
        raw: bool = False,
        head: bytes = b"",
        notify: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Open the file `path`, or standard input for -. Raises `UsageError`.

        rate: of the blocks, Hz. raw: the file has no header. head: what was read of it already.
        notify: receives a sentence about sound that is missing.
        """
        self._notify = notify
        self._head = head
        self._rate = rate
        self._takes_raw = raw or path == "-"
        self._is_raw = raw
        self._name = "Standard input" if path == "-" else clean(path)
        self._path = path
        try:
            with self._open():
                pass
        except OSError as error:
            raise UsageError(f"{self._name} cannot be read: {error.strerror}.") from None
        self._stopped = threading.Event()
        self._free_slots = threading.Semaphore(_BLOCKS_AHEAD)
        self._queue: asyncio.Queue[bytes | UsageError | None] = asyncio.Queue()
        self._problem = ""

    def _open(self) -> IO[bytes]:
        if self._path == "-":
            return open(0, "rb", closefd=False)
        return open(self._path, "rb")

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the sound as fast as it is taken. Raises `UsageError` when there is none."""
        loop = asyncio.get_running_loop()
        has_audio = False

        def put(result: bytes | UsageError | None) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._queue.put_nowait, result)

        # A daemon thread: one that waits for a pipe does not delay the end of the program.
        threading.Thread(
            target=self._read_all, args=(put,), name="recorded-sound", daemon=True
        ).start()
        while (result := await self._queue.get()) is not None:
            if isinstance(result, UsageError):
                raise result
            self._free_slots.release()
            has_audio = has_audio or bool(result)
            yield result
        if self._problem:
            self._notify(self._problem)
        if not has_audio and not self._stopped.is_set():
            raise UsageError(f"{self._name} contains no audio.")

    def _read_all(self, put: Callable[[bytes | UsageError | None], None]) -> None:
        """Pass on each block, then None or an error: without an end, `blocks` would wait."""
        try:
            for block in self._read():
                self._free_slots.acquire()
                if self._stopped.is_set():
                    break
                put(block)
            put(None)
        except UsageError as error:
            put(error)
        except Exception as error:  # a damaged file can fail in any way
            put(UsageError(f"{self._name} cannot be read: {type(error).__name__}."))

    def _read(self) -> Iterator[bytes]:
        try:
            with self._open() as file:
                prefix = self._head or file.read(4)
                if prefix.startswith(b"RIFF") and not self._is_raw:
                    yield from self._wav(prefix, file)
                elif self._takes_raw:
                    yield from self._raw(prefix, file)
                elif prefix:
                    raise wave.Error("it is not a WAV file")
        except (OSError, EOFError, wave.Error) as error:
            reason = clean(str(error)) or "it is incomplete"
            raise UsageError(
                f"{self._name} contains no readable audio: {reason}.",
                f"Convert it to WAV. For raw PCM16 mono at {self._rate // 1000} kHz, add --raw.",
            ) from None

    def _raw(self, pending: bytes, file: IO[bytes]) -> Iterator[bytes]:
        size = 2 * self._rate * _BLOCK_MS // 1000
        while chunk := file.read1(size):  # type: ignore[attr-defined]
            pending += chunk
            complete = len(pending) & ~1
            yield pending[:complete]
            pending = pending[complete:]

    def _wav(self, prefix: bytes, file: IO[bytes]) -> Iterator[bytes]:
        from voicechat.speech.pcm import Resampler

        with wave.open(cast("IO[bytes]", _PrefixedFile(prefix, file)), "rb") as reader:
            channels, width, rate = (
                reader.getnchannels(), reader.getsampwidth(), reader.getframerate()
            )  # fmt: skip
            resampler = Resampler(rate, self._rate)
            found = 0
            while frames := reader.readframes(max(rate * _BLOCK_MS // 1000, 1)):
                found += len(frames) // (width * channels)
                yield resampler.convert(_mono(frames, width, channels)).tobytes()
            yield resampler.finish().tobytes()
            stated = reader.getnframes()
            # Programs that write to a pipe state as much as the field holds, or almost.
            if stated * width * channels < _UNKNOWN_SIZE and found < stated - rate:
                self._problem = (
                    f"{self._name} ends early: {found / rate:.0f} s of {stated / rate:.0f} s can"
                    " be read."
                )

    def stop(self) -> None:
        """End the sound, even if the reading thread waits for a pipe."""
        self._stopped.set()
        self._free_slots.release()
        self._queue.put_nowait(None)

    async def close(self) -> None:
        """End the reading thread, unless it waits for a pipe."""
        self._stopped.set()
        self._free_slots.release()


class _PrefixedFile:
    """A file whose first bytes were already read; it cannot seek."""

    def __init__(self, prefix: bytes, file: IO[bytes]) -> None:
        self._prefix, self._file = prefix, file

    def read(self, size: int = -1) -> bytes:
        prefix = self._prefix[:size] if size >= 0 else self._prefix
        self._prefix = self._prefix[len(prefix) :]
        return prefix + self._file.read(size - len(prefix) if size >= 0 else -1)

    def flush(self) -> None:
        """Do nothing: the file is only read."""

    def close(self) -> None:
        """Do nothing: the caller closes the file."""


def _mono(frames: bytes, width: int, channels: int) -> Samples:
    """Convert the frames of a WAV file to int16 mono, the mean of all channels.

    `width` is the number of bytes of a sample, 1 to 4.
    """
    import numpy as np

    if width == 1:
        values = (np.frombuffer(frames, np.uint8).astype(np.int32) - 128) << 8
    elif width == 3:
        triples = np.frombuffer(frames[: len(frames) // 3 * 3], np.uint8).reshape(-1, 3)
        values = (triples[:, 2].astype(np.int8).astype(np.int32) << 8) | triples[:, 1]
    else:
        dtype = {2: "<i2", 4: "<i4"}[width]
        samples = np.frombuffer(frames[: len(frames) // width * width], dtype).astype(np.int64)
        values = (samples >> (8 * (width - 2))).astype(np.int32)
    complete = values[: len(values) // channels * channels].reshape(-1, channels)
    mean: Samples = complete.mean(axis=1).astype(np.int16)
    return mean
