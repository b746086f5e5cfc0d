"""Recorder of a conversation: `voicechat --record DIR`.

    event stream ── subscriptions ── thread ──► events.jsonl, frames.jsonl, sound.wav

A thread writes the files, so that a slow disk does not delay the conversation. Sound, frames and
events have separate subscriptions. When `MAX_SOUND_BLOCKS` blocks wait, new sound is dropped and
counted; when `MAX_FRAMES` frames wait, the oldest are dropped.
Events are never dropped: the recording ends when `MAX_EVENTS` of them wait or the disk is full.
The user then sees one notice, and the conversation continues. Keys are never written, not even
when they occur in a text.
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
from voicechat.recording import folder_format, recorded_frames
from voicechat.recording.stereo_wav import StereoFile
from voicechat.session.event_stream import EventStream, Overflow, RawFrame
from voicechat.session.key_mask import KeyMask

if TYPE_CHECKING:
    from voicechat.config.options import Options

MAX_SOUND_BLOCKS: Final = 6_000
"""Maximum number of blocks of sound that wait for the disk: a minute of both sides."""

MAX_EVENTS: Final = 20_000
"""Maximum number of events that wait for the disk."""

CLOSE_TIMEOUT_S: Final = 1.0
"""Seconds for writing the rest at the end of the conversation."""

_SILENCE_DELAY_S: Final = 5.0
"""Delay in seconds with which the sound file follows the clock when both sides are silent."""

MAX_FRAMES: Final = 1_000
"""Maximum number of frames that wait for the disk."""

_BATCH: Final = 256


class Recorder:
    """Recorder of all events of a stream into a folder, from now on.

    `notify` receives one notice, on the event loop, when the recording fails. Raises
    `UsageError` when the folder already contains a recording or cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        heading: folder_format.Heading,
        stream: EventStream,
        notify: Callable[[effects.Notice], None],
        mask: KeyMask | None = None,
    ) -> None:
        self._started_at = time.monotonic()
        self._notify = notify
        self._folder = folder
        self._mask = mask
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = False
        self._ready = threading.Event()
        self._input_rate = heading.input_format.rate
        self._output_rate = heading.output_format.rate
        self._resampler: Any = None
        self._file, self._frame_file, self._stereo = _open(folder, heading)
        self._sound_events = stream.subscribe(
            "recorded sound",
            limit=MAX_SOUND_BLOCKS,
            overflow=Overflow.DROP_NEWEST,
            wants=(inputs.MicBlock, sound.Played),
        )
        self._events = stream.subscribe(
            "recorded events",
            limit=MAX_EVENTS,
            overflow=Overflow.CLOSE,
            wants=tuple(folder_format.EVENT_TYPES.values()),
        )
        self._frames = stream.subscribe(
            "recorded frames", limit=MAX_FRAMES, overflow=Overflow.DROP_OLDEST, wants=(RawFrame,)
        )
        self._sound_events.wake = self._frames.wake = self._events.wake = self._on_event
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def is_recording(self) -> bool:
        """True while events are recorded."""
        return not self._is_over

    @property
    def dropped(self) -> int:
        """Blocks of sound dropped because the disk is too slow."""
        return self._sound_events.dropped

    def close(self) -> None:
        """Write the rest, for `CLOSE_TIMEOUT_S` at most. Blocks: do not call it on the loop."""
        self._stop()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _stop(self) -> None:
        self._is_over = True
        for subscription in (self._sound_events, self._frames, self._events):
            subscription.close()
        self._ready.set()

    def _on_event(self) -> None:
        """Called by the stream on the event loop."""
        if self._loop is None:
            with suppress(RuntimeError):
                self._loop = asyncio.get_running_loop()
        if self._events.overflowed and not self._is_over:
            self._end_recording("the disk is too slow")
        self._ready.set()

    # ----------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            with self._file, self._frame_file:
                try:
                    self._write_all()
                finally:
                    if self._stereo is not None:
                        self._stereo.close()
        except OSError as error:
            self._report_failure(clean(error.strerror or str(error)).lower())

    def _write_all(self) -> None:
        is_over = False
        while not is_over:
            self._ready.wait()
            self._ready.clear()
            is_over = self._is_over
            while len(self._events) or len(self._sound_events) or len(self._frames):
                # The sound that was published before these events is queued by now; write it first.
                batch = self._events.pop_timed(_BATCH)
                for event in self._sound_events.pop_all():
                    self._write_sound(event)
                self._write(b"".join([self._line(*timed) for timed in batch]))
                lines = map(self._frame_line, self._frames.pop_all())
                _write_whole(self._frame_file, b"".join(lines))

    def _write_sound(self, event: object) -> None:
        if isinstance(event, inputs.MicBlock):
            self._write_captured(event)
        elif isinstance(event, sound.Played) and self._stereo is not None:
            self._stereo.add_speaker(event.pcm, event.at - self._started_at)

    def _line(self, event: object, published_at: float) -> bytes:
        """Return the line of an event, and let the sound file follow the clock."""
        at = published_at - self._started_at
        if self._stereo is not None:
            self._stereo.write_until(at - _SILENCE_DELAY_S)
        line = folder_format.event_line(event, at)  # type: ignore[arg-type]
        return line if self._mask is None else self._mask.data(line)

    def _frame_line(self, frame: object) -> bytes:
        """Return the line of a frame."""
        assert isinstance(frame, RawFrame)
        line = recorded_frames.frame_line(frame, frame.at - self._started_at)
        return line if self._mask is None else self._mask.data(line)

    def _write_captured(self, captured: inputs.MicBlock) -> None:
        if self._stereo is None or not captured.at:
            return
        pcm = captured.pcm
        if self._input_rate != self._output_rate:
            pcm = self._resampled(pcm)
        self._stereo.add_microphone(pcm, captured.at - self._started_at)

    def _resampled(self, pcm: bytes) -> bytes:
        import numpy as np

        from voicechat.speech.pcm import Resampler

        if self._resampler is None:
            self._resampler = Resampler(self._input_rate, self._output_rate)
        converted: bytes = self._resampler.convert(np.frombuffer(pcm, np.int16)).tobytes()
        return converted

    def _write(self, content: bytes) -> None:
        _write_whole(self._file, content)

    def _report_failure(self, reason: str) -> None:
        """End the recording from the writing thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._end_recording, reason)
        self._is_over = True

    def _end_recording(self, reason: str) -> None:
        """Stop the recording and notify the user."""
        self._stop()
        self._notify(
            effects.Notice(
                f"The recording ended: {reason}.",
                effects.Level.WARNING,
                "The conversation continues without it.",
            )
        )


def record(
    stream: EventStream,
    options: Options,
    settings: SessionSettings,
    capabilities: Capabilities,
    notify: Callable[[effects.Notice], None],
) -> Recorder:
    """Record the stream into `options.record` from now on; the caller closes the recorder.

    Raises `UsageError` when the folder already contains a recording or cannot be written.
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
        can=capabilities,
        semantic_vad=detection if isinstance(detection, SemanticVad) else None,
        server_vad=detection if isinstance(detection, ServerVad) else None,
    )
    return Recorder(options.record, heading, stream, notify, KeyMask(options))


