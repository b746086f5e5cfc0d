"""The themes of the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicechat.line_mode.pickers.picker import PickerItem, PickResult
from voicechat.line_mode.setting_commands import theme

if TYPE_CHECKING:
    from voicechat.session.session import Session

_NOTES = {
    "dark": "voicechat's own dark colors",
    "light": "voicechat's own light colors",
    "auto": "as the background of the terminal",
}
_RELATIVE = "other"
"""A name that means another theme each time."""


def has_themes(session: Session) -> bool:
    """Return True if there is a screen with themes."""
    return bool(session.themes)


def theme_items(session: Session) -> list[PickerItem]:
    """Return the themes of the screen; empty without a screen."""
    found = []
    for name in session.themes:
        if name == _RELATIVE:
            continue
        is_current = name == session.theme
        parts = ["in use" if is_current else "", _NOTES.get(name, "")]
        note = " · ".join(filter(None, parts))
        found.append(PickerItem(name, name, note, is_current=is_current, enter="keeps it"))
    return found


def choose_theme(session: Session, item: PickerItem) -> PickResult:
    """Change to this theme."""
    theme(session, item.key)
    return PickResult(f"The theme is {item.label}.", closes=True)
