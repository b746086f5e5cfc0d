"""Remembered devices: the last microphone and speaker that a flag chose and that opened.

The settings file and the environment win over them; the name "default" forgets one. A remembered
device that is absent is replaced by the default one. A file that cannot be read or written is
ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from voicechat.config.options import Options
from voicechat.system.private_files import locked, write_private

_KINDS: Mapping[str, Literal["input", "output"]] = {
    "input_device": "input",
    "output_device": "output",
}
_DEVICES = tuple(_KINDS)

_WAIT_S = 1.0
"""Seconds to wait for another process that changes the file."""


def with_devices(
    options: Options,
    typed: Mapping[str, object],
    name_of: Callable[[str, str], str | None],
    folder: Path | None = None,
) -> Options:
    """The options with remembered devices where none is named.

    `remember` stores the typed devices once they have opened; "default" forgets at once.

    Numbers of devices change when one is plugged in, so a number is stored as the name that
    `name_of("input" | "output", number)` gives; None when there is none or it takes too long.
    """
    if not options.with_sound:
        return options
    path = (folder or _folder()) / "devices.json"
    options = _by_name(options, name_of)
    chosen = {name: str(getattr(options, name)) for name in _DEVICES if typed.get(name)}
    forgotten = {name: part for name, part in chosen.items() if part == "default"}
    kept = _store(path, forgotten)
    typed_devices = {_KINDS[name]: part for name, part in chosen.items() if part != "default"}
    return replace(_filled(options, kept), typed_devices=typed_devices)


def remember(options: Options, opened: Collection[str], folder: Path | None = None) -> None:
    """Store the typed devices of the sides that opened: "input", "output"."""
    names = options.typed_devices
    chosen = {name: names[kind] for name, kind in _KINDS.items() if kind in {*names} & {*opened}}
    _store((folder or _folder()) / "devices.json", chosen)


def _store(path: Path, chosen: Mapping[str, str]) -> dict[str, str]:
    """Store the chosen devices if that changes the file; return all that are stored."""
    stored = _read(path)
    kept = _changed(stored, chosen)
    if kept != stored:
        with suppress(OSError), locked(path, _WAIT_S):
            kept = _changed(_read(path), chosen)
            write_private(path, _encoded(kept))
    return kept


def _changed(stored: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """The stored devices with the chosen ones; "default" removes one."""
    return {name: part for name, part in {**stored, **chosen}.items() if part != "default"}


def fill_devices(options: Options, folder: Path | None = None) -> Options:
    """The options with remembered devices where none is named; writes nothing."""
    return _filled(options, _read((folder or _folder()) / "devices.json"))


def _filled(options: Options, kept: Mapping[str, str]) -> Options:
    named: dict[str, Any] = {}
    for name in _DEVICES:
        given = getattr(options, name)
        named[name] = None if given == "default" else given or kept.get(name)
    filled = tuple(
        kind for name, kind in _KINDS.items() if named[name] and not getattr(options, name)
    )
    return replace(options, remembered_devices=filled, **named)


def _by_name(options: Options, name_of: Callable[[str, str], str | None]) -> Options:
    """The options with the names of devices instead of their numbers, where known."""
    given = {name: getattr(options, name) or "" for name in _DEVICES}
    if not any(part.isdecimal() for part in given.values()):
        return options
    named: dict[str, Any] = {
        name: name_of(name.removesuffix("_device"), part) or part
        for name, part in given.items()
        if part.isdecimal()
    }
    return replace(options, **named)


def _folder() -> Path:
    import platformdirs

    return platformdirs.user_state_path("voicechat", appauthor=False)


def _read(path: Path) -> dict[str, str]:
    import msgspec

    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def _encoded(devices: Mapping[str, str]) -> bytes:
    import msgspec

    return msgspec.json.encode(devices)
