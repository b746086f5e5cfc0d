"""Programs without the capabilities of root: they can do what any program of the user can."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping

_DROP = (
    "import ctypes, os, sys\n"
    "for number in range(64): ctypes.CDLL(None).prctl(24, number, 0, 0, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)
"""24 is PR_CAPBSET_DROP, which other users than root need not call."""


def unprivileged(*command: str) -> list[str]:
    """The command that runs a program, given by its path, without capabilities."""
    return [sys.executable, "-I", "-S", "-c", _DROP, *command]


@contextlib.contextmanager
def running(*command: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program without capabilities until the block ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen(unprivileged(*command), stdin=pipe, stdout=pipe, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def contents(path: str) -> bytes:
    """Return what a program without capabilities reads from a file; empty when it cannot."""
    return subprocess.run(
        unprivileged("/bin/cat", path), capture_output=True, check=False, timeout=20
    ).stdout
