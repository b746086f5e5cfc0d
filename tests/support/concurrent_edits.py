"""Two processes that edit one file at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PREPARE = """
import sys
from pathlib import Path
path, name = Path(sys.argv[1]), sys.argv[2]
"""

_START = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    edit(number)
"""


def edit_at_once(path: Path, names: tuple[str, str], code: str) -> None:
    """Run `code` in two processes; once both are ready, each calls its `edit` with 0 to 59.

    The code sees `path` and, as `name`, one of the names.
    """
    program = _PREPARE + code + _START
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in running:
        one.communicate(timeout=60)
        assert one.returncode == 0
