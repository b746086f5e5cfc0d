"""The choice of a device by name, and the reasons for having none."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import pytest
from virtual_audio import VirtualCard

from voicechat.audio.devices import device_list, pulse
from voicechat.audio.devices.device_list import Device, Kind, NoSound, choose, find
from voicechat.audio.devices.pulse import Node, Nodes

OWN = Device(0, "default", "ALSA", 32, 32, 44_100, True, True)
WAY = Device(1, "pulse", "ALSA", 32, 32, 44_100, False, False)
LAMP = Device(2, "Headset Lamp 5", "PipeWire", 0, 2, 48_000, False, True, "lamp", 1)
HEADSET = Device(3, "Headset", "PipeWire", 0, 2, 48_000, False, False, "bluez_1", 1)
TWIN = Device(5, "Headset", "PipeWire", 0, 2, 48_000, False, False, "bluez_2", 1)
PULSE = Device(6, "Pulse Oximeter", "PipeWire", 0, 1, 48_000, False, False, "oximeter", 1)
THERE = (OWN, WAY, LAMP, HEADSET, TWIN, PULSE)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (None, OWN),
        ("", OWN),
        ("headset", HEADSET),
        ("heads", LAMP),
        ("lamp", LAMP),
        ("bluez_2", TWIN),
        ("5", TWIN),
        ("3", HEADSET),
        ("pulse", WAY),
        ("puls", PULSE),
    ],
)
def test_choice_by_name(part: str | None, expected: Device) -> None:
    assert choose(THERE, "output", part) == expected


@pytest.mark.parametrize(
    ("among", "kind", "part", "problem", "hint"),
    [
        ((LAMP,), "input", None, "There is no microphone.", "Connect a device, or switch one on"),
        ((LAMP,), "input", "Yeti", "There is no microphone.", "Connect a device"),
        ((), "output", None, "There is no speaker.", "start PipeWire or PulseAudio"),
        (THERE, "output", "Yeti", "No speaker has 'Yeti' in its name.", "--output-device default"),
        ((HEADSET, TWIN), "output", "Yeti", "No speaker has", "Choose Headset; or"),
    ],
)
def test_reasons_for_no_device(
    among: tuple[Device, ...], kind: Kind, part: str | None, problem: str, hint: str
) -> None:
    with pytest.raises(NoSound) as refused:
        choose(among, kind, part)
    assert problem in refused.value.problem
    assert hint in refused.value.hint


class Refused(Exception):
    """A PortAudio device."""


def library(*names: str, refusal: str = "") -> SimpleNamespace:
    """The part of sounddevice that lists devices, with streams that refuse to open."""
    found = [
        {
            "name": name,
            "hostapi": 0,
            "index": index,
            "max_input_channels": 32,
            "max_output_channels": 32,
            "default_samplerate": 44_100.0,
        }
        for index, name in enumerate(names)
    ]

    def refuse(**_: object) -> None:
        raise Refused(f"Error opening stream: {refusal}")

    return SimpleNamespace(
        PortAudioError=Refused,
        query_hostapis=lambda: [{"name": "ALSA"}],
        query_devices=lambda kind=None: found[-1] if kind else found,
        RawInputStream=refuse,
        RawOutputStream=refuse,
    )


SPEAKER = Node("output", "alsa_output.pci", "Desk", 48_000, 2)


@pytest.mark.parametrize(
    ("names", "nodes", "inputs", "outputs"),
    [
        (("hw", "pulse", "default"), (SPEAKER,), ["hw"], ["hw", "pulse", "default", "Desk"]),
        (("hw", "pulse", "default"), (), ["hw"], ["hw"]),
        (("hw", "default"), (), ["hw", "default"], ["hw", "default"]),
    ],
    ids=["no microphone", "nothing", "no sure way to the server"],
)
def test_devices_of_the_server_have_only_its_sides(
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    nodes: tuple[Node, ...],
    inputs: list[str],
    outputs: list[str],
) -> None:
    monkeypatch.setattr(device_list, "library", lambda: library(*names))
    monkeypatch.setattr(device_list, "server_nodes", lambda: Nodes("PipeWire", nodes))
    found = device_list.devices()
    assert [d.name for d in found if d.inputs] == inputs
    assert [d.name for d in found if d.outputs] == outputs


def test_only_a_device_without_the_server_is_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    amplifier = replace(OWN, name="Amplifier")
    assert [d for d in (*THERE, amplifier) if device_list.is_direct(d)] == [amplifier]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not device_list.is_direct(amplifier), "PortAudio itself follows no default there"


@pytest.mark.parametrize(
    ("refusal", "hint"),
    [
        ("Device unavailable [PaErrorCode -9985]", "Another program uses it exclusively"),
        ("Unanticipated host error: 'Input/output error'", "voicechat doctor"),
    ],
)
def test_a_refusal_has_the_matching_remedy(
    monkeypatch: pytest.MonkeyPatch, refusal: str, hint: str
) -> None:
    monkeypatch.setattr(device_list, "library", lambda: library(refusal=refusal))
    with pytest.raises(NoSound) as refused:
        device_list.open_stream(
            "output", OWN, (24_000,), 10, 0, lambda rate, channels: lambda *_: None
        )
    assert refused.value.problem == f"The speaker 'default' cannot be opened: {refusal}."
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("kind", "host", "most", "accepted", "opened"),
    [
        ("input", "Core Audio", 1, {1, 2}, 1),
        ("input", "Core Audio", 2, {2}, 2),
        ("input", "Core Audio", 8, {1, 2, 8}, 8),
        ("input", "Core Audio", 8, {1, 2}, 1),
        ("input", "Core Audio", 4, {4}, 4),
        ("output", "Core Audio", 8, {1, 2, 8}, 1),
        ("output", "Core Audio", 6, {6}, 6),
    ],
)
def test_the_number_of_channels(
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    host: str,
    most: int,
    accepted: set[int],
    opened: int,
) -> None:
    tried: list[int] = []

    def make(*, channels: int, **_: object) -> SimpleNamespace:
        tried.append(channels)
        if channels not in accepted:
            raise OSError("Error: Invalid number of channels")
        return SimpleNamespace(start=lambda: None)

    sd = SimpleNamespace(PortAudioError=OSError, RawInputStream=make, RawOutputStream=make)
    monkeypatch.setattr(device_list, "library", lambda: sd)
    device = Device(0, "Interface", host, most, most, 48_000, True, True)
    device_list.open_stream(kind, device, (16_000,), 10, 0, lambda rate, channels: print)  # type: ignore[arg-type,return-value]
    assert tried[-1] == opened


def test_a_server_mixes_the_channels_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def make(*, channels: int, **_: object) -> SimpleNamespace:
        tried.append(channels)
        return SimpleNamespace(start=lambda: None)

    sd = SimpleNamespace(PortAudioError=OSError, RawInputStream=make)
    monkeypatch.setattr(device_list, "library", lambda: sd)
    device = Device(0, "default", "ALSA", 32, 32, 44_100, True, True)
    device_list.open_stream("input", device, (16_000,), 10, 0, lambda rate, channels: print)  # type: ignore[arg-type,return-value]
    assert tried == [1]


def test_the_route_to_a_node_ends_after_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SINK", "mine")
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    monkeypatch.delenv("PIPEWIRE_NODE", raising=False)
    names = ("PULSE_SINK", "PULSE_SOURCE", "PIPEWIRE_NODE")
    seen: list[list[str | None]] = []

    def make(**_: object) -> SimpleNamespace:
        seen.append([os.environ.get(name) for name in names])
        return SimpleNamespace(start=lambda: None)

    sd = library()
    sd.RawInputStream = sd.RawOutputStream = make
    monkeypatch.setattr(device_list, "library", lambda: sd)
    recorder = Device(7, "Yeti", "PipeWire", 1, 0, 48_000, False, False, "yeti", 1)
    for kind, device in (("output", HEADSET), ("input", recorder), ("output", OWN)):
        device_list.open_stream(
            kind, device, (24_000,), 10, 0, lambda rate, channels: lambda *_: None
        )
    assert seen == [["bluez_1", None, "bluez_1"], ["mine", "yeti", "yeti"], ["mine", None, None]]


@pytest.mark.sound
def test_a_hanging_server_differs_from_a_missing_one(
    card: VirtualCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_list, "devices", list)
    with pytest.raises(NoSound, match="no speaker"):
        find("output", None)
    card.freeze()
    path = pulse.sockets(os.environ, None)["PulseAudio"]
    with ExitStack() as callers:
        while not pulse.is_stuck():
            caller = callers.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            caller.connect_ex(path)
        with pytest.raises(NoSound) as refused:
            find("output", None)
    assert refused.value.problem == device_list.SERVER_HANGS
    card.thaw()
    card.kill()
    assert not pulse.is_stuck()
