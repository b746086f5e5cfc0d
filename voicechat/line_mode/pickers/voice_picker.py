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
    used = session.voice or next(iter(names), "")
    in_use = "in use" if session.voice else "in use as the default"
    space = "plays a sample" if session.can_sample else ""
    return [
        PickerItem(
            name,
            name,
            in_use if name == used else "",
            session.model,
            name == used,
            enter="" if name == session.voice else "switches",
            space=space,
        )
        for name in names
    ]


def choose_voice(session: Session, item: PickerItem) -> PickResult:
    """Change to this voice."""
    return PickResult(voice(session, item.key), closes=True)


def play_voice(session: Session, item: PickerItem) -> PickResult:
    """Play a sample of this voice."""
    session.play_sample(item.key)
    return PickResult(f"Playing {item.label}.")
