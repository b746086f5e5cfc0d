"""Changes of the system's devices, as reported by the server or by a child process."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sound_rig import Rig, milliseconds, spans
from virtual_audio import VirtualCard, tone

from voicechat.audio.devices.default_device_watch import (
    DefaultDevice,
    DefaultDeviceWatch,
    DeviceSwitch,
    _ChildSource,
    _ServerSource,
    defaults,
)
from voicechat.audio.devices.pulse import Node, Nodes
from voicechat.audio.messages import AudioSettings, Opened, Switched
from voicechat.core.effects import EndItem, Play
from voicechat.core.inputs import PlaybackFinished, PlaybackStarted

DEFAULTS = {"input": None, "output": None}
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


def watching(server: Server, **selections: str) -> DefaultDeviceWatch:
    return DefaultDeviceWatch(AudioSettings(), _ServerSource(server, {**DEFAULTS, **selections}))  # type: ignore[arg-type]


def test_the_first_poll_reports_where_each_side_is() -> None:
    watch = watching(Server(DESK, MIC, default=DESK))
    assert watch.switches() == [
        DeviceSwitch("input", "Desk Mic", reopen=False),
        DeviceSwitch("output", "Desk", reopen=False),
    ]
    assert watch.switches() == []
    assert not watch.devices_changed()


def test_a_device_that_went_away_before_the_first_poll_is_missing() -> None:
    named = watching(Server(DESK, MIC, default=DESK), output="head")
    assert DeviceSwitch("output", "Desk", reopen=False) in named.switches()
    default = watching(Server(DESK, default=DESK))
    assert DeviceSwitch("input", "", reopen=True) in default.switches()


def test_a_default_is_reported_again_for_newly_opened_streams() -> None:
    watch = watching(Server(DESK, HEADSET, MIC, default=DESK), output="head")
    assert watch.switches() == [DeviceSwitch("input", "Desk Mic", reopen=False)]
    watch.restart()
    assert watch.switches() == [DeviceSwitch("input", "Desk Mic", reopen=False)]


def test_a_new_default_needs_no_reopening() -> None:
    server = Server(DESK, HEADSET, MIC, default=DESK)
    watch = watching(server)
    watch.switches()
    server.has(DESK, HEADSET, MIC, default=HEADSET)
    assert watch.switches() == [DeviceSwitch("output", "Headset", reopen=False)]
    assert watch.switches() == []


def test_a_named_device_ignores_defaults_and_is_reopened_when_it_returns() -> None:
    server = Server(DESK, HEADSET, MIC, default=DESK)
    watch = watching(server, output="head")
    watch.switches()
    server.has(DESK, HEADSET, MIC, default=HEADSET)
    assert watch.switches() == []
    server.has(DESK, MIC, default=DESK)
    assert watch.switches() == [DeviceSwitch("output", "Desk", reopen=False)]
    server.has(DESK, HEADSET, MIC, default=DESK)
    assert watch.switches() == [DeviceSwitch("output", "Headset", reopen=True)]


def test_a_brief_outage_of_the_server_switches_nothing() -> None:
    server = Server(DESK, MIC, default=DESK)
    watch = watching(server)
    watch.switches()
    watch.devices_changed()
    server.nodes = None
    assert watch.switches() == []
    assert not watch.devices_changed()
    server.has(DESK, MIC, default=DESK)
    assert watch.switches() == []
    assert watch.devices_changed(), "failed devices are opened again"
    assert not watch.devices_changed()


def test_a_server_that_starts_later_counts_as_a_change() -> None:
    server = Server(DESK, MIC, default=DESK)
    nodes, server.nodes = server.nodes, None
    watch = watching(server)
    assert not watch.devices_changed()
    server.nodes = nodes
    assert watch.devices_changed()


def test_a_name_selects_the_same_node_as_when_opening() -> None:
    lamp = Node("output", "lamp", "Headset Lamp", 48_000, 2)
    for selection in ("headset", "bluez_output.1"):
        server = Server(lamp, HEADSET, MIC, default=lamp)
        source = _ServerSource(server, {**DEFAULTS, "output": selection})  # type: ignore[arg-type]
        assert source.target("output") == DefaultDevice(HEADSET.name, "Headset", selected=True)


def test_a_device_number_does_not_select_a_server_node() -> None:
    server = Server(DESK, HEADSET, MIC, default=DESK)
    watch = watching(server, output="1")
    watch.switches()
    server.has(DESK, HEADSET, MIC, default=HEADSET)
    assert watch.switches() == [], "the stream stays where it was opened"


def test_each_device_change_is_reported_once() -> None:
    server = Server(DESK, MIC, default=DESK)
    watch = watching(server)
    watch.devices_changed()
    server.has(DESK, HEADSET, MIC, default=DESK)
    assert watch.devices_changed()
    assert not watch.devices_changed()


def test_the_monitor_of_a_speaker_is_not_a_microphone() -> None:
    server = Server(DESK, MIC, default=DESK)
    watch = watching(server)
    watch.switches()
    server.has(DESK, default=DESK)
    assert watch.switches() == [DeviceSwitch("input", "", reopen=True)]
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


class ObservedChildSource(_ChildSource):
    """A child source that reports each update to a waiting test."""

    def __init__(
        self, selections: Mapping[str, str | None] = DEFAULTS, command: tuple[str, ...] = ()
    ) -> None:
        self._updated = threading.Condition()
        super().__init__(selections, command)

    def _update(self, message: Mapping[str, Any]) -> None:
        with self._updated:
            super()._update(message)
            self._updated.notify_all()

    def wait_for_devices(self, names: list[str]) -> None:
        with self._updated:
            assert self._updated.wait_for(lambda: self.devices() == names, 12), self.devices()

    def wait_for_end(self) -> None:
        self._reader.join(12)
        assert not self._reader.is_alive()


@pytest.mark.sound
def test_the_child_reports_new_devices(card: VirtualCard) -> None:
    source = ObservedChildSource()
    source.wait_for_devices(["default"])
    assert source.target("output") == source.target("input") == DefaultDevice("default", "default")
    card.route_as_desktop()
    source.wait_for_devices(["pulse", "default"])
    source.close()
    source.wait_for_end()


def test_a_side_with_a_named_device_has_no_default() -> None:
    line = json.dumps({"defaults": {"input": ["a", "A"], "output": ["b", "B"]}, "names": ["A"]})
    command = (sys.executable, "-c", f"print({line!r})")
    source = ObservedChildSource({"input": None, "output": "Yeti"}, command)
    source.wait_for_devices(["A"])
    assert source.target("input") == DefaultDevice("a", "A")
    assert source.target("output") is None


def test_a_child_that_cannot_start_reports_nothing() -> None:
    source = ObservedChildSource(command=("/no/such/program",))
    source.wait_for_end()
    assert source.target("input") is source.target("output") is source.devices() is None


REOPENING_SOURCE = """
import pathlib
from voicechat.audio.devices import default_device_watch

