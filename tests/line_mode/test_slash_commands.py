"""Slash commands on a session that is not running."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from following import follow
from scripted import scripted_server
from session_driver import SessionDriver, options, running_session
from virtual_audio import RATE, VirtualCard, tone

from voicechat.audio import messages as sound
from voicechat.config.options import Options
from voicechat.core.effects import Floor, Level, Notice
from voicechat.core.settings import Permission
from voicechat.errors import Secret, UsageError
from voicechat.line_mode.setting_commands import tools
from voicechat.line_mode.slash_commands import (
    COMMANDS,
    Command,
    app_commands,
    help_lines,
    help_rows,
    is_command,
    markdown,
    run_command,
)
from voicechat.line_mode.sound_commands import with_commands
from voicechat.server.engine_protocols import Say
from voicechat.session.session import Session
from voicechat.session.updates import LevelsChanged, Link, PickerRequested, ThemeRequested
from voicechat.tools.builtin import control
from voicechat.tools.tool_context import ToolContext

AUTO = Permission.AUTO


@pytest.fixture
def session() -> Session:
    return Session(Options())


def test_the_volume_is_shown_and_set(session: Session) -> None:
    assert run_command(session, "/volume") == "The volume is 100 percent."
    assert run_command(session, "/volume 40%") == "The volume is 40 percent."
    assert session.volume == 40


def test_the_volume_goes_up_and_down_between_its_limits(session: Session) -> None:
    def steps(argument: str) -> list[int]:
        found = []
        while found[-1:] != [session.volume]:
            found.append(session.volume)
            said = run_command(session, f"/volume {argument}")
        assert said == f"The volume is already {session.volume} percent."
        return found

    assert steps("up") == [100, 125, 155, 195, 200]
    assert steps("down") == [200, 160, 130, 105, 85, 70, 55, 45, 35, 30, 25, 20, 15, 10, 5]
    run_command(session, "/volume 0")
    assert run_command(session, "/volume up") == "The volume is 5 percent."


def test_the_speed_goes_up_and_down_between_its_limits(session: Session) -> None:
    said = [run_command(session, "/speed faster") for _ in range(4)]
    assert said == [
        "The speed is 1.2.", "The speed is 1.4.", "The speed is 1.5.", "The speed is already 1.5.",
    ]  # fmt: skip
    run_command(session, "/speed 0.5")
    said = [run_command(session, "/speed slower") for _ in range(3)]
    assert said == ["The speed is 0.3.", "The speed is 0.25.", "The speed is already 0.25."]


def test_the_next_voice_is_chosen() -> None:
    session = Session(options("ws://127.0.0.1:1"))
    voices = session.voices
    assert len(voices) > 2
    names = []
    for _ in voices:
        run_command(session, "/voice next")
        names.append(session.voice)
    assert sorted(names) == sorted(voices)
    assert run_command(session, f"/voice {voices[0].upper()}") == f"The voice is {voices[0]}."


@pytest.mark.parametrize("name", ["voice_\n/quit", "voice_\x1b[31m", "voice_" + "a" * 1_000_000])
def test_text_that_is_no_name_is_no_voice(session: Session, name: str) -> None:
    before = session.voice
    with pytest.raises(UsageError, match="takes the name of a voice"):
        run_command(session, f"/voice {name}", by_user=False)
    assert session.voice == before


def test_a_theme_needs_a_screen(session: Session) -> None:
    with pytest.raises(UsageError, match="There is no screen"):
        run_command(session, "/theme dark")
    session.themes = ("dark", "light", "other", "nord")
    updates: list[object] = []
    follow(session, updates.append)
    the_themes = "The themes are dark, light, other, nord."
    assert run_command(session, "/theme", by_user=False) == the_themes
    assert run_command(session, "/theme") is None
    assert updates == [PickerRequested("themes")]
    updates.clear()
    session.theme = "dark"
    with pytest.raises(UsageError, match=r"The theme is still dark\. Did you mean nord"):
        run_command(session, "/theme nort")
    assert run_command(session, "/theme Nord") == "The theme is changed."
    assert updates == [ThemeRequested("nord")]


async def test_another_device_is_opened() -> None:
    sent: list[object] = []

    class Link:
        def __init__(self, settings: sound.AudioSettings, on_event: object) -> None:
            sent.append(settings)

        def send(self, command: object) -> None:
            sent.append(command)

        async def close(self) -> None:
            pass

    session = Session(Options(input_device="desk", with_sound=True), open_audio=Link)
    await session._open_sound()
    session._on_audio_event(sound.Opened("desk microphone", "monitor"))
    updates: list[object] = []
    follow(session, updates.append)
    assert run_command(session, "/microphone") == "The microphone is desk microphone."
    assert run_command(session, "/speaker USB head") == "Opening the speaker “USB head”."
    assert sent[-1] == sound.UseDevices("desk", "USB head")
    assert run_command(session, "/microphone default") == "Opening the default microphone."
    assert sent[-1] == sound.UseDevices(None, "USB head")
    session._on_audio_event(sound.Opened("desk microphone", "USB headset"))
    assert run_command(session, "/speaker") == "The speaker is USB headset."
    notices = [update.text for update in updates if isinstance(update, Notice)]
    assert notices == ["The speaker is now USB headset."]
    with pytest.raises(UsageError, match="There is no speaker in a typed chat"):
        run_command(Session(Options(with_sound=False)), "/speaker usb")


async def test_a_device_that_is_not_there_leaves_the_old_one() -> None:
    sent: list[object] = []

    class Link:
        def __init__(self, settings: sound.AudioSettings, on_event: object) -> None:
            pass

        def send(self, command: object) -> None:
            sent.append(command)

        async def close(self) -> None:
            pass

    session = Session(Options(output_device="desk", with_sound=True), open_audio=Link)
    await session._open_sound()
    session._on_audio_event(sound.Opened("Head mic", "Desk"))
    updates: list[object] = []
    follow(session, updates.append)
    run_command(session, "/speaker nope")
    hint = "Choose Desk; or use --output-device default."
    problem = "No speaker has 'nope' in its name."
    session._on_audio_event(sound.Opened("Head mic", None, problem=problem, hint=hint))
    assert sent[-1] == sound.UseDevices(None, "desk")
    assert (session.microphone, session.speaker) == ("Head mic", "Desk")
    [notice] = [update for update in updates if isinstance(update, Notice)]
    assert notice.text == f"{problem} The speaker is still Desk."
    assert with_commands(notice.hint) == "Choose Desk; or use /speaker default."
    run_command(session, "/microphone nope")
    run_command(session, "/speaker nope")
    nothing = "Neither the microphone nor the speaker can be used."
    session._on_audio_event(sound.Opened(None, None, problem=nothing))
    assert sent[-1] == sound.UseDevices(None, "desk")
    assert updates[-1] == Notice(
        f"{nothing} The microphone is still Head mic and the speaker is still Desk.",
        Level.WARNING,
    )
    session._on_audio_event(sound.Opened(None, "Desk", problem="There is no microphone."))
    assert session.microphone is None, "a device that goes later is gone"


async def test_the_tools_are_listed_by_permission() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        lines = tools(driver.session, "").splitlines()
    assert lines[0].startswith("Tools that run at once: current time, set timer, ")
    assert lines[1].startswith("Tools that need your approval: fetch page, ")
    assert "read file" not in lines[0] + lines[1], "it is off without folders"


@pytest.mark.parametrize(
    "line",
    ["/volume loud", "/volume 201", f"/volume {'9' * 5_000}", "/volume -1", "/mute now", "/x"],
)
def test_an_invalid_command_gives_an_error(session: Session, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_command(session, line)
    assert line.split()[0] in str(caught.value)
    assert session.volume == 100


def test_muting(session: Session) -> None:
    assert run_command(session, "/mute") == "Muted. There is no microphone."
    assert session.muted
    session._on_audio_event(sound.Opened("a microphone", "a speaker"))
    assert run_command(session, "/mute") == "Muted. Type /unmute to unmute."
    assert run_command(session, "/unmute") == "Not muted."
    assert not session.muted


def test_the_turn_modes(session: Session) -> None:
    with pytest.raises(UsageError, match=r"^There is no microphone\.$"):
        run_command(session, "/hands-free")
    session._on_audio_event(sound.Opened("a microphone", "a speaker"))
    assert run_command(session, "/push-to-talk") == "Push-to-talk is on."
    assert not session.hands_free
    assert run_command(session, "/hands-free") == "Hands-free is on."
    assert session.hands_free


def test_interrupt_reports_that_there_is_nothing_to_stop(session: Session) -> None:
    assert run_command(session, "/interrupt") == "There is nothing to stop."


def test_levels_are_shown_in_words(session: Session) -> None:
    updates: list[object] = []
    follow(session, updates.append)
    assert run_command(session, "/levels") == "There is no microphone and no speaker."
    session._on_audio_event(sound.Opened("a microphone", "a speaker"))
    session._on_audio_event(sound.Levels(-30.4, -100.0, -12.2, -100.0))
    assert LevelsChanged(-30.4, -100.0, -12.2, -100.0) in updates
    levels = "The microphone is at -30 dBFS with a peak of -12; the speaker is silent."
    assert run_command(session, "/levels") == levels
    session.set_muted(True)
    assert run_command(session, "/levels") == "The microphone is muted; the speaker is silent."
    session.set_muted(False)
    session.set_hands_free(False)
    assert run_command(session, "/levels") == "The microphone is closed; the speaker is silent."
    with pytest.raises(UsageError, match="There is no sound to measure in a typed chat"):
        run_command(Session(Options(with_sound=False)), "/levels")


@pytest.mark.parametrize("line", ["/mute", "/unmute", "/hands-free", "/push-to-talk"])
def test_a_typed_chat_has_no_microphone(line: str) -> None:
    session = Session(Options(with_sound=False))
    with pytest.raises(UsageError, match=r"no microphone in a typed chat\. Start without --text"):
        run_command(session, line)
    with pytest.raises(UsageError, match="no speaker in a typed chat"):
        run_command(session, "/volume 40")
    assert (session.muted, session.volume) == (False, 100)


@pytest.mark.sound
async def test_volume_and_mute_apply_to_the_devices(
    own_card: VirtualCard,
) -> None:
    async with scripted_server() as backend:
        backend.assistant.answer = lambda request: [Say("six " * 100)]
        driver = SessionDriver(
            Session(replace(options(backend.app.url), with_sound=True, echo_cancel=False))
        )
        running = asyncio.create_task(driver.session.run())
        try:
            await driver.until(lambda: driver.session.microphone is not None)
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            run_command(driver.session, "/mute")
            own_card.say(np.frombuffer(tone(8.0, 700, RATE), np.int16))
            driver.session.type("count")
            await driver.until(lambda: driver.session.floor is Floor.SPEAKING)
            await driver.until(lambda: -30 < driver.session.loudness.speaker < -10)
            run_command(driver.session, "/volume 1")
            await driver.until(lambda: -70 < driver.session.loudness.speaker < -50)
            assert driver.session.loudness.mic_peak < -90, "muted"
            assert driver.session.floor is Floor.SPEAKING, "the muted microphone does not interrupt"
            run_command(driver.session, "/unmute")
            await driver.until(lambda: driver.session.floor is not Floor.SPEAKING)
            await driver.until(lambda: driver.session.loudness.mic > -30)
        finally:
            driver.session.close()
            await running


def test_a_path_is_not_a_command() -> None:
    assert is_command("/volume 3")
    assert is_command("/unknown")
    assert not is_command("/usr/bin is a folder")


def test_every_command_is_in_the_help() -> None:
    names = [typed.split()[0] for typed, _ in help_rows()]
    assert names == list(COMMANDS)
    assert help_lines()[-2:] == ["/help: show the commands.", "/quit: quit (or /exit)."]


def test_the_model_cannot_approve_read_files_or_open_the_microphone_unasked() -> None:
    found = {each.name: each.asks for each in app_commands()}
    assert {name for name, asks in found.items() if not asks} == {
        "mute", "volume", "levels", "push-to-talk", "voice", "speed", "theme", "tools", "summary",
        "usage", "latency", "help",
    }  # fmt: skip
    assert {name for name, asks in found.items() if asks} == {
        "unmute", "microphone", "speaker", "hands-free", "instructions", "model", "new", "quit",
    }  # fmt: skip
    unreachable = {name.removeprefix("/") for name in COMMANDS} - set(found)
    assert unreachable == {
        "interrupt", "image", "allow", "always", "deny", "answer", "decline", "let", "copy",
        "ask-aside",
        "forget", "say", "continue", "console", "event", "history", "edit", "find", "hangup",
        "models", "voices", "devices", "themes", "settings",
    }  # fmt: skip


def test_a_row_is_enough_for_a_new_command(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Command("wave", lambda session, argument: f"Waved {argument}.", "WHO", by_model=AUTO)
    monkeypatch.setitem(COMMANDS, "/wave", row)  # type: ignore[arg-type]
    [tool, _] = control.tools(ToolContext(commands=app_commands(Session(Options()))))
    called = asyncio.run(tool.call('{"command": "wave", "argument": "to Ada"}'))
    assert called == "Waved to Ada."
    assert "/wave WHO: wave." in help_lines()


def test_summaries_fit_the_help_screen_at_80_columns() -> None:
    assert [text for _, text in help_rows() if len(text) > 38] == []


def test_the_command_reference_lists_every_command() -> None:
    reference = (Path(__file__).parents[2] / "docs/commands.md").read_text("utf-8")
    assert markdown() in reference


def test_commands_that_show_settings_need_no_connection(session: Session) -> None:
    voices = "local/built-in has heart."
    assert run_command(session, "/voice") == f"The voice is the default. {voices}"
    assert run_command(session, "/speed") == "The speed is 1 (normal)."
    assert str(run_command(session, "/instructions")).startswith("The instructions: You are")
    assert "local/built-in" in str(run_command(session, "/model"))
    assert run_command(session, "/usage") == "Nothing used yet."
    assert run_command(session, "/forget") == "There is nothing to delete."


def test_only_a_model_of_xai_speaks_a_given_text(session: Session) -> None:
    with pytest.raises(UsageError, match="cannot speak a given text"):
        run_command(session, "/say Hello.")
    grok = Session(Options(model="xai", keys={"XAI_API_KEY": Secret("k")}, with_sound=False))
    with pytest.raises(UsageError, match="takes the text"):
        run_command(grok, "/say")
    assert run_command(grok, "/say Hello.") is None
