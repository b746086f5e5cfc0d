"""The command `voicechat` in a process of its own."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from faults import port_without_server

from voicechat import __version__
from voicechat.cli.app import main
from voicechat.system import crash_report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path):
    """Run `voicechat` without the settings and keys of this user."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VOICECHAT_", "OPENAI_", "COV_")) and not name.endswith("_KEY")
    }
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        environ[f"XDG_{name}_HOME"] = str(tmp_path / name)

    environ["VOICECHAT_LOCAL_CHAT"] = "no"  # a chat server of this machine stays out

    def voicechat(
        *arguments: str,
        stdin: str = "",
        seconds: float = 50,
        program: Sequence[str] = (sys.executable, "-m", "voicechat"),
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=environ | more,
        )

    return voicechat


def error_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("voicechat: ")
    return lines[-1]


def test_help_and_version(run) -> None:
    for word in ("--help", "-h"):
        done = run(word)
        assert (done.returncode, done.stderr) == (0, "")
        assert "--push-to-talk" in done.stdout
        assert "serve" in done.stdout
    assert run("--version").stdout == f"voicechat {__version__}\n"
    assert "--allow-remote" in run("serve", "--help").stdout


def test_help_is_instant() -> None:
    """At most twenty times the CPU time of an empty Python, which a heavy import would exceed."""
    resource = pytest.importorskip("resource", reason="the CPU time of children is of POSIX")

    def cpu_s(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True, timeout=20)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    rounds = [(cpu_s("-m", "voicechat", "--help"), cpu_s("-S", "-E", "-c", "")) for _ in range(5)]
    helps, empties = zip(*rounds, strict=True)
    assert min(helps) < 20 * min(empties)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modle", "x"], "No such option: --modle"),
        (["--model"], "'--model' requires an argument"),
        (["dance"], "No such command 'dance'. See voicechat --help."),
        (["docter"], "No such command 'docter'. Did you mean doctor?"),
        (["models", "puul"], "Did you mean 'pull'? See voicechat models --help."),
        (["--text", "--theme", "nord-light"], "There is no theme 'nord-light'. Did you mean"),
        (["--text", "serve"], "Options of 'serve' must follow its name."),
        (["--text", "--voice", ""], "--voice is empty."),
        (["--text", "--base-url", "nowhere"], "--base-url must be an address"),
        (["--text", "--model", "nobody/x"], "nobody"),
        (["serve", "--port", "x"], "'--port'"),
        (["serve", "--prot", "1"], "See voicechat serve --help."),
        (["serve", "--port", "abc"], "'--port': it must be a whole number. See voicechat"),
        (["serve", "--port", "70000"], "'--port': it must be less than or equal to 65535."),
        (["wire", "nope"], "Invalid value for 'ACTION': 'nope' is not one of 'decode',"),
        (["mcp", "add"], "See voicechat mcp add --help."),
        (["wire", "--model", "xai"], "Choose from: decode, encode, session, connect."),
        (["serve", "--port", "99999"], "'--port'"),
        (["serve", "--host", "0.0.0.0"], "--allow-remote"),
        ([], "Standard input is not a terminal."),
        (["\x1b[2J\x1b]0;x\x07"], "No such command"),
        (["--\u202e[/]"], "No such option"),
    ],
    ids=repr,
)
def test_a_wrong_argument_gives_one_sentence(run, arguments: list[str], message: str) -> None:
    sentence = error_line(run(*arguments), 2)
    assert message in sentence
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", sentence)


def test_a_wrong_setting_gives_one_sentence(run, tmp_path: Path) -> None:
    folder = tmp_path / "settings" / "voicechat"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('\nvoise = "x"\n', encoding="utf-8")
    if sys.platform == "linux":
        sentence = error_line(run("--text", XDG_CONFIG_HOME=str(folder.parent)), 2)
        assert "config.toml:2: voise is not a setting. Did you mean voice?" in sentence


def test_an_address_without_a_server_gives_one_sentence(run) -> None:
    with port_without_server() as port:
        sentence = error_line(
            run("--text", "--base-url", f"http://127.0.0.1:{port}/v1", OPENAI_API_KEY="sk-planted"),
            4,
        )
    assert f"No server answers at 127.0.0.1 port {port}." in sentence


def test_a_missing_key_gives_one_sentence(run) -> None:
    assert "OPENAI_API_KEY" in error_line(run("--text", "--model", "openai/gpt-realtime"), 3)


def test_a_port_in_use_gives_one_sentence(run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port}" in error_line(run("serve", "--port", str(port)), 7)


def test_each_line_of_a_pipe_gets_an_answer(run) -> None:
    done = run("--text", stdin="what is 17 times 23\n\nspell cat\nwhat is 2 plus 2\n")
    assert done.returncode == 0
    answers = done.stdout.splitlines()
    assert len(answers) == 3
    assert "391" in answers[0]
    assert "4" in answers[2]


def test_a_broken_pipe_is_not_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "voicechat", "--text"],
        input="what is 2 plus 2\n",
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=50,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 141
    assert "Broken" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_crash_leaves_a_private_report_without_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "planted-in-the-environment")

    def broken(*_: object) -> None:
        local_secret = "planted-local"
        try:
            raise KeyError("Bearer planted-token")
        except KeyError:
            raise RuntimeError(f"with planted-in-the-environment{local_secret[:0]}") from None

    monkeypatch.setattr("voicechat.config.loader.load", broken)
    assert main(["--plain"]) == 1
    out, sentence = capsys.readouterr()
    assert out == ""
    assert sentence.count("\n") == 1
    assert "Traceback" not in sentence
    assert "planted" not in sentence
    if sys.platform == "linux":
        (report,) = tmp_path.rglob("*.txt")
        assert str(report) in sentence
        assert report.stat().st_mode & 0o077 == 0
        text = report.read_text(encoding="utf-8")
        assert "RuntimeError: with ***" in text
        assert "in broken" in text
        assert "planted" not in text


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ExceptionGroup("both", [KeyError("a"), ExceptionGroup("inner", [MemoryError()])]),
    ],
    ids=repr,
)
def test_a_lack_of_memory_is_one_sentence_without_a_report(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("voicechat.config.loader.load", fail)
    assert main(["--plain"]) == 1
    out, sentence = capsys.readouterr()
    assert (out, sentence.count("\n")) == ("", 1)
    assert "There is not enough memory. Close other programs" in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_report_follows_causes_and_groups() -> None:
    first = ValueError("first")
    group = ExceptionGroup("two", [first, KeyError("second")])
    group.__cause__ = first
    text = crash_report.report(group)
    assert text.count("ValueError: first") == 1
    assert "KeyError: 'second'" in text
    assert crash_report.redacted("key=abcdef ok") == "*** ok"
    assert len(crash_report.redacted("a b " * 1000)) < 310


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space")
@pytest.mark.parametrize("megabytes", [150, 210, 225, 300, 400])
def test_a_limit_of_memory_gives_an_answer_or_one_sentence(run, megabytes: int) -> None:
    python = shlex.quote(sys.executable)
    program = f"ulimit -v {megabytes * 1024}; exec {python} -m voicechat --text"
    done = run(stdin="what is 2 plus 2\n", program=["sh", "-c", program])
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.stderr.splitlines()[-1].startswith("voicechat: ")
    else:
        assert done.stdout == "2 plus 2 is 4.\n"
