"""docs/tools.md names each built-in tool with its permission, and its example plugin runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voicechat.core.settings import Permission
from voicechat.line_mode.slash_commands import app_commands
from voicechat.tools.builtin import builtin
from voicechat.tools.plugins import plugin_loader
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import ToolContext

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text("utf-8")


def described() -> dict[str, str]:
    """Return the name and permission of every tool in the table of the page."""
    table = PAGE.partition("| Built in |")[2].partition("\n\n")[0]
    found = {}
    for row in table.splitlines()[2:]:
        names, _, default = row.strip("| ").split(" | ")
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), default)
    return found


def offered(*folders: Path) -> dict[str, tuple[Permission, bool]]:
    tools = builtin(ToolContext(folders, Path("kept"), print, app_commands()))
    return {tool.spec.name: (tool.spec.permission, tool.asks_always) for tool in tools}


def test_every_tool_is_listed_with_its_permission(tmp_path: Path) -> None:
    without, named = offered(), offered(tmp_path)
    assert described().keys() == without.keys()
    for name, says in described().items():
        permission, always = without[name]
        assert says.startswith(permission), name
        assert says.endswith("each time") is always
        assert named[name][0] == ("ask" if says.endswith("with `folders`") else permission)


async def test_the_example_of_a_plugin_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = re.search(r"```python\n(# ~/[\w./]*/tools/\w+\.py\n.*?)```", PAGE, re.DOTALL)
    assert example is not None
    assert len(example[1].splitlines()) <= 10
    folder = tmp_path / "voicechat" / "tools"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "lights.py").write_text(example[1], "utf-8")
    (folder / "lights.py").chmod(0o600)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    loaded = await plugin_loader.load()
    try:
        assert loaded.problems == ()
        registry = Registry(*loaded.tools)
        outcome = await registry.run("lights", '{"room": "hall", "on": false}')
        assert (outcome.output, outcome.failed) == ("The lights in the hall are off.", False)
        assert "room" in (await registry.run("lights", '{"room": "attic", "on": true}')).output
        assert registry.specs[0].permission is Permission.ASK
    finally:
        await loaded.close()
