"""The settings: their values, when a change takes effect, and where they come from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from voicechat.line_mode.pickers.picker import MAX_DETAIL, Details, PickerItem, PickResult
from voicechat.session.live_settings import TakesEffect

if TYPE_CHECKING:
    from voicechat.session.live_settings import SettingState
    from voicechat.session.session import Session

_PICKERS = {
    "model": "models",
    "voice": "voices",
    "input_device": "devices",
    "output_device": "devices",
    "theme": "themes",
}
"""Settings that another picker changes."""
_GROUPS = {
    TakesEffect.NOW: "Changes now",
    TakesEffect.CONNECTION: "Changes with the next connection (F5, another model)",
    TakesEffect.START: "Changes at the next start, when saved",
}
_NOT_SET = "not set"


def settings_items(session: Session) -> list[PickerItem]:
    """Return the settings, those that change now first."""
    order = list(_GROUPS)
    states = sorted(session.settings.states, key=lambda state: order.index(state.takes_effect))
    return [_item(session, state) for state in states]


def _item(session: Session, state: SettingState) -> PickerItem:
    value = state.value or _NOT_SET
    return PickerItem(
        state.name,
        state.name,
        f"{value} · not saved" if state.is_unsaved else value,
        _GROUPS[state.takes_effect],
        enter=_verb(session, state),
        details=partial(_details, state),
    )


def _verb(session: Session, state: SettingState) -> str:
    if state.in_file_only:
        return ""
    if _picker_of(session, state.name):
        return f"lists the {_picker_of(session, state.name)}"
    return "changes it" if state.is_switch or state.choices else "edits it"


def _picker_of(session: Session, name: str) -> str:
    """Return the picker that changes a setting now; empty if there is none."""
    is_live = session.settings.state(name).takes_effect is TakesEffect.NOW
    has_list = name != "voice" or bool(session.voices)
    return _PICKERS.get(name, "") if is_live and has_list else ""


def _details(state: SettingState) -> Details:
    found = [("Setting", state.help), ("Value", state.value or _NOT_SET)]
    if state.choices:
        found.append(("Choices", ", ".join(state.choices)))
    found.append(("Takes effect", str(state.takes_effect)))
    chosen = "you, in this session" if state.is_unsaved else state.origin
    found.append(("Set by", chosen or "nothing: it is the default"))
    if state.in_file_only:
        found.append(("Change", "in the settings file only, because it runs a program"))
    return [(name, text[:MAX_DETAIL]) for name, text in found]


def choose_setting(session: Session, item: PickerItem) -> PickResult:
    """Change a setting to its next value, edit it, or open the picker that changes it."""
    state = session.settings.state(item.key)
    if state.in_file_only:
        return enter_setting(session, item, state.value)
    if picker := _picker_of(session, item.key):
        return PickResult(opens=picker)
    if state.is_switch:
        return enter_setting(session, item, "off" if state.value == "on" else "on")
    if state.choices:
        at = state.choices.index(state.value) if state.value in state.choices else -1
        return enter_setting(session, item, state.choices[(at + 1) % len(state.choices)])
    return PickResult(edits=state.value)


def enter_setting(session: Session, item: PickerItem, text: str) -> PickResult:
    """Change a setting to the value in a text; an empty text means the default."""
    return PickResult(session.settings.change(item.key, text))
