"""Remembered devices."""

from __future__ import annotations

from pathlib import Path

import pytest
from concurrent_edits import edit_at_once

from voicechat.audio.devices import device_probe
from voicechat.audio.devices.device_list import Device
from voicechat.audio.devices.device_probe import ProbeRequest, ProbeResult
from voicechat.config.options import Options
from voicechat.config.remembered_devices import fill_devices, remember, with_devices


def unexpected_lookup(kind: str, number: str) -> str | None:
    raise AssertionError("no number was given")


def choose(folder: Path, **typed: str) -> tuple[str | None, str | None]:
    """Choose devices that open; return the devices of the session."""
    options = with_devices(Options(**typed), typed, device_probe.named_device, folder)
    remember(options, ("input", "output"), folder)
    return options.input_device, options.output_device


def test_a_typed_device_is_remembered(tmp_path: Path) -> None:
    assert choose(tmp_path, input_device="USB") == ("USB", None)
    assert choose(tmp_path) == ("USB", None)
    assert choose(tmp_path, output_device="Head") == ("USB", "Head")
    assert choose(tmp_path, input_device="default") == (None, "Head")
    assert choose(tmp_path) == (None, "Head")


def test_a_device_that_never_opened_is_not_remembered(tmp_path: Path) -> None:
    choose(tmp_path, input_device="USB")
    typed = {"input_device": "Ubs", "output_device": "Head"}
    options = with_devices(Options(**typed), typed, unexpected_lookup, tmp_path)
    assert (options.input_device, options.remembered_devices) == ("Ubs", ())
    remember(options, ("output",), tmp_path)
    assert choose(tmp_path) == ("USB", "Head")


def test_a_remembered_device_is_only_preferred(tmp_path: Path) -> None:
    choose(tmp_path, input_device="USB", output_device="Head")
    typed = {"output_device": "Desk"}
    options = with_devices(Options(**typed), typed, unexpected_lookup, tmp_path)
    assert options.remembered_devices == ("input",)
    assert fill_devices(Options(input_device="Own"), tmp_path).remembered_devices == ("output",)


_CHOOSE = """
from voicechat.config import remembered_devices
from voicechat.config.options import Options

remembered_devices._WAIT_S = 60

def edit(number):
    kept = remembered_devices.fill_devices(Options(), path)
    assert number == 0 or getattr(kept, name) == f"USB {number - 1}", kept
    typed = {name: f"USB {number}"}
    options = remembered_devices.with_devices(Options(**typed), typed, None, path)
    remembered_devices.remember(options, ("input", "output"), path)
"""


def test_two_processes_lose_no_device(tmp_path: Path) -> None:
    edit_at_once(tmp_path, ("input_device", "output_device"), _CHOOSE)
    assert choose(tmp_path) == ("USB 59", "USB 59")


def test_settings_win_over_remembered_devices(tmp_path: Path) -> None:
    choose(tmp_path, input_device="USB")
    assert (
        with_devices(Options(input_device="Desk"), {}, unexpected_lookup, tmp_path).input_device
        == "Desk"
    )


def test_a_broken_file_of_devices_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "devices.json").write_text("{{", encoding="utf-8")
    assert choose(tmp_path) == (None, None)
    assert choose(tmp_path / "devices.json", input_device="USB") == ("USB", None)


def test_typed_chat_remembers_nothing(tmp_path: Path) -> None:
    options = with_devices(
        Options(with_sound=False), {"input_device": "USB"}, unexpected_lookup, tmp_path
    )
    assert options.input_device is None
    assert not (tmp_path / "devices.json").exists()


def test_filling_devices_writes_nothing(tmp_path: Path) -> None:
    choose(tmp_path, input_device="USB")
    before = (tmp_path / "devices.json").stat().st_mtime_ns
    options = fill_devices(Options(output_device="default"), tmp_path)
    assert (options.input_device, options.output_device) == ("USB", None)
    assert (tmp_path / "devices.json").stat().st_mtime_ns == before


DEVICES = (
    Device(0, "default", "ALSA", 32, 32, 44_100, True, True),
    Device(1, "Desk", "PipeWire", 2, 0, 48_000, True, False, "alsa_input.desk", 0),
    Device(2, "Headset", "PipeWire", 0, 2, 48_000, False, False, "usb.a", 0),
    Device(3, "Headset", "PipeWire", 0, 2, 48_000, False, False, "usb.b", 0),
    Device(4, "Twin", "MME", 0, 2, 48_000, False, False),
    Device(5, "Twin", "WASAPI", 0, 2, 48_000, False, False),
)


@pytest.mark.parametrize(
    ("number", "stored"),
    [("2", "Headset"), ("3", "usb.b"), ("4", "Twin"), ("5", "5"), ("1", "1"), ("9", "9")],
)
def test_a_number_becomes_the_name_of_its_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: str, stored: str
) -> None:
    requests: list[ProbeRequest] = []

    def fake_survey(request: ProbeRequest, deadline: float) -> ProbeResult:
        requests.append(request)
        return ProbeResult(devices=DEVICES)

    monkeypatch.setattr(device_probe, "probe", fake_survey)
    assert choose(tmp_path, output_device=number) == (None, stored)
    assert choose(tmp_path, input_device="1") == ("Desk", stored)
    assert choose(tmp_path) == ("Desk", stored)
    assert requests == [ProbeRequest(only_names=True)] * 2, "only for numbers"


def test_a_number_without_a_device_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        device_probe, "probe", lambda request, deadline: ProbeResult(timed_out=True)
    )
    assert choose(tmp_path, output_device="3") == (None, "3")
