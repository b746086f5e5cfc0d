"""Finding, opening and explaining sound devices. The only importer of sounddevice.

PortAudio's list of devices is frozen when it starts; `refresh` ends and starts it again, which
is only allowed while no stream is open. Any call here may hang when the sound server hangs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["input", "output"]
StreamCallback = Callable[[Any, int, Any, Any], None]


@dataclass(frozen=True, slots=True)
class Device:
    """One microphone, speaker or both."""

    index: int
    name: str
    host: str
    inputs: int
    outputs: int
    rate: int
    is_default_input: bool
    is_default_output: bool


class NoSound(Exception):
    """A device cannot be opened: one sentence and its remedy."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def library() -> Any:
    """The sounddevice module. Raises NoSound without PortAudio."""
    try:
        import sounddevice
    except OSError as error:
        raise NoSound("The sound library PortAudio is not installed.", _library_hint()) from error
    except Exception as error:
        raise NoSound(f"The sound library does not start: {error}", _server_hint()) from error
    return sounddevice


def refresh() -> None:
    """Look at the devices anew. No stream may be open."""
    sd = library()
    sd._terminate()
    sd._initialize()


def devices() -> list[Device]:
    """Every device there is, as of the last `refresh`. Raises NoSound without PortAudio."""
    sd = library()
    hosts = sd.query_hostapis()
    standard = [_default(sd, "input"), _default(sd, "output")]
    return [
        Device(
            index=index,
            name=str(found["name"]),
            host=str(hosts[found["hostapi"]]["name"]),
            inputs=int(found["max_input_channels"]),
            outputs=int(found["max_output_channels"]),
            rate=int(found["default_samplerate"]),
            is_default_input=index == standard[0],
            is_default_output=index == standard[1],
        )
        for index, found in enumerate(sd.query_devices())
    ]


def find(kind: Kind, part: str | None) -> Device:
    """The device whose name has `part` in it (or whose index it is), or the default one.

    Raises NoSound when there is none.
    """
    return choose(devices(), kind, part)


def choose(among: Iterable[Device], kind: Kind, part: str | None) -> Device:
    """What `find` would take of these devices; raises as it does. Asks no library."""
    able = [d for d in among if (d.inputs if kind == "input" else d.outputs)]
    noun = "microphone" if kind == "input" else "speaker"
    if part is None:
        for device in able:
            if device.is_default_input if kind == "input" else device.is_default_output:
                return device
        raise NoSound(f"There is no {noun}.", _server_hint())
    for device in able:
        if part == str(device.index) or part.casefold() in device.name.casefold():
            return device
    names = ", ".join(d.name for d in able) or "none"
    raise NoSound(f"No {noun} has {part!r} in its name.", f"There are: {names}.")


def open_stream(
    kind: Kind,
    device: Device,
    rates: tuple[int, ...],
    block_ms: int,
    latency_ms: int,
    callback: Callable[[int, int], StreamCallback],
) -> tuple[Any, int]:
    """Open and start a raw int16 stream at the first of `rates`, else at the device's own.

    `callback(rate, channels)` makes the callback. Returns the stream and its rate; raises
    NoSound when the device refuses all.
    """
    sd = library()
    make = sd.RawInputStream if kind == "input" else sd.RawOutputStream
    latency: object = latency_ms / 1000 if latency_ms else "low"
    refusal: Exception | None = None
    most = device.inputs if kind == "input" else device.outputs
    for channels in (1, 2)[: max(1, min(2, most))]:
        for rate in dict.fromkeys((*rates, device.rate, 48_000, 44_100)):
            stream = None
            try:
                stream = make(
                    samplerate=rate,
                    blocksize=rate * block_ms // 1000,
                    device=device.index,
                    channels=channels,
                    dtype="int16",
                    latency=latency,
                    callback=callback(rate, channels),
                )
                stream.start()
            except sd.PortAudioError as error:
                refusal = error
                if stream is not None:
                    stream.close()
            else:
                return stream, rate
    raise _refused(kind, device, refusal)


def _default(sd: Any, kind: Kind) -> int:
    try:
        return int(sd.query_devices(kind=kind)["index"])
    except (sd.PortAudioError, ValueError):
        return -1


def _refused(kind: Kind, device: Device, refusal: Exception | None) -> NoSound:
    noun = "microphone" if kind == "input" else "speaker"
    if sys.platform == "darwin" and kind == "input":
        hint = "Allow the terminal to use the microphone in Settings, Privacy & Security."
    else:
        hint = "Another program may use it alone; close that, or choose another device."
    reason = str(refusal).partition(": ")[2] or str(refusal)
    return NoSound(f"The {noun} {device.name!r} cannot be opened: {reason}.", hint)


def _library_hint() -> str:
    return "Install it: sudo apt install libportaudio2 (Fedora: portaudio, Arch: portaudio)."


def _server_hint() -> str:
    if sys.platform == "linux":
        return "Plug one in, or start PipeWire or PulseAudio; in a container pass its socket."
    return "Plug one in, then try again."