_OTHER_FOLDER = "Name a new folder after --record."


def _refuse_full(folder: Path) -> None:
    """Raise `UsageError` for a folder with files, and `FileExistsError` for a recording."""
    found = set(os.listdir(folder))
    if found & {folder_format.EVENTS, folder_format.SOUND, recorded_frames.FRAMES}:
        raise FileExistsError
    if found:
        raise UsageError(f"{clean(str(folder))} is not empty.", _OTHER_FOLDER)


def _open(
    folder: Path, heading: folder_format.Heading
) -> tuple[BinaryIO, BinaryIO, StereoFile | None]:
    """Create the files of a recording, readable by their owner only."""
    name = clean(str(folder))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_full(folder)
        with ExitStack() as undo:
            events = _new_file(folder / folder_format.EVENTS, undo)
            events.write(folder_format.heading_line(heading))
            frames = _new_file(folder / recorded_frames.FRAMES, undo)
            rate = heading.output_format.rate
            stereo = StereoFile(folder / folder_format.SOUND, rate) if heading.with_sound else None
            undo.pop_all()
        return events, frames, stereo
    except FileExistsError:
        problem = "already contains a recording" if folder.is_dir() else "is not a folder"
        raise UsageError(f"{name} {problem}.", _OTHER_FOLDER) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"Cannot write a recording to {name}: {reason}.") from None


def _write_whole(file: BinaryIO, content: bytes) -> None:
    """Write all of it unbuffered, so that it survives the end of this process."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _new_file(path: Path, undo: ExitStack) -> BinaryIO:
    """Create a file for its owner only; `undo` removes it again."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
    undo.callback(os.unlink, path)
    file: BinaryIO = os.fdopen(descriptor, "wb", buffering=0)
    undo.callback(file.close)
    return file
