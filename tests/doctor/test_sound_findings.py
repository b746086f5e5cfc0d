"""Findings from probes of sound devices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicechat.audio.devices.device_list import Device
from voicechat.audio.devices.device_probe import LoopbackResult, ProbeResult
from voicechat.doctor import sound_findings
from voicechat.doctor.environment import Environment

DEBIAN = Environment(files={"/etc/os-release": "ID=debian\n"})
SERVED = replace(DEBIAN, servers={"PulseAudio": True})
MAC = Environment(system="darwin", variables={"TERM_PROGRAM": "iTerm.app"})
WINDOWS = Environment(system="win32")

HEADSET = Device(0, "Headset", "ALSA", 1, 2, 48_000, True, True)
GOOD = LoopbackResult("Headset", "Headset", (), 24_000, 24_000, -62.0, -48.0, True, 90.0, -30.0)
FINE = ProbeResult(
    (HEADSET,), {0: (24_000,)}, {0: (24_000,)}, "PortAudio V19", "AEC3", "", "", GOOD
)
FINE = replace(FINE, listed=True)


def with_trial(**changes: object) -> ProbeResult:
    return replace(FINE, trial=replace(GOOD, **changes))  # type: ignore[arg-type]


NO_LIBRARY = ProbeResult(
    problem="The sound library PortAudio is not installed.", hint="Install it."
)
MUTED = with_trial(level=-100.0, peak=-100.0, return_db=None, round_trip_ms=None)

CASES = {
    "no library, debian": (
        NO_LIBRARY, DEBIAN, "PortAudio", "problem", "not installed", "apt install libportaudio2",
    ),
    "no library, unknown": (
        NO_LIBRARY, Environment(), "PortAudio", "problem", "not installed", "Install it.",
    ),
    "hung": (
        ProbeResult(step="listing the devices", timed_out=True),
        DEBIAN, "Sound server", "problem", "does not answer", "systemctl --user restart",
    ),
    "hung on a mac": (
        ProbeResult(step="listing the devices", timed_out=True),
        MAC, "Sound server", "problem", "does not answer", "coreaudiod",
    ),
    "crashed": (
        ProbeResult(step="loading"), DEBIAN, "PortAudio", "problem", "crashed while", "asoundrc",
    ),
    "no devices": (
        replace(FINE, devices=(), trial=None), DEBIAN, "Devices", "problem", "no microphone and",
        "headset",
    ),
    "the bridge is missing": (
        replace(FINE, devices=(), trial=None), SERVED, "Devices", "problem",
        "PortAudio finds no device", "apt install libasound2-plugins",
    ),
    "a server without devices": (
        replace(FINE, devices=(replace(HEADSET, inputs=0, outputs=0),), trial=None), SERVED,
        "Devices", "problem", "There is no microphone and no speaker.", "Connect",
    ),
    "a server that is dead": (
        replace(FINE, devices=(), trial=None), replace(DEBIAN, servers={"PulseAudio": False}),
        "Devices", "problem", "There is no microphone and no speaker.", "systemctl --user restart",
    ),
    "a speaker that is stalled": (
        with_trial(stalled=True), DEBIAN, "Speaker", "problem", "accepts no sound",
        "--output-device",
    ),
    "a virtual device": (
        with_trial(clockless=("null",)), DEBIAN, "Virtual device", "problem",
        "null is not a real sound device", "asoundrc",
    ),
    "a speaker that runs": (FINE, DEBIAN, "Speaker", "ok", "Headset opens at 24 kHz.", ""),
    "only a speaker": (
        replace(FINE, devices=(replace(HEADSET, inputs=0),)), DEBIAN, "Devices", "problem",
        "no microphone", "Connect",
    ),
    "only a microphone": (
        replace(FINE, devices=(replace(HEADSET, outputs=0),)), DEBIAN, "Devices", "problem",
        "no speaker", "Connect",
    ),
    "no microphone in the server": (
        replace(FINE, devices=(HEADSET, replace(HEADSET, index=1, inputs=0, node="sink", via=0))),
        SERVED, "Devices", "problem", "no microphone", "Connect",
    ),
    "both in the server": (
        replace(FINE, devices=(HEADSET, replace(HEADSET, index=1, host="PipeWire", node="x"))),
        SERVED, "Devices", "ok", "1 microphone, 1 speaker (PipeWire)", "",
    ),
    "both": (FINE, DEBIAN, "Devices", "ok", "1 microphone, 1 speaker (ALSA)", ""),
    "rates refused": (
        replace(FINE, input_rates={0: (44_100, 48_000)}), DEBIAN, "Microphone rates", "note",
        "opens it at 48 kHz and resamples", "",
    ),
    "canceller": (FINE, DEBIAN, "Echo canceller", "ok", "AEC3", ""),
    "no canceller": (
        replace(FINE, canceller="half-duplex gate"), DEBIAN, "Echo canceller", "note",
        "microphone is off",
        "headphones",
    ),
    "a working microphone": (
        FINE, DEBIAN, "Microphone", "ok", "picks up sound: -62 dBFS, peak -48", "",
    ),
    "muted": (MUTED, DEBIAN, "Microphone", "problem", "muted", "pavucontrol"),
    "not permitted": (MUTED, MAC, "Microphone", "problem", "silence", "allow iTerm.app"),
    "not permitted by Windows": (MUTED, WINDOWS, "Microphone", "problem", "silence", "Privacy"),
    "a noise gate": (with_trial(level=-100.0), DEBIAN, "Microphone", "ok", "noise gate", ""),
    "very low": (with_trial(level=-88.0), DEBIAN, "Microphone", "note", "very quiet", "Raise"),
    "very loud": (with_trial(level=-12.0), DEBIAN, "Microphone", "note", "very loud", "Lower"),
    "clipping": (with_trial(peak=0.0), DEBIAN, "Microphone", "note", "very loud", "Lower"),
    "dead": (
        with_trial(level=None),
        DEBIAN,
        "Microphone",
        "problem",
        "delivers no sound",
        "Connect it again",
    ),
    "the chirp is recorded": (FINE, DEBIAN, "Loopback", "ok", "after 90 ms at -30 dB", ""),
    "the chirp is not recorded": (
        with_trial(return_db=None, round_trip_ms=None), DEBIAN, "Loopback", "note",
        "did not record the chirp",
        "headphones",
    ),
    "slow": (
        with_trial(round_trip_ms=420.0), DEBIAN, "Loopback", "note", "delay is long", "Bluetooth",
    ),
    "strong echo": (with_trial(return_db=2.0), DEBIAN, "Loopback", "note", "strong", "down"),
    "busy": (
        with_trial(problems=(("The speaker 'X' cannot be opened: Device unavailable.", "?"),)),
        DEBIAN, "Opening", "problem", "unavailable", "fuser -v /dev/snd/*",
    ),
    "a chosen device is missing": (
        with_trial(problems=(("No microphone has 'X' in its name.", "There are: Y."),)),
        DEBIAN, "Opening", "problem", "'X'", "Y",
    ),
    "drop-outs": (with_trial(dropouts=3), DEBIAN, "Drop-outs", "note", "3 times", "busy"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("probe", "environment", "title", "level", "sentence", "remedy"), CASES.values(), ids=CASES
)
def test_a_probe_result_gives_its_finding(
    probe: ProbeResult,
    environment: Environment,
    title: str,
    level: str,
    sentence: str,
    remedy: str,
) -> None:
    found = [each for each in sound_findings.findings(probe, environment) if each.title == title]
    assert [each.level.value for each in found] == [level]
    assert sentence in found[0].sentence
    assert remedy in found[0].remedy


def test_a_missing_microphone_is_reported_once() -> None:
    only_speaker = replace(
        with_trial(microphone=None, problems=(("There is no microphone.", "Connect a device."),)),
        devices=(replace(HEADSET, inputs=0),),
    )
    found = [
        each
        for each in sound_findings.findings(only_speaker, DEBIAN)
        if "no microphone" in each.sentence
    ]
    assert len(found) == 1


def test_every_system_has_a_bridge_package() -> None:
    for name in ("debian", "fedora", "arch", "alpine", "opensuse"):
        environment = replace(SERVED, files={"/etc/os-release": f"ID={name}\n"})
        finding = sound_findings.no_devices_finding(replace(FINE, devices=()), environment)
        assert finding.remedy.startswith("Install the ALSA bridge: sudo ")
