"""Changes of the system's devices, as reported by the server or by a child process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sound_rig import Rig, milliseconds, spans
from virtual_audio import VirtualCard, tone

from voicechat.audio.devices.default_device_watch import (
    DefaultDevice,
    DefaultDeviceWatch,
    DeviceSwitch,
    _OfChild,
    _OfServer,
    defaults,
)
from voicechat.audio.devices.pulse import Node, Nodes
from voicechat.audio.messages import AudioSettings, Opened, Switched
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import PlaybackFinished, PlaybackStarted

NOBODY = {"input": None, "output": None}
DESK = Node("output", "alsa_output.pci", "Desk", 48_000, 2)
HEADSET = Node("output", "bluez_output.1", "Headset", 48_000, 2)
MIC = Node("input", "alsa_input.pci", "Desk Mic", 48_000, 1)


class Server:
    """The part of a sound server that the watch reads."""

    def __init__(self, *nodes: Node, default: Node) -> None:
        self.nodes: Nodes | None = None
        self.has(*nodes, default=default)

    def has(self, *nodes: Node, default: Node) -> None:
        self.nodes = Nodes("PipeWire", nodes, MIC.name, default.name)


def watching(server: Server, **wishes: str) -> DefaultDeviceWatch:
    return DefaultDeviceWatch(AudioSettings(), _OfServer(server, {**NOBODY, **wishes}))  # type: ignore[arg-type]


def test_the_first_poll_reports_nothing() -> None:
    look = watching(Server(DESK, MIC, default=DESK))
    assert look.switches() == []
    assert not look.fresh()


def test_another_default_is_followed_by_itself() -> None:
    server = Server(DESK, HEADSET, MIC, default=DESK)
    look = watching(server)
    look.switches()
    server.has(DESK, HEADSET, MIC, default=HEADSET)
    assert look.switches() == [DeviceSwitch("output", "Headset", reopen=False)]
    assert look.switches() == []


def test_a_named_device_ignores_defaults_and_is_reopened_when_it_returns() -> None:
    server = Server(DESK, HEADSET, MIC, default=DESK)
    look = watching(server, output="head")
    look.switches()
    server.has(DESK, HEADSET, MIC, default=HEADSET)
    assert look.switches() == []
    server.has(DESK, MIC, default=DESK)
    assert look.switches() == [DeviceSwitch("output", "Desk", reopen=False)]
    server.has(DESK, HEADSET, MIC, default=DESK)
    assert look.switches() == [DeviceSwitch("output", "Headset", reopen=True)]


def test_a_server_that_was_gone_for_a_moment_moves_nothing() -> None:
    server = Server(DESK, MIC, default=DESK)
    look = watching(server)
    look.switches()
    look.fresh()
    server.nodes = None
    assert look.switches() == []
    assert not look.fresh()
    server.has(DESK, MIC, default=DESK)
    assert look.switches() == []
    assert look.fresh(), "what failed meanwhile is worth another try"
    assert not look.fresh()


def test_a_server_that_comes_up_later_is_fresh() -> None:
    server = Server(DESK, MIC, default=DESK)
    nodes, server.nodes = server.nodes, None
    look = watching(server)
    assert not look.fresh()
    server.nodes = nodes
    assert look.fresh()


def test_a_name_means_the_same_node_as_when_opening() -> None:
    lamp = Node("output", "lamp", "Headset Lamp", 48_000, 2)
    for wish in ("headset", "bluez_output.1"):
        server = Server(lamp, HEADSET, MIC, default=lamp)
        source = _OfServer(server, {**NOBODY, "output": wish})  # type: ignore[arg-type]
        assert source.place("output") == DefaultDevice(HEADSET.name, "Headset", wished=True)


def test_a_number_is_none_of_the_servers() -> None:
    server = Server(DESK, HEADSET, MIC, default=DESK)
    look = watching(server, output="1")
    look.switches()
    server.has(DESK, HEADSET, MIC, default=HEADSET)
    assert look.switches() == [], "the stream stays where it was opened"


def test_each_device_change_is_reported_once() -> None:
    server = Server(DESK, MIC, default=DESK)
    look = watching(server)
    look.fresh()
    server.has(DESK, HEADSET, MIC, default=DESK)
    assert look.fresh()
    assert not look.fresh()


def test_without_a_microphone_what_the_speaker_plays_is_none() -> None:
    server = Server(DESK, MIC, default=DESK)
    look = watching(server)
    look.switches()
    server.has(DESK, default=DESK)
    assert look.switches() == [DeviceSwitch("input", "", reopen=True)]
    assert Nodes("PipeWire").lacks("output")


def host(inputs: int, outputs: int) -> dict[str, int]:
    return {"default_input_device": inputs, "default_output_device": outputs}


def test_windows_defaults_differ_by_all_host_apis() -> None:
    names = [
        *("Microsoft Sound Mapper - Input", "Microsoft Sound Mapper - Output"),
        *("Microphone (Yeti Classic X)", "Speakers (Yeti)", "Headphones"),
    ]
    before = defaults([host(0, 1), host(2, 3)], names)
    after = defaults([host(0, 1), host(2, 4)], names)
    assert before["output"] != after["output"]
    assert before["input"] == after["input"]
    assert after["output"][1] == "Headphones"
    assert before["input"][1] == "Microphone (Yeti Classic X)"


def test_no_device_is_no_default() -> None:
    assert defaults([host(-1, -1)], []) == {}
    assert defaults([], ["x"]) == {}


def until(reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 12
    while not reached():
        assert time.monotonic() < give_up, "it never came true"
        time.sleep(0.005)


@pytest.mark.sound
def test_the_child_reports_new_devices(card: VirtualCard) -> None:
    look = _OfChild(NOBODY)
    until(lambda: look.devices() == ["default"])
    assert look.place("output") == look.place("input") == DefaultDevice("default", "default")
    card.route_as_desktop()
    until(lambda: look.devices() == ["pulse", "default"])
    look.close()


def test_a_side_with_a_named_device_has_no_default() -> None:
    line = json.dumps({"defaults": {"input": ["a", "A"], "output": ["b", "B"]}, "names": []})
    command = (sys.executable, "-c", f"print({line!r})")
    look = _OfChild({"input": None, "output": "Yeti"}, command)
    until(lambda: look.place("input") == DefaultDevice("a", "A"))
    assert look.place("output") is None


def test_a_child_that_cannot_start_reports_nothing() -> None:
    look = _OfChild(NOBODY, ("/no/such/program",))
    assert look.place("input") is look.place("output") is look.devices() is None


AS_ELSEWHERE = """
import pathlib
from voicechat.audio.devices import default_device_watch

