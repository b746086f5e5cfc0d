"""The list of devices: marks, rates, settings that match no device."""

from __future__ import annotations

import json

from voicechat.audio.devices.device_list import Device
from voicechat.audio.devices.device_probe import ProbeResult
from voicechat.config.options import Options
from voicechat.doctor.device_listing import listing

FOUND = ProbeResult(
    devices=(
        Device(0, "Built-in", "ALSA", 2, 2, 44_100, True, True),
        Device(1, "USB Head\x1bset", "ALSA", 1, 0, 48_000, False, False),
        Device(2, "HDMI", "ALSA", 0, 8, 48_000, False, False),
    ),
    input_rates={0: (44_100, 48_000)},
    output_rates={0: (44_100,), 2: (48_000,)},
    listed=True,
)


def test_the_list_as_text() -> None:
    assert listing(FOUND, Options(input_device="head")).as_text() == (
        "Microphones:\n"
        " *   0  Built-in (ALSA), 2 channels, 44.1/48 kHz\n"
        ">    1  USB Head\ufffdset (ALSA), mono, 48 kHz\n"
        "Speakers:\n"
        ">*   0  Built-in (ALSA), 2 channels, 44.1 kHz\n"
        "     2  HDMI (ALSA), 8 channels, 48 kHz\n"
        "\n"
        "* default   > used with the current settings"
    )


def test_the_list_as_json() -> None:
    parsed = json.loads(listing(FOUND, Options(output_device="2")).as_json())
    assert [each["number"] for each in parsed["inputs"]] == [0, 1]
    assert parsed["outputs"][1] == {
        "number": 2,
        "name": "HDMI",
        "host": "ALSA",
        "channels": 8,
        "default_rate": 48_000,
        "rates": [48_000],
        "default": False,
        "chosen": True,
    }


def test_a_setting_that_matches_no_device_is_reported() -> None:
    found = listing(FOUND, Options(input_device="Radio", output_device="hdmi"))
    assert [each for each in found.inputs if each.chosen] == []
    (unmatched,) = found.unmatched
    assert unmatched.startswith(
        "No microphone has 'Radio' in its name. Choose one of Built-in, USB "
    )
    assert unmatched.endswith("Head\ufffdset; or use --input-device default.")


def test_a_list_without_microphones_says_none() -> None:
    only_speaker = ProbeResult(devices=FOUND.devices[2:], listed=True)
    assert "Microphones:\n      none\nSpeakers:\n" in listing(only_speaker, Options()).as_text()
