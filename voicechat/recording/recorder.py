"""Writes down a conversation while it is held: `voicechat --record DIR`.

    session ──observe──► queue ──thread──► events.jsonl, sound.wav

The session tells everything at the moment it happens; a thread of its own writes it, so a slow
disk never holds the conversation up. The queue is bounded: with `SOUND_WAITING` blocks waiting
new sound is dropped and counted, with `MOST_WAITING` of anything the recording ends. It also
ends when the disk is full. Either way the person is told once and the conversation goes on.
Keys are never written, even where somebody spoke one in a text.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from voicechat import __version__
from voicechat.audio import messages as sound
from voicechat.core import effects, inputs
from voicechat.core.settings import Capabilities, SemanticVad, ServerVad, SessionSettings
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError
from voicechat.recording import folder_format
from voicechat.recording.stereo_wav import StereoFile

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.session.session import Session

SOUND_WAITING: Final = 6_000
"""Blocks of sound that may wait for the disk: a minute of both sides."""

MOST_WAITING: Final = 20_000
"""Observations that may wait for the disk."""

CLOSE_S: Final = 1.0
"""Seconds the disk has for the rest when the conversation is over."""

_QUIET_S: Final = 5.0
"""Without sound of either side the file follows the clock so far behind."""

_KINDS: Final = frozenset(folder_format.KINDS.values())
_BATCH: Final = 256
_SHORT_KEY: Final = 8
_SURE_KEY: Final = 20
"""What is filled in for other programs may be a plain word; so long a one is a key."""


class Recorder:
    """Records a session into a folder from now on.

    `observe` is called on the event loop and returns at once; so is `tell`, with one notice when
    the recording cannot go on. Raises `UsageError` when the folder cannot take a recording.
    """

    def __init__(
        self,
        folder: Path,
        heading: folder_format.Heading,
        tell: Callable[[effects.Notice], None],
        keys: Iterable[str] = (),
    ) -> None:
        self.dropped = 0
        """Blocks of sound that the disk was too slow for."""
        self._began = time.monotonic()
        self._tell = tell
        self._folder = folder
        self._keys = [key.encode() for key in keys]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False
        self._named = ("", "")
        self._queue: queue.SimpleQueue[tuple[object, float] | None] = queue.SimpleQueue()
        self._input_rate = heading.input_format.rate
        self._output_rate = heading.output_format.rate
        self._resampler: Any = None
        self._events, self._stereo = _open(folder, heading)
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def goes_on(self) -> bool:
        """Whether what happens is still written down."""
        return not self._over

    def observe(self, happening: object, now: float) -> None:
        """Something happened at the monotonic time `now` (s); what does not belong is ignored."""
        sounds = isinstance(happening, inputs.MicBlock | sound.Played)
        if self._over or not (sounds or type(happening) in _KINDS):
            return
        if self._loop is None:
            with suppress(RuntimeError):
                self._loop = asyncio.get_running_loop()
        waiting = self._queue.qsize()
        if sounds and waiting >= SOUND_WAITING:
            self.dropped += 1
        elif waiting >= MOST_WAITING:
            self._end("the disk is too slow")
        else:
            self._queue.put((happening, now - self._began))

    def name(self, model: str, voice: str, now: float) -> None:
        """Whom one talks with, whenever that may have changed."""
        if (model, voice) != self._named:
            self._named = (model, voice)
            self.observe(folder_format.Named(model, voice), now)

    def close(self) -> None:
        """Write the rest, for `CLOSE_S` at most. Call it on another thread than the loop's."""
        self._over = True
        self._queue.put(None)
        self._thread.join(CLOSE_S)

    # ----------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            with self._events:
                try:
                    self._write_all()
                finally:
                    if self._stereo is not None:
                        self._stereo.close()
        except OSError as error:
            self._fail(clean(error.strerror or str(error)).lower())

    def _write_all(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            with suppress(queue.Empty):
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            ended = None in batch
            lines = [self._written(*one) for one in batch if one is not None]
            self._write(b"".join(lines))

    def _written(self, happening: object, at: float) -> bytes:
        """Put sound into its file; the line of anything else."""
        if isinstance(happening, inputs.MicBlock):
            self._person(happening)
        if isinstance(happening, sound.Played):
            if self._stereo is not None:
                self._stereo.speaker(happening.pcm, happening.at - self._began)
            return b""
        if self._stereo is not None:
            self._stereo.settle(at - _QUIET_S)
        line = folder_format.line(happening, at)  # type: ignore[arg-type]
        for key in self._keys:
            line = line.replace(key, b"***")
        return line

    def _person(self, captured: inputs.MicBlock) -> None:
        if self._stereo is None or not captured.at:
            return
        pcm = captured.pcm
        if self._input_rate != self._output_rate:
            pcm = self._resampled(pcm)
        self._stereo.person(pcm, captured.at - self._began)

    def _resampled(self, pcm: bytes) -> bytes:
        import numpy as np

        from voicechat.speech.resampling import Resampler

        if self._resampler is None:
            self._resampler = Resampler(self._input_rate, self._output_rate)
        converted: bytes = self._resampler.convert(np.frombuffer(pcm, np.int16)).tobytes()
        return converted

    def _write(self, content: bytes) -> None:
        """All of it, unbuffered: what is written survives the end of this process."""
        view = memoryview(content)
        while view:
            view = view[self._events.write(view) :]

    def _fail(self, why: str) -> None:
        """Called on the thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended: nobody reads notices any more
                loop.call_soon_threadsafe(self._end, why)
        self._over = True

    def _end(self, why: str) -> None:
        """The recording cannot go on: say so and let go of it."""
        self._over = True
        self._queue.put(None)
        self._tell(
            effects.Notice(
                f"The recording ended: {why}.",
                effects.Level.WARNING,
                "The conversation goes on without it.",
            )
        )


def record(
    session: Session, options: Options, settings: SessionSettings, can: Capabilities
) -> Recorder:
    """Record the session into `options.record` from now on; close what is returned at its end.

    Raises `UsageError` when the folder cannot take a recording.
    """
    assert options.record is not None
    detection = settings.turn_detection
    heading = folder_format.Heading(
        recording=folder_format.FORMAT,
        voicechat=__version__,
        started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        with_sound=options.with_sound,
        hands_free=options.with_sound and not options.push_to_talk,
        input_format=settings.input_format,
        output_format=settings.output_format,
        can=can,
        semantic_vad=detection if isinstance(detection, SemanticVad) else None,
        server_vad=detection if isinstance(detection, ServerVad) else None,
    )
    recorder = Recorder(
        options.record, heading, lambda notice: session.listen(notice), keys_of(options)
    )

    def observe(happening: object, now: float) -> None:
        recorder.name(session.model, session.voice, now)
        recorder.observe(happening, now)

    session.observe = observe
    return recorder


def keys_of(options: Options) -> list[str]:
    """Everything in these options that must not be written down, the longest first."""
    own = [*options.keys.values(), *([options.token] if options.token else [])]
    others: list[Secret] = []
    for server in options.mcp_servers:
        others += (*server.env.values(), *server.headers.values())
    for endpoint in options.endpoints:
        others += endpoint.headers.values()
    words = {(word, _SHORT_KEY) for key in own for word in key.reveal().split()}
    words |= {(word, _SURE_KEY) for key in others for word in key.reveal().split()}
    return sorted({word for word, least in words if len(word) >= least}, key=len, reverse=True)


def _open(folder: Path, heading: folder_format.Heading) -> tuple[BinaryIO, StereoFile | None]:
    """Make the files of a recording, for the person's eyes only."""
    name = clean(str(folder))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(
            folder / folder_format.EVENTS, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600
        )
        events: BinaryIO = os.fdopen(descriptor, "wb", buffering=0)
        with ExitStack() as undo:
            undo.callback(os.unlink, folder / folder_format.EVENTS)
            undo.callback(events.close)
            events.write(folder_format.heading_line(heading))
            rate = heading.output_format.rate
            stereo = StereoFile(folder / folder_format.SOUND, rate) if heading.with_sound else None
            undo.pop_all()
        return events, stereo
    except FileExistsError:
        problem = "holds a recording already" if folder.is_dir() else "is not a folder"
        raise UsageError(f"{name} {problem}.", "Name another folder behind --record.") from None
    except (OSError, ValueError) as error:
        word = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"A recording cannot be written to {name}: {word}.") from None
