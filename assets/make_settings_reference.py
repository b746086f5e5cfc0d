"""Write docs/settings.md from the schema of the settings.

Run `make pictures` after changing a setting.
`tests/architecture/test_settings_page.py` fails while the page differs from the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from voicechat.config import (
    call_settings,
    endpoint_settings,
    gateway_settings,
    guardrail_settings,
    mcp_entry,
)
from voicechat.config.loader import TABLES
from voicechat.config.options import SETTINGS, Setting
from voicechat.config.session_keys import KEYS
from voicechat.providers.catalog import PROVIDERS
from voicechat.tui.keys import KEYS as SCREEN_KEYS
from voicechat.tui.keys import key_names

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"

INTRO = """\
# Settings

This page is generated from the code; run `make pictures` to update it.

The settings file is `config.toml` in `~/.config/voicechat` on Linux, in
`~/Library/Application Support/voicechat` on macOS and in `%LOCALAPPDATA%\\voicechat` on Windows.
Flags override environment variables, which override the settings file. A wrong setting stops the
program with a message that names the file, the line and the key.

During a conversation, F10 or `/settings` shows every setting, changes it and says when that takes
effect. F8 there, or `/settings save`, writes the changed settings into the file and keeps its
comments.

```toml
model = "openai/gpt-realtime-2.1"
voice = "marin"

[embedded]
stt = "wyoming://localhost:10300"
tts = "http://localhost:8000/v1"
tts_voice = "af_heart"

[permissions]
fetch_page = "ask"

[profiles.work]
instructions = "Answer in one sentence."
```
"""

OTHER_VARIABLES = {
    "VOICECHAT_TOKEN": "Short-lived token for `--token`.",
    "VOICECHAT_CHAT_KEY": "Key for the endpoint at `--chat-url`.",
    "VOICECHAT_STT_KEY": "Key for the endpoint at `--stt`.",
    "VOICECHAT_TTS_KEY": "Key for the endpoint at `--tts`.",
    "VOICECHAT_TURN_PASSWORD": "Password of the TURN server in `ice_servers`.",
    "VOICECHAT_SERVE_TOKEN": "Token that clients of `voicechat serve` must send.",
    "VOICECHAT_SETUP_TOKEN": "Token that clients of `voicechat setup-endpoint` must send.",
    "OPENAI_WEBHOOK_SECRET": "Secret of the webhook for `voicechat calls listen`.",
    "OPENAI_API_VERSION": "Version of the Azure OpenAI API.",
    "AI_GATEWAY_TEAM": "Team of the AI Gateway that pays, for a key of several teams.",
}


KEYMAP = """\
## Keys of the screen

`[keymap]` gives an action other keys, up to four: `mute = "F11, Alt+M"`. A key that another action
has, that edits the message or that a terminal cannot send is refused. The help and the line of
keys show your keys.

"""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def default(setting: Setting) -> str:
    """The default of a setting as the file spells it."""
    if setting.default is None:
        return ""
    if isinstance(setting.default, bool):
        return str(setting.default).lower()
    return str(setting.default)


def meanings(rows: Mapping[str, str]) -> str:
    """A table of names and their meanings."""
    return table(("Name", "Meaning"), ((f"`{name}`", text) for name, text in rows.items()))


def settings_page() -> str:
    """The whole of docs/settings.md."""
    settings = [
        (
            ", ".join(f"`{key}`" for key in each.keys),
            f"`{each.variable}`" if each.variable else "",
            f"`{each.flag}`",
            default(each) if each.in_file else "",
            each.help,
        )
        for each in SETTINGS.values()
    ]
    session = [(f"`{name}`", each.values, each.help) for name, each in KEYS.items()]
    keys = {
        variable: f"Key of {provider.name}."
        for provider in PROVIDERS.values()
        for variable in provider.key_variables
    }
    addresses = {
        provider.url_variable: f"Address of {provider.name}."
        for provider in PROVIDERS.values()
        if provider.url_variable
    }
    others = {**OTHER_VARIABLES, **keys, **addresses}
    parts = [
        INTRO,
        "## Keys, variables and flags\n\nSwitches are true or false in the file, and yes or no in"
        " the environment.\n\n"
        + table(("Key", "Variable", "Flag", "Default", "Meaning"), settings),
        "## Session\n\n" + table(("Key", "Values", "Meaning"), session),
        "## Lists and tables\n\n" + meanings(TABLES),
        KEYMAP
        + table(
            ("Action", "Keys", "Meaning"),
            ((f"`{key.action}`", key_names(key), key.description) for key in SCREEN_KEYS),
        ),
        "## MCP servers\n\n" + meanings(mcp_entry.KEYS),
        "## Endpoints\n\n" + meanings(endpoint_settings.KEYS),
        "## Guardrails\n\n" + meanings(guardrail_settings.KEYS),
        "## Phone calls\n\nIn `[calls]`; docs/calls.md explains them.\n\n"
        + meanings(call_settings.KEYS)
        + "\nIn `[[calls.rules]]`:\n\n"
        + meanings(call_settings.RULE_KEYS),
        "## The AI Gateway\n\nIn `[gateway]`, for `voicechat speak`.\n\n"
        + meanings(gateway_settings.KEYS),
        "## Other environment variables\n\n" + meanings(others),
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
