"""The official reference servers of MCP, run by node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mcp_rig import running_servers
from processes import descendants

from voicechat.config.loader import load
from voicechat.config.mcp_server import ServerConfig
from voicechat.tools.mcp.mcp_pins import Pins

SERVERS = Path(__file__).parents[3] / ".venv" / "mcp-servers" / "node_modules"
EVERYTHING = SERVERS / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
FILES = SERVERS / "@modelcontextprotocol" / "server-filesystem" / "dist" / "index.js"

pytestmark = pytest.mark.skipif(
    not (shutil.which("node") and EVERYTHING.exists() and FILES.exists()),
    reason="node or the reference servers are not available",
)


async def test_the_everything_and_filesystem_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-0123")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "plants.txt").write_text("water them", encoding="utf-8")
    configs = (
        ServerConfig("everything", ("node", str(EVERYTHING))),
        ServerConfig("files", ("node", str(FILES), str(notes))),
    )
    async with running_servers(tmp_path, *configs) as rig:
        assert [state.state for state in rig.servers.states] == ["ready", "ready"]
        assert rig.reported == []
        assert (await rig.call("everything__echo", '{"message": "hi"}')).output == "Echo: hi"
        total = await rig.call("everything__get-sum", '{"a": 3, "b": 4}')
        assert total.output == "The sum of 3 and 4 is 7."
        wrong = await rig.call("everything__get-sum", '{"a": "x"}')
        assert wrong.failed
        assert "expected number" in wrong.output
        assert "An image, image/png" in (await rig.call("everything__get-tiny-image")).output
        seen = json.loads((await rig.call("everything__get-env")).output)
        assert set(seen) - {"LC_CTYPE"} <= set(os.environ)
        assert "planted" not in json.dumps(seen)

        path = json.dumps({"path": str(notes / "plants.txt")})
        assert (await rig.call("files__read_text_file", path)).output == "water them"
        outside = await rig.call("files__read_text_file", '{"path": "/etc/passwd"}')
        assert outside.failed
        assert "denied" in outside.output
    assert not descendants()


def test_the_embedded_voice_uses_one(tmp_path: Path) -> None:
    """Run from a typed line to the answer with the user's files only."""
    settings = tmp_path / "voicechat"
    settings.mkdir()
    entry = {"command": "node", "args": [str(EVERYTHING)]}
    (settings / "mcp.json").write_text(
        json.dumps({"mcpServers": {"everything": entry}}), encoding="utf-8"
    )
    (settings / "config.toml").write_text(
        '[permissions]\n"everything__get-sum" = "auto"\n', encoding="utf-8"
    )
    (server,) = load(path=settings / "config.toml").mcp_servers
    Pins(settings / "mcp-seen.json").allow(server)
    environ = os.environ | {
        f"XDG_{kind}_HOME": str(tmp_path) for kind in ("CONFIG", "STATE", "DATA")
    }
    done = subprocess.run(
        [sys.executable, "-m", "voicechat", "--text"],
        input="get sum of 3 and 4\n" * 3, capture_output=True, text=True, check=True, timeout=50,
        env=environ,
    )  # fmt: skip
    answers = done.stdout.splitlines()
    assert len(answers) == 3
    assert "7" in answers[-1]
