"""The key table contains only keys that every terminal sends."""

from __future__ import annotations

from pathlib import Path

from textual.binding import Binding
from textual.widgets import TextArea

from voicechat.tui.app import VoicechatApp
from voicechat.tui.keys import KEYS, key_name, key_names, key_rows, markdown
from voicechat.tui.screens.conversation_screen import ConversationScreen

BYTES_OF_OTHER_KEYS = {"ctrl+i", "ctrl+m", "ctrl+h", "ctrl+j", "ctrl+left_square_bracket"}
RESERVED_ELSEWHERE = {"ctrl+a", "ctrl+b", "ctrl+c", "ctrl+s", "f10", "f11"}


def all_keys() -> list[str]:
    return [name for key in KEYS for name in key.keys.split(",")]


def test_no_key_is_used_twice() -> None:
    assert len(all_keys()) == len(set(all_keys()))


def test_every_terminal_sends_every_key() -> None:
    for name in all_keys():
        assert name not in BYTES_OF_OTHER_KEYS | RESERVED_ELSEWHERE
        assert "shift" not in name
        assert "alt" not in name


def test_no_key_conflicts_with_an_editing_key() -> None:
    editing = {
        name
        for binding in TextArea.BINDINGS
        if isinstance(binding, Binding)
        for name in binding.key.split(",")
    }
    # F7 would select all in the editor; the history has it instead.
    assert set(all_keys()) & editing == {"pageup", "pagedown", "ctrl+z", "f7"}


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
