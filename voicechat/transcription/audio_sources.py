"""Where speech to be recorded comes from: the microphone, a WAV file or a pipe.

A source is an asynchronous iterator over blocks of PCM16 mono at the rate it was made with. It
ends when its sound ends or after `stop`; `close` lets go of what it holds.
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

KEPT_MS = 10_000
"""Sound of the microphone that may wait to be taken; then the oldest is dropped and counted."""

_BLOCK_MS = 100
_AHEAD = 20
"""Blocks of a file that are read ahead."""


class Source(Protocol):
    """What gives sound."""

    live: bool
    """True if it goes on by itself, however fast it is taken."""

    def blocks(self) -> AsyncIterator[bytes]:
        """The sound. Raises `VoicechatError` when there is none to be had."""
        ...

    def stop(self) -> None:
        """No more is wanted: what was taken in already is still given."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class Microphone:
    """The microphone, through the audio process."""

    live = True

    def __init__(
        self, settings: sound.AudioSettings, tell: Callable[[str], None], greeting: str = ""
    ) -> None:
        """Open it. Call on the event loop; `tell` is given sentences for the user.

        The first of them is the greeting, as soon as there is something to listen with.
        """
        from voicechat.session.audio_link import SoundLine

        self.dropped = 0
        """Blocks that no one took in time, and of which no one was told yet."""
        self._tell, self._greeting = tell, greeting
        self._block_s = settings.block_ms / 1000
        self._kept: deque[bytes] = deque(maxlen=KEPT_MS // settings.block_ms)
        self._happened = asyncio.Event()
        self._stopped = False
        self._failure: SoundError | None = None
        self._line = SoundLine(settings, self._hear)

    def _hear(self, event: sound.AudioEvent) -> None:
        match event:
            case inputs.MicBlock(pcm):
                self.dropped += len(self._kept) == self._kept.maxlen
                self._kept.append(pcm)
            case sound.Opened(input_name=None):
                problem = event.problem or "There is no microphone."
                self._failure = SoundError(problem, event.hint)
            case sound.Opened():
                self._failure = None
                self._greet()
            case sound.Problem(text, hint):
                self._tell(f"{text} {hint}".strip())
            case _:
                return
        self._happened.set()

    def _greet(self) -> None:
        greeting, self._greeting = self._greeting, ""
        if greeting:
            self._tell(greeting)

    async def blocks(self) -> AsyncIterator[bytes]:
        """The sound as it is captured. Raises `SoundError` without a microphone."""
        while True:
            if self.dropped:
                lost, self.dropped = self.dropped * self._block_s, 0
                self._tell(f"{max(lost, 1):.0f} s of speech were lost meanwhile.")
            while self._kept:
                yield self._kept.popleft()
            if self._failure is not None:
                raise self._failure
            if self._stopped:
                return
            self._happened.clear()
            await self._happened.wait()

    def stop(self) -> None:
        """Listen no more."""
        self._stopped = True
        self._line.send(effects.CloseMic(True))
        self._happened.set()

    async def close(self) -> None:
        """End the audio process."""
        await self._line.close()


class Recorded:
    """A WAV file, or raw PCM16 mono at the rate itself. A pipe may carry either."""

    live = False

    def __init__(self, path: str, rate: int, *, raw: bool = False) -> None:
        """Open the file `path`, or standard input for -. Raises `UsageError`.

        rate: of the blocks, Hz. raw: the file has no header.
        """
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
        self._room = threading.Semaphore(_AHEAD)
        self._queue: asyncio.Queue[bytes | UsageError | None] = asyncio.Queue()

    def _open(self) -> IO[bytes]:
        if self._path == "-":
            return open(0, "rb", closefd=False)
        return open(self._path, "rb")

    async def blocks(self) -> AsyncIterator[bytes]:
        """The sound as fast as it is taken. Raises `UsageError` for anything else, or nothing."""
        loop = asyncio.get_running_loop()
        has_audio = False

        def put(found: bytes | UsageError | None) -> None:
            with suppress(RuntimeError):  # the loop has ended: no one waits for sound any more
                loop.call_soon_threadsafe(self._queue.put_nowait, found)

        def read() -> None:
            try:
                for block in self._read():
                    self._room.acquire()
                    if self._stopped.is_set():
                        break
                    put(block)
                put(None)
            except UsageError as error:
                put(error)

        # A daemon: a thread that waits for a pipe must not hold up the end.
        threading.Thread(target=read, name="recorded-sound", daemon=True).start()
        while (found := await self._queue.get()) is not None:
            if isinstance(found, UsageError):
                raise found
            self._room.release()
            has_audio = has_audio or bool(found)
            yield found
        if not has_audio and not self._stopped.is_set():
            raise UsageError(f"{self._name} contains no audio.")

    def _read(self) -> Iterator[bytes]:
        try:
            with self._open() as file:
                head = file.read(4)
                if head == b"RIFF" and not self._is_raw:
                    yield from self._wav(head, file)
                elif self._takes_raw:
                    yield from self._raw(head, file)
                elif head:
                    raise wave.Error("it is not a WAV file")
        except (OSError, EOFError, wave.Error) as error:
            raise UsageError(
                f"{self._name} contains no readable audio: {clean(str(error)) or 'it ends'}.",
                f"Convert it to WAV. For raw PCM16 mono at {self._rate // 1000} kHz, add --raw.",
            ) from None

    def _raw(self, rest: bytes, file: IO[bytes]) -> Iterator[bytes]:
        size = 2 * self._rate * _BLOCK_MS // 1000
        while chunk := file.read1(size):  # type: ignore[attr-defined]
            rest += chunk
            whole = len(rest) & ~1
            yield rest[:whole]
            rest = rest[whole:]

    def _wav(self, head: bytes, file: IO[bytes]) -> Iterator[bytes]:
        from voicechat.speech.pcm import Resampler

        with wave.open(cast("IO[bytes]", _Ahead(head, file)), "rb") as reader:
            channels, width, rate = (
                reader.getnchannels(), reader.getsampwidth(), reader.getframerate()
            )  # fmt: skip
            resampler = Resampler(rate, self._rate)
            while frames := reader.readframes(max(rate * _BLOCK_MS // 1000, 1)):
                yield resampler.convert(_mono(frames, width, channels)).tobytes()
            yield resampler.finish().tobytes()

    def stop(self) -> None:
        """Read no more, even if the reading thread waits for a pipe."""
        self._stopped.set()
        self._room.release()
        self._queue.put_nowait(None)

    async def close(self) -> None:
        """Have the reading thread end, unless it waits for a pipe."""
        self._stopped.set()
        self._room.release()


class _Ahead:
    """A file of which the beginning was read already; it only goes forward."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head, self._file = head, file

    def read(self, size: int = -1) -> bytes:
        head = self._head[:size] if size >= 0 else self._head
        self._head = self._head[len(head) :]
        return head + self._file.read(size - len(head) if size >= 0 else -1)

    def flush(self) -> None:
        """There is nothing to write."""

    def close(self) -> None:
        """It is not ours to close."""


def _mono(frames: bytes, width: int, channels: int) -> Samples:
    """The frames of a WAV file as int16 samples of one channel, which is the mean of all."""
    import numpy as np

    if width == 1:
        wide = (np.frombuffer(frames, np.uint8).astype(np.int32) - 128) << 8
    elif width == 3:
        bytes3 = np.frombuffer(frames[: len(frames) // 3 * 3], np.uint8).reshape(-1, 3)
        wide = (bytes3[:, 2].astype(np.int8).astype(np.int32) << 8) | bytes3[:, 1]
    else:
        kind = {2: "<i2", 4: "<i4"}[width]
        samples = np.frombuffer(frames[: len(frames) // width * width], kind).astype(np.int64)
        wide = (samples >> (8 * (width - 2))).astype(np.int32)
    whole = wide[: len(wide) // channels * channels].reshape(-1, channels)
    mean: Samples = whole.mean(axis=1).astype(np.int16)
    return mean
