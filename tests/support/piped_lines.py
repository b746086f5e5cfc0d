"""Standard input from a pipe of a test."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from voicechat.line_mode import line_input


def read_lines_from(monkeypatch: pytest.MonkeyPatch, descriptor: int) -> None:
    """Let the line mode read this descriptor; a closed one is at its end."""

    def read(_: int) -> bytes:
        with suppress(OSError):
            return os.read(descriptor, 65_536)
        return b""

    monkeypatch.setattr(line_input, "_read_some", read)
