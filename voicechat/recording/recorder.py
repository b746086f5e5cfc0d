"""Recorder of a conversation: `voicechat --record DIR`.

    event stream ── two subscriptions ── thread ──► events.jsonl, sound.wav

A thread writes the files, so a slow disk never delays the conversation. Sound and events have a
subscription each. With `SOUND_WAITING` blocks waiting, new sound is dropped and counted. Events
are never dropped: with `EVENTS_WAITING` of them waiting the recording ends, and so it does when
the disk is full. The user sees one notice and the conversation goes on. Keys are never written,
not even when they occur in a text.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from voicechat import __version__
from voicechat.audio import messages as sound
from voicechat.core import effects, inputs
from voicechat.core.settings import Capabilities, SemanticVad, ServerVad, SessionSettings
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.recording import folder_format
from voicechat.recording.stereo_wav import StereoFile
from voicechat.session.event_stream import EventStream, Overflow
from voicechat.session.key_mask import KeyMask

if TYPE_CHECKING:
    from voicechat.config.options import Options

SOUND_WAITING: Final = 6_000
"""Blocks of sound that may wait for the disk: a minute of both sides."""

EVENTS_WAITING: Final = 20_000
"""Events that may wait for the disk."""

CLOSE_S: Final = 1.0
"""Seconds the disk has for the rest when the conversation is over."""

_QUIET_S: Final = 5.0
"""Without sound of either side the file follows the clock so far behind."""

_BATCH: Final = 256


class Recorder:
    """Records everything on an event stream into a folder from now on.

    `tell` gets one notice, on the event loop, when the recording cannot go on. Raises
    `UsageError` when the folder cannot take a recording.
    """

    def __init__(
        self,
        folder: Path,
        heading: folder_format.Heading,
        stream: EventStream,
        tell: Callable[[effects.Notice], None],
        mask: KeyMask | None = None,
    ) -> None:
        self._began = time.monotonic()
        self._tell = tell
        self._folder = folder
        self._mask = mask
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False
        self._ready = threading.Event()
        self._input_rate = heading.input_format.rate
        self._output_rate = heading.output_format.rate
        self._resampler: Any = None
        self._file, self._stereo = _open(folder, heading)
        self._sounds = stream.subscribe(
            "recorded sound",
            limit=SOUND_WAITING,
            overflow=Overflow.DROP_NEWEST,
            wants=(inputs.MicBlock, sound.Played),
        )
        self._events = stream.subscribe(
            "recorded events",
            limit=EVENTS_WAITING,
            overflow=Overflow.CLOSE,
            wants=tuple(folder_format.KINDS.values()),
        )
        self._sounds.wake = self._events.wake = self._wake
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def goes_on(self) -> bool:
        """True while events are recorded."""
        return not self._over

    @property
    def dropped(self) -> int:
        """Blocks of sound dropped because the disk is too slow."""
        return self._sounds.dropped

    def close(self) -> None:
        """Write the rest, for `CLOSE_S` at most. Do not call it on the event loop's thread."""
        self._stop()
        self._thread.join(CLOSE_S)

    def _stop(self) -> None:
        self._over = True
        self._sounds.close()
        self._events.close()
        self._ready.set()

    def _wake(self) -> None:
        """Called by the stream on the event loop."""
        if self._loop is None:
            with suppress(RuntimeError):
                self._loop = asyncio.get_running_loop()
        if self._events.overflowed and not self._over:
            self._end("the disk is too slow")
        self._ready.set()

    # ----------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            with self._file:
                try:
                    self._write_all()
                finally:
                    if self._stereo is not None:
                        self._stereo.close()
        except OSError as error:
            self._fail(clean(error.strerror or str(error)).lower())

    def _write_all(self) -> None:
        over = False
        while not over:
            self._ready.wait()
            self._ready.clear()
            over = self._over
            while len(self._events) or len(self._sounds):
                # All sound published before these events waits by now, and is written first.
                batch = self._events.pop_timed(_BATCH)
                for happening in self._sounds.pop_all():
                    self._write_sound(happening)
                self._write(b"".join([self._line(*one) for one in batch]))

    def _write_sound(self, happening: object) -> None:
        if isinstance(happening, inputs.MicBlock):
            self._write_captured(happening)
        elif isinstance(happening, sound.Played) and self._stereo is not None:
            self._stereo.speaker(happening.pcm, happening.at - self._began)

    def _line(self, happening: object, now: float) -> bytes:
        """Return the line of an event; the sound file follows the clock."""
        at = now - self._began
        if self._stereo is not None:
            self._stereo.settle(at - _QUIET_S)
        line = folder_format.line(happening, at)  # type: ignore[arg-type]
        return line if self._mask is None else self._mask.data(line)

    def _write_captured(self, captured: inputs.MicBlock) -> None:
        if self._stereo is None or not captured.at:
            return
        pcm = captured.pcm
        if self._input_rate != self._output_rate:
            pcm = self._resampled(pcm)
        self._stereo.person(pcm, captured.at - self._began)

    def _resampled(self, pcm: bytes) -> bytes:
        import numpy as np

        from voicechat.speech.pcm import Resampler

        if self._resampler is None:
            self._resampler = Resampler(self._input_rate, self._output_rate)
        converted: bytes = self._resampler.convert(np.frombuffer(pcm, np.int16)).tobytes()
        return converted

    def _write(self, content: bytes) -> None:
        """Write all of it, unbuffered: it survives the end of this process."""
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]

    def _fail(self, why: str) -> None:
        """Called on the thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._end, why)
        self._over = True

    def _end(self, why: str) -> None:
        """Stop the recording and tell the user why."""
        self._stop()
        self._tell(
            effects.Notice(
                f"The recording ended: {why}.",
                effects.Level.WARNING,
                "The conversation continues without it.",
            )
        )


def record(
    stream: EventStream,
    options: Options,
    settings: SessionSettings,
    can: Capabilities,
    tell: Callable[[effects.Notice], None],
) -> Recorder:
    """Record the stream into `options.record` from now on; close the recorder at the end.

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
    return Recorder(options.record, heading, stream, tell, KeyMask(options))


_OTHER_FOLDER = "Name a new folder after --record."


def _refuse_full(folder: Path) -> None:
    """Raise `UsageError` for a folder with files, and `FileExistsError` for a recording."""
    found = set(os.listdir(folder))
    if found & {folder_format.EVENTS, folder_format.SOUND}:
        raise FileExistsError
    if found:
        raise UsageError(f"{clean(str(folder))} is not empty.", _OTHER_FOLDER)


def _open(folder: Path, heading: folder_format.Heading) -> tuple[BinaryIO, StereoFile | None]:
    """Create the files of a recording, readable by their owner only."""
    name = clean(str(folder))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_full(folder)
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
        problem = "already contains a recording" if folder.is_dir() else "is not a folder"
        raise UsageError(f"{name} {problem}.", _OTHER_FOLDER) from None
    except (OSError, ValueError) as error:
        word = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"Cannot write a recording to {name}: {word}.") from None
