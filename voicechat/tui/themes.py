"""The dark and the light theme of voicechat. Styles use only `$variables` of a theme."""

from __future__ import annotations

import os
from collections.abc import Iterable

from textual.color import Color
from textual.message import Message
from textual.theme import BUILTIN_THEMES, Theme

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.line_mode.setting_commands import nearest

DARK = Theme(
    name="voicechat",
    primary="#7fb4ca",
    secondary="#9a93c4",
    accent="#e0b184",
    warning="#e6b673",
    error="#e58a8a",
    success="#8fc0a0",
    foreground="#d9dde3",
    background="#14171c",
    surface="#1b1f26",
    panel="#20252e",
    dark=True,
    variables={
        "border": "#343b47",
        "border-blurred": "#2a303a",
        "input-cursor-background": "#7fb4ca",
        "input-selection-background": "#7fb4ca 30%",
        "scrollbar": "#2a303a",
        "scrollbar-hover": "#3a424f",
        "scrollbar-active": "#4a5464",
        "scrollbar-background": "#14171c",
        "scrollbar-background-hover": "#14171c",
        "scrollbar-background-active": "#14171c",
        "footer-key-foreground": "#7fb4ca",
    },
)

LIGHT = Theme(
    name="voicechat-light",
    primary="#23627d",
    secondary="#5a5296",
    accent="#96580f",
    warning="#8a5a00",
    error="#b03434",
    success="#2c7048",
    foreground="#23272e",
    background="#faf8f4",
    surface="#f2efe8",
    panel="#eae6dd",
    dark=False,
    variables={
        "border": "#cfc9bc",
        "border-blurred": "#ddd8cd",
        "input-cursor-background": "#23627d",
        "input-selection-background": "#23627d 25%",
        "scrollbar": "#ddd8cd",
        "scrollbar-hover": "#cfc9bc",
        "scrollbar-active": "#b9b2a3",
        "scrollbar-background": "#faf8f4",
        "scrollbar-background-hover": "#faf8f4",
        "scrollbar-background-active": "#faf8f4",
        "footer-key-foreground": "#23627d",
    },
)


AUTO = "auto"
"""The theme that follows the background of the terminal."""

_SPOKEN_NAMES = {"dark": DARK.name, "light": LIGHT.name}
_OTHER = "other"


class ThemeChosen(Message):
    """The user chose the theme of this name, one of `theme_names`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class ThemePreviewed(Message):
    """Show the theme of this name on trial; an empty name ends the trial."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def spoken_name(registered: str) -> str:
    """Return the name that `theme_named` takes for a registered theme."""
    spoken = {own: name for name, own in _SPOKEN_NAMES.items()}
    return spoken.get(registered, registered)


def theme_names(registered: Iterable[str]) -> tuple[str, ...]:
    """Return the names that `theme_named` takes: dark, light, auto, other, the registered ones."""
    own = set(_SPOKEN_NAMES.values())
    return (*_SPOKEN_NAMES, AUTO, _OTHER, *sorted(set(registered) - own))


def require_theme(name: str) -> None:
    """Raise `UsageError` if no theme has this name."""
    names = theme_names(BUILTIN_THEMES)
    if name.lower() not in names:
        raise UsageError(f"There is no theme {clean(name)[:40]!r}.", nearest(name, names))


def theme_named(name: str, is_dark: bool) -> str:
    """Return the registered theme of this name; "other" is a light one if `is_dark`.

    "auto" is the theme for the background that the environment names, if any.
    """
    if name == AUTO:
        return initial_theme()
    if name == _OTHER:
        name = "light" if is_dark else "dark"
    return _SPOKEN_NAMES.get(name, name)


def theme_for(background: Color) -> str:
    """Return the theme for a background color."""
    return LIGHT.name if background.brightness > 0.5 else DARK.name


def initial_theme() -> str:
    """Return a theme for the background in COLORFGBG, or the dark one.

    COLORFGBG is "foreground;background" in the 16 ANSI colors, of which 7 and 15 are light.
    """
    background = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in {"7", "15"} else DARK.name
