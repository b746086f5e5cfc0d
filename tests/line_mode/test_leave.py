"""The person's leave for the program of an MCP server, asked and given in a conversation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from mcp_rig import rude

from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.errors import UsageError
from voicechat.session.toolbox import Toolbox


async def test_a_program_waits_for_leave_and_its_tools_come_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = rude(tmp_path)
    told: list[effects.Notice] = []
    offered = asyncio.Event()

    def offer(tools: inputs.OfferTools) -> None:
        if any(spec.name == "rude__greet" for spec in tools.tools):
            offered.set()

    box = Toolbox(Options(mcp_servers=(config,)), offer, told.append, lambda sentence: None)
    async with asyncio.TaskGroup() as tasks:
        living = tasks.create_task(box.run())
        await asyncio.wait_for(box.complete.wait(), 20)
        (notice,) = told
        assert notice.text == f"The MCP server rude wants to run: {config.shown}"
        assert "/let rude" in notice.hint
        assert not (tmp_path / "starts").exists()
        with pytest.raises(UsageError, match="Type /let rude"):
            box.allow_server("other")
        box.allow_server("rude")
        await asyncio.wait_for(offered.wait(), 20)
        with pytest.raises(UsageError, match="is waiting"):
            box.allow_server("rude")
        living.cancel()
