"""Sound waiting in memory and on disk, compared with a plain list."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.audio.playback.spill_queue import SoundPiece, SpillQueue

LIMIT = 1_000

steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 700)),
        st.tuples(st.sampled_from(["pop", "end", "clear", "full", "room"]), st.just(0)),
    ),
    max_size=60,
)


class Disk:
    """A file on a disk that may be full; then half of each write fits."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.full = False
        self.seek, self.read, self.truncate = file.seek, file.read, file.truncate

    def write(self, pcm: bytes) -> int:
        return self._file.write(pcm[: len(pcm) // 2] if self.full else pcm)

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@given(steps)
def test_first_in_first_out_in_memory_and_on_disk(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryFile(buffering=0) as file, pytest.MonkeyPatch.context() as patch:
        disk = Disk(file)
        patch.setattr(tempfile, "TemporaryFile", lambda **_: disk)
        backlog = SpillQueue(LIMIT)
        waiting: list[SoundPiece] = []
        was_full = False
        for number, (step, size) in enumerate(steps):
            match step:
                case "push":
                    waiting.append(SoundPiece("a", bytes([number]) * size))
                    backlog.push("a", waiting[-1].pcm)
                case "end":
                    waiting.append(SoundPiece("a", b"", last=True))
                    backlog.end("a")
                case "pop":
                    assert backlog.pop() == (waiting.pop(0) if waiting else None)
                case "clear":
                    backlog.clear()
                    waiting.clear()
                case _:
                    disk.full = step == "full"
                    was_full |= disk.full
            assert len(backlog) == len(waiting)
            assert backlog.memory_bytes + backlog.spilled_bytes == sum(len(p.pcm) for p in waiting)
            assert was_full or backlog.memory_bytes <= LIMIT
            assert os.fstat(file.fileno()).st_size == 0 or backlog.spilled_bytes or was_full
        assert [backlog.pop() for _ in waiting] == waiting
        backlog.close()


def test_a_killed_process_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import os, tempfile\n"
        "from voicechat.audio.playback.spill_queue import SpillQueue\n"
        "backlog = SpillQueue(1)\n"
        "backlog.push('a', bytes(100_000))\n"
        "assert backlog.spilled_bytes == 100_000\n"
        "os._exit(9)\n"
    )
    folders = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, **folders})
    assert ended.returncode == 9
    assert not list(tmp_path.iterdir())
