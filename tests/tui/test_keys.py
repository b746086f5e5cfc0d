"""The key table contains only keys that every terminal sends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_session import ScriptedSession
from textual.binding import Binding
from textual.widgets import Static

from voicechat.config.loader import load
from voicechat.errors import UsageError
from voicechat.tui.app import VoicechatApp
from voicechat.tui.keys import (
    KEYS,
    checked_keymap,
    editing_keys,
    key_name,
    key_names,
    key_rows,
    markdown,
    use_keymap,
)
from voicechat.tui.screens.conversation_screen import ConversationScreen

BYTES_OF_OTHER_KEYS = {"ctrl+i", "ctrl+m", "ctrl+h", "ctrl+j", "ctrl+left_square_bracket"}
RESERVED_ELSEWHERE = {"ctrl+a", "ctrl+b", "ctrl+c", "ctrl+s", "f10", "f11"}
WITH_COMMAND = {"f10"}
"""Keys of actions that are slash commands too: /settings."""


def all_keys() -> list[str]:
    return [name for key in KEYS for name in key.keys.split(",")]


def test_no_key_is_used_twice() -> None:
    assert len(all_keys()) == len(set(all_keys()))


def test_every_terminal_sends_every_key() -> None:
    for name in all_keys():
        assert name not in BYTES_OF_OTHER_KEYS | RESERVED_ELSEWHERE - WITH_COMMAND
        assert "shift" not in name
        assert "alt" not in name


def test_no_key_conflicts_with_an_editing_key() -> None:
    assert set(all_keys()) & editing_keys() == {"pageup", "pagedown", "ctrl+z"}


def test_no_key_is_a_printable_character() -> None:
    assert all(len(name) > 1 for name in all_keys())


def test_every_binding_has_an_id() -> None:
    for owner in (VoicechatApp, ConversationScreen):
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.id


def test_every_key_has_an_action() -> None:
    for key in KEYS:
        owner = VoicechatApp if key.of_app else ConversationScreen
        assert callable(getattr(owner, f"action_{key.action}"))


def test_display_names_of_keys() -> None:
    assert key_name("ctrl+t") == "Ctrl+T"
    assert key_name("pageup") == "Page Up"
    assert key_names(KEYS[0]) == "F2, Ctrl+T"


def test_the_markdown_table_has_every_row() -> None:
    table = markdown()
    assert table.count("\n") == len(key_rows()) + 2
    assert all(f"| {key} | {description} |" in table for key, description in key_rows())


def test_the_readme_has_one_key_table_and_it_is_current() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert markdown() in readme
    assert readme.count("\n| Key |") == 1


# -------------------------------------------------------------------- keys of the settings


@pytest.fixture(autouse=True)
def default_keys() -> Iterator[None]:
    yield
    use_keymap({})


@pytest.mark.parametrize(
    ("keymap", "message"),
    [
        ({"mut": "F11"}, "mut is not an action of the screen. Did you mean mute?"),
        ({"zzz": "F11"}, "zzz is not an action of the screen. docs/settings.md lists the actions."),
        ({"mute": "m"}, "mute: 'm' is not a usable key. Write it like F11, Ctrl+T or Alt+M."),
        ({"mute": "\x1b[2J"}, "mute: '\ufffd[2j' is not a usable key."),
        ({"mute": "Ctrl+I"}, "mute: A terminal sends Ctrl+I as Tab. Choose another key."),
        ({"mute": "ctrl+c"}, "mute: Ctrl+C copies, and quits when pressed twice."),
        ({"mute": "Ctrl+W"}, "mute: Ctrl+W edits the message."),
        ({"mute": "F9"}, "mute: F9 is the key of newest. Choose another key for one of them."),
        ({"mute": "F8", "newest": "F8"}, "mute: F8 is the key of decide."),
        ({"mute": "alt+m", "newest": "Alt+M"}, "mute: Alt+M is the key of newest."),
        ({"mute": "alt+1,alt+2,alt+3,alt+4,alt+5"}, "mute has more than 4 keys."),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused_with_a_sentence(keymap: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked_keymap(keymap)
    assert str(refused.value).startswith(message)


def test_keys_are_written_as_the_help_shows_them() -> None:
    assert checked_keymap({"mute": "F11, Alt+M", "previous_page": "Page Up", "decide": "f9",
                           "newest": "F8"}) == {
        "mute": "f11,alt+m",
        "previous_page": "pageup",
        "decide": "f9",
        "newest": "f8",
    }  # fmt: skip


async def test_a_chosen_key_replaces_the_default_keys_everywhere() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session, keymap=checked_keymap({"mute": "F11, Alt+M", "find": "f3"}))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("f11", "alt+m", "ctrl+t")
        assert session.asked == [("set_muted", True), ("set_muted", False)]
        await pilot.press("f3")
        await pilot.pause()
        assert app.screen.query("#find")
        await pilot.press("escape")
        assert "F11 Mute" in str(app.screen.query_one("#keys", Static).render())
        assert "press F11" in session.unmute_hint.lower().replace("f11", "F11")
        assert ("F11, Alt+M", "mute or unmute the microphone") in key_rows()
        assert ("F3", "mute or unmute the microphone") in key_rows(KEYS)


def test_the_settings_name_the_place_of_a_wrong_key(tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text('voice = "x"\n[keymap]\nmute = "F9"\n', encoding="utf-8")
    options = load({}, {}, settings)
    with pytest.raises(UsageError, match=f"{re.escape(str(settings))}:3: mute: F9 is the key of"):
        checked_keymap(options.keymap, lambda action: options.origin(f"keymap.{action}"))
    for text, message in (
        ("keymap = 3", ":1: keymap must be a table. Write [keymap]."),
        ("[keymap]\nmute = 3", ":2: mute must be a key in quotes. Write it like"),
    ):
        settings.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=re.escape(message)):
            load({}, {}, settings)
