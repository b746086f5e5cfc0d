"""Look up requirements.lock in the database of known vulnerabilities: `make audit`.

Exit code 0: none. 1: pip-audit found some, and prints them. 2: the audit did not run, as without
a network.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UVX = Path(sys.executable).with_name("uvx")
OPTIONS = ("--quiet", "pip-audit", "--progress-spinner", "off", "--disable-pip", "--no-deps")
LIMIT_S = 300
"""Seconds for the audit."""


def main(uvx: Path = UVX, lock: Path = ROOT / "requirements.lock") -> int:
    """Run pip-audit on the lock file; returns the exit code."""
    command = [str(uvx), *OPTIONS, "--requirement", str(lock)]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _not_run(type(error).__name__)
    if ended.returncode and not ended.stdout.startswith("Name"):
        return _not_run((ended.stderr.strip().splitlines() or ["no reason given"])[-1])
    sys.stdout.write(ended.stdout or "No known vulnerabilities.\n")
    return ended.returncode


def _not_run(reason: str) -> int:
    sys.stderr.write(
        f"The packages were not audited: {reason}\n"
        "The audit needs the network, for pip-audit and its database. Run it again online.\n"
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
