"""List, choose and open audio devices. The only importer of sounddevice.

PortAudio reads the list of devices when it starts; `refresh` restarts it, which is allowed only
while no stream is open. Every call may hang when the sound server hangs.

On Linux PortAudio sees a sound server as one or two devices ("default", "pulse", "pipewire"). The
server's own devices are listed after them and opened through them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from voicechat.audio.devices import pulse
from voicechat.core.text import one_of

Kind = Literal["input", "output"]
StreamCallback = Callable[[Any, int, Any, Any], None]

_SERVER_DEVICES: Final = ("pulse", "pipewire")
"""PortAudio devices that always lead to the sound server."""
_SERVER_ALIASES: Final = {"default", *_SERVER_DEVICES}
"""PortAudio devices that lead to the sound server if one of the above exists."""
_BUSY_WORDS: Final = ("unavailable", "busy", "exclusive", "in use")
"""Words in the refusal of a device that another program uses exclusively."""
_SERVER_S: Final = 0.5
NOUNS: Final = {"input": "microphone", "output": "speaker"}

SERVER_HANGS: Final = "The sound server does not answer."
RESTART_HINT: Final = "Restart the sound server; voicechat doctor shows how."
RECONNECT_HINT: Final = "Connect it again, or choose another device in the sound settings."
REAL_DEVICE_HINT: Final = (
    "Connect a real device, and choose it in the sound settings or by its name."
)
_PERMISSION: Final = "Allow the terminal to use the microphone in Settings > Privacy & Security."
_CONNECT: Final = "Connect a device, or switch one on in the sound settings."


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone, a speaker, or both."""

    index: int
    name: str
    host: str
    inputs: int
    outputs: int
    rate: int
    is_default_input: bool
    is_default_output: bool
    node: str = ""
    """Name in the sound server; empty for a PortAudio device."""
    via: int = -1
    """Index of the PortAudio device through which a node is opened."""

    @property
    def opens(self) -> int:
        """Index to pass to PortAudio."""
        return self.via if self.node else self.index


class NoSound(Exception):
    """A device cannot be opened: what happened, and what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def library() -> Any:
    """Import sounddevice; raises NoSound without PortAudio."""
    try:
        import sounddevice
    except OSError as error:
        raise NoSound("The sound library PortAudio is not installed.", _library_hint()) from error
    except Exception as error:
        raise NoSound(
            f"The sound library PortAudio failed to start: {error}.", _server_hint()
        ) from error
    return sounddevice


def refresh() -> None:
    """Read the list of devices again. No stream may be open."""
    sd = library()
    sd._terminate()
    sd._initialize()


def devices() -> list[Device]:
    """Return every device as of the last `refresh`; raises NoSound without PortAudio.

    A sound server accepts streams even without a microphone or speaker, so the devices that lead to
    it get only the sides that it has.
    """
    sd = library()
    hosts = sd.query_hostapis()
    default_indexes = [_default(sd, "input"), _default(sd, "output")]
    direct = [
        Device(
            index=index,
            name=str(found["name"]),
            host=str(hosts[found["hostapi"]]["name"]),
            inputs=int(found["max_input_channels"]),
            outputs=int(found["max_output_channels"]),
            rate=int(found["default_samplerate"]),
            is_default_input=index == default_indexes[0],
            is_default_output=index == default_indexes[1],
        )
        for index, found in enumerate(sd.query_devices())
    ]
    via = next((d.index for name in _SERVER_DEVICES for d in direct if d.name == name), None)
    known = None if via is None else server_nodes()
    if via is None or known is None:
        return direct
    inputs, outputs = (not known.lacks(kind) for kind in ("input", "output"))
    available = [
        replace(d, inputs=d.inputs * inputs, outputs=d.outputs * outputs)
        if d.name in _SERVER_ALIASES
        else d
        for d in direct
    ]
    return [*available, *_nodes(known, len(direct), via)]


def _nodes(known: pulse.Nodes, first: int, via: int) -> Iterator[Device]:
    """Yield the sound server's devices, numbered from `first`, opened through device `via`."""
    for number, node in enumerate(known.nodes, first):
        is_input = node.kind == "input"
        yield Device(
            index=number,
            name=node.title,
            host=known.server,
            inputs=node.channels if is_input else 0,
            outputs=0 if is_input else node.channels,
            rate=node.rate,
            is_default_input=is_input and node.name == known.default_input,
            is_default_output=not is_input and node.name == known.default_output,
            node=node.name,
            via=via,
        )


def server_nodes() -> pulse.Nodes | None:
    """Return the sound server's devices; None without a server or without a prompt answer."""
    if sys.platform != "linux":
        return None
    server = pulse.connection()
    return None if server is None else server.wait(_SERVER_S)


def title(device: Device, kind: Kind) -> str:
    """Return the name to show; for the server's default, the name of the actual device."""
    if device.node or device.name not in _SERVER_ALIASES:
        return device.name
    known = server_nodes()
    node = known.default(kind) if known else None
    return node.title if node else device.name


def is_direct(device: Device) -> bool:
    """Return True if the system has sound servers, but this device is used without one."""
    return sys.platform == "linux" and not device.node and device.name not in _SERVER_ALIASES


