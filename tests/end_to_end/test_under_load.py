"""A reply while the screen redraws constantly, the main loop stalls and every core is busy."""

from __future__ import annotations

import pytest
from bench_sound_playback import busy
from on_terminal import ended
from sound_measures import loudest_click
from sound_rig import milliseconds, spans
from spoken_screen import PITCH, spoken_screen
from virtual_audio import VirtualCard

pytestmark = [pytest.mark.sound, pytest.mark.end_to_end]

SECONDS = 6.0


RUDE = """
import os, signal, subprocess, time
from voicechat.tools import tool

@tool(permission="auto", deadline=2)
def block() -> str:
    'Block.'
    time.sleep(600)

@tool(permission="auto", deadline=2)
def burn() -> str:
    'Hold the interpreter.'
    return str(sum(range(10**12)))

@tool(permission="auto")
def flood() -> str:
    'Return 50 MB.'
    return "x" * 50_000_000

@tool(permission="auto", deadline=2)
def fork() -> str:
    'Leave a child behind that heeds no signal.'
    subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; sleep 600; sleep 600"])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)

@tool(permission="auto")
def fail() -> str:
    'Print and raise.'
    os.write(1, b"y" * 1_000_000)
    raise RuntimeError("no water")
"""


def test_misbehaving_tools_cause_no_gaps(card: VirtualCard) -> None:
    tools = ("block", "burn", "flood", "fork", "fail")
    words = ("--barge-in", "off")
    with spoken_screen(card, SECONDS, *words, plugin=RUDE, tools=tools) as terminal:
        recording = card.record()
        terminal.type("Tell me\n")
        terminal.see("▶ speaking")
        terminal.see("tool block .*failed", 30)
        terminal.see("● listening", 30)
        side = recording.stop()[:, 1]
        family = terminal.family()
        terminal.type("\x11")
        assert terminal.code() == 0
        assert not ended(family, 3.0)
    heard = spans(side)
    assert len(heard) == 1
    assert milliseconds(heard) == pytest.approx(SECONDS * 1000, abs=15), "a fade may follow"
    assert loudest_click(side[heard[0][0] : heard[-1][1]], PITCH) < -30


def test_no_sound_is_lost_under_load(card: VirtualCard) -> None:
    words = ("--barge-in", "off")
    with spoken_screen(card, SECONDS, *words, busy=True) as terminal, busy():
        recording = card.record()
        terminal.type("Tell me\n")
        terminal.see("▶ speaking")
        terminal.see("● listening", 30)
        side = recording.stop()[:, 1]
    heard = spans(side)
    assert len(heard) == 1
    assert milliseconds(heard) == pytest.approx(SECONDS * 1000, abs=15), "a fade may follow"
    assert loudest_click(side[heard[0][0] : heard[-1][1]], PITCH) < -30
