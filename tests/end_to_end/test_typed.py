"""The whole program on a terminal: typed conversations, odd sizes, and every way to end it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from on_terminal import OnTerminal, ended

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

READY = "online"


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 36)])
def test_a_typed_conversation(start, columns: int, rows: int) -> None:
    terminal = start("--text", columns=columns, rows=rows)
    terminal.see(READY)
    terminal.type("what is 17 times 23\n")
    terminal.see("you what is 17 times 23 .*voice 17 times 23 is 391")
    terminal.type("my name is [/b][@click=app.bell] Ada\n")
    terminal.see(r"you my name is \[/b\]\[@click=app.bell\] Ada voice")
    family = terminal.family()
    terminal.type("\x11")
    assert terminal.code() == 0
    assert terminal.is_sane()
    assert not ended(family)


def test_text_typed_before_the_screen_is_up_is_kept(start) -> None:
    terminal = start("--text")
    terminal.type("what is 17 times 23\n")
    terminal.see("you what is 17 times 23 .*voice 17 times 23 is 391")
    terminal.type("\x11")
    assert terminal.code() == 0


def test_ctrl_c_ends_the_program(start) -> None:
    terminal = start("--text")
    terminal.see(READY)
    terminal.type("\x03")
    terminal.see("again to quit")
    terminal.type("\x03")
    assert terminal.code() == 0


def test_odd_sizes(start) -> None:
    terminal = start("--text")
    terminal.see(READY)
    for columns, rows in ((1, 1), (200, 60), (20, 5), (80, 24)):
        terminal.resize(columns, rows)
    terminal.type("what is 2 plus 2\n")
    terminal.see("voice .*4")
    terminal.type("\x11")
    assert terminal.code() == 0


RESIZED_AGAIN = """
import fcntl, struct, sys, termios
from textual.drivers.linux_driver import LinuxDriver

read_size = LinuxDriver._get_terminal_size

def read_late(driver):
    size = read_size(driver)
    if size == (20, 5):
        full = struct.pack("HHHH", 24, 80, 0, 0)
        fcntl.ioctl(sys.__stdout__.fileno(), termios.TIOCSWINSZ, full)
    return size

LinuxDriver._get_terminal_size = read_late
"""
"""Resizes the terminal after the app has read its size and before the app uses it."""


def test_resized_while_the_size_is_read(start, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(RESIZED_AGAIN)
    terminal = start("--text", environ={"PYTHONPATH": str(tmp_path)})
    terminal.see(READY)
    terminal.resize(20, 5, is_shown=False)
    terminal.type("what is 2 plus 2\n")
    terminal.see("voice .*4")
    terminal.type("\x11")
    assert terminal.code() == 0


@pytest.mark.parametrize(
    "name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGSEGV", "SIGKILL"]
)
def test_the_app_is_killed(start, name: str) -> None:
    terminal = start("--text")
    terminal.see(READY)
    assert not terminal.is_sane()
    family = terminal.family()
    terminal.app.send_signal(getattr(signal, name))
    assert terminal.code() == 128 + getattr(signal, name)
    assert b"\x1b[?1049l" in terminal.raw
    assert terminal.is_sane()
    assert not ended(family)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_the_guardian_is_killed(start, name: str) -> None:
    terminal = start("--text")
    terminal.see(READY)
    family = terminal.family()
    terminal.guardian.send_signal(getattr(signal, name))
    assert terminal.code() == 128 + getattr(signal, name)
    assert not ended(family)


def test_killed_while_it_starts(start) -> None:
    terminal = start("--text")
    terminal.until(lambda: terminal.raw, 20)
    family = terminal.family()
    terminal.app.send_signal(signal.SIGKILL)
    assert terminal.code() == 128 + signal.SIGKILL
    assert terminal.is_sane()
    assert not ended(family)


def test_the_window_is_closed(start) -> None:
    terminal = start("--text")
    terminal.see(READY)
    family = terminal.family()
    terminal.hang_up()
    assert not ended(family)


def test_a_server_that_does_not_answer_is_reported(start) -> None:
    terminal = start(
        "--text",
        *("--base-url", "http://127.0.0.1:9/v1"),
        environ={"OPENAI_API_KEY": "sk-planted-key"},
    )
    assert terminal.code(30) == 4
    assert b"No server answers at 127.0.0.1 port 9." in terminal.raw
    assert b"planted" not in terminal.raw
    assert terminal.is_sane()


def test_a_dumb_terminal_gets_lines(start) -> None:
    terminal = start("--text", environ={"TERM": "dumb"})
    terminal.see("Ready. Type a message")
    assert b"\x1b" not in terminal.raw
    terminal.type("what is 17 times 23\n")
    terminal.see("Assistant: .*391")
    family = terminal.family()
    terminal.type("/quit\n")
    assert terminal.code() == 0
    assert not ended(family)


def test_a_missing_sound_card_is_reported_and_text_continues(start, tmp_path) -> None:
    nowhere = {"PULSE_SERVER": f"unix:{tmp_path}/none"}
    terminal = start(environ=nowhere, columns=120, rows=36)
    terminal.see("mic none")
    terminal.see(READY)
    terminal.type("what is 17 times 23\n")
    terminal.see("voice .*391")
    terminal.type("\x11")
    assert terminal.code() == 0


def test_commands_of_the_app_in_words(start, tmp_path: Path) -> None:
    nowhere = {"PULSE_SERVER": f"unix:{tmp_path}/none"}
    terminal = start(environ=nowhere, columns=120, rows=40)
    terminal.see(READY)
    for words, effect in (
        ("stop listening", "voice Muted.* ⊘ muted"),
        ("speak slower", "voice The speed is 0.8"),
        ("what tools do you have", "voice Tools that run at once: current time, set timer"),
        ("louder", "voice The volume is 125 percent"),
        ("summarize", "voice You said “stop listening”, and I answered “Muted"),
    ):
        terminal.type(f"{words}\n")
        terminal.see(f"you {words} .*{effect}")
    terminal.type("/speed\n")
    terminal.see("The speed is 0.8 .normal: 1")
    terminal.type("show the help\n")
    terminal.see("How to talk")
    terminal.type("\x1b")
    terminal.see("voice The help is shown")
    terminal.type("\x11")
    assert terminal.code() == 0


def allow(terminal: OnTerminal) -> None:
    """Allow the waiting tool call once, with keys."""
    terminal.type("\x1b[19~")
    terminal.see("›d deny")
    terminal.type("o")
    terminal.see("›o once")
    terminal.type("\n")


def test_a_command_in_words_that_the_user_would_miss_needs_approval(start) -> None:
    terminal = start("--text", columns=100, rows=40)
    terminal.see(READY)
    terminal.type("what is 17 times 23\n")
    terminal.see("voice .*391")
    terminal.type("start over\n")
    terminal.see("Allow to run: /new .*▌")
    assert "391" in terminal.text
    allow(terminal)
    terminal.see("Type something, for example")
    assert terminal.until(lambda: "391" not in terminal.text, 20)
    terminal.see(READY)
    terminal.type("set a timer for ten minutes\n")
    terminal.see("10 minutes, starting now")
    terminal.type("quit\n")
    terminal.see("Allow to run: /quit .*▌")
    family = terminal.family()
    allow(terminal)
    assert terminal.code() == 0
    assert "voicechat: The 10 minute timer will not ring without voicechat" in terminal.text
    assert terminal.is_sane()
    assert not ended(family)
