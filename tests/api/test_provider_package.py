"""A provider from another package holds a conversation through the Python API."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from scripted import TOKEN, scene

import voicechat
from voicechat.providers import catalog

PAGE = Path(__file__).parents[2] / "docs" / "add-a-provider.md"
MODULE = PAGE.read_text("utf-8").split("```python\n")[1].split("```")[0]
"""The first Python block of the page is a whole provider, named toy."""


async def test_installed_provider_is_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy_live.py").write_text(MODULE, "utf-8")
    metadata = tmp_path / "toy_live-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-live\nVersion: 1.0\n")
    points = f"[{catalog.ENTRY_POINTS}]\ntoy = toy_live:PROVIDER\n"
    (metadata / "entry_points.txt").write_text(points, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalog.installed.cache_clear()
    try:
        assert "toy" in {model.provider for model in voicechat.list_models()}
        async with (
            asyncio.timeout(20),
            scene() as stage,
            voicechat.connect(
                "toy", base_url=stage.app.url, api_key=TOKEN, tools=[], output="text"
            ) as session,
        ):
            assert session.model.startswith("toy/")
            await session.send("hello")
            async for event in session:
                if isinstance(event, voicechat.TurnEnded):
                    break
            assert session.transcript[-1].text == "You said hello."
    finally:
        sys.modules.pop("toy_live", None)
        catalog.installed.cache_clear()