class FakeSource:
    reopens = True
    def target(self, kind):
        name = "Kitchen" if pathlib.Path({switch!r}).exists() else "Desk"
        return default_device_watch.DefaultDevice(name, name) if kind == "output" else None
    def devices(self):
        return None

default_device_watch._source_here = lambda selections: FakeSource()
"""


@pytest.fixture
def reopening_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep streams on their device, as on macOS and Windows; creating the file switches."""
    switch = tmp_path / "switch"
    (tmp_path / "sitecustomize.py").write_text(REOPENING_SOURCE.format(switch=str(switch)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return switch


@pytest.mark.sound
def test_streams_that_do_not_follow_are_reopened_on_the_new_default(
    card: VirtualCard, make_rig: Callable[..., Rig], reopening_source: Path
) -> None:
    card.add("kitchen", "Kitchen")
    rig = make_rig(barge_in="off")
    rig.open()
    rig.send(Play("a", tone(1.5)))
    rig.send(EndItem("a"))
    rig.wait(PlaybackStarted)
    recording = card.record("kitchen.monitor")
    card.route(sink="kitchen")
    reopening_source.touch()
    assert rig.wait(Switched) == Switched("output", "Kitchen")
    rig.wait(Opened)
    rig.wait(PlaybackFinished)
    rig.collect(0.2)
    side = recording.stop()[:, 0]
    assert milliseconds(spans(side)) > 300
    assert np.abs(side).max() > 5_000
