"""The journal records calls before they run; those of a killed program are reported once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from voicechat.tools.journal import Journal, UnfinishedCall, unfinished_calls

BEGIN = """
import sys, time
from pathlib import Path
from voicechat.tools.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.begin("c1", "look", "{}")
journal.end("c1", "{}")
journal.begin("c2", "write", '{"a": 1}')
print("begun", flush=True)
time.sleep(60)
"""


def killed(folder: Path) -> None:
    """A program begins two calls, ends one and is killed."""
    program = [sys.executable, "-c", BEGIN, str(folder)]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        assert unfinished_calls(folder) == [], "what a living program does is not left over"
        process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)


def test_calls_of_a_killed_program_are_reported_once(tmp_path: Path) -> None:
    killed(tmp_path)
    assert unfinished_calls(tmp_path) == [UnfinishedCall("write", '{"a": 1}')]
    assert unfinished_calls(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_call_begins_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new")
    assert journal.begin("c1", "look", "{}")
    assert not journal.begin("c1", "look", "{}")
    journal.end("c1", "{}")
    assert not journal.begin("c1", "look", "{}"), "nor when it has ended"
    assert journal.begin("c1", "look", '{"a": 1}')
    [file] = (tmp_path / "new").iterdir()
    assert file.stat().st_mode & 0o077 == 0 or os.name != "posix"
    journal.close()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_session_without_calls_writes_nothing(tmp_path: Path) -> None:
    Journal(tmp_path / "new").close()
    assert not (tmp_path / "new").exists()
    assert unfinished_calls(tmp_path / "new") == []


@pytest.mark.parametrize("content", [b"", b"\xff\n{", b'{"begins": 3}\n[]\n', b'{"begins":"k"'])
def test_an_unreadable_journal_reports_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "old.jsonl"
    path.write_bytes(content)
    os.utime(path, (1, 1))
    assert unfinished_calls(tmp_path) == []
    assert not path.exists()


def test_reported_calls_are_cleaned(tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text('{"begins":"k","name":"a\\u001b[2J","arguments":""}\n')
    assert unfinished_calls(tmp_path) == [UnfinishedCall("a\ufffd[2J", "")]


def test_a_finished_call_is_removed_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(300):
        journal.begin(f"c{number}", "look", "secret")
        journal.begin(f"d{number}", "write", "secret")
        journal.end(f"c{number}", "secret")
        journal.end(f"d{number}", "secret")
        assert not journal.begin(f"d{number}", "write", "secret")
    [file] = tmp_path.iterdir()
    assert file.stat().st_size == 0
    journal.begin("last", "write", "{}")
    assert file.read_bytes().count(b"\n") == 1
    journal.close()
