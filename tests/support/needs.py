"""What a test needs of the machine. Without it a test is skipped; in CI it fails instead."""

from __future__ import annotations

import os
import shutil

import pytest

SOUND = ("pulseaudio", "pactl", "paplay", "parec")
VOICE = ("espeak-ng",)


def need(programs: tuple[str, ...]) -> None:
    """End the running test here when a program is absent."""
    if absent := _absent(programs):
        if os.environ.get("CI"):
            pytest.fail(f"{absent} is absent, and CI must have it", pytrace=False)
        pytest.skip(f"{absent} is absent")


def needs(programs: tuple[str, ...]) -> pytest.MarkDecorator:
    """The same as a mark; in CI the test runs, and fails where it needs what is absent."""
    absent = _absent(programs)
    skips = bool(absent) and not os.environ.get("CI")
    return pytest.mark.skipif(skips, reason=f"{absent} is absent")


def _absent(programs: tuple[str, ...]) -> str:
    return ", ".join(name for name in programs if not shutil.which(name))
