"""`voicechat setup-endpoint` as a process, and without the package that it needs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from token_server import token_server

from voicechat.cli.app import main

KEY = "sk-planted-0123456789"
PROGRAM = [sys.executable, "-m", "voicechat", "setup-endpoint", "--port", "0"]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    with token_server() as provider:
        arguments = ["--model", "openai/m", "--base-url", provider.address]
        running = subprocess.Popen(
            [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "OPENAI_API_KEY": KEY},
        )  # fmt: skip
        assert running.stdout is not None
        ready = json.loads(running.stdout.readline())
        assert (ready["model"], ready["tools"]) == ("openai/m", {})
        request = urllib.request.Request(
            ready["url"], b"{}", {"Authorization": f"Bearer {ready['token']}",
                                  "Content-Type": "application/json"},
        )  # fmt: skip
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            assert json.load(answer)["token"] == "ek_1"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
        assert (running.returncode, out, err) == (0, "", "")


def test_without_its_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("voicechat.setup_endpoint")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert main(["setup-endpoint", "--model", "openai"]) == 2
    assert "Type: pip install 'voicechat[setup-endpoint]'" in capsys.readouterr().err


def test_a_wrong_option_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup-endpoint", "--model", "openai", "--origin", "*"]) == 2
    assert "--origin must be the origin of a web page" in capsys.readouterr().err
