"""Unusual places: no home folder, folders that cannot be written, a deleted working directory."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from voicechat.config import unkept_files
from voicechat.skills import lists
from voicechat.skills.notebook import Notebook
from voicechat.system import crash_report, home_folder, standard_streams
from voicechat.system.child_process import without_working_directory
from voicechat.system.home_folder import unwritable
from voicechat.tools.builtin.folders import Folders
from voicechat.tools.plugins.plugin_child import packages
from voicechat.tools.registry import ToolError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX")

TEXT = f"'{sys.executable}' -m voicechat --text"
NO_USER = """
import os, pwd, sys
def unknown(number):
    raise KeyError(number)
pwd.getpwuid = unknown
from voicechat.cli.app import main
sys.exit(main(sys.argv[1:]))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a line of shell without the files and the variables of this user."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "LC_ALL": "C.UTF-8",
        "HOME": str(tmp_path / "home"),
    }

    def run(line: str, **changed: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            capture_output=True, encoding="utf-8", timeout=50, check=False, env=environ | changed,
            cwd=tmp_path,
        )  # fmt: skip
        assert not list(tmp_path.rglob("crash-*")), done.stderr
        return done

    return run


def test_a_home_that_cannot_be_written_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lines = "add milk to my shopping list\nwhat is on my shopping list\n"
    done = run(f"printf '{lines}' | {TEXT}", HOME=str(tmp_path / "file"))
    assert done.returncode == 0
    answers = done.stdout.splitlines()
    assert answers[0].startswith("I added milk to your shopping list. I can't write my notebook")
    assert answers[1] == "Your shopping list has one item: milk."
    _, message = done.stderr.splitlines()
    assert "not a directory" in message
    assert "approvals, chosen devices and conversations last until voicechat ends." in message


def test_a_user_without_a_home_folder_can_talk(run: Run, tmp_path: Path) -> None:
    program = f"'{sys.executable}' -c \"$PROGRAM\" --text"
    done = run(
        f"unset HOME; echo add milk to my shopping list | {program}",
        PROGRAM=NO_USER,
        TMPDIR=str(tmp_path),
    )
    assert (done.returncode, done.stdout) == (0, "I added milk to your shopping list.\n")
    assert "There is no home folder, so nothing is kept" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_working_directory_is_no_problem(run: Run) -> None:
    done = run(f"mkdir gone; cd gone; rmdir ../gone; echo what is 2 plus 2 | {TEXT}")
    assert (done.returncode, done.stdout) == (0, "2 plus 2 is 4.\n")


# --------------------------------------------------------------------------- without a process


def test_an_encoding_without_a_character_gets_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    out, err = sys.stdout, sys.stderr
    with standard_streams.guarded():
        sys.stdout.write("2 → 3 costs €1")
        sys.stderr.write("→ é")
        sys.stdout.flush()
        sys.stderr.flush()
    assert out.buffer.getvalue().decode("cp1252") == "2 \\u2192 3 costs €1"
    assert err.buffer.getvalue().decode("cp1252") == "\\u2192 é"


def test_folders_are_found_from_a_deleted_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert without_working_directory(["", "relative", str(tmp_path)]) == [str(tmp_path)]
    assert isinstance(list(packages()), list)
    with pytest.raises(ToolError, match="No folder was named"):
        Folders([Path("relative")]).read_file("a")


def test_the_reason_why_nothing_can_be_written(tmp_path: Path, monkeypatch) -> None:
    assert unwritable(tmp_path / "new" / "folder") == ""
    (tmp_path / "file").touch()
    assert unwritable(tmp_path / "file" / "folder") == "not a directory"
    found = os.statvfs(tmp_path)
    full = os.statvfs_result((*found[:3], 0, 0, *found[5:]))
    read_only = os.statvfs_result((*found[:8], os.ST_RDONLY, found[9]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert unwritable(tmp_path) == "no space left on device"
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    assert unwritable(tmp_path) == "read-only file system"
    assert "approvals" in unkept_files.warning()


def test_a_notebook_that_cannot_be_written_continues_in_memory(tmp_path: Path, monkeypatch) -> None:
    notebook = Notebook(tmp_path / "notebook.json")
    lists.add(notebook, "milk")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("voicechat.skills.notebook.write_private", full)
    assert lists.add(notebook, "bread") == "I added bread to your shopping list."
    assert "(no space left on device)" in notebook.take_warning()
    assert notebook.take_warning() == ""
    assert lists.read(notebook) == "Your shopping list has 2 items: milk and bread."


def test_an_empty_home_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with home_folder.ensured():
        assert Path(os.environ["HOME"]).is_dir()
        assert home_folder.is_temporary()
    assert "HOME" not in os.environ


def test_a_crash_report_is_written_somewhere_and_names_the_inner_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    inner = ExceptionGroup("inner", [KeyError("a"), ValueError("b")])
    sentence = crash_report.save_report(ExceptionGroup("outer", [inner, KeyError("c")]))
    assert "(KeyError, ValueError)" in sentence
    (report,) = tmp_path.glob("crash-*")
    assert str(report) in sentence
