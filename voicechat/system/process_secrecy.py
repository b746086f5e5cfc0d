"""Keys of a process, out of reach of the other programs of its user (Linux).

`/proc/PID/environ` shows the environment with which a process began, and `/proc/PID/mem` its
memory. `protect` closes both. A child of our own gets its keys through its standard input
(`piped`, `read_piped`), because a child's environment is readable until the child closes it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from voicechat.system.secret_variables import holds_secret

KEYS_ON_INPUT = "VOICECHAT_KEYS_ON_INPUT"
"""Set for a child that gets its keys as the first line of its standard input."""

_PR_SET_DUMPABLE = 4
_LONGEST_LINE = 1 << 20
_MAX_ENVIRONMENT = 1 << 23
_ENVIRONMENT_FIELDS = slice(47, 49)
"""env_start and env_end in /proc/PID/stat, counted from the state. Source: proc_pid_stat(5)."""


def protect() -> None:
    """Hide the memory and the secrets of this process. Does nothing except on Linux.

    `os.environ` keeps its values. Call it before other threads run. Forks inherit the protection;
    programs that this process starts do not.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, ValueError, IndexError):
        _wipe_first_environment()
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def _wipe_first_environment() -> None:
    """Overwrite the secrets in the memory that /proc/PID/environ shows."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = map(int, fields[_ENVIRONMENT_FIELDS])
    if not 0 < start < end < start + _MAX_ENVIRONMENT:
        return  # some containers do not report the addresses
    for address, name, value in _variables(start, ctypes.string_at(start, end - start)):
        if value and holds_secret(os.fsdecode(name), os.fsdecode(value)):
            if name in os.environb:
                os.environb[name] = os.environb[name]  # the C library copies it to the heap
            ctypes.memset(address + len(name) + 1, 0, len(value))


def _variables(start: int, block: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the address, the name and the value of each variable."""
    for entry in block.split(b"\0"):
        name, _, value = entry.partition(b"=")
        yield start, name, value
        start += len(entry) + 1


def piped(variables: Mapping[str, str]) -> bytes:
    """The line that gives a child these variables."""
    return json.dumps(dict(variables)).encode() + b"\n"


def read_piped() -> None:
    """Add the variables that the parent sent, if `KEYS_ON_INPUT` is set, to `os.environ`."""
    if os.environ.pop(KEYS_ON_INPUT, "") != "1":
        return
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
        # Byte by byte: what follows the line belongs to another reader.
        piece = os.read(0, 1)
        if not piece:
            break
        line += piece
    with suppress(ValueError, AttributeError, TypeError):
        os.environ.update(json.loads(line))
