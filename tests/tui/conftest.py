"""Fixtures that make the screen look the same in every run."""

from __future__ import annotations

import pytest
from textual.widgets import TextArea

CLIPBOARDS = ("DISPLAY", "WAYLAND_DISPLAY", "TMUX", "WSL_DISTRO_NAME")
"""Variables that name a clipboard of the user."""


@pytest.fixture(autouse=True)
def stable_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore the theme and color variables of the shell; disable animations and the blinking."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "COLORFGBG", "TEXTUAL_FILTERS", *CLIPBOARDS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setattr(TextArea, "_restart_blink", lambda self: None)
    monkeypatch.setattr(TextArea, "cursor_blink", False)
