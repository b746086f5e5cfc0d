"""The choice of another microphone or speaker; one that does not open is taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from voicechat.audio import messages as sound
from voicechat.core.effects import Level, Notice
from voicechat.core.text import clean

if TYPE_CHECKING:
    from voicechat.config.options import Options

Kind = Literal["input", "output"]

_NOUNS: dict[Kind, str] = {"input": "microphone", "output": "speaker"}


class _Side(NamedTuple):
    """The options of one side, and the name of its open device."""

    device: str | None
    is_remembered: bool
    typed: str | None
    opened: str | None


class DeviceChoice:
    """Changes the devices in the options, until they open or are taken back."""

    def __init__(self) -> None:
        self._before: dict[Kind, _Side] = {}
        """The sides whose chosen device has not opened yet, as they were before."""

    def choose(self, options: Options, kind: Kind, name: str, used: str | None) -> Options:
        """Return the options with another device.

        name: a part of its name, or "default". used: the name of the open device.
        """
        if kind not in self._before:
            self._before[kind] = _side_of(options, kind, used)
        chosen = _Side(None if name == "default" else name, False, None, used)
        return _with_side(options, kind, chosen)

    def take_back(self, options: Options, opened: sound.Opened) -> tuple[Options, Notice] | None:
        """Return the options without the choices that did not open, and the notice; or None."""
        names: dict[Kind, str | None] = {"input": opened.input_name, "output": opened.output_name}
        before, self._before = self._before, {}
        failed = {kind: side for kind, side in before.items() if names[kind] is None}
        if not (failed and opened.problem):
            return None
        for kind, side in failed.items():
            options = _with_side(options, kind, side)
        kept = [
            f"the {_NOUNS[kind]} is still {clean(side.opened)}"
            for kind, side in failed.items()
            if side.opened is not None
        ]
        sentence = " and ".join(kept)
        text = f"{opened.problem} {sentence[:1].upper()}{sentence[1:]}" + "." * bool(kept)
        return options, Notice(text.strip(), Level.WARNING, opened.hint)


def with_devices(settings: sound.AudioSettings, options: Options) -> sound.AudioSettings:
    """Return the settings with the devices of the options."""
    return replace(
        settings,
        input_device=options.input_device,
        output_device=options.output_device,
        preferred=options.remembered_devices,
    )


def _side_of(options: Options, kind: Kind, opened: str | None) -> _Side:
    device = options.input_device if kind == "input" else options.output_device
    is_remembered = kind in options.remembered_devices
    return _Side(device, is_remembered, options.typed_devices.get(kind), opened)


def _with_side(options: Options, kind: Kind, side: _Side) -> Options:
    remembered = tuple(each for each in options.remembered_devices if each != kind)
    typed = {each: part for each, part in options.typed_devices.items() if each != kind}
    if side.is_remembered:
        remembered = (*remembered, kind)
    if side.typed is not None:
        typed[kind] = side.typed
    options = replace(options, remembered_devices=remembered, typed_devices=typed)
    if kind == "input":
        return replace(options, input_device=side.device)
    return replace(options, output_device=side.device)
