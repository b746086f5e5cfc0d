"""A conversation is recorded in one terminal and replayed in another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from on_terminal import OnTerminal

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]


def test_typed_text_is_replayed(start: Callable[..., OnTerminal], tmp_path: Path) -> None:
    folder = str(tmp_path / "talk")
    first = start("--text", "--record", folder)
    first.see("ready", 30)
    first.type("what is 17 times 23\n")
    first.see("391")
    first.type("\x11")
    assert first.code() == 0
    again = start("replay", folder, "--speed", "20")
    again.see("The recording has ended", 30)
    again.see("17 times 23 is 391")
    again.type("\x1b")
    assert again.code() == 0
    refused = start("--text", "--record", folder, columns=120)
    refused.see("already contains a recording", 30)
    assert refused.is_sane()
    assert refused.code() == 2
