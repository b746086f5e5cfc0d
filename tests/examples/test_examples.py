"""The programs in examples/ run as they are, against one `voicechat serve`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

EXAMPLES = Path(__file__).parents[2] / "examples"


class Server:
    """A running `voicechat serve`, and how a program connects to it."""

    def __init__(self, folder: Path) -> None:
        secrets = re.compile("KEY|TOKEN|SECRET")
        inherited = {name: text for name, text in os.environ.items() if not secrets.search(name)}
        kinds = ("CACHE", "DATA", "CONFIG", "STATE")
        folders = {f"XDG_{kind}_HOME": str(folder / kind) for kind in kinds}
        self.environment = {**inherited, **folders}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "voicechat", "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            text=True,
        )
        assert self.child.stdout is not None
        ready = json.loads(self.child.stdout.readline())
        self.arguments = ("--model", "openai", "--base-url", ready["url"])
        self.environment["OPENAI_API_KEY"] = ready["token"]

    def run(self, name: str, *arguments: str, typed: str = "") -> str:
        """Run an example to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *arguments, *self.arguments],
            input=typed,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=40,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all examples."""
    running = Server(tmp_path_factory.mktemp("home"))
    yield running
    running.child.terminate()
    assert running.child.wait(timeout=10) == 0
    assert running.child.stdout is not None
    running.child.stdout.close()


def test_every_example_has_a_test() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in tests] == []


def test_typed_chat(server: Server) -> None:
    printed = server.run("typed_chat.py", typed="what is 17 times 23\nwhat is 2 plus 2\n\n")
    first, second = printed.splitlines()
    assert "391" in first
    assert "4" in second


def test_file_to_file(server: Server, tmp_path: Path) -> None:
    question, answer = tmp_path / "question.wav", tmp_path / "answer.wav"
    with wave.open(str(question), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(bytes(48_000))
    printed = server.run("file_to_file.py", str(question), str(answer))
    assert "assistant: " in printed
    with wave.open(str(answer), "rb") as file:
        assert file.getframerate() == 24_000
        assert file.getnframes() > 12_000


def test_own_tool(server: Server) -> None:
    printed = server.run("own_tool.py", "what is the weather in Oslo", "--yes")
    assert "get_weather: done" in printed
    assert "overcast" in printed.splitlines()[-1]


def test_own_tool_that_is_not_allowed(server: Server) -> None:
    printed = server.run("own_tool.py", "what is the weather in Oslo", typed="n\n")
    assert "get_weather: denied" in printed
    assert "overcast" not in printed


def test_two_models(server: Server) -> None:
    printed = server.run("two_models.py", "hello", "--turns", "4", "--other", "openai")
    assert [line.split()[0] for line in printed.splitlines()] == ["first", "second"] * 2


COMMANDS = {
    "typed_chat.py": (),
    "own_tool.py": ("hello",),
    "two_models.py": ("hello",),
    "file_to_file.py": ("question.wav", "answer.wav"),
    "websocket_bridge.py": ("--port", "0"),
}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--model", "openai"), 3, "needs a key. Pass api_key, set OPENAI_API_KEY"),
        (("--model", "nothing"), 2, "There is no model 'nothing'."),
        (("--base-url", "here"), 2, "base_url must be an address"),
    ],
    ids=["key", "model", "address"],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_common_error_is_one_sentence(
    name: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    complained = failure(code, name, *COMMANDS[name], *arguments)
    assert words in complained
    assert complained.count("\n") == 1


def test_server_that_does_not_answer_is_one_sentence() -> None:
    away = ("--model", "openai", "--base-url", "http://127.0.0.1:9")
    complained = failure(4, "two_models.py", "hello", *away)
    assert complained.startswith("No server answers at 127.0.0.1 port 9")
    assert complained.count("\n") == 1


def test_wrong_file_is_one_sentence(tmp_path: Path) -> None:
    for source, words in ((tmp_path / "gone.wav", "cannot be read"), (Path(__file__), "RIFF")):
        arguments = (str(source), str(tmp_path / "answer.wav"), "--model", "local")
        complained = failure(1, "file_to_file.py", *arguments)
        assert words in complained
        assert complained.count("\n") == 1


def failure(code: int, name: str, *arguments: str) -> str:
    """The error output of an example that ends with this exit code."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        input="",
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stderr


async def message(client: ClientConnection, kind: str) -> dict[str, Any]:
    """The next text frame of this kind; others are skipped."""
    async for frame in client:
        if isinstance(frame, str):
            found: dict[str, Any] = json.loads(frame)
            if found["type"] == kind:
                return found
    raise AssertionError("the bridge closed the connection")


async def play(client: ClientConnection) -> tuple[str, float]:
    """Play a reply at once, as a client would; its text and length in ms."""
    said, item_id, heard_ms = "", "", 0.0
    async for frame in client:
        if isinstance(frame, bytes):
            heard_ms += len(frame) / 48
            played = {"type": "played", "item_id": item_id, "ms": heard_ms}
            await client.send(json.dumps(played))
            continue
        told = json.loads(frame)
        if told["type"] == "audio":
            item_id = told["item_id"]
        elif told["type"] == "transcript":
            said = told["text"]
        elif told["type"] == "turn_ended":
            return said, heard_ms
    raise AssertionError("the bridge closed the connection")


async def test_websocket_bridge(server: Server) -> None:
    bridge = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "websocket_bridge.py"),
        "--port",
        "0",
        *server.arguments,
        env=server.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert bridge.stdout is not None
    try:
        async with asyncio.timeout(40):
            url = (await bridge.stdout.readline()).decode().strip()
            async with connect(url) as client:
                assert (await message(client, "ready"))["input_rate"] == 24_000
                await client.send(json.dumps({"type": "text", "text": "what is 17 times 23"}))
                said, heard_ms = await play(client)
                assert "391" in said
                assert heard_ms > 500
    finally:
        bridge.terminate()
        await bridge.wait()
