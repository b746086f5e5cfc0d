"""A program that is killed while it saves a file leaves the old content or the new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from voicechat.system.private_files import write_private

SAVE = """
import os, signal, sys
from pathlib import Path
from voicechat.system.private_files import write_private

call = getattr(os, sys.argv[2])

def killed(*arguments):
    if sys.argv[3] == "after":
        call(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(os, sys.argv[2], killed)
write_private(Path(sys.argv[1]), b"new")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize(
    ("call", "moment", "content"),
    [("fsync", "before", b"old"), ("replace", "before", b"old"), ("replace", "after", b"new")],
)
def test_a_killed_save_leaves_one_whole_file(
    tmp_path: Path, call: str, moment: str, content: bytes
) -> None:
    path = tmp_path / "notes.json"
    write_private(path, b"old")
    done = subprocess.run([sys.executable, "-c", SAVE, str(path), call, moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == content
    write_private(path, b"newest")
    assert path.read_bytes() == b"newest"


def test_a_failed_save_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes.json"
    write_private(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(path, b"new")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]
