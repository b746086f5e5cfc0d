"""Engines of the embedded voice on other servers, from the settings to the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from http_stub import http_stub


async def typed(folder: Path, settings: str, *flags: str) -> tuple[int, str, str]:
    """Pipe a question through `voicechat --text`; return its exit code and what it printed."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VOICECHAT_", "OPENAI_", "COV_")) and not name.endswith("_KEY")
    }
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        environ[f"XDG_{name}_HOME"] = str(folder / name)
    file = folder / "CONFIG" / "voicechat" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(settings, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voicechat", "--text", *flags),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )
    async with asyncio.timeout(50):
        out, errors = await process.communicate(b"what is two plus two\n")
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


async def test_the_settings_choose_the_chat_server_and_its_key(tmp_path: Path) -> None:
    chunk = {"choices": [{"delta": {"content": "It is four."}}]}
    async with http_stub() as server:
        server.models = b'{"data": [{"id": "qwen3"}]}'
        server.chunks = [f"data: {json.dumps(chunk)}\n\n".encode()]
        settings = f'[keys]\nVOICECHAT_CHAT_KEY = "sk-1"\n[embedded]\nchat = "{server.url}"\n'
        code, out, errors = await typed(tmp_path, settings)
    assert (code, out) == (0, "It is four.\n"), errors
    assert server.posts[0].headers["authorization"] == "Bearer sk-1"


async def test_a_dead_server_is_named_once_on_the_terminal(tmp_path: Path) -> None:
    async with http_stub() as server:
        pass
    settings = f'[embedded]\nchat = "{server.url}"\nstt = "wyoming://127.0.0.1:1"\n'
    code, out, errors = await typed(tmp_path, settings)
    assert (code, out) == (0, "2 plus 2 is 4.\n")
    sentence = (
        f"voicechat: The chat server at {server.url} does not answer; the built-in one takes over. "
        "Check that it is running.\n"
    )
    assert errors.count(sentence) == 1
    assert "wyoming" not in errors, "typed text needs no recognizer"


async def test_an_invalid_address_is_refused_with_its_flag(tmp_path: Path) -> None:
    code, out, errors = await typed(tmp_path, "", "--stt", "wyoming://localhost")
    assert (code, out) == (2, "")
    assert errors == "voicechat: --stt needs a port, like wyoming://localhost:10300.\n"
