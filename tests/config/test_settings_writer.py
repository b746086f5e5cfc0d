"""Changes of the settings file: comments and order stay, wrong values change nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from voicechat.config import loader
from voicechat.config.settings_writer import write_settings
from voicechat.errors import UsageError

BEFORE = """\
# My settings.
voice = "marin"  # warm

[embedded]
# The server in the attic.
stt = "wyoming://attic:10300"

[profiles.work]
instructions = "Answer in one sentence."
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "voicechat" / "config.toml"


def test_comments_and_order_stay(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(BEFORE, encoding="utf-8")
    changes = {
        "model": "local",
        "voice": "cedar",
        "embedded.chat": "http://localhost:11434/v1",
        "push_to_talk": True,
    }
    assert write_settings(changes, path) == path
    text = path.read_text(encoding="utf-8")
    for kept in ("# My settings.\n", "  # warm\n", "# The server in the attic.\n"):
        assert kept in text
    found = tomllib.loads(text)
    assert (found["model"], found["voice"], found["push_to_talk"]) == ("local", "cedar", True)
    assert found["embedded"] == {
        "stt": "wyoming://attic:10300", "chat": "http://localhost:11434/v1",
    }  # fmt: skip
    assert text.index("# My settings") < text.index("voice") < text.index("[embedded]")
    assert loader.load({}, {}, path).chat_url == "http://localhost:11434/v1"


def test_none_removes_a_key(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(BEFORE, encoding="utf-8")
    write_settings({"voice": None, "embedded.tts": None, "prices.x": None}, path)
    assert "voice" not in tomllib.loads(path.read_text(encoding="utf-8"))
    assert "# My settings." in path.read_text(encoding="utf-8")


def test_a_new_file_is_private(path: Path) -> None:
    write_settings({"model": "local", "embedded.chat_model": 'a"b\\c'}, path)
    assert tomllib.loads(path.read_text(encoding="utf-8"))["embedded"]["chat_model"] == 'a"b\\c'
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"voise": "x"}, "voise is not a setting. Did you mean voice"),
        ({"barge_in": "loud"}, "barge_in must be one of off, low, normal, high"),
        ({"voice.name": "x"}, "cannot be changed"),
    ],
    ids=["unknown", "wrong", "no table"],
)
def test_a_wrong_change_leaves_the_file(path: Path, changes: dict[str, object], says: str) -> None:
    path.parent.mkdir()
    path.write_text(BEFORE, encoding="utf-8")
    with pytest.raises(UsageError, match=says):
        write_settings(changes, path)
    assert path.read_text(encoding="utf-8") == BEFORE


def test_a_file_that_is_not_toml_stays(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("= nonsense", encoding="utf-8")
    with pytest.raises(UsageError, match=r"config\.toml"):
        write_settings({"model": "local"}, path)
    assert path.read_text(encoding="utf-8") == "= nonsense"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written: "):
        write_settings({"model": "local"}, tmp_path / "file" / "config.toml")
