"""Approval of the program of an MCP server during a conversation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from mcp_rig import misbehaving_server

from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.errors import UsageError
from voicechat.session.toolbox import Toolbox


async def test_a_server_waits_for_approval_and_then_offers_its_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = misbehaving_server(tmp_path)
    notices: list[effects.Notice] = []
    offered = asyncio.Event()

    def offer(tools: inputs.OfferTools) -> None:
        if any(spec.name == "rude__greet" for spec in tools.tools):
            offered.set()

    toolbox = Toolbox(Options(mcp_servers=(config,)), offer, notices.append, lambda sentence: None)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(toolbox.run())
        await asyncio.wait_for(toolbox.complete.wait(), 20)
        (notice,) = notices
        assert (
            notice.text == f"The MCP server rude wants to run “{config.shown}”, without a sandbox."
        )
        assert notice.hint == "Type /let rude to allow it, now and in the future."
        assert notice.pipe_hint == "Allow it with: voicechat mcp test rude"
        assert not (tmp_path / "starts").exists()
        with pytest.raises(UsageError, match="Type /let rude"):
            toolbox.allow_server("other")
        assert toolbox.waiting_servers == ("rude",)
        toolbox.allow_server("rude")
        assert toolbox.waiting_servers == ()
        await asyncio.wait_for(offered.wait(), 20)
        with pytest.raises(UsageError, match="is waiting"):
            toolbox.allow_server("rude")
        running.cancel()
