"""Programs that a test needs. If one is missing, the test is skipped; in CI it fails."""

from __future__ import annotations

import os
import shutil

import pytest

SOUND = ("pulseaudio", "pactl", "paplay", "parec")


def need(programs: tuple[str, ...]) -> None:
    """Skip the running test if a program is missing; in CI, fail it."""
    if absent := _absent(programs):
        if os.environ.get("CI"):
            pytest.fail(f"{absent} is absent, and CI must have it", pytrace=False)
        pytest.skip(f"{absent} is absent")


def needs(programs: tuple[str, ...]) -> pytest.MarkDecorator:
    """Return a mark that skips a test if a program is missing; in CI the test runs."""
    absent = _absent(programs)
    skips = bool(absent) and not os.environ.get("CI")
    return pytest.mark.skipif(skips, reason=f"{absent} is absent")


def _absent(programs: tuple[str, ...]) -> str:
    return ", ".join(name for name in programs if not shutil.which(name))
