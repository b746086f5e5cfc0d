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

from voicechat.audio.devices.thread_priority import use_ordinary

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
        default = self.default_input if kind == "input" else self.default_output
        return next((n for n in self.nodes if n.kind == kind and n.name == default), None)


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
        use_ordinary()
        while True:
            _Connection(self._pulse, self._update).run()
            self.nodes = None
            # A missing server is an answer too: release the waiting thread.
            self._known.set()
            time.sleep(_PAUSE_S)

    def _update(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._known.set()


@dataclass
class _Answers:
    """Answers to one round of queries, as they arrive."""

    pending: int = 3
    server: str = ""
    default_input: str = ""
    default_output: str = ""
    nodes: list[Node] = field(default_factory=list)


class _Connection:
    """One connection from start to end, on a single thread."""

    def __init__(self, pulse: Any, update: Callable[[Nodes], None]) -> None:
        self._pulse = pulse
        self._update = update
        self._answers: _Answers | None = None
        self._stale = True
        # ctypes keeps no references to callbacks; without ours they would be freed while in use.
        self._on_event = _EVENT_CALLBACK(self._on_change)
        self._on_server = _SERVER_CALLBACK(self._on_server_reply)
        self._on_sink = _NODE_CALLBACK(
            lambda _, each, end, __: self._on_node_reply("output", each, end)
        )
        self._on_source = _NODE_CALLBACK(
            lambda _, each, end, __: self._on_node_reply("input", each, end)
        )

    def run(self) -> None:
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
                    self._release(pulse.pa_context_subscribe(context, _WATCHED, None, None))
                if state == _READY and self._stale and self._answers is None:
                    self._query(context)
        finally:
            pulse.pa_context_disconnect(context)
            pulse.pa_context_unref(context)
            pulse.pa_mainloop_free(loop)

    def _query(self, context: int) -> None:
        pulse = self._pulse
        self._stale, self._answers = False, _Answers()
        self._release(pulse.pa_context_get_server_info(context, self._on_server, None))
        self._release(pulse.pa_context_get_sink_info_list(context, self._on_sink, None))
        self._release(pulse.pa_context_get_source_info_list(context, self._on_source, None))

    def _release(self, operation: int | None) -> None:
        if operation:
            self._pulse.pa_operation_unref(operation)

    def _on_change(self, _: int, event: int, __: int, ___: int) -> None:
        """React to devices that come, go or become the default; ignore frequent volume changes."""
        if event & _FACILITY == _SERVER or event & _KIND != _CHANGED:
            self._stale = True

    def _on_server_reply(self, _: int, reply: Any, __: int) -> None:
        answers = self._answers
        if answers is not None and reply:
            name = _text(reply.contents.server_name)
            answers.server = "PipeWire" if "PipeWire" in name else "PulseAudio"
            answers.default_output = _text(reply.contents.default_sink)
            answers.default_input = _text(reply.contents.default_source)
        self._count_answer()

    def _on_node_reply(self, kind: Literal["input", "output"], each: Any, end: int) -> None:
        if end:
            self._count_answer()
        elif self._answers is not None:
            node = each.contents
            name = _text(node.name)
            if name != _DUMMY and not (kind == "input" and name.endswith(".monitor")):
                title = _text(node.description) or name
                spec = node.spec
                self._answers.nodes.append(Node(kind, name, title, spec.rate, spec.channels))

    def _count_answer(self) -> None:
        answers = self._answers
        if answers is None:
            return
        answers.pending -= 1
        if not answers.pending:
            self._answers = None
            nodes = tuple(answers.nodes)
            self._update(
                Nodes(answers.server, nodes, answers.default_input, answers.default_output)
            )


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
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        return client.connect_ex(path) == errno.EAGAIN


# ------------------------------------------------------------------------------- libpulse


class _Spec(ctypes.Structure):
    _fields_ = (("format", c_int), ("rate", c_uint32), ("channels", c_uint8))


class _PulseServer(ctypes.Structure):
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


class _PulseNode(ctypes.Structure):
    """Common beginning of `pa_sink_info` and `pa_source_info`."""

    _fields_ = (
        ("name", c_char_p),
        ("index", c_uint32),
        ("description", c_char_p),
        ("spec", _Spec),
    )


_EVENT_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_uint32, c_void_p)
_SERVER_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_PulseServer), c_void_p)
_NODE_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_PulseNode), c_int, c_void_p)

_FUNCTIONS: Final = {
    "pa_mainloop_new": (c_void_p,),
    "pa_mainloop_get_api": (c_void_p, c_void_p),
    "pa_mainloop_iterate": (c_int, c_void_p, c_int, c_void_p),
    "pa_mainloop_free": (None, c_void_p),
    "pa_context_new": (c_void_p, c_void_p, c_char_p),
    "pa_context_connect": (c_int, c_void_p, c_char_p, c_int, c_void_p),
    "pa_context_get_state": (c_int, c_void_p),
    "pa_context_set_subscribe_callback": (None, c_void_p, _EVENT_CALLBACK, c_void_p),
    "pa_context_subscribe": (c_void_p, c_void_p, c_uint32, c_void_p, c_void_p),
    "pa_context_get_server_info": (c_void_p, c_void_p, _SERVER_CALLBACK, c_void_p),
    "pa_context_get_sink_info_list": (c_void_p, c_void_p, _NODE_CALLBACK, c_void_p),
    "pa_context_get_source_info_list": (c_void_p, c_void_p, _NODE_CALLBACK, c_void_p),
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
