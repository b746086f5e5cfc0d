"""Watch the system's default devices without touching a stream.

On Linux the sound server reports changes, and itself moves streams without a device choice.
Elsewhere PortAudio's list is frozen while streams are open. There a child process (this module,
run with `-m`) restarts PortAudio every two seconds and writes a JSON line for each change; the
streams must then be reopened.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from voicechat.audio.devices import device_list, pulse
from voicechat.audio.devices.device_list import Kind
from voicechat.audio.devices.thread_priority import use_ordinary
from voicechat.audio.messages import AudioSettings
from voicechat.system.child_process import module_command, start_blocking

_INTERVAL_S: Final = 2.0
_SIDES: Final[tuple[Kind, ...]] = ("input", "output")


class DefaultDevice(NamedTuple):
    """The device that one side should use: a key that identifies it, and its name."""

    key: str
    title: str
    selected: bool = False
    """True if the user named the device; False for the default."""


NO_DEVICE: Final = DefaultDevice("", "", selected=True)
"""No device is left, so the streams must be reopened."""


class DeviceSwitch(NamedTuple):
    """One side should use another device; an empty title means no device."""

    kind: Kind
    title: str
    reopen: bool
    """True if the streams must be reopened to get there."""


class _Source(Protocol):
    """Source of the device of each side; None while it is unknown."""

    reopens: bool

    def target(self, kind: Kind) -> DefaultDevice | None: ...

    def devices(self) -> object:
        """Return a value that stays equal while the same devices exist."""


class DefaultDeviceWatch:
    """Watches the default devices. Poll `switches` and `devices_changed`; neither blocks."""

    def __init__(self, settings: AudioSettings, source: _Source | None = None) -> None:
        """Watch `source`, or this system without one."""
        selections = {"input": settings.input_device, "output": settings.output_device}
        self._source: Final = source or _source_here(selections)
        self._last: dict[Kind, DefaultDevice] = {}
        self._devices: object = self

    def switches(self) -> list[DeviceSwitch]:
        """Return the changes since the last call.

        After `__init__` and `restart` they are each default and each missing device, to compare
        with the opened streams. A child process names devices differently, so it reports none.
        """
        return [switch for kind in _SIDES if (switch := self._switch(kind))]

    @property
    def needs_refresh(self) -> bool:
        """True if a new device is found only after `device_list.refresh`."""
        return self._source is None or self._source.reopens or self._source.devices() is None

    def restart(self) -> None:
        """Report where each side is again, for newly opened streams."""
        if self._source is not None and not self._source.reopens:
            self._last.clear()

    def devices_changed(self) -> bool:
        """Return True if a device was added or removed, or the server returned, since the last
        call.
        """
        last, self._devices = self._devices, self._source.devices() if self._source else None
        return last is not self and self._devices not in (None, last)

    def _switch(self, kind: Kind) -> DeviceSwitch | None:
        target = self._source.target(kind) if self._source else None
        if target is None:
            return None
        last = self._last.get(kind)
        self._last[kind] = target
        assert self._source is not None
        reopens = self._source.reopens
        if last is None and (reopens or (target.selected and target is not NO_DEVICE)):
            return None
        if last is not None and last.key == target.key:
            return None
        return DeviceSwitch(kind, target.title, target.selected or reopens)


def _source_here(selections: Mapping[str, str | None]) -> _Source | None:
    if sys.platform == "linux":
        server = pulse.connection()
        return _ServerSource(server, selections) if server else None
    if all(selections.values()):
        return None
    return _ChildSource(selections)


class _ServerSource:
    """Asks the sound server: the named node if it exists, else the default one."""

    reopens = False

    def __init__(self, server: pulse.SoundServer, selections: Mapping[str, str | None]) -> None:
        self._server = server
        self._selections = selections

    def target(self, kind: Kind) -> DefaultDevice | None:
        known = self._server.nodes
        if known is None:
            return None
        selection = self._selections[kind] or ""
        if selection.isdecimal():
            # A number is a PortAudio index, and PortAudio counts other devices too.
            return None
        candidates = [node for node in known.nodes if node.kind == kind]
        match = (
            device_list.closest(selection, [(n.title, n.name) for n in candidates])
            if selection
            else None
        )
        if match is not None:
            return DefaultDevice(candidates[match].name, candidates[match].title, selected=True)
        if not selection and known.lacks(kind):
            return NO_DEVICE
        default = known.default(kind)
        return DefaultDevice(default.name, default.title) if default else None

    def devices(self) -> object:
        known = self._server.nodes
        return known.nodes if known else None


class _ChildSource:
    """Asks a child process. It starts once and is not restarted."""

    reopens = True

    def __init__(self, selections: Mapping[str, str | None], command: tuple[str, ...] = ()) -> None:
        """Start the child; `command` replaces it in tests."""
        self._selections = selections
        self._targets: dict[str, DefaultDevice] = {}
        self._names: list[str] | None = None
        self._command = command or module_command("voicechat.audio.devices.default_device_watch")
        self._child: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(
            target=self._read_child, name="default device watch", daemon=True
        )
        self._reader.start()

    def target(self, kind: Kind) -> DefaultDevice | None:
        return None if self._selections[kind] else self._targets.get(kind)

    def devices(self) -> object:
        return self._names

    def close(self) -> None:
        """End the child before this process ends."""
        if self._child is not None:
            self._child.kill()

    def _read_child(self) -> None:
        use_ordinary()
        # The child ends with its standard input.
        with contextlib.suppress(OSError), start_blocking(self._command) as self._child:
            child = self._child
            assert child.stdout is not None
            for line in child.stdout:
                with contextlib.suppress(ValueError, TypeError):
                    self._update(json.loads(line))

    def _update(self, message: Mapping[str, Any]) -> None:
        self._targets = {side: DefaultDevice(*each) for side, each in message["defaults"].items()}
        self._names = message["names"]


# ------------------------------------------------------------------------------ in the child


def defaults(hosts: Iterable[Mapping[str, Any]], names: list[str]) -> dict[str, tuple[str, str]]:
    """Return the key and title of each side's default from PortAudio's lists.

    Windows has several host APIs with a default each, and the first has the same name whatever
    device it leads to. So all names form the key, and the longest one is the title.
    """
    found: dict[str, tuple[str, str]] = {}
    for side in _SIDES:
        each = [int(host[f"default_{side}_device"]) for host in hosts]
        known = [names[index] for index in each if 0 <= index < len(names)]
        if known:
            title = max(known, key=lambda name: ("Mapper" not in name, len(name)))
            found[side] = ("\n".join(known), title)
    return found


def main(write_line: Callable[[str], None], interval_s: float = _INTERVAL_S) -> None:
    """Check for changes and write each one, until the parent closes the pipe."""
    last = None
    while True:
        sd = device_list.library()
        names = [str(device["name"]) for device in sd.query_devices()]
        found = {"defaults": defaults(sd.query_hostapis(), names), "names": names}
        if found != last:
            last = found
            write_line(json.dumps(found) + "\n")
        time.sleep(interval_s)
        device_list.refresh()


def _run() -> None:
    from voicechat.audio.devices.device_probe import quiet_pipe

    pipe = quiet_pipe()

    def write_line(line: str) -> None:
        pipe.write(line)
        pipe.flush()

    with contextlib.suppress(OSError, device_list.NoSound):
        main(write_line)


if __name__ == "__main__":
    _run()
    # Daemon threads may hang inside the sound library; a normal exit would wait for them.
    os._exit(0)
