"""A provider from another package holds a conversation through the Python API."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted import TOKEN, scripted_server
from websockets.asyncio.server import ServerConnection, serve

import voicechat
from voicechat.providers import catalog
from voicechat.providers.installed_providers import ENTRY_POINTS

PAGE = Path(__file__).parents[2] / "docs" / "add-a-provider.md"
TOY, TINY = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
"""The Python blocks of the page: two whole providers."""


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], None]]:
    """Installs a provider by its name and the text of its module."""

    def write(name: str, module: str) -> None:
        (tmp_path / f"{name}_live.py").write_text(module, "utf-8")
        metadata = tmp_path / f"{name}_live-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = f"[{ENTRY_POINTS}]\n{name} = {name}_live:PROVIDER\n"
        (metadata / "entry_points.txt").write_text(points, "utf-8")
        catalog.installed.cache_clear()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield write
    for name in ("toy_live", "tiny_live"):
        sys.modules.pop(name, None)
    catalog.installed.cache_clear()


async def test_installed_provider_is_connected(install: Callable[[str, str], None]) -> None:
    install("toy", TOY)
    assert "toy" in {model.provider for model in voicechat.list_models()}
    async with (
        asyncio.timeout(20),
        scripted_server() as backend,
        voicechat.connect(
            "toy", base_url=backend.app.url, api_key=TOKEN, tools=[], output="text"
        ) as session,
    ):
        assert session.model.startswith("toy/")
        await session.send("hello")
        async for event in session:
            if isinstance(event, voicechat.TurnEnded):
                break
        assert session.transcript[-1].text == "You said hello."


async def tiny_server(client: ServerConnection) -> None:
    """The server of the second provider: repeats each line word by word."""
    assert client.request is not None
    assert client.request.headers["X-Key"] == "tiny-key"
    await client.send('{"type": "ready"}')
    async for frame in client:
        for each in json.loads(frame)["say"].split():
            await client.send(json.dumps({"type": "word", "text": f"{each} "}))
        await client.send('{"type": "end"}')


async def test_wire_of_its_own_is_connected(install: Callable[[str, str], None]) -> None:
    install("tiny", TINY)
    async with asyncio.timeout(20), serve(tiny_server, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with voicechat.connect(
            "tiny", base_url=f"ws://127.0.0.1:{port}", api_key="tiny-key", tools=[], output="text"
        ) as session:
            for line in ("hello there", "good bye"):
                await session.send(line)
                async for event in session:
                    assert not isinstance(event, voicechat.Problem)
                    if isinstance(event, voicechat.TurnEnded):
                        break
                assert session.transcript[-1].text.strip() == line
