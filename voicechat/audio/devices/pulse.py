"""Devices and defaults of the Linux sound server, PulseAudio or PipeWire.

PortAudio sees one device named "default" and leaves the rest to the server. This module asks the
server through libpulse, which every ALSA program that uses a sound server has loaded already. It
only reads; it touches no stream.

Source: PulseAudio documentation, "Asynchronous API" (introspection and event subscription).
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from ctypes import POINTER, c_char_p, c_int, c_uint8, c_uint32, c_void_p
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

_NO_AUTOSPAWN: Final = 1
_READY: Final = 4
_FAILED: Final = (5, 6)
_WATCHED: Final = 0x1 | 0x2 | 0x80
"""Subscription mask: sinks, sources and the server, whose changes include the defaults."""
_FACILITY: Final = 0x0F
_SERVER: Final = 7
_KIND: Final = 0x30
_CHANGED: Final = 0x10
_PAUSE_S: Final = 1.0
_DUMMY: Final = "auto_null"
"""Sink of a server without a speaker."""


@dataclass(frozen=True, slots=True)
class Node:
    """A microphone or speaker of the server."""

    kind: Literal["input", "output"]
    name: str
    """Stable name in the server."""
    title: str
    """Name to show."""
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Nodes:
    """State of the server at one time."""

    server: str = ""
    """PulseAudio or PipeWire."""
    nodes: tuple[Node, ...] = ()
    default_input: str = ""
    """Name of the default node."""
    default_output: str = ""

    def lacks(self, kind: Literal["input", "output"]) -> bool:
        """Return True if the server has no device of this kind.

        It still accepts streams: a recording gets the speaker's monitor, playback goes nowhere.
        """
        return all(node.kind != kind for node in self.nodes)

    def default(self, kind: Literal["input", "output"]) -> Node | None:
        """Return the default node of this kind, or None."""
        wanted = self.default_input if kind == "input" else self.default_output
        return next((n for n in self.nodes if n.kind == kind and n.name == wanted), None)


class SoundServer:
    """A permanent connection on a daemon thread. No method blocks on the server."""

    def __init__(self) -> None:
        """Load libpulse; raises OSError without it."""
        self.nodes: Nodes | None = None
        """Latest state; None before the first answer and without a server."""
        self._pulse: Final = _library()
        self._known = threading.Event()
        threading.Thread(target=self._run, name="sound server", daemon=True).start()

    def wait(self, deadline: float) -> Nodes | None:
        """Return the state, waiting up to `deadline` seconds for the first answer."""
        self._known.wait(deadline)
        return self.nodes

    def _run(self) -> None:
        while True:
            _Visit(self._pulse, self._learn).last()
            self.nodes = None
            # A missing server is an answer too: release the waiting thread.
            self._known.set()
            time.sleep(_PAUSE_S)

    def _learn(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._known.set()


@dataclass
class _Asked:
    """Answers to one round of queries, as they arrive."""

    missing: int = 3
    server: str = ""
    default_input: str = ""
    default_output: str = ""
    nodes: list[Node] = field(default_factory=list)


class _Visit:
    """One connection from start to end, on a single thread."""

    def __init__(self, pulse: Any, learn: Callable[[Nodes], None]) -> None:
        self._pulse = pulse
        self._learn = learn
        self._asked: _Asked | None = None
        self._stale = True
        # ctypes keeps no references to callbacks; without ours they would be freed while in use.
        self._on_event = _EVENT(self._happened)
        self._on_server = _SERVER_TOLD(self._server_told)
        self._on_sink = _NODE_TOLD(lambda _, each, end, __: self._node_told("output", each, end))
        self._on_source = _NODE_TOLD(lambda _, each, end, __: self._node_told("input", each, end))

    def last(self) -> None:
        """Run until the server ends or refuses the connection."""
        pulse = self._pulse
        loop = pulse.pa_mainloop_new()
        context = pulse.pa_context_new(pulse.pa_mainloop_get_api(loop), b"voicechat")
        try:
            if pulse.pa_context_connect(context, None, _NO_AUTOSPAWN, None) < 0:
                return
            subscribed = False
            while pulse.pa_mainloop_iterate(loop, 1, None) >= 0:
                state = pulse.pa_context_get_state(context)
                if state in _FAILED:
                    return
                if state == _READY and not subscribed:
                    subscribed = True
                    pulse.pa_context_set_subscribe_callback(context, self._on_event, None)
                    self._forget(pulse.pa_context_subscribe(context, _WATCHED, None, None))
                if state == _READY and self._stale and self._asked is None:
                    self._ask(context)
        finally:
            pulse.pa_context_disconnect(context)
            pulse.pa_context_unref(context)
            pulse.pa_mainloop_free(loop)

    def _ask(self, context: int) -> None:
        pulse = self._pulse
        self._stale, self._asked = False, _Asked()
        self._forget(pulse.pa_context_get_server_info(context, self._on_server, None))
        self._forget(pulse.pa_context_get_sink_info_list(context, self._on_sink, None))
        self._forget(pulse.pa_context_get_source_info_list(context, self._on_source, None))

    def _forget(self, operation: int | None) -> None:
        if operation:
            self._pulse.pa_operation_unref(operation)

    def _happened(self, _: int, event: int, __: int, ___: int) -> None:
        """React to devices that come, go or become the default; ignore frequent volume changes."""
        if event & _FACILITY == _SERVER or event & _KIND != _CHANGED:
            self._stale = True

    def _server_told(self, _: int, told: Any, __: int) -> None:
        asked = self._asked
        if asked is not None and told:
            name = _text(told.contents.server_name)
            asked.server = "PipeWire" if "PipeWire" in name else "PulseAudio"
            asked.default_output = _text(told.contents.default_sink)
            asked.default_input = _text(told.contents.default_source)
        self._answered()

    def _node_told(self, kind: Literal["input", "output"], each: Any, end: int) -> None:
        if end:
            self._answered()
        elif self._asked is not None:
            node = each.contents
            name = _text(node.name)
            if name != _DUMMY and not (kind == "input" and name.endswith(".monitor")):
                title = _text(node.description) or name
                spec = node.spec
                self._asked.nodes.append(Node(kind, name, title, spec.rate, spec.channels))

    def _answered(self) -> None:
        asked = self._asked
        if asked is None:
            return
        asked.missing -= 1
        if not asked.missing:
            self._asked = None
            nodes = tuple(asked.nodes)
            self._learn(Nodes(asked.server, nodes, asked.default_input, asked.default_output))


@cache
def connection() -> SoundServer | None:
    """Return this process's connection, opened by the first call; None without libpulse."""
    try:
        return SoundServer()
    except OSError:
        return None


