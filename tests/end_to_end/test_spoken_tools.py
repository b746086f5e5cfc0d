"""Spoken requests call tools without a key: built in, of a plugin, of an MCP server.

One tool waits for a decision while a timer rings and the conversation continues.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from on_terminal import OnTerminal, ended, private_environment
from user_speech import LISTENING, user_speech
from virtual_audio import RATE, VirtualCard

pytestmark = [
    pytest.mark.sound,
    pytest.mark.end_to_end,
    pytest.mark.timeout(180),
]

EVERYTHING = (
    Path(__file__).parents[2]
    / ".venv/mcp-servers/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
)

PLUGIN = '''
from voicechat.tools import tool

@tool
def kitchen_lights(on: bool) -> str:
    """Turn the kitchen lights on or off."""
    open(__file__ + ".log", "a").write("switched")
    return f"The kitchen lights are {'on' if on else 'off'}."
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """Write a plugin whose tool asks; return the file it writes when it runs."""
    folder = tmp_path / "CONFIG" / "voicechat" / "tools"
    folder.mkdir(parents=True, mode=0o700)
    path = folder / "lights.py"
    path.write_text(PLUGIN, "utf-8")
    path.chmod(0o600)
    return folder / "lights.py.log"


def say(card: VirtualCard, words: str) -> None:
    card.say(user_speech(words), RATE).wait(10)


def test_a_timer_rings_while_a_plugin_waits_for_approval(
    start: Callable[..., OnTerminal], card: VirtualCard, plugin: Path
) -> None:
    terminal = start(columns=100, rows=40, environ=card.environment)
    terminal.see(LISTENING, 30)
    say(card, "set a timer for twelve seconds")
    terminal.see("tool set_timer .*done .*voice Okay, 12 seconds, starting now. .*● listening")
    say(card, "turn on the kitchen lights")
    terminal.see("tool kitchen_lights .*needs your approval.* Allow to run: kitchen_lights")
    say(card, "what is seven plus five")
    terminal.see("(seven|7) plus (five|5).* voice .*12")
    terminal.see("voice Ding ding! Your 12 second timer is done", 30)
    assert not plugin.exists()
    terminal.type("\x1b[19~")
    terminal.see("›d deny")
    terminal.type("o")
    terminal.see("›o once")
    assert not plugin.exists()
    terminal.type("\r")
    terminal.see("voice The kitchen lights are on")
    assert plugin.read_text("utf-8") == "switched"
    family = terminal.family()
    terminal.type("\x11")
    assert terminal.code() == 0
    assert not ended(family, 3.0)


@pytest.mark.skipif(
    not (shutil.which("node") and EVERYTHING.exists()),
    reason="node or the reference server are not available",
)
def test_a_tool_of_a_real_server_runs_when_the_user_allows_it(
    start: Callable[..., OnTerminal], card: VirtualCard, tmp_path: Path
) -> None:
    settings = tmp_path / "CONFIG" / "voicechat"
    settings.mkdir(parents=True, mode=0o700)
    # Without the built-in calculator, sums are for the server.
    (settings / "config.toml").write_text('tools = ["everything__get-sum"]\n', "utf-8")
    add = ["mcp", "add", "everything", "--", "node", str(EVERYTHING)]
    environ = private_environment(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "voicechat", *add], env=environ, check=True, capture_output=True
    )
    terminal = start(columns=100, rows=40, environ=card.environment)
    terminal.see(LISTENING, 30)
    say(card, "what is three plus four")
    terminal.see("Allow to run: everything__get-sum .*MCP server everything")
    terminal.type("\x1b[19~")
    terminal.see("›d deny")
    terminal.type("o")
    terminal.see("›o once")
    terminal.type("\r")
    terminal.see("tool everything__get-sum .*done .*voice .*The sum of 3 and 4 is 7")
    family = terminal.family()
    terminal.type("\x11")
    assert terminal.code() == 0
    assert not ended(family, 3.0)
