"""Which sound tells what."""

from __future__ import annotations

from voicechat.core import events as ev
from voicechat.earcons import Earcons


def test_each_state_is_told_once() -> None:
    earcons = Earcons()
    floors = [
        ev.Floor.LISTENING,
        ev.Floor.HEARING,
        ev.Floor.THINKING,
        ev.Floor.WORKING,
        ev.Floor.SPEAKING,
        ev.Floor.LISTENING,
    ]
    cues = [earcons.cue(ev.FloorChanged(floor)) for floor in floors]
    assert cues == ["listening", None, "working", None, None, "listening"]


def test_stops_errors_and_tools_that_wait_are_told() -> None:
    earcons = Earcons()
    assert earcons.cue(ev.StopPlayback()) == "stopped"
    assert earcons.cue(ev.Notice("No.", ev.Level.ERROR)) == "error"
    assert earcons.cue(ev.Ask("c1")) == "asking"
    assert earcons.cue(ev.Notice("Well.")) is None
    assert earcons.cue(ev.EndItem("a")) is None
