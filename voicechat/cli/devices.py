"""`voicechat devices`: microphones and speakers."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli.command import JSON, CommandEntry, say


def devices(as_json: Annotated[bool, JSON] = False) -> int:
    """List microphones and speakers with their numbers for --input-device and --output-device."""
    from voicechat.config import loader, remembered_devices
    from voicechat.doctor.device_listing import list_devices

    found = list_devices(remembered_devices.fill_devices(loader.load()))
    typer.echo(found.as_json() if as_json else found.as_text())
    for sentence in found.unmatched:
        say(sentence)
    return 0


COMMAND = CommandEntry(20, "devices", "List microphones and speakers.", devices)
