"""Every Python block of docs/python-api.md runs as it is written, over a real socket."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path

import pytest
from scripted import TOKEN, scripted_server

import voicechat

PAGE = (Path(__file__).parents[2] / "docs" / "python-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
async def test_block_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_server() as backend, asyncio.timeout(20):
        backend.tts.names = (*backend.tts.names, "alloy")  # the default voice of OpenAI
        monkeypatch.setenv("OPENAI_BASE_URL", backend.app.url)
        monkeypatch.setenv("OPENAI_API_KEY", TOKEN)
        code = compile(block, "python-api.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        done = eval(code, {"__name__": "__main__"})
        if inspect.isawaitable(done):
            await done


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 6


@pytest.mark.parametrize("name", voicechat.__all__)
def test_every_exported_name_is_on_the_page(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE)


def test_every_parameter_and_member_is_on_the_page() -> None:
    parameters = set(inspect.signature(voicechat.connect).parameters)
    members = {name for name in vars(voicechat.ClientSession) if not name.startswith("_")}
    assert [
        name
        for name in parameters | members
        if f"`{name}" not in PAGE and f"`await {name}" not in PAGE
    ] == []