def find(kind: Kind, part: str | None) -> Device:
    """Return the device that `part` names (number, name or part of it), or the default one.

    Raises NoSound if there is none.
    """
    found = devices()
    if not found and pulse.is_stuck():
        raise NoSound(SERVER_HANGS, RESTART_HINT)
    return choose(found, kind, part)


def find_preferred(kind: Kind, part: str | None, *, is_preference: bool) -> tuple[Device, bool]:
    """Return the device that `find` finds, and True.

    With `is_preference`, an absent device is replaced by the default one, and False. Raises
    NoSound if there is none.
    """
    try:
        return find(kind, part), True
    except NoSound:
        if part is None or not is_preference:
            raise
    return find(kind, None), False


def choose(among: Iterable[Device], kind: Kind, part: str | None) -> Device:
    """Return what `find` chooses among these devices, without asking PortAudio.

    Raises NoSound if there is none.
    """
    among = list(among)
    candidates = [d for d in among if (d.inputs if kind == "input" else d.outputs)]
    noun = NOUNS[kind]
    if part and candidates:
        # Prefer the sound server, which shares a device; PortAudio would open it exclusively.
        candidates.sort(key=lambda device: not device.node)
        match = closest(part, [(d.name, d.node, str(d.index)) for d in candidates])
        if match is not None:
            return candidates[match]
        names = one_of(dict.fromkeys(d.name for d in candidates))
        hint = f"Choose {names}; or use --{kind}-device default."
        raise NoSound(f"No {noun} has {part!r} in its name.", hint)
    for device in candidates:
        if device.is_default_input if kind == "input" else device.is_default_output:
            return device
    has_server = any(d.node or d.name in _SERVER_DEVICES for d in among)
    raise NoSound(f"There is no {noun}.", _CONNECT if has_server else _server_hint())


def closest(part: str, named: Sequence[tuple[str, ...]]) -> int | None:
    """Return the index of the entry that `part` names, or None.

    Each entry is a title and other names. An exact match wins over a part of the title.
    """
    lowered = part.casefold()
    for number, (title, *others) in enumerate(named):
        if lowered == title.casefold() or part in others:
            return number
    for number, (title, *_) in enumerate(named):
        if lowered in title.casefold():
            return number
    return None


def open_stream(
    kind: Kind,
    device: Device,
    rates: tuple[int, ...],
    block_ms: int,
    latency_ms: int,
    callback: Callable[[int, int], StreamCallback],
) -> tuple[Any, int]:
    """Open and start a raw int16 stream at the first accepted rate.

    Tries `rates`, then the device's own and common ones. `callback(rate, channels)` makes the
    callback. Returns the stream and its rate; raises NoSound if the device accepts none.
    """
    sd = library()
    make = sd.RawInputStream if kind == "input" else sd.RawOutputStream
    latency: object = latency_ms / 1000 if latency_ms else "low"
    refusal: Exception | None = None
    for channels in _channel_counts(kind, device):
        for rate in dict.fromkeys((*rates, device.rate, 48_000, 44_100)):
            stream = None
            try:
                with _routed_to(device):
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


def _channel_counts(kind: Kind, device: Device) -> tuple[int, ...]:
    """Return the numbers of channels to try.

    A microphone with more than two is opened with all of them, because its first channel may have
    no sound. A sound server mixes them itself.
    """
    most = device.inputs if kind == "input" else device.outputs
    few = (1, 2)[: max(1, min(2, most))]
    if most <= 2 or device.node or device.name in _SERVER_ALIASES:
        return few
    return (most, *few) if kind == "input" else (*few, most)


@contextmanager
def _routed_to(device: Device) -> Iterator[None]:
    """Route streams opened within this context to the node of the sound server.

    The ALSA plugins of both servers read these variables when a device is opened.
    """
    if not device.node:
        yield
        return
    side = "PULSE_SINK" if device.outputs else "PULSE_SOURCE"
    lowered = {side: device.node, "PIPEWIRE_NODE": device.node}
    before = {name: os.environ.get(name) for name in lowered}
    os.environ.update(lowered)
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
    noun = NOUNS[kind]
    reason = str(refusal).partition(": ")[2] or str(refusal)
    if sys.platform == "darwin" and kind == "input":
        hint = _PERMISSION
    elif is_busy(reason):
        hint = "Another program uses it exclusively. Close that program, or choose another device."
    else:
        hint = f"Choose another device with --{kind}-device, or run voicechat doctor."
    return NoSound(f"The {noun} {device.name!r} cannot be opened: {reason}.", hint)


def is_busy(refusal: str) -> bool:
    """Return True if another program uses the device exclusively."""
    return any(word in refusal.lower() for word in _BUSY_WORDS)


def silence_hint() -> str:
    """Return what to do about a microphone that delivers only zeros."""
    if sys.platform == "darwin":
        return f"{_PERMISSION} Check its mute switch, too."
    return "Check its mute switch, the sound settings and the permission for the microphone."


def _library_hint() -> str:
    return "Install it: sudo apt install libportaudio2 (Fedora: portaudio, Arch: portaudio)."


def _server_hint() -> str:
    if sys.platform == "linux":
        return (
            "Connect a device, or start PipeWire or PulseAudio. In a container, pass in its socket."
        )
    return "Connect a device, then try again."
