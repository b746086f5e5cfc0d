"""Closed, full and unread standard streams, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and a shell")

VOICECHAT = f"'{sys.executable}' -m voicechat"
CLOSED = "voicechat: Standard output is closed. Run the command without >&-."
FULL = (
    "voicechat: Standard output cannot be written: no space left on device."
    " Write it to another place."
)


@pytest.fixture
def shell(tmp_path: Path):
    """Run a line of shell in which $V is the command, without the files of this user."""
    environ = {n: v for n, v in os.environ.items() if not n.endswith("_KEY")}
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        environ[f"XDG_{name}_HOME"] = str(tmp_path / name)

    def run(line: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            ["/bin/sh", "-c", line.replace("$V", VOICECHAT)],
            capture_output=True, text=True, timeout=50, check=False, env=environ,
        )  # fmt: skip
        assert not list(tmp_path.rglob("crash-*"))
        return done.returncode, done.stderr.splitlines()

    return run


@pytest.mark.parametrize("arguments", ["models", "models --json", "--version", "--help", "tools"])
def test_closed_and_full_outputs_give_one_sentence(shell, arguments: str) -> None:
    assert shell(f"$V {arguments} >&-") == (1, [CLOSED])
    assert shell(f"$V {arguments} >/dev/full") == (1, [FULL])


@pytest.mark.parametrize("arguments", ["--text", "--plain --text"])
def test_an_answer_that_cannot_be_written_gives_one_sentence(shell, arguments: str) -> None:
    code, lines = shell(f"echo what is 2 plus 2 | $V {arguments} >/dev/full")
    assert (code, lines[-1]) == (1, FULL)
    assert len(lines) <= 2, "the notice about the model, and the sentence"


@pytest.mark.parametrize("arguments", ["models", "--help", "tools --json"])
def test_an_unread_output_gives_no_message(arguments: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "voicechat", *arguments.split()]
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=50, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_messages_that_cannot_be_written_change_no_exit_code(shell) -> None:
    assert shell("$V dance 2>/dev/full") == (2, [])
    assert shell("$V dance 2>&-") == (2, [])
    assert shell("$V models >/dev/full 2>&-") == (1, [])
    assert shell("$V models >/dev/null <&- 2>&-") == (0, [])
    assert shell("$V <&- >/dev/null")[0] == 2
