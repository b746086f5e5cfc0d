"""The list of sound devices, as plain text or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from voicechat.audio.devices.device_list import Device, Kind, NoSound, choose
from voicechat.audio.devices.device_probe import ProbeRequest, ProbeResult, probe
from voicechat.config.options import Options
from voicechat.core.text import clean
from voicechat.doctor.environment import snapshot
from voicechat.doctor.sound_findings import no_devices_finding
from voicechat.errors import SoundError

DEADLINE_S = 4.0


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A microphone or a speaker in the list."""

    number: int
    name: str
    host: str
    channels: int
    default_rate: int
    rates: tuple[int, ...]
    """Common sample rates that it accepts, in Hz; empty when it did not answer in time."""
    default: bool
    chosen: bool
    """True if voicechat uses it with the current settings."""


@dataclass(frozen=True, slots=True)
class DeviceListing:
    """All devices; `unmatched` has a sentence for each setting that matches no device."""

    inputs: tuple[ListedDevice, ...]
    outputs: tuple[ListedDevice, ...]
    unmatched: tuple[str, ...] = ()

    def as_text(self) -> str:
        """One line per device; `*` marks the default of the system, `>` the device in use."""
        lines = []
        for title, entries in (("Microphones", self.inputs), ("Speakers", self.outputs)):
            lines += [f"{title}:", *(_line(entry) for entry in entries)]
            if not entries:
                lines.append("      none")
        return "\n".join([*lines, "", "* default   > used with the current settings"])

    def as_json(self) -> str:
        """An object with the lists `inputs` and `outputs`."""
        return json.dumps(
            {
                side: [
                    {name: getattr(entry, name) for name in ListedDevice.__slots__}
                    for entry in entries
                ]
                for side, entries in (("inputs", self.inputs), ("outputs", self.outputs))
            },
            indent=2,
            ensure_ascii=False,
        )


def list_devices(options: Options) -> DeviceListing:
    """Return the devices of this machine, within `DEADLINE_S`.

    Raises `SoundError` if there is none.
    """
    request = ProbeRequest(options.input_device, options.output_device, all_rates=True)
    found = probe(request, DEADLINE_S)
    if not any(each.inputs or each.outputs for each in found.devices):
        raise _no_devices_error(found)
    return listing(found, options)


def listing(found: ProbeResult, options: Options) -> DeviceListing:
    """Return the probe result as a list."""
    inputs, no_input = _chosen(found, "input", options.input_device)
    outputs, no_output = _chosen(found, "output", options.output_device)
    return DeviceListing(
        tuple(
            _entry(each, each.inputs, found.input_rates, each.is_default_input, each == inputs)
            for each in found.devices
            if each.inputs
        ),
        tuple(
            _entry(each, each.outputs, found.output_rates, each.is_default_output, each == outputs)
            for each in found.devices
            if each.outputs
        ),
        tuple(clean(text) for text in (no_input, no_output) if text),
    )


def _no_devices_error(found: ProbeResult) -> SoundError:
    finding = no_devices_finding(found, snapshot())
    return SoundError(clean(finding.sentence), clean(finding.remedy))


def _chosen(found: ProbeResult, kind: Kind, part: str | None) -> tuple[Device | None, str]:
    try:
        return choose(found.devices, kind, part), ""
    except NoSound as error:
        return None, f"{error.problem} {error.hint}" if part else ""


def _entry(
    device: Device,
    channels: int,
    rates: Mapping[int, tuple[int, ...]],
    default: bool,
    chosen: bool,
) -> ListedDevice:
    accepted = rates.get(device.index, ())
    name, host = clean(device.name), clean(device.host)
    return ListedDevice(device.index, name, host, channels, device.rate, accepted, default, chosen)


def _line(entry: ListedDevice) -> str:
    marks = f"{'>' if entry.chosen else ' '}{'*' if entry.default else ' '}"
    rates = "/".join(f"{rate / 1000:g}" for rate in entry.rates or (entry.default_rate,))
    channels = "mono" if entry.channels == 1 else f"{entry.channels} channels"
    return f"{marks}{entry.number:>4}  {entry.name} ({entry.host}), {channels}, {rates} kHz"
