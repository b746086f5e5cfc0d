"""Finished pieces on the disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from voicechat.core.recorded_speech import RecordedSpeech, TimedSegment
from voicechat.providers.transcription_service import TranscriptionJob, TranscriptionWishes
from voicechat.transcription.finished_pieces import KEPT_S, finished_pieces
from voicechat.transcription.sound_pieces import recorded_piece

PIECE = recorded_piece(32_000, bytes(64_000))
SPEECH = RecordedSpeech("Hello.", (TimedSegment("Hello.", 0.1, 0.9, "A"),), duration_s=2.0)


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "talk.mp3"
    path.write_bytes(b"content")
    return path


def opened(recording: Path, language: str = "en", warnings: list[str] | None = None):
    job = TranscriptionJob("m", TranscriptionWishes(language))
    warn = (warnings if warnings is not None else []).append
    return finished_pieces(recording, "openai/m", job, warn)


def test_only_the_same_recording_and_wishes_find_a_piece(recording: Path) -> None:
    kept = opened(recording)
    kept.add(PIECE, SPEECH)
    kept.close()
    moved = recording.rename(recording.with_name("other.mp3"))
    assert opened(moved).find(PIECE) == SPEECH
    assert opened(moved).find(recorded_piece(0, bytes(64_000))) is None
    assert opened(moved, "de").find(PIECE) is None
    moved.write_bytes(b"other content")
    assert opened(moved).find(PIECE) is None


def test_a_cut_row_is_missing_and_old_files_are_removed(recording: Path, tmp_path: Path) -> None:
    kept = opened(recording)
    kept.add(PIECE, SPEECH)
    kept.close()
    (path,) = (tmp_path / "state").rglob("*.jsonl")
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes()[:-20])
    again = opened(recording)
    assert again.find(PIECE) is None
    again.add(PIECE, SPEECH)
    again.close()
    assert opened(recording).find(PIECE) == SPEECH
    old = time.time() - KEPT_S - 60
    os.utime(path, (old, old))
    assert opened(recording).find(PIECE) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_once(recording: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    kept = opened(recording, warnings=warnings)
    folder = tmp_path / "state" / "voicechat" / "transcripts"
    folder.mkdir(parents=True)
    kept._path.symlink_to("/dev/full")
    kept.add(PIECE, SPEECH)
    kept.add(PIECE, SPEECH)
    assert warnings == ["An interrupted run cannot be continued: No space left on device."]
    assert not kept.is_kept
    kept.close()
