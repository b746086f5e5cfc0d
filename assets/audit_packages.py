"""Look up requirements.lock in the database of known vulnerabilities: `make audit`.

Exit code 0: none. 1: there are some. 2: the audit did not run, as without a network.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
UVX = Path(sys.executable).with_name("uvx")
OPTIONS = (
    "--quiet", "pip-audit", "--progress-spinner", "off", "--format", "json",
    "--disable-pip", "--no-deps",
)  # fmt: skip
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
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return _not_run((ended.stderr.strip().splitlines() or ["no reason given"])[-1])
    return _report(packages)


def _report(packages: list[dict[str, Any]]) -> int:
    audited = [each for each in packages if "vulns" in each]
    if not audited:
        return _not_run("the database knows none of them")
    lines = [
        f"{each['name']} {each['version']}: {found['id']},"
        f" fixed in {', '.join(found['fix_versions']) or 'no version'}\n"
        for each in audited
        for found in each["vulns"]
    ]
    skipped = len(packages) - len(audited)
    lines.append(f"{len(audited)} packages audited, {skipped} unknown to the database.\n")
    sys.stdout.writelines(lines)
    return 1 if len(lines) > 1 else 0


def _not_run(reason: str) -> int:
    sys.stderr.write(
        f"The packages were not audited: {reason}.\n"
        "The audit needs the network, for pip-audit and its database. Run it again online.\n"
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
