"""The table of the pickers. To add one, add a row here and a slash command that opens it."""

from __future__ import annotations

from collections.abc import Mapping

from voicechat.line_mode.pickers import (
    device_picker,
    model_picker,
    settings_picker,
    theme_picker,
    tool_picker,
    voice_picker,
)
from voicechat.line_mode.pickers.picker import Picker

_ROWS = (
    Picker("models", "Models", model_picker.model_items, model_picker.choose_model),
    Picker(
        "voices",
        "Voices",
        voice_picker.voice_items,
        voice_picker.choose_voice,
        voice_picker.play_voice,
        available=device_picker.has_sound,
        empty="The voices of this model are not known. Type /voice NAME.",
    ),
    Picker(
        "devices",
        "Microphones and speakers",
        device_picker.device_items,
        device_picker.choose_device,
        available=device_picker.has_sound,
    ),
    Picker(
        "themes",
        "Themes",
        theme_picker.theme_items,
        theme_picker.choose_theme,
        previews_theme=True,
        available=theme_picker.has_themes,
        empty="There is no screen, so there is no theme.",
    ),
    Picker(
        "tools",
        "Tools and MCP servers",
        tool_picker.tool_items,
        tool_picker.toggle_tool,
        tool_picker.mend_tool,
        empty="There are no tools.",
    ),
    Picker(
        "settings",
        "Settings",
        settings_picker.settings_items,
        settings_picker.choose_setting,
        enter_text=settings_picker.enter_setting,
    ),
)

PICKERS: Mapping[str, Picker] = {row.name: row for row in _ROWS}
"""The pickers by name, in the order of their tabs."""
