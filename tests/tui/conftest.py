"""What every test of the screen needs: no colours from the environment, no blinking, no waiting."""

from __future__ import annotations

import pytest
from textual.widgets import TextArea


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same screen on every machine: no blinking cursor, no theme or colour of the shell."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "COLORFGBG", "TEXTUAL_FILTERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setattr(TextArea, "_restart_blink", lambda self: None)
    monkeypatch.setattr(TextArea, "cursor_blink", False)