def sockets(variables: Mapping[str, str], user: int | None) -> dict[str, str]:
    """Return the socket paths of `PulseAudio`, `PipeWire` and `WSLg`."""
    runtime = variables.get("XDG_RUNTIME_DIR") or f"/run/user/{user}"
    pulse = variables.get("PULSE_SERVER", "").rpartition("}")[2]
    return {
        "PulseAudio": pulse.removeprefix("unix:")
        if pulse.startswith(("unix:", "/"))
        else f"{runtime}/pulse/native",
        "PipeWire": f"{runtime}/{variables.get('PIPEWIRE_REMOTE', 'pipewire-0')}",
        "WSLg": "/mnt/wslg/PulseServer",
    }


def is_stuck() -> bool:
    """Return True if the server's queue of connections is full. Never waits."""
    if sys.platform != "linux":
        return False
    path = sockets(os.environ, os.getuid())["PulseAudio"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        return caller.connect_ex(path) == errno.EAGAIN


# ------------------------------------------------------------------------------- libpulse


class _Spec(ctypes.Structure):
    _fields_ = (("format", c_int), ("rate", c_uint32), ("channels", c_uint8))


class _ServerTold(ctypes.Structure):
    """Beginning of `pa_server_info`."""

    _fields_ = (
        ("user", c_char_p),
        ("host", c_char_p),
        ("version", c_char_p),
        ("server_name", c_char_p),
        ("spec", _Spec),
        ("default_sink", c_char_p),
        ("default_source", c_char_p),
    )


class _NodeTold(ctypes.Structure):
    """Common beginning of `pa_sink_info` and `pa_source_info`."""

    _fields_ = (
        ("name", c_char_p),
        ("index", c_uint32),
        ("description", c_char_p),
        ("spec", _Spec),
    )


_EVENT = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_uint32, c_void_p)
_SERVER_TOLD = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_ServerTold), c_void_p)
_NODE_TOLD = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_NodeTold), c_int, c_void_p)

_FUNCTIONS: Final = {
    "pa_mainloop_new": (c_void_p,),
    "pa_mainloop_get_api": (c_void_p, c_void_p),
    "pa_mainloop_iterate": (c_int, c_void_p, c_int, c_void_p),
    "pa_mainloop_free": (None, c_void_p),
    "pa_context_new": (c_void_p, c_void_p, c_char_p),
    "pa_context_connect": (c_int, c_void_p, c_char_p, c_int, c_void_p),
    "pa_context_get_state": (c_int, c_void_p),
    "pa_context_set_subscribe_callback": (None, c_void_p, _EVENT, c_void_p),
    "pa_context_subscribe": (c_void_p, c_void_p, c_uint32, c_void_p, c_void_p),
    "pa_context_get_server_info": (c_void_p, c_void_p, _SERVER_TOLD, c_void_p),
    "pa_context_get_sink_info_list": (c_void_p, c_void_p, _NODE_TOLD, c_void_p),
    "pa_context_get_source_info_list": (c_void_p, c_void_p, _NODE_TOLD, c_void_p),
    "pa_context_disconnect": (None, c_void_p),
    "pa_context_unref": (None, c_void_p),
    "pa_operation_unref": (None, c_void_p),
}
"""Result and argument types of each function."""


def _library() -> Any:
    pulse = ctypes.CDLL("libpulse.so.0")
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(pulse, name)
        function.restype, function.argtypes = result, arguments
    return pulse


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
