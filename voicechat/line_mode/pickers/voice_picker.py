"""The voices of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicechat.line_mode.pickers.picker import PickerItem, PickResult
from voicechat.line_mode.setting_commands import voice

if TYPE_CHECKING:
    from voicechat.session.session import Session


def voice_items(session: Session) -> list[PickerItem]:
    """Return the voices of the model; the one in use is always one of them."""
    names = dict.fromkeys((*session.voices, *filter(None, [session.voice])))
    space = "plays a sample" if session.can_sample else ""
    found = []
    for name in names:
        is_current = name == session.voice
        enter = "" if is_current else "switches"
        note = "in use" if is_current else ""
        found.append(
            PickerItem(name, name, note, session.model, is_current, enter=enter, space=space)
        )
    return found


def choose_voice(session: Session, item: PickerItem) -> PickResult:
    """Change to this voice."""
    return PickResult(voice(session, item.key), closes=True)


def play_voice(session: Session, item: PickerItem) -> PickResult:
    """Play a sample of this voice."""
    session.play_sample(item.key)
    return PickResult(f"Playing {item.label}.")
