"""The microphones and speakers; those in use show their level."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from voicechat.line_mode.pickers.picker import Details, PickerItem, PickResult, one_line
from voicechat.line_mode.sound_commands import microphone, speaker
from voicechat.session import device_names
from voicechat.session.device_names import DeviceName, Kind

if TYPE_CHECKING:
    from voicechat.session.session import Session

DEFAULT = "default"
"""The name that means the default device of the system."""

_GROUPS = {"input": "Microphones", "output": "Speakers"}
_SETTINGS = {"input": "input_device", "output": "output_device"}


def has_sound(session: Session) -> bool:
    """Return True if the session uses sound devices."""
    return session.with_sound


def device_items(session: Session) -> list[PickerItem]:
    """Return the devices of this machine, each side with the default first."""
    found = device_names.device_names()
    return [*_side(session, found, "input"), *_side(session, found, "output")]


def _side(session: Session, found: list[DeviceName], kind: Kind) -> list[PickerItem]:
    used = session.microphone if kind == "input" else session.speaker
    follows_default = getattr(session.options, _SETTINGS[kind]) is None
    default = PickerItem(
        f"{kind}:{DEFAULT}",
        DEFAULT,
        "follows the system",
        _GROUPS[kind],
        enter="opens it",
        details=lambda: [("In use", used if follows_default and used else "no")],
    )
    devices = [device for device in found if device.kind == kind and device.choice != DEFAULT]
    if used is not None and used not in {device.name for device in devices}:
        # The sound server names devices that PortAudio does not list.
        devices.insert(0, DeviceName(kind, used, used, "the sound server", 0, False))
    return [default] + [_item(device, used, follows_default) for device in devices]


def _item(device: DeviceName, used: str | None, follows_default: bool) -> PickerItem:
    is_current = device.name == used
    in_use = "in use as the default" if follows_default else "in use"
    parts = [in_use if is_current else "", "system default" if device.is_default else ""]
    return PickerItem(
        f"{device.kind}:{device.choice}",
        device.name,
        " · ".join(filter(None, parts)),
        _GROUPS[device.kind],
        is_current,
        enter="opens it",
        meter=device.kind if is_current else "",
        details=partial(_details, device),
    )


def _details(device: DeviceName) -> Details:
    found = [("Name", one_line(device.name)), ("Through", device.host)]
    if device.channels:
        found.append(
            ("Channels", "mono" if device.channels == 1 else f"{device.channels} channels")
        )
    return found


def choose_device(session: Session, item: PickerItem) -> PickResult:
    """Open this device. The list stays, so that the user sees its level."""
    kind, _, choice = item.key.partition(":")
    session.settings.note(_SETTINGS[kind])
    command = microphone if kind == "input" else speaker
    return PickResult(command(session, choice))
