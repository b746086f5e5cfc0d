"""One table of keys, and only keys that every terminal can send."""

from __future__ import annotations

from pathlib import Path

from textual.binding import Binding
from textual.widgets import TextArea

from voicechat.tui.app import VoicechatApp
from voicechat.tui.keys import KEYS, markdown, rows, shown, shown_all
from voicechat.tui.screens.conversation_screen import ConversationScreen

BYTES_OF_OTHER_KEYS = {"ctrl+i", "ctrl+m", "ctrl+h", "ctrl+j", "ctrl+left_square_bracket"}
TAKEN_OUTSIDE = {"ctrl+a", "ctrl+b", "ctrl+c", "ctrl+z", "ctrl+s", "f10", "f11"}


def names() -> list[str]:
    return [name for key in KEYS for name in key.keys.split(",")]


def test_no_key_is_used_twice() -> None:
    assert len(names()) == len(set(names()))


def test_every_key_reaches_the_program_from_any_terminal() -> None:
    for name in names():
        assert name not in BYTES_OF_OTHER_KEYS | TAKEN_OUTSIDE
        assert "shift" not in name
        assert "alt" not in name


def test_no_key_is_one_that_edits_the_text_being_typed() -> None:
    editing = {
        name
        for binding in TextArea.BINDINGS
        if isinstance(binding, Binding)
        for name in binding.key.split(",")
    }
    assert set(names()) & editing == {"pageup", "pagedown"}


def test_no_key_types_a_character() -> None:
    assert all(len(name) > 1 for name in names())


def test_every_binding_has_an_id_to_remap_it_by() -> None:
    for owner in (VoicechatApp, ConversationScreen):
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.id


def test_every_key_has_an_action() -> None:
    for key in KEYS:
        owner = VoicechatApp if key.action == "quit" else ConversationScreen
        assert callable(getattr(owner, f"action_{key.action}"))


def test_keys_read_as_a_person_writes_them() -> None:
    assert shown("ctrl+t") == "Ctrl+T"
    assert shown("pageup") == "Page Up"
    assert shown_all(KEYS[0]) == "F2, Ctrl+T"


def test_the_markdown_table_has_every_row() -> None:
    table = markdown()
    assert table.count("\n") == len(rows()) + 2
    assert all(f"| {key} | {meaning} |" in table for key, meaning in rows())


def test_the_readme_has_no_other_table_of_keys() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert markdown() in readme or "| Key |" not in readme