class Told:
    reopens = True
    def place(self, kind):
        name = "Kitchen" if pathlib.Path({switch!r}).exists() else "Desk"
        return default_device_watch.DefaultDevice(name, name) if kind == "output" else None
    def devices(self):
        return None

default_device_watch._source_here = lambda wishes: Told()
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep streams on their device, as on macOS and Windows; creating the file switches."""
    switch = tmp_path / "switch"
    (tmp_path / "sitecustomize.py").write_text(AS_ELSEWHERE.format(switch=str(switch)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return switch


@pytest.mark.sound
def test_streams_that_do_not_follow_are_reopened_on_the_new_default(
    card: VirtualCard, make_rig: Callable[..., Rig], elsewhere: Path
) -> None:
    card.add("kitchen", "Kitchen")
    rig = make_rig(barge_in="off")
    rig.open()
    rig.send(Play("a", tone(1.5)))
    rig.send(EndItem("a"))
    rig.wait(PlaybackStarted)
    recording = card.record("kitchen.monitor")
    card.route(sink="kitchen")
    elsewhere.touch()
    assert rig.wait(Switched) == Switched("output", "Kitchen")
    rig.wait(Opened)
    rig.wait(PlaybackFinished)
    rig.collect(0.2)
    side = recording.stop()[:, 0]
    assert milliseconds(spans(side)) > 300
    assert np.abs(side).max() > 5_000
