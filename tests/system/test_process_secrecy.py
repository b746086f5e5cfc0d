"""Keys of a process are out of reach of the other programs of its user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unprivileged import contents, running

from voicechat.system import process_secrecy, process_supervisor, secret_variables

ROOT = str(Path(__file__).parents[2])
SECRETS = {
    "OPENAI_API_KEY": "sk-hush",
    "MY_PASSWORD": "hush-2",
    "https_proxy": "http://user:hush@proxy:80",
    "ALL_PROXY": "user:hush@proxy:80",
    "DATABASE": "postgres://user:hush@host/name",
}
ENVIRONMENT = {**SECRETS, "PLAIN": "seen", "PYTHONPATH": ROOT, "PATH": os.environ.get("PATH", "")}

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="/proc is a part of Linux")

PROTECTED = """
import os
from voicechat.system import process_secrecy
process_secrecy.protect()
os.write(1, (os.environ["OPENAI_API_KEY"] + os.environ["https_proxy"] + "\\n").encode())
input()
"""


@linux_only
def test_the_first_environment_and_the_memory_of_a_protected_process_are_closed() -> None:
    with running(sys.executable, "-c", PROTECTED, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"sk-hushhttp://user:hush@proxy:80\n"
        assert contents(f"/proc/{process.pid}/environ") == b""
        as_root = Path(f"/proc/{process.pid}/environ")
        if os.access(as_root, os.R_OK):  # the owner of the files of a protected process is root
            assert b"hush" not in as_root.read_bytes()
            assert b"PLAIN=seen" in as_root.read_bytes()


@linux_only
def test_an_unprotected_process_can_be_read() -> None:
    with running(sys.executable, "-c", "print('up', flush=True); input()", env=ENVIRONMENT) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == b"up\n"
        assert b"sk-hush" in contents(f"/proc/{it.pid}/environ")


@linux_only
def test_a_command_of_voicechat_shows_no_key(tmp_path: Path) -> None:
    folders = {f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("CACHE", "DATA", "CONFIG")}
    command = ("-P", "-m", "voicechat", "wire", "decode", "--model", "openai/gpt-realtime")
    with running(sys.executable, *command, env={**ENVIRONMENT, **folders}) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        assert process.stdout.readline()
        assert contents(f"/proc/{process.pid}/environ") == b""


@linux_only
def test_the_supervisor_of_a_program_is_closed() -> None:
    command = (sys.executable, "-I", "-S", process_supervisor.__file__, "/bin/sh", "-c",
               "echo $PPID; read line")  # fmt: skip
    with running(*command, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        inner = int(process.stdout.readline())
        assert inner != process.pid
        assert [contents(f"/proc/{each}/environ") for each in (inner, process.pid)] == [b"", b""]


def test_a_child_gets_its_keys_through_its_input() -> None:
    code = (
        "import os\nfrom voicechat.system import process_secrecy\nprocess_secrecy.read_piped()\n"
        "print(os.environ['A_KEY'], process_secrecy.KEYS_ON_INPUT in os.environ, input())"
    )
    line = process_secrecy.piped({"A_KEY": "hush"})
    ended = subprocess.run(
        [sys.executable, "-c", code], input=line + b"next\n", capture_output=True, timeout=20,
        check=True, env={**ENVIRONMENT, process_secrecy.KEYS_ON_INPUT: "1"},
    )  # fmt: skip
    assert ended.stdout.decode().split() == ["hush", "False", "next"]


@pytest.mark.parametrize("line", [b"", b"no JSON\n", b"[1]\n", b'{"A_KEY": 1}\n'])
def test_a_wrong_line_of_keys_sets_nothing(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.write(writer, line)
    os.close(writer)
    monkeypatch.setenv(process_secrecy.KEYS_ON_INPUT, "1")
    monkeypatch.setattr("os.read", lambda _, size, read=os.read: read(reader, size))
    process_secrecy.read_piped()
    os.close(reader)
    assert "A_KEY" not in os.environ


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://user:hush@proxy:80", "http://proxy:80"),
        ("socks5h://hush@proxy", "socks5h://proxy"),
        ("user:p@ss/hush@proxy:80/", "proxy:80/"),
        ("http://proxy:80", "http://proxy:80"),
    ],
)
def test_another_program_gets_a_proxy_without_its_password(
    address: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    monkeypatch.setenv("SOME_TOKEN", "hush")
    found = secret_variables.open_environment()
    assert found["HTTPS_PROXY"] == shown
    assert "SOME_TOKEN" not in found
