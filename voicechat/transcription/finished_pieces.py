"""The pieces of a recording that are transcribed, kept on the disk until all of them are.

A run that is interrupted continues with the first missing piece: pieces are cut at the same places
each time. There is a private file for each recording and each way to transcribe it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from voicechat.core.recorded_speech import RecordedSpeech
from voicechat.providers.transcription_service import TranscriptionJob
from voicechat.transcription.sound_pieces import RecordedPiece

KEPT_S = 30 * 86_400.0
"""Seconds for which an interrupted run can be continued."""

_MOST_BYTES = 256 << 20
_READ = 1 << 20


class _Row(msgspec.Struct, array_like=True):
    start_ms: int
    length_ms: int
    speech: RecordedSpeech


class FinishedPieces:
    """The finished pieces of one recording. Methods block on the disk."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        """path: of their file. warn: receives a sentence when it cannot be written."""
        self._path, self._warn = path, warn
        self._found: dict[tuple[int, int], RecordedSpeech] = {}
        self._file: IO[bytes] | None = None
        self._is_usable = True

    def load(self) -> None:
        """Read what an earlier run has finished. Damaged rows are missing."""
        with suppress(OSError), open(self._path, "rb") as file:
            for line in file.read(_MOST_BYTES).splitlines():
                with suppress(msgspec.MsgspecError):
                    row = msgspec.json.decode(line, type=_Row)
                    self._found[row.start_ms, row.length_ms] = row.speech

    def find(self, piece: RecordedPiece) -> RecordedSpeech | None:
        """Return the transcript of a piece; None if it is missing."""
        return self._found.get(_key(piece))

    def add(self, piece: RecordedPiece, speech: RecordedSpeech) -> None:
        """Keep the transcript of a piece."""
        if not self._is_usable:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | getattr(os, "O_BINARY", 0)
                self._file = os.fdopen(os.open(self._path, flags, 0o600), "ab")
            # A row of a full disk may be incomplete: begin on a line of its own.
            self._file.write(b"\n" + msgspec.json.encode(_Row(*_key(piece), speech)) + b"\n")
            self._file.flush()
        except OSError as error:
            self._is_usable = False
            self._warn(f"An interrupted run cannot be continued: {error.strerror}.")

    @property
    def is_kept(self) -> bool:
        """True if another run can continue this one."""
        return self._is_usable and (self._file is not None or bool(self._found))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def forget(self) -> None:
        """Remove the file: the whole transcript is in the hands of the user."""
        self.close()
        self._file = None
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _key(piece: RecordedPiece) -> tuple[int, int]:
    return round(piece.start_s * 1000), round(piece.seconds * 1000)


def finished_pieces(
    recording: Path, name: str, job: TranscriptionJob, warn: Callable[[str], None]
) -> FinishedPieces:
    """Return the finished pieces of a recording. Reads the whole file. Raises `OSError`.

    name: PROVIDER/MODEL.
    """
    import platformdirs

    digest = hashlib.sha256(f"{name}\0{job.base_url}\0{job.wishes!r}\0".encode())
    with open(recording, "rb") as file:
        while block := file.read(_READ):
            digest.update(block)
    folder = platformdirs.user_state_path("voicechat", appauthor=False) / "transcripts"
    _remove_old(folder)
    found = FinishedPieces(folder / f"{digest.hexdigest()[:32]}.jsonl", warn)
    found.load()
    return found


def _remove_old(folder: Path) -> None:
    with suppress(OSError):
        for path in folder.glob("*.jsonl"):
            if path.stat().st_mtime < time.time() - KEPT_S:
                path.unlink(missing_ok=True)
