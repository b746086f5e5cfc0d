"""Finding, opening and explaining sound devices. The only importer of sounddevice.

PortAudio's list of devices is frozen when it starts; `refresh` ends and starts it again, which
is only allowed while no stream is open. Any call here may hang when the sound server hangs.

On Linux PortAudio knows a sound server as one or two devices ("default", "pulse", "pipewire").
The server's own devices are listed behind them, and opened by way of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from voicechat.audio import soundserver

Kind = Literal["input", "output"]
StreamCallback = Callable[[Any, int, Any, Any], None]

_WAYS: Final = ("pulse", "pipewire")
"""PortAudio's devices that surely lead to the sound server."""
_SERVER_S: Final = 0.5
_NOUNS: Final = {"input": "microphone", "output": "speaker"}


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
    node: str = ""
    """Its name in the sound server; empty for a device of PortAudio's own."""
    way: int = -1
    """Index of PortAudio's device by which a node is opened."""

    @property
    def opens(self) -> int:
        """What to give to PortAudio."""
        return self.way if self.node else self.index


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
    own = [
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
    return [*own, *_nodes(own)]


def _nodes(own: list[Device]) -> Iterator[Device]:
    """The sound server's devices, numbered on, if it can be reached by one of PortAudio's."""
    way = next((d.index for name in _WAYS for d in own if d.name == name), None)
    known = None if way is None else server_nodes()
    if way is None or known is None:
        return
    for number, node in enumerate(known.nodes, len(own)):
        hears = node.kind == "input"
        yield Device(
            index=number,
            name=node.title,
            host=known.server,
            inputs=node.channels if hears else 0,
            outputs=0 if hears else node.channels,
            rate=node.rate,
            is_default_input=hears and node.name == known.default_input,
            is_default_output=not hears and node.name == known.default_output,
            node=node.name,
            way=way,
        )


def server_nodes() -> soundserver.Nodes | None:
    """What the sound server has; None where there is none, or where it does not answer soon."""
    if sys.platform != "linux":
        return None
    server = soundserver.connection()
    return None if server is None else server.wait(_SERVER_S)


def title(device: Device, kind: Kind) -> str:
    """What to call a device: for the one that leads to the server's default, the name of that."""
    if device.node or device.name not in {"default", *_WAYS}:
        return device.name
    known = server_nodes()
    node = known.default(kind) if known else None
    return node.title if node else device.name


def find(kind: Kind, part: str | None) -> Device:
    """The device whose name has `part` in it (or whose index it is), or the default one.

    Raises NoSound when there is none.
    """
    found = devices()
    device = choose(found, kind, part)
    known = server_nodes() if part is None and any(d.name in _WAYS for d in found) else None
    if known and known.lacks(kind):
        raise NoSound(f"There is no {_NOUNS[kind]}.", _server_hint())
    return device


def choose(among: Iterable[Device], kind: Kind, part: str | None) -> Device:
    """What `find` would take of these devices; raises as it does. Asks no library."""
    able = [d for d in among if (d.inputs if kind == "input" else d.outputs)]
    noun = _NOUNS[kind]
    if part is None:
        for device in able:
            if device.is_default_input if kind == "input" else device.is_default_output:
                return device
        raise NoSound(f"There is no {noun}.", _server_hint())
    # The sound server shares a device; PortAudio's own way to the same one would take it alone.
    able.sort(key=lambda device: not device.node)
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
                with _towards(device):
                    stream = make(
                        samplerate=rate,
                        blocksize=rate * block_ms // 1000,
                        device=device.opens,
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


@contextmanager
def _towards(device: Device) -> Iterator[None]:
    """While this lasts the ways to the sound server lead to this node of it.

    ALSA's plugins for both servers read these variables when a device is opened.
    """
    if not device.node:
        yield
        return
    side = "PULSE_SINK" if device.outputs else "PULSE_SOURCE"
    wanted = {side: device.node, "PIPEWIRE_NODE": device.node}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _default(sd: Any, kind: Kind) -> int:
    try:
        return int(sd.query_devices(kind=kind)["index"])
    except (sd.PortAudioError, ValueError):
        return -1


def _refused(kind: Kind, device: Device, refusal: Exception | None) -> NoSound:
    noun = _NOUNS[kind]
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
