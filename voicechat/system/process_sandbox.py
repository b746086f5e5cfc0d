"""Runs one program in a sandbox of the Linux kernel: Landlock and seccomp.

    python -I -S process_sandbox.py ACCESS COMMAND [ARGUMENT...]

    access    network  other programs
    files     no       it cannot signal or trace them, nor read their memory and environment
    network   yes      the same
    all       yes      yes: there is no sandbox

The program and everything that it starts keep these limits. It reads and writes the files of the
user and may use local sockets. It cannot gain privileges, as with sudo.

Standard library only, and no import of voicechat: it starts by its path, in a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from functools import cache
from typing import Literal

Access = Literal["files", "network", "all"]
"""What a program may reach besides the files of the user."""

NAME = "Landlock and seccomp"
"""The sandbox in messages."""

FAILED = 126
"""Exit code when the sandbox or the program cannot start; the program did not run."""

_MIN_LANDLOCK = 6
"""The version that limits signals. Source: landlock(7)."""

_CREATE_RULESET, _RESTRICT_SELF, _IO_URING_SETUP = 444, 446, 425
_ARCHITECTURES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""AUDIT_ARCH and the number of the system call `socket`, by machine. Source: seccomp(2)."""

_X32 = 0x40000000
"""Numbers from here on are of the x32 ABI."""

_MAKE_DEVICES = 1 << 6 | 1 << 11
"""The rights to create device files, which nothing gets."""

_SCOPE_SIGNAL = 1 << 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_GET_SECCOMP = 38, 22, 21
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_EACCES, _ENOSYS = 13, 38
_LOCAL_FAMILIES = (1, 16)
"""AF_UNIX and AF_NETLINK."""

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; both machines are little-endian."""


@cache
def is_available() -> bool:
    """Return True when this system has the sandbox."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    library = ctypes.CDLL(None)
    version: int = library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    seccomp: int = library.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0)
    return version >= _MIN_LANDLOCK and seccomp >= 0


def description(access: Access) -> str:
    """Describe the sandbox of a program in one sentence for the user."""
    if not is_available():
        return "There is no sandbox on this system: it may do what you may do."
    if access == "all":
        return "It runs outside the sandbox: it may do what you may do."
    network = "with" if access == "network" else "without"
    return f"It runs in a sandbox ({NAME}) {network} network, apart from other programs."


def apply(access: str) -> None:
    """Put this process into the sandbox. Raises `OSError`."""
    library = ctypes.CDLL(None, use_errno=True)
    _check(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    rights = struct.pack("=QQQ", _MAKE_DEVICES, 0, _SCOPE_SIGNAL)
    rules = _check(library.syscall(_CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0))
    _check(library.syscall(_RESTRICT_SELF, rules, 0))
    os.close(rules)
    if access != "network":
        code = _filter()
        instructions = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
        _check(library.prctl(_PR_SET_SECCOMP, 2, program, 0, 0))


def _filter() -> bytes:
    """The program of seccomp that refuses every socket except local ones."""
    architecture, socket = _ARCHITECTURES[platform.machine()]
    refuse = [_instruction(_RETURN, _REFUSE | _EACCES)]
    allow = [_instruction(_RETURN, _ALLOW)]
    unknown = [_instruction(_RETURN, _REFUSE | _ENOSYS)]
    families = [line for family in _LOCAL_FAMILIES for line in (_unless_equal(family, 1), *allow)]
    return b"".join(
        [
            _instruction(_LOAD, _ARCHITECTURE),
            _instruction(_JUMP_IF_EQUAL, architecture, if_true=1),
            *unknown,
            _instruction(_LOAD, _NUMBER),
            _instruction(_JUMP_IF_AT_LEAST, _X32, if_false=1),
            *unknown,
            # io_uring opens sockets without the system call.
            _unless_equal(_IO_URING_SETUP, 1),
            *unknown,
            _instruction(_JUMP_IF_EQUAL, socket, if_true=1),
            *allow,
            _instruction(_LOAD, _FIRST_ARGUMENT),
            *families,
            *refuse,
        ]
    )


def _unless_equal(value: int, skipped: int) -> bytes:
    return _instruction(_JUMP_IF_EQUAL, value, if_false=skipped)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Encode a `struct sock_filter`."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def main(access: str, command: list[str]) -> int:
    """Replace this process by the command in the sandbox; returns only when that fails."""
    try:
        apply(access)
    except OSError as error:
        sys.stderr.write(f"The sandbox cannot start: {error.strerror}.\n")
        return FAILED
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
