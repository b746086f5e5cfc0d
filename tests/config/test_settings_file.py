"""Writing the settings file: comments survive, and a file that cannot be written stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voicechat.config import loader
from voicechat.config.settings_file import write_settings
from voicechat.errors import UsageError

WITH_COMMENTS = """\
# My settings.
voice = "marin"   # the calm one

# Colors
theme = 'dark'

[embedded]
stt = "http://localhost:8000/v1" # the big machine

[profiles.work]
voice = "cedar"

[permissions]
# never again
run_command = "ask"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_comments_order_and_style_survive(path: Path) -> None:
    path.write_text(WITH_COMMENTS, encoding="utf-8")
    write_settings({"voice": "ash", "earcons": True, "speed": 1.25}, path)
    text = path.read_text(encoding="utf-8")
    expected = WITH_COMMENTS.replace('"marin"', '"ash"')
    assert [line for line in expected.splitlines() if line not in text.splitlines()] == []
    assert text.index("earcons = true") < text.index("[embedded]")
    loaded = loader.load({}, {}, path)
    assert (loaded.voice, loaded.earcons, loaded.theme) == ("ash", True, "dark")
    assert loaded.session_settings["speed"] == 1.25


def test_setting_is_changed_where_the_file_has_it(path: Path) -> None:
    path.write_text(WITH_COMMENTS, encoding="utf-8")
    write_settings({"stt": "http://other:1/v1", "voice": "ash"}, path, profile="work")
    text = path.read_text(encoding="utf-8")
    assert 'stt = "http://other:1/v1" # the big machine' in text
    assert 'voice = "marin"   # the calm one' in text
    assert loader.load({"profile": "work"}, {}, path).voice == "ash"


def test_engine_setting_of_a_new_file_gets_its_table(path: Path) -> None:
    write_settings({"tts": "http://other:1/v1", "tts_voice": "eva"}, path)
    assert loader.load({}, {}, path).tts_voice == "eva"
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_none_removes_a_setting(path: Path) -> None:
    path.write_text(WITH_COMMENTS, encoding="utf-8")
    write_settings({"voice": None, "model": None}, path)
    assert loader.load({}, {}, path).voice is None
    assert "# Colors" in path.read_text(encoding="utf-8")


def test_hostile_value_stays_a_value(path: Path) -> None:
    write_settings({"instructions": 'a"\n[keys]\nOPENAI_API_KEY = "x"\n\\'}, path)
    loaded = loader.load({}, {}, path)
    assert loaded.instructions == 'a"\n[keys]\nOPENAI_API_KEY = "x"\n\\'
    assert not loaded.keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("voice = \n", ":1 is not valid TOML"),
        ("wibble = 1\n", ":1: wibble is not a setting."),
        ("\udcff", ":1 is not UTF-8 text."),
    ],
    ids=["syntax", "unknown", "not UTF-8"],
)
def test_broken_file_is_one_sentence_and_unchanged(path: Path, text: str, expected: str) -> None:
    content = text.encode("utf-8", "surrogateescape")
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        write_settings({"voice": "ash"}, path)
    assert expected in str(raised.value)
    assert path.read_bytes() == content


def test_wrong_value_is_refused_before_it_is_written(path: Path) -> None:
    path.write_text(WITH_COMMENTS, encoding="utf-8")
    with pytest.raises(UsageError, match=r"barge_in must be one of off, low, normal, high\. No "):
        write_settings({"barge_in": "loud"}, path)
    assert path.read_text(encoding="utf-8") == WITH_COMMENTS


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_read_only_file_is_one_sentence_and_unchanged(path: Path) -> None:
    path.write_text(WITH_COMMENTS, encoding="utf-8")
    path.chmod(0o400)
    with pytest.raises(UsageError, match=r"is read-only\. No setting was saved\.") as raised:
        write_settings({"voice": "ash"}, path)
    assert "chmod u+w" in raised.value.hint
    assert path.read_text(encoding="utf-8") == WITH_COMMENTS


def test_folder_that_cannot_exist_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: .+\. No setting was saved\."):
        write_settings({"voice": "ash"}, tmp_path / "file" / "config.toml")


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "voicechat.toml"
    target.parent.mkdir()
    target.write_text(WITH_COMMENTS)
    path.symlink_to(target)
    write_settings({"voice": "ash"}, path)
    assert path.is_symlink()
    assert 'voice = "ash"' in target.read_text()


_WRITER = """
import sys
from pathlib import Path
from voicechat.config.settings_file import write_settings
sys.stdin.readline()
for n in range(10):
    write_settings({sys.argv[2]: f"v{n}"}, Path(sys.argv[1]))
"""


def test_two_instances_lose_nothing_of_each_other(path: Path) -> None:
    path.write_text(WITH_COMMENTS, encoding="utf-8")
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, path, name], stdin=subprocess.PIPE)
        for name in ("voice", "instructions")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    loaded = loader.load({}, {}, path)
    assert (loaded.voice, loaded.instructions) == ("v9", "v9")
    assert "# never again" in path.read_text(encoding="utf-8")
