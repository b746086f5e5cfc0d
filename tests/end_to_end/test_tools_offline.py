"""Tools without a key: the embedded voice calls built-in tools and a user's plugin."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from on_terminal import ended, private_environment

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

PLUGIN = '''
import os, subprocess, time
from voicechat.tools import tool

@tool
def kitchen_lights(on: bool) -> str:
    """Turn the kitchen lights on or off."""
    print("printed by the plugin", flush=True)
    subprocess.Popen(["sh", "-c", "trap '' TERM HUP; sleep 600; sleep 600"])
    open(os.environ["PLUGIN_MARK"], "w").write(str(os.getpid()))
    return f"The kitchen lights are {'on' if on else 'off'}."

@tool(permission="auto")
def bedroom_lights(on: bool) -> str:
    """Turn the bedroom lights on or off."""
    open(os.environ["PLUGIN_MARK"], "w").write(str(os.getpid()))
    time.sleep(600)
'''


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Write the plugin and the settings; return the file with the process id of the plugin."""
    settings = tmp_path / "CONFIG" / "voicechat"
    (settings / "tools").mkdir(parents=True, mode=0o700)
    (settings / "tools" / "lights.py").write_text(PLUGIN, "utf-8")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "notes.txt").write_text("The key is under the mat.", "utf-8")
    text = f"folders = ['{tmp_path / 'documents'}']\n[permissions]\nread_file = 'auto'\n"
    (settings / "config.toml").write_text(text, "utf-8")
    for path in (settings, settings / "tools", settings / "tools" / "lights.py"):
        path.chmod(0o700)
    return tmp_path / "mark"


def test_line_by_line_through_a_pipe(tmp_path: Path, mark: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "voicechat", "--text"],
        input="what is 17 times 23\nadd milk to my shopping list\nset a pasta timer for an hour\n"
        "how much time is left\nread the file notes.txt\nturn on the kitchen lights\n",
        env=private_environment(tmp_path) | {"PLUGIN_MARK": str(mark)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = said.stdout.splitlines()
    assert lines[:3] == [
        "17 times 23 is 391.",
        "I added milk to your shopping list.",
        "Okay, pasta timer, 1 hour, starting now.",
    ]
    assert lines[3].startswith("You have one timer: the pasta timer, ")
    assert "The key is under the mat." in said.stdout
    assert "kitchen_lights may not run: no user is present to approve it" in said.stderr
    assert not mark.exists()


def test_requests_are_corrected_and_undone(tmp_path: Path) -> None:
    conversation = {
        "set a timer for ten minutes": "Okay, 10 minutes, starting now.",
        "No, I meant twenty.": "I changed it. 20 minutes, starting now.",
        "where are my notes": "You have no notes.",
        "actually make it five": "I changed it. 5 minutes, starting now.",
        "add tune to my shopping list": "I added tune to your shopping list.",
        "I said tuna, not tune": "I changed it. I added tuna to your shopping list.",
        "what is on my shopping list": "Your shopping list has one item: tuna.",
        "my name is Eva": "Nice to meet you, Eva.",
        "undo that": "I've forgotten your name.",
        "undo": "I changed it back. I added tune to your shopping list.",
        "take that back": "I took tune off your shopping list.",
        "undo it": "I changed it back. 20 minutes, starting now.",
        "undo this": "I changed it back. 10 minutes, starting now.",
        "what are my alarms": "You have no alarms.",
        "how many days are in a fortnight": "A fortnight is 14 days.",
    }
    said = subprocess.run(
        [sys.executable, "-m", "voicechat", "--text"],
        input="\n".join((*conversation, "")),
        env=private_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.stdout.splitlines() == list(conversation.values())
    assert "The 10 minute timer will not ring without voicechat." in said.stderr


def test_a_plugin_runs_after_approval_while_a_timer_rings(
    start, tmp_path: Path, mark: Path
) -> None:
    terminal = start("--text", environ={"PLUGIN_MARK": str(mark)}, columns=100, rows=40)
    terminal.see("online")
    terminal.type("set a tea timer for two seconds\n")
    terminal.see("voice Okay, tea timer, 2 seconds")
    terminal.type("turn on the kitchen lights\n")
    terminal.see("Allow to run: kitchen_lights")
    terminal.see("Ding ding! Your tea timer is done.")
    assert not mark.exists()
    terminal.type("\x1b[19~")
    terminal.see("›d deny")
    terminal.type("o")
    terminal.see("›o once")
    terminal.type("\n")
    terminal.see("voice The kitchen lights are on.")
    assert "printed by the plugin" not in terminal.text
    family = [*terminal.family(), psutil.Process(int(mark.read_text("utf-8")))]
    family += family[-1].children(recursive=True)
    terminal.type("\x11")
    assert terminal.code() == 0
    assert not ended(family, 3.0)


def test_a_hanging_tool_does_not_delay_the_exit(start, tmp_path: Path, mark: Path) -> None:
    terminal = start("--text", environ={"PLUGIN_MARK": str(mark)})
    terminal.see("online")
    terminal.type("turn on the bedroom lights\n")
    terminal.see("bedroom_lights .*running")
    terminal.until(mark.exists, 20)
    terminal.type("what is 17 times 23\n")
    terminal.see("17 times 23 is 391")
    family = terminal.family()
    assert int(mark.read_text("utf-8")) in {each.pid for each in family}
    terminal.type("\x11")
    assert terminal.code() == 0
    assert not ended(family, 3.0)


def test_terminated_while_a_tool_runs_and_another_waits_for_approval(start, mark: Path) -> None:
    terminal = start("--text", environ={"PLUGIN_MARK": str(mark)}, columns=100, rows=40)
    terminal.see("online")
    terminal.type("turn on the bedroom lights\n")
    terminal.see("bedroom_lights .*running")
    terminal.until(mark.exists, 20)
    terminal.type("turn on the kitchen lights\n")
    terminal.see("Allow to run: kitchen_lights")
    family = terminal.family()
    assert int(mark.read_text("utf-8")) in {each.pid for each in family}
    app = terminal.app
    for _ in range(3):
        with suppress(psutil.NoSuchProcess):
            app.send_signal(signal.SIGTERM)
    assert terminal.code() == 128 + signal.SIGTERM
    assert terminal.is_sane()
    assert not ended(family, 3.0)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_a_pipe_gets_each_signal_three_times_while_a_tool_runs(
    tmp_path: Path, mark: Path, name: str
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "voicechat", "--text", "--model", "local"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=private_environment(tmp_path) | {"PLUGIN_MARK": str(mark)},
    )
    assert program.stdin is not None
    with program, suppress(BrokenPipeError):
        program.stdin.write(b"turn on the bedroom lights\n")
        program.stdin.flush()
        assert waited_for(mark)
        app = psutil.Process(program.pid)
        family = [app, *app.children(recursive=True)]
        assert int(mark.read_text("utf-8")) in {each.pid for each in family}
        try:
            for _ in range(3):
                with suppress(psutil.NoSuchProcess):
                    app.send_signal(getattr(signal, name))
            assert program.wait(10) in {128 + getattr(signal, name), -getattr(signal, name)}
        finally:
            program.kill()
    assert not ended(family, 3.0)


def waited_for(mark: Path) -> bool:
    """Return True once the plugin has written its process id."""
    until = time.monotonic() + 20
    while not (mark.exists() and mark.read_text("utf-8")):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
