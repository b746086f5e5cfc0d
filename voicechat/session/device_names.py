"""The names of the sound devices of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from voicechat.core.text import clean
from voicechat.errors import SoundError

if TYPE_CHECKING:
    from voicechat.audio.devices.device_list import Device

Kind = Literal["input", "output"]

DEADLINE_S = 4.0
"""Seconds to list the devices."""


class DeviceName(NamedTuple):
    """A microphone or a speaker."""

    kind: Kind
    choice: str
    """The text that selects exactly this device."""
    name: str
    host: str
    """The sound system through which it is reached."""
    channels: int
    """0 if they are unknown."""
    is_default: bool
    """It is the default device of the system."""


def device_names() -> list[DeviceName]:
    """Return the microphones, then the speakers. Blocks for at most `DEADLINE_S`.

    Raises `SoundError` if they cannot be listed.
    """
    from voicechat.audio.devices.device_probe import ProbeRequest, probe

    found = probe(ProbeRequest(only_names=True), DEADLINE_S)
    if found.problem:
        raise SoundError(clean(found.problem), clean(found.hint))
    if not found.listed:
        raise SoundError("The sound devices could not be listed.", "Run voicechat doctor.")
    return [*_side(found.devices, "input"), *_side(found.devices, "output")]


def _side(devices: tuple[Device, ...], kind: Kind) -> Iterator[DeviceName]:
    from voicechat.audio.devices.device_probe import name_of

    for device in devices:
        channels = device.inputs if kind == "input" else device.outputs
        if not channels:
            continue
        is_default = device.is_default_input if kind == "input" else device.is_default_output
        choice = name_of(devices, kind, str(device.index)) or str(device.index)
        name, host = clean(device.name), clean(device.host)
        yield DeviceName(kind, choice, name, host, channels, is_default)
