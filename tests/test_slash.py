"""Commands behind a slash, on a session that is not running."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicechat.config import Options
from voicechat.errors import UsageError
from voicechat.session import Session
from voicechat.slash import COMMANDS, help_lines, is_command, markdown, obey


@pytest.fixture
def session() -> Session:
    return Session(Options())


def test_the_volume_is_said_and_set(session: Session) -> None:
    assert obey(session, "/volume") == "The volume is 100 percent."
    assert obey(session, "/volume 40%") == "The volume is 40 percent."
    assert session.volume == 40


@pytest.mark.parametrize("line", ["/volume loud", "/volume 101", "/volume -1", "/mute now", "/x"])
def test_what_cannot_be_done_is_said(session: Session, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        obey(session, line)
    assert line.split()[0] in str(caught.value)
    assert session.volume == 100


def test_muting(session: Session) -> None:
    assert obey(session, "/mute") is None
    assert session.muted
    obey(session, "/unmute")
    assert not session.muted


def test_a_path_is_no_command() -> None:
    assert is_command("/volume 3")
    assert is_command("/unknown")
    assert not is_command("/usr/bin is a folder")


def test_every_command_is_in_the_help() -> None:
    assert len(help_lines()) == len(COMMANDS)


def test_the_readme_lists_every_command() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert markdown() in readme


def test_commands_that_say_how_things_are_need_no_connection(session: Session) -> None:
    assert obey(session, "/voice") == "The voice is the usual one."
    assert obey(session, "/speed") == "The speed is 1; 1 is usual."
    assert str(obey(session, "/instructions")).startswith("The instructions: You are")
    assert "local/built-in" in str(obey(session, "/model"))
    assert obey(session, "/usage") == "Nothing was used yet."
    assert obey(session, "/forget") == "There is nothing to forget."
