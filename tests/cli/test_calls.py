"""`voicechat calls …` as a user types it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from call_provider import KEY, SECRET, Call, CallProvider, call_provider

from voicechat.cli.app import main

PROGRAM = [sys.executable, "-m", "voicechat", "calls"]


class ProviderThread:
    """The scripted provider on the loop of another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, provider: CallProvider) -> None:
        self.loop, self.provider = loop, provider

    @property
    def flags(self) -> list[str]:
        return ["--model", "openai/gpt-realtime-2.1", "--base-url", self.provider.base_url]

    def call(self, call_id: str, state: str = "ringing") -> Call:
        found = self.provider.calls[call_id] = Call(call_id, state)
        return found

    def do(self, work: object) -> object:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)  # type: ignore[arg-type]


@contextmanager
def running_provider() -> Iterator[ProviderThread]:
    ready, found = threading.Event(), []

    async def run() -> None:
        async with call_provider() as provider:
            loop = asyncio.get_running_loop()
            stopped = asyncio.Event()
            found.append((ProviderThread(loop, provider), stopped))
            ready.set()
            await stopped.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(20)
    rig, stopped = found[0]
    try:
        yield rig
    finally:
        rig.loop.call_soon_threadsafe(stopped.set)
        thread.join()
    assert rig.provider.wrong == []


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderThread]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with running_provider() as found:
        yield found


def test_each_request_is_a_command(rig: ProviderThread, capsys: pytest.CaptureFixture[str]) -> None:
    calls = {name: rig.call(f"rtc_{name}") for name in ("accept", "reject", "refer", "hangup")}
    assert main(["calls", "accept", "rtc_accept", "--detach", *rig.flags]) == 0
    assert calls["accept"].state == "talking"
    assert main(["calls", "reject", "rtc_reject", "--code", "486", *rig.flags]) == 0
    assert (calls["reject"].state, calls["reject"].code) == ("rejected", 486)
    assert main(["calls", "refer", "rtc_refer", "sip:ann@host.example", *rig.flags]) == 0
    assert calls["refer"].target == "sip:ann@host.example"
    assert main(["calls", "hangup", "rtc_hangup", *rig.flags]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "status", "code", "part"),
    [
        (["hangup", "rtc_1"], 500, 4, "did not end the call (HTTP 500: Bad *** thing)"),
        (["hangup", "rtc_1"], 403, 3, "refused the key"),
        (["reject", "rtc_1"], 422, 2, "refused to reject the call"),
        (["hangup", "rtc_2"], 0, 4, "has no call rtc_2 (HTTP 404: No such call)"),
        (["watch", "rtc_2"], 0, 4, "has no call rtc_2"),
        (["refer", "rtc_1", "+1555"], 0, 2, "is not the address of a phone"),
        (["hangup", "../1"], 0, 2, "is not the id of a call"),
        (["accept", "live_1", "--detach"], 0, 2, "needs a Live model, not gpt-realtime-2.1"),
    ],
)
def test_a_failure_is_one_sentence(
    arguments: list[str],
    status: int,
    code: int,
    part: str,
    rig: ProviderThread,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rig.call("rtc_1")
    if status:
        rig.provider.refuse[arguments[0]] = status
    assert main(["calls", *arguments, *rig.flags]) == code
    out, err = capsys.readouterr()
    assert not out or arguments[0] == "watch"
    assert part in err
    assert err.count("\n") == 1
    assert KEY not in err


def test_other_providers_take_no_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "hangup", "rtc_1", "--model", "google"]) == 2
    assert "google takes no phone calls. Choose a model of" in capsys.readouterr().err


def test_without_a_secret_nothing_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_WEBHOOK_SECRET", raising=False)
    assert main(["calls", "listen", "--port", "0"]) == 3
    assert "Set OPENAI_WEBHOOK_SECRET" in capsys.readouterr().err
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", "planted")
    assert main(["calls", "listen", "--port", "0"]) == 2
    err = capsys.readouterr().err
    assert "does not begin with whsec_" in err
    assert "planted" not in err
    assert main(["calls", "listen", "--host", "0.0.0.0"]) == 2


def test_without_its_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("voicechat.calls.app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    assert main(["calls", "listen", "--model", "openai"]) == 2
    assert "Type: pip install 'voicechat[calls]'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_a_program_listens_talks_and_ends_the_calls(rig: ProviderThread, tmp_path: Path) -> None:
    settings = tmp_path / "voicechat" / "config.toml"
    settings.parent.mkdir()
    command = f"{sys.executable} -c \\\"print('{SECRET}')\\\""
    settings.write_text(
        f'[calls]\ndefault = "accept"\nsecret_command = "{command}"\n', encoding="utf-8"
    )
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "OPENAI_API_KEY": KEY}
    environ.pop("OPENAI_WEBHOOK_SECRET", None)
    running = subprocess.Popen(
        [*PROGRAM, "listen", "--port", "0", *rig.flags], env=environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stderr is not None
    ready = running.stderr.readline()
    url = ready.strip().removeprefix("voicechat: Listening for calls at ")
    assert url.endswith("/webhook"), ready
    rig.do(rig.provider.ring(url, "rtc_1"))
    call = rig.provider.calls["rtc_1"]
    rig.do(rig.provider.until(lambda: len(call.received) > 1))
    rig.do(call.hear("hello"))
    lines = [running.stdout.readline() for _ in range(3)]
    assert lines[1:] == ["rtc_1 Answered\n", "rtc_1 Caller: hello\n"]
    watcher = subprocess.Popen(
        [*PROGRAM, "watch", "rtc_1", *rig.flags], env=environ, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    rig.do(rig.provider.until(lambda: len(call.sockets) == 2))
    rig.do(rig.provider.until(lambda: len(call.received) > 3))
    rig.do(call.speak("Good day."))
    assert running.stdout.readline() == "rtc_1 Assistant: Good day.\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert out == "rtc_1 Ended\n"
    assert (running.returncode, err) == (0, "")
    assert call.state == "over"
    seen, problems = watcher.communicate(timeout=20)
    assert "Assistant: Good day." in seen
    assert (watcher.returncode, problems) == (0, "voicechat: The call is over.\n")
