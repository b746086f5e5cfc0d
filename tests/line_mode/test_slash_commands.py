"""Commands behind a slash, on a session that is not running."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from desk import Desk, options
from following import follow
from scripted import scene
from virtual_audio import RATE, VirtualCard, tone

from voicechat.audio import messages as sound
from voicechat.config.options import Options
from voicechat.core.effects import Floor
from voicechat.errors import UsageError
from voicechat.line_mode.slash_commands import COMMANDS, help_lines, is_command, markdown, obey
from voicechat.server.engine_protocols import Say
from voicechat.session.session import Session
from voicechat.session.updates import LevelsChanged, Link


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


def test_levels_are_told_in_words(session: Session) -> None:
    told: list[object] = []
    follow(session, told.append)
    assert obey(session, "/levels") == "The microphone is not there, the speaker not there."
    session._hear(sound.Opened("a microphone", "a speaker"))
    session._hear(sound.Levels(-30.4, -100.0, -12.2, -100.0))
    assert LevelsChanged(-30.4, -100.0, -12.2, -100.0) in told
    loud = "The microphone is at -30 dBFS with a peak of -12, the speaker silent."
    assert obey(session, "/levels") == loud
    session.set_muted(True)
    assert obey(session, "/levels") == "The microphone is muted, the speaker silent."
    session.set_muted(False)
    session.set_hands_free(False)
    assert obey(session, "/levels") == "The microphone is closed, the speaker silent."
    with pytest.raises(UsageError, match="There is no sound to measure in a typed chat"):
        obey(Session(Options(with_sound=False)), "/levels")


@pytest.mark.parametrize("line", ["/mute", "/unmute", "/hands-free", "/push-to-talk"])
def test_a_typed_chat_has_no_microphone(line: str) -> None:
    session = Session(Options(with_sound=False))
    with pytest.raises(UsageError, match=r"no microphone in a typed chat\. Start without --text"):
        obey(session, line)
    with pytest.raises(UsageError, match="no speaker in a typed chat"):
        obey(session, "/volume 40")
    assert (session.muted, session.volume) == (False, 100)


@pytest.mark.sound
async def test_the_volume_is_that_of_the_speaker_and_muted_nothing_is_heard(
    own_card: VirtualCard,
) -> None:
    async with scene() as stage:
        stage.assistant.answer = lambda request: [Say("six " * 100)]
        desk = Desk(Session(replace(options(stage.app.url), with_sound=True, echo_cancel=False)))
        running = asyncio.create_task(desk.session.run())
        try:
            await desk.until(lambda: desk.session.microphone is not None)
            await desk.until(lambda: desk.session.link is Link.ONLINE)
            obey(desk.session, "/mute")
            own_card.say(np.frombuffer(tone(8.0, 700, RATE), np.int16))
            desk.session.type("count")
            await desk.until(lambda: desk.session.floor is Floor.SPEAKING)
            await desk.until(lambda: -30 < desk.session.loudness.speaker < -10)
            obey(desk.session, "/volume 1")
            await desk.until(lambda: -70 < desk.session.loudness.speaker < -50)
            assert desk.session.loudness.mic_peak < -90, "muted"
            assert desk.session.floor is Floor.SPEAKING, "nobody interrupts"
            obey(desk.session, "/unmute")
            await desk.until(lambda: desk.session.floor is not Floor.SPEAKING)
            await desk.until(lambda: desk.session.loudness.mic > -30)
        finally:
            desk.session.close()
            await running


def test_a_path_is_no_command() -> None:
    assert is_command("/volume 3")
    assert is_command("/unknown")
    assert not is_command("/usr/bin is a folder")


def test_every_command_is_in_the_help() -> None:
    assert len(help_lines()) == len(COMMANDS)


def test_the_readme_lists_every_command() -> None:
    readme = (Path(__file__).parents[2] / "docs/commands.md").read_text("utf-8")
    assert markdown() in readme


def test_commands_that_say_how_things_are_need_no_connection(session: Session) -> None:
    assert obey(session, "/voice") == "The voice is the default."
    assert obey(session, "/speed") == "The speed is 1; 1 is normal."
    assert str(obey(session, "/instructions")).startswith("The instructions: You are")
    assert "local/built-in" in str(obey(session, "/model"))
    assert obey(session, "/usage") == "Nothing used yet."
    assert obey(session, "/forget") == "There is nothing to delete."
