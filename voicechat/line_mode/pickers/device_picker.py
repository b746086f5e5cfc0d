"""The microphones and speakers; those in use show their level."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from voicechat.line_mode.pickers.picker import Details, PickerItem, PickResult, one_line
from voicechat.line_mode.sound_commands import microphone, speaker

if TYPE_CHECKING:
    from voicechat.session.device_names import DeviceName
    from voicechat.session.session import Session

_GROUPS = {"input": "Microphones", "output": "Speakers"}
_SETTINGS = {"input": "input_device", "output": "output_device"}


def has_sound(session: Session) -> bool:
    """Return True if the session uses sound devices."""
    return session.with_sound


def device_items(session: Session) -> list[PickerItem]:
    """Return the devices of this machine, each side with the default first."""
    from voicechat.session.device_names import device_names

    found = device_names()
    return [*_side(session, found, "input"), *_side(session, found, "output")]


def _side(session: Session, found: list[DeviceName], kind: str) -> list[PickerItem]:
    used = session.microphone if kind == "input" else session.speaker
    chosen = getattr(session.options, _SETTINGS[kind])
    default = PickerItem(
        f"{kind}:default",
        "default",
        "the default of the system",
        _GROUPS[kind],
        enter="opens it",
        details=lambda: [("Device", "the one that the system uses, also when that changes")],
    )
    devices = [device for device in found if device.kind == kind]
    return [default] + [_item(device, used, chosen) for device in devices]


def _item(device: DeviceName, used: str | None, chosen: str | None) -> PickerItem:
    is_current = used is not None and device.name == used
    parts = ["in use" if is_current else "", "system default" if device.is_default else ""]
    if is_current and chosen is None:
        parts[0] = "in use as the default"
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
    channels = "mono" if device.channels == 1 else f"{device.channels} channels"
    return [("Name", one_line(device.name)), ("Through", device.host), ("Channels", channels)]


def choose_device(session: Session, item: PickerItem) -> PickResult:
    """Open this device. The list stays, so that the user sees its level."""
    kind, _, choice = item.key.partition(":")
    session.settings.note(_SETTINGS[kind])
    command = microphone if kind == "input" else speaker
    return PickResult(command(session, choice))
