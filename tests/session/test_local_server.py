"""The embedded voice as a child process: its address, its failures, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from scripted import until

from voicechat.config.options import Options
from voicechat.core.settings import Permission
from voicechat.errors import Secret, ServerError
from voicechat.session.local_server import LocalServer

READY = """
import json, os, sys, time
os.environ.update(json.loads(sys.stdin.readline()))
print(json.dumps({"progress": "recognizer", "done": 0.5}), file=sys.stderr, flush=True)
url = "ws://127.0.0.1:9/v1/realtime"
print(json.dumps({"url": url, "token": os.environ["VOICECHAT_SERVE_TOKEN"]}), flush=True)
"""
WATCHING = READY + "sys.stdin.read()\n"
STUBBORN = (
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "time.sleep(600)\n"
)


@pytest.fixture
def child(tmp_path: Path):
    def write(code: str) -> tuple[str, ...]:
        path = tmp_path / "child.py"
        path.write_text(code, encoding="utf-8")
        return sys.executable, str(path)

    return write


async def start(server: LocalServer, progress: list[str]) -> tuple[str, Secret]:
    """Start the server; return its address and token once its progress line was read."""
    ready = await server.start()
    await until(lambda: progress)
    return ready


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def pid_of(server: LocalServer) -> int:
    assert server._child is not None
    return server._child.pid


def kill(pid: int) -> None:
    """Kill a child, and return when it has ended; the loop has not noticed it yet."""
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # a thread has taken its exit status
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def test_the_child_knows_the_forbidden_tools(child) -> None:
    code = READY.replace('"recognizer"', 'os.environ["VOICECHAT_FORBIDDEN_TOOLS"]')
    progress: list[str] = []
    permissions = {"set_timer": Permission.NEVER, "calculate": Permission.ASK}
    server = LocalServer(Options(permissions=permissions), progress.append, child(code))
    await start(server, progress)
    await server.stop()
    assert progress == ["Loading the set_timer: 50%"]


async def test_the_child_uses_the_notebook_of_the_user(child) -> None:
    code = READY.replace('"recognizer"', 'os.environ["VOICECHAT_USER_NOTEBOOK"]')
    progress: list[str] = []
    server = LocalServer(Options(), progress.append, child(code))
    await start(server, progress)
    await server.stop()
    assert progress == ["Loading the 1: 50%"]


async def test_the_address_a_token_and_progress(child) -> None:
    progress: list[str] = []
    server = LocalServer(Options(), progress.append, child(WATCHING))
    url, token = await start(server, progress)
    assert server.running
    assert url == "ws://127.0.0.1:9/v1/realtime"
    assert len(token.reveal()) > 30
    await server.stop()
    assert progress == ["Loading the recognizer: 50%"]
    assert not server.running


@pytest.mark.parametrize("code", [WATCHING, STUBBORN], ids=["willing", "stubborn"])
async def test_stop_ends_the_child_within_a_second(child, code: str) -> None:
    server = LocalServer(Options(), command=child(code))
    await server.start()
    pid = pid_of(server)
    async with asyncio.timeout(1.5):
        await server.stop()
        await server.stop()
    assert not alive(pid)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; sys.exit('voicechat: No model.')", "ended while starting. No model."),
        ("print('hello')", "did not report its address."),
        ('print(\'{"url": "ws://evil.example/"}\')', "did not report its address."),
        ("print('[' * 60000)", "did not report its address."),
        ("print('x' * 200000)", "did not report its address."),
        ("import time; time.sleep(600)", "was not ready within 1 s."),
    ],
)
async def test_a_failed_start_is_one_sentence(child, code: str, sentence: str) -> None:
    server = LocalServer(Options(), command=child(code))
    with pytest.raises(ServerError) as caught:
        await server.start(deadline=1 if "sleep" in code else 20)
    assert str(caught.value).endswith(sentence)
    assert not server.running


async def test_progress_gives_a_slow_child_its_whole_time_again(
    child, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[asyncio.Timeout] = []
    new_limit = asyncio.timeout

    def timeout(delay: float | None) -> asyncio.Timeout:
        limits.append(new_limit(delay))
        return limits[-1]

    monkeypatch.setattr(asyncio, "timeout", timeout)
    ends: list[float | None] = []
    steps = "".join(
        f'print(\'{{"progress": "{part}", "done": 0.1}}\', file=sys.stderr, flush=True)\n'
        for part in ("engines", "detector")
    )
    # After its keys, the child waits for an answer to each line.
    address = 'print(\'{"url": "ws://127.0.0.1:9/v1/realtime"}\', flush=True)\n'
    code = f"import sys\n{steps}for _ in range(3): sys.stdin.readline()\n{address}"
    server = LocalServer(Options(), lambda text: _note(text), child(code))

    def _note(text: str) -> None:
        ends.append(limits[0].when())
        assert server._child is not None
        assert server._child.stdin is not None
        server._child.stdin.write(b"\n")

    await server.start()
    await server.stop()
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0] < ends[1]


async def test_a_missing_program_is_one_sentence() -> None:
    with pytest.raises(ServerError, match="could not start"):
        await LocalServer(Options(), command=("/nowhere/python",)).start()


async def test_an_engine_that_fails_is_reported_at_any_time(child) -> None:
    code = READY + (
        "sys.stdin.readline()\n"
        'print(json.dumps({"warning": "The voice\\x1b failed."}), file=sys.stderr, flush=True)\n'
        'print(json.dumps({"warning": ""}), "{", "[" * 9000, sep="\\n", file=sys.stderr)\n'
    )
    warnings: list[str] = []
    server = LocalServer(Options(), command=child(code), on_warning=warnings.append)
    await server.start()
    assert warnings == []
    assert server._child is not None
    assert server._child.stdin is not None
    assert server._errors is not None
    server._child.stdin.write(b"\n")
    await server._errors
    await server.stop()
    assert warnings == ["The voice\ufffd failed."]


async def test_the_child_gets_the_engines_and_the_keys_of_these_only(child) -> None:
    shows = READY + (
        "found = sorted(k for k, v in os.environ.items() if 'planted' in v)\n"
        "print(found, *sys.argv[1:], file=sys.stderr)\n"
    )
    names = ("OPENAI_API_KEY", "VOICECHAT_STT_KEY", "VOICECHAT_TTS_KEY", "VOICECHAT_CHAT_KEY")
    keys = {name: Secret(f"{name}-planted") for name in names}
    engines = Options(
        keys=keys,
        stt="wyoming://h:1",
        stt_model="m",
        stt_language="en",
        tts="https://api.openai.com/v1",
        tts_voice="v",
    )
    server = LocalServer(engines, command=child(shows))
    await server.start()
    assert server._errors is not None
    await server._errors
    await server.stop()
    assert server._last_error == (
        "['VOICECHAT_STT_KEY', 'VOICECHAT_TTS_KEY'] --port 0 --stt wyoming://h:1 --stt-model m "
        "--stt-language en --tts https://api.openai.com/v1 --tts-voice v"
    )


async def test_only_the_chat_key_is_passed_to_the_child(child, monkeypatch) -> None:
    monkeypatch.setenv("XAI_API_KEY", "xai-planted")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    shows = READY + (
        "found = {k: v for k, v in os.environ.items() if 'planted' in v}\n"
        "print(found, sys.argv[1:], file=sys.stderr)\n"
    )
    names = ("OPENAI_API_KEY", "XAI_API_KEY", "VOICECHAT_CHAT_KEY")
    keys = {name: Secret(f"{name}-planted") for name in names}
    for chat_url, seen in (
        (None, "{} ['--port', '0']"),
        ("http://127.0.0.1:1/v1", "{'VOICECHAT_CHAT_KEY': 'VOICECHAT_CHAT_KEY-planted'} ["),
    ):
        server = LocalServer(Options(keys=keys, chat_url=chat_url), command=child(shows))
        await server.start()
        assert server._errors is not None
        await server._errors
        assert server._last_error.startswith(seen)
        await server.stop()


PARENT = """
import asyncio, os, sys
from voicechat.config.options import Options
from voicechat.session.local_server import LocalServer

async def main():
    server = LocalServer(Options(), command=(sys.executable, sys.argv[1]))
    await server.start()
    print(server._child.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGABRT"])
def test_the_child_ends_with_its_parent(child, name: str) -> None:
    _, path = child(WATCHING)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONFAULTHANDLER": ""},
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(getattr(signal, name))
        parent.wait(10)
        _, alive = psutil.wait_procs([server], timeout=5)
    assert not alive


@pytest.mark.skipif(sys.platform == "win32", reason="Windows reports an end only to the loop")
async def test_a_killed_child_does_not_run_even_before_the_loop_notices(child) -> None:
    server = LocalServer(Options(), command=child(WATCHING))
    await server.start()
    pid = pid_of(server)
    kill(pid)
    assert server._child is not None
    assert server._child.returncode is None
    assert not server.running
    await server.stop()
