"""Engines of the embedded voice on other servers, from the settings to the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import piped_program
from http_stub import http_stub


async def typed(folder: Path, settings: str, *flags: str) -> tuple[int, str, str]:
    """Pipe a question through `voicechat --text`; return its exit code and what it printed."""
    file = folder / "CONFIG" / "voicechat" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(settings, encoding="utf-8")
    return await piped_program.typed(folder, "what is two plus two", *flags)


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
