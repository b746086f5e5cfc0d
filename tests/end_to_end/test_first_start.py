"""The first start on a terminal: with nothing, with a key, and with a chat server."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from chat_servers import ANSWER, OLLAMA, chat_server
from on_terminal import private_environment

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

OFFER = "This is the first start of voicechat"
_CODE = """
from voicechat.session import server_discovery
server_discovery.PORTS = ()
from voicechat.cli.app import main
raise SystemExit(main())
"""
PROGRAM = ("-c", _CODE)
"""The program without the servers that the developer runs on the usual ports."""


@pytest.fixture
def first_start(start, tmp_path: Path):
    """Start the program on a terminal of a user who never started it before."""

    def begin(*words: str, **environ: str):
        fresh = {"XDG_STATE_HOME": str(tmp_path / "fresh"), "VOICECHAT_LOCAL_CHAT": "yes"}
        return start(*words, environ=fresh | environ, program=PROGRAM)

    return begin


def settings(folder: Path) -> dict[str, object]:
    path = folder / "CONFIG" / "voicechat" / "config.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_with_nothing_enter_starts(first_start, tmp_path: Path) -> None:
    terminal = first_start("--text")
    terminal.see(f"{OFFER}.*Enter start now. The embedded voice answers; it needs no key.")
    terminal.type("\n")
    terminal.see("online · local")
    terminal.type("\x11")
    assert terminal.code() == 0
    assert not (tmp_path / "CONFIG" / "voicechat" / "config.toml").exists()
    assert (tmp_path / "fresh" / "voicechat" / "setup-offered").exists()


def test_with_a_key_it_is_found_and_not_written(first_start, tmp_path: Path) -> None:
    terminal = first_start("--text", "--plain", OPENAI_API_KEY="sk-planted-0123")
    terminal.see(f"{OFFER}.*openai/gpt-realtime-2.1 answers")
    terminal.type("s\n")
    terminal.see(r"OPENAI_API_KEY \(environment\), of openai")
    terminal.see(r"1 openai/gpt-realtime-2.1, with OPENAI_API_KEY \(environment\)")
    terminal.type("9\n")
    terminal.see("Type a number from 1 to 3")
    terminal.type("1\n")
    terminal.see("Check the microphone and the speaker")
    terminal.type("n\n")
    terminal.see("model = openai/gpt-realtime-2.1 Write them")
    terminal.type("n\n")
    terminal.see("Nothing was written.")
    terminal.type("\x03")
    assert terminal.code() == 130
    assert not (tmp_path / "CONFIG" / "voicechat" / "config.toml").exists()
    assert b"planted" not in terminal.raw


def test_with_a_chat_server_it_answers(first_start, tmp_path: Path) -> None:
    with chat_server(OLLAMA) as server:
        host = f"127.0.0.1:{server.port}"
        terminal = first_start("--text", "--plain", OLLAMA_HOST=host)
        terminal.see(OFFER)
        terminal.type("s\n")
        terminal.see(f"Ollama at {host}: llama3.2:latest, big:70b, tiny:1b")
        terminal.see(f"1 Embedded voice with Ollama at {host}; private")
        terminal.type("1\n")
        terminal.see("Which model of Ollama")
        terminal.type("big:70b\n")
        terminal.see("Check the microphone and the speaker")
        terminal.type("n\n")
        terminal.see("Write them")
        terminal.type("\n")
        terminal.see("Ready. Type a message")
        terminal.type("what is the capital of France\n")
        terminal.see(f"Assistant: {ANSWER}")
        terminal.type("/quit\n")
        assert terminal.code() == 0
        assert [body["model"] for body in server.asked] == ["big:70b"]
    assert settings(tmp_path) == {
        "model": "local/built-in", "chat_url": f"http://{host}/v1", "chat_model": "big:70b",
    }  # fmt: skip


@pytest.mark.parametrize("words", [["--text"], ["setup"]], ids=["talk", "setup"])
def test_a_pipe_never_sees_the_offer(tmp_path: Path, words: list[str]) -> None:
    """Without setup, a chat server answers, and that is said."""
    with chat_server(OLLAMA) as server:
        host = f"127.0.0.1:{server.port}"
        fresh = {"XDG_STATE_HOME": str(tmp_path / "fresh"), "OLLAMA_HOST": host}
        done = subprocess.run(
            [sys.executable, *PROGRAM, *words],
            env=private_environment(tmp_path) | fresh | {"VOICECHAT_LOCAL_CHAT": "yes"},
            input="what is the capital of France\n",
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
    assert OFFER not in done.stdout + done.stderr
    if words == ["setup"]:
        assert done.returncode == 2
        assert "Setup asks questions, so it needs a terminal." in done.stderr
    else:
        assert done.stdout == f"{ANSWER}\n"
        assert f"Using the embedded voice with llama3.2:latest of Ollama at {host}." in done.stderr
