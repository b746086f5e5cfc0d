"""The picker screen: each list with a real session, its messages, and hostile names."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from corpus import ESCAPES, MARKUP
from mcp_rig import MISBEHAVING_SERVER
from picker_rig import DEVICES, PickerRig, picker_rig
from textual import events
from textual.widgets import Input

from voicechat.audio import messages as sound
from voicechat.config import loader
from voicechat.config.mcp_server import ServerConfig
from voicechat.core.effects import EndItem, Floor, Play
from voicechat.core.settings import Permission, ToolSpec
from voicechat.errors import UsageError
from voicechat.line_mode.pickers.picker import PickerItem
from voicechat.session.device_names import DeviceName
from voicechat.session.updates import Link
from voicechat.tools.registry import Tool
from voicechat.tui.themes import DARK, LIGHT
from voicechat.tui.widgets.pick_list import PickList

MINI = "openai/gpt-realtime-mini"


class SettingsFile:
    """A settings file of one test."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str, mode: int = 0o600) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(text, encoding="utf-8")
        self.path.chmod(mode)

    def read(self) -> str:
        return self.path.read_text(encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFile:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return SettingsFile(loader.settings_path())


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> object:
    return monkeypatch.setattr


# -------------------------------------------------------------------- one screen for all


async def test_settings_open_with_a_key_and_lead_to_every_picker(patch: object) -> None:
    async with picker_rig(patch, with_sound=True) as rig:
        await rig.press("f10")
        await rig.until(lambda: rig.selected() == "model")
        for key, first in (
            ("f2", "Models"), ("f3", "Voices"), ("f4", "Microphones and speakers"),
            ("f5", "Themes"), ("f6", "Tools and MCP servers"), ("f10", "Settings"),
        ):  # fmt: skip
            await rig.press(key)
            await rig.until(lambda first=first: rig.title == first and rig.selected())
            assert f"{key.upper()} [" in rig.shown("picker-tabs")
        await rig.press("escape")
        assert rig.screen is None
        assert rig.session.floor is Floor.LISTENING


async def test_every_picker_is_in_the_palette_once(patch: object) -> None:
    async with picker_rig(patch, with_sound=True) as rig:
        app = rig.pilot.app
        commands = [each.title for each in app.get_system_commands(app.screen)]
    for name in ("model", "voice", "theme", "tool", "setting", "device"):
        assert [each for each in commands if name in each.lower()] == [f"/{name}s"]


async def test_a_command_without_its_argument_opens_the_list(patch: object) -> None:
    async with picker_rig(patch, with_sound=True) as rig:
        for line, selected in (("/speaker", "output:Speakers"), ("/microphone", "input:Desk")):
            await rig.press(*line, "enter")
            await rig.until(lambda selected=selected: rig.selected() == selected)
            await rig.press("escape")


async def test_search_finds_items_by_all_words(patch: object) -> None:
    async with picker_rig(patch) as rig:
        await rig.open("models")
        await rig.select("live no key")
        assert rig.selected() == "google/gemini-3.8-live"
        await rig.press("x", "x", "x")
        assert rig.rows == ["Nothing matches."]
        await rig.press("enter")  # has no effect


async def test_enter_in_one_burst_with_the_words_chooses_what_they_find(patch: object) -> None:
    async with picker_rig(patch) as rig:
        await rig.open("themes")
        for key in (*"gruv", "enter"):  # as a slow line delivers them
            rig.pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await rig.until(lambda: rig.screen is None)
        assert rig.remembered == ["gruvbox"]


async def test_pickers_without_sound_say_so(patch: object) -> None:
    async with picker_rig(patch) as rig:
        await rig.press("f10")
        await rig.until(rig.selected)
        assert "Voices" not in rig.shown("picker-tabs")
        await rig.press("f4")
        await rig.says("▲ This conversation has no sound. Start without --text.")


async def test_no_worker_continues_in_a_screen_that_loses_its_widgets(patch: object) -> None:
    async with picker_rig(patch) as rig:
        await rig.open("models")
        screen = rig.screen
        assert screen is not None
        screen.reload()
        workers = [each for each in rig.pilot.app.workers if each.node is screen]
        assert not any(each.is_cancelled for each in workers)
        screen.action_leave()
        assert workers
        assert all(each.is_cancelled for each in workers)
        await rig.until(lambda: rig.screen is None)


@pytest.mark.parametrize("keys", [("enter", "escape"), ("escape", "escape"), ("enter", "enter")])
async def test_a_list_is_closed_once_by_keys_that_arrive_together(
    keys: tuple[str, ...], patch: object
) -> None:
    async with picker_rig(patch) as rig:
        await rig.open("themes")
        for key in keys:
            rig.pilot.app.post_message(events.Key(key, None))
        await rig.until(lambda: len(rig.pilot.app.screen_stack) == 1)


# -------------------------------------------------------------------- models


async def test_enter_switches_the_model_and_one_talks_at_once(patch: object) -> None:
    async with picker_rig(patch) as rig:
        await rig.open("models")
        await rig.select("realtime-mini")
        await rig.press("enter")
        await rig.says(f"Continuing with {MINI}.")
        await rig.until(lambda: rig.session.link is Link.ONLINE)
        assert rig.session.model == MINI
        await rig.press(*"hello", "enter")
        await rig.until(lambda: len(rig.session.transcript.entries) >= 2)


async def test_a_model_without_a_key_leaves_the_old_one(patch: object) -> None:
    async with picker_rig(patch) as rig:
        before = rig.session.model
        await rig.open("models")
        await rig.select("xai")
        assert "✗ no key" in rig.rows[1]
        assert "Key: set XAI_API_KEY" in rig.shown("picker-details")
        await rig.press("enter")
        await rig.says("▲ xai/grok-voice-latest needs a key.")
        assert f"The model is still {before}." in rig.message
        assert rig.session.model == before


async def test_models_show_price_abilities_and_key(patch: object) -> None:
    async with picker_rig(patch, size=(120, 36)) as rig:
        await rig.open("models")
        await rig.select("gpt-realtime-2.1-mini")
        assert "✓ key is set · $10 / $20 per 1M" in rig.rows[1]
        details = rig.shown("picker-details")
        for fact in ("OPENAI_API_KEY is set", "audio $10 in, $20 out", "see pictures", "marin"):
            assert fact in details


# -------------------------------------------------------------------- voices


async def test_a_voice_that_the_provider_refuses_leaves_the_old_one(patch: object) -> None:
    async with picker_rig(patch, with_sound=True, voice="plain") as rig:
        for name in ("wibble", "nova"):
            rig.session.change(voice=name)
            expected = f"There is no voice {name}. The voice is still plain."
            await rig.until(lambda expected=expected: rig.message == expected)
            assert rig.session.voice == "plain"


async def test_space_plays_a_sample_and_enter_changes_the_voice(patch: object) -> None:
    async with picker_rig(patch, with_sound=True, model=MINI, voice="marin") as rig:
        rig.backend.tts.names = ("marin", "cedar")
        await rig.open("voices")
        await rig.press("down")
        assert "Space plays a sample" in rig.shown("picker-keys")
        await rig.press("space")
        await rig.says("Playing cedar.")
        await rig.until(lambda: any(isinstance(each, EndItem) for each in rig.card.commands))
        [played] = [each for each in rig.card.commands if isinstance(each, Play)]
        text = "Hello. This is how I sound when we talk."
        assert rig.backend.tts.asked[-1] == (text, "cedar", 1.0)
        assert len(played.pcm) / 48_000 == pytest.approx(0.1 * len(text.split()), abs=0.01)
        assert rig.session.voice == "marin"
        await rig.press("enter")
        await rig.says("The voice is cedar.")
        assert rig.session.voice == "cedar"


async def test_a_sample_that_fails_is_one_sentence(patch: object) -> None:
    async with picker_rig(patch, with_sound=True, model=MINI, voice="marin") as rig:
        await rig.open("voices")
        await rig.press("space")
        await rig.until(lambda: rig.message.startswith("▲ There is no sample of marin: "))
        await rig.says("Choose the voice to hear it.")
        assert not [each for each in rig.card.commands if isinstance(each, Play)]


# -------------------------------------------------------------------- devices


async def test_devices_in_use_show_their_live_level(patch: object) -> None:
    async with picker_rig(patch, with_sound=True) as rig:
        await rig.open("devices")
        rig.card.report(sound.Levels(-20.0, -90.0, -15.0, -90.0))
        await rig.until(lambda: "━" in rig.shown("pick-list"))
        [desk] = [row for row in rig.rows if "Desk microphone" in row]
        assert desk.startswith("›● Desk microphone")
        assert "in use" in desk
        rig.session.set_muted(True)
        await rig.until(lambda: "muted" in rig.shown("pick-list"))


async def test_another_device_opens_or_leaves_the_old_one(patch: object) -> None:
    async with picker_rig(patch, with_sound=True) as rig:
        await rig.open("devices")
        await rig.select("headset")
        await rig.press("enter")
        assert rig.card.commands[-1] == sound.UseDevices("Head", None)
        rig.card.report(sound.Opened(None, "Speakers", problem="Headset is busy."))
        still = "▲ Headset is busy. The microphone is still Desk microphone."
        await rig.until(lambda: rig.message == still)
        await rig.press("enter")
        rig.card.report(sound.Opened("Headset", "Speakers"))
        await rig.until(lambda: any("● Headset" in row for row in rig.rows))
        assert rig.session.settings.unsaved == {"input_device": "Head"}


# -------------------------------------------------------------------- themes


async def test_a_theme_is_previewed_and_kept_only_with_enter(patch: object) -> None:
    async with picker_rig(patch) as rig:
        app = rig.pilot.app
        before = app.theme
        await rig.open("themes")
        await rig.select("nord")
        await rig.until(lambda: app.theme == "nord")
        await rig.press("escape")
        assert app.theme == before
        assert rig.remembered == []
        await rig.open("themes")
        await rig.select("light")
        await rig.until(lambda: app.theme != before)
        await rig.press("enter")
        await rig.says("The theme is light.")
        await rig.until(lambda: rig.session.theme == "light")
        assert app.theme == LIGHT.name != DARK.name
        assert rig.remembered == [LIGHT.name]


# -------------------------------------------------------------------- tools


def _tool(name: str, about: str = "") -> Tool:
    async def call(arguments: str) -> str:
        return "done"

    return Tool(ToolSpec(name, about, {}, Permission.ASK), call, "plugin lights.py")


async def test_a_late_message_of_another_list_is_no_theme(patch: object) -> None:
    async with picker_rig(patch) as rig:
        await rig.open("themes")
        assert rig.screen is not None
        before = rig.pilot.app.theme
        rig.screen.query_one(PickList).post_message(PickList.Moved(PickerItem("model", "model")))
        await rig.press("down", "up")
        await rig.until(rig.selected)
        assert rig.pilot.app.theme == before


async def test_a_tool_is_switched_off_and_on(patch: object) -> None:
    async with picker_rig(patch) as rig:

        def offered() -> set[str]:
            return {spec.name for spec in rig.session.tools}

        await rig.open("tools")
        await rig.select("calculate")
        assert rig.rows[1].endswith("calculate  runs at once")
        await rig.press("enter")
        await rig.until(lambda: rig.rows[1].endswith("off until you quit"))
        await rig.says("calculate is off until you quit.")
        assert "calculate" not in offered()
        assert "Enter switches it on" in rig.shown("picker-keys")
        await rig.press("enter")
        await rig.until(lambda: "calculate" in offered())
        await rig.says("calculate is on.")


async def test_an_approval_is_revoked(patch: object) -> None:
    async with picker_rig(patch) as rig:
        tool = _tool("lights")
        rig.session.toolbox.registry.add([tool])
        await rig.session.toolbox.keep_approval(tool)
        await rig.open("tools")
        await rig.select("lights")
        assert rig.rows[1].endswith("runs at once: you always allow it")
        await rig.press("space")
        await rig.until(lambda: rig.message == "lights asks again before it runs.")
        await rig.until(lambda: rig.rows[1].endswith("asks you"))
        assert not rig.session.toolbox.approved


async def test_a_server_is_allowed_retried_and_switched_off(
    patch: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    gate, program = tmp_path / "gate", tmp_path / "server.py"
    os.mkfifo(gate)
    program.write_text(f"open({str(gate)!r}).read()\n")
    config = ServerConfig("rude", (sys.executable, str(program), str(tmp_path)))
    async with picker_rig(patch, mcp_servers=(config,)) as rig:
        await rig.open("tools")
        assert rig.rows[1].startswith("›  rude")
        assert rig.rows[1].endswith("waiting for approval, 0 tools")
        assert "Space allows it to start" in rig.shown("picker-keys")
        await rig.press("space")
        await rig.says("rude may start.")
        with await asyncio.to_thread(gate.open, "w"):
            gate.unlink()
        await rig.until(lambda: rig.rows[1].endswith("failed, 0 tools"))
        assert "Problem: " in rig.shown("picker-details")
        shutil.copyfile(MISBEHAVING_SERVER, program)
        await rig.until(lambda: "Space retries" in rig.shown("picker-keys"))
        await rig.press("space")
        await rig.until(lambda: "ready" in rig.rows[1])
        assert "rude__greet" in {spec.name for spec in rig.session.tools}
        await rig.press("enter")
        await rig.until(lambda: rig.rows[1].endswith("off until you quit"))
        assert not [spec for spec in rig.session.tools if spec.name.startswith("rude__")]
        with pytest.raises(UsageError, match="is ready"):
            rig.session.toolbox.retry_server("rude")


# -------------------------------------------------------------------- settings


async def test_a_switch_a_choice_and_a_text_are_changed_and_saved(
    patch: object, config: SettingsFile
) -> None:
    config.write("# mine\nvoice = 'plain' # best\n")
    async with picker_rig(patch, with_sound=True) as rig:
        await rig.open("settings")
        await rig.select("gain_control")
        assert rig.rows[0].startswith("Changes with the next connection")
        await rig.press("enter")
        takes = "It takes effect with the next connection."
        await rig.says(f"gain_control is now “on”. {takes}")
        await rig.until(lambda: "not saved" in rig.rows[1])
        await rig.until(lambda: "Set by: you, in this session" in rig.shown("picker-details"))
        await rig.select("barge_in")
        await rig.press("enter")
        await rig.says(f"barge_in is now “high”. {takes}")
        opened = rig.card.opened
        rig.session.new_conversation()
        await rig.until(lambda: rig.card.opened > opened)
        assert rig.card.settings.gain_control
        assert rig.card.settings.barge_in == "high"
        await rig.select("instructions")
        await rig.press("enter")
        await rig.enter_text("Be kind.")
        await rig.press("enter")
        await rig.says("instructions is now “Be kind.”.")
        assert rig.session.instructions == "Be kind."
        assert "F8 saves changed settings" in rig.shown("picker-keys")
        await rig.press("f8")
        saved = f"Saved gain_control, barge_in, instructions in {config.path}."
        await rig.until(lambda: rig.message == saved)
        assert "F8" not in rig.shown("picker-keys")
    text = config.read()
    assert text.startswith("# mine\nvoice = 'plain' # best\n")
    loaded = loader.load({}, {}, config.path)
    assert (loaded.gain_control, loaded.barge_in) == (True, "high")
    assert loaded.instructions == "Be kind."


async def test_values_that_wait_are_wrong_or_have_a_list(patch: object) -> None:
    async with picker_rig(patch) as rig:
        await rig.open("settings")
        await rig.select("temperature")
        await rig.press("enter", "9", "enter")
        await rig.says("▲ temperature must be between 0 and 2.")
        assert rig.shown("picker-keys").startswith("Enter changes it  Esc does not")
        await rig.press("escape")
        assert rig.screen is not None
        assert rig.screen.query_one(Input).value == ""
        assert rig.session.settings.unsaved == {}
        await rig.select("chat_url")
        await rig.press("enter")
        await rig.enter_text("http://localhost:1/v1")
        await rig.press("enter")
        takes = "Save it, and it takes effect at the next start."
        await rig.says(f"chat_url is now “http://localhost:1/v1”. {takes}")
        await rig.select("token_command")
        await rig.press("enter")
        await rig.says("▲ token_command runs a program, so it cannot be changed")
        await rig.enter_text("")
        assert rig.screen is not None
        rig.screen.query_one(PickList).page(-10)
        await rig.press("enter")
        await rig.until(lambda: rig.title == "Models" and rig.selected() == rig.session.model)


@pytest.mark.parametrize("fault", ["broken", "read-only"])
async def test_a_settings_file_that_cannot_be_changed_is_one_sentence(
    patch: object, config: SettingsFile, fault: str
) -> None:
    text = "voice = \n" if fault == "broken" else "# mine\n"
    config.write(text, 0o400 if fault == "read-only" else 0o600)
    async with picker_rig(patch) as rig:
        await rig.press("f10")
        await rig.until(rig.selected)
        await rig.press("f8")
        nothing = "No setting was changed, so nothing was saved."
        await rig.until(lambda: rig.message == nothing)
        rig.session.settings.change("speed", "1.2")
        await rig.press("f8")
        what = ":1 is not valid TOML: " if fault == "broken" else " is read-only. "
        await rig.until(lambda: rig.message.startswith(f"▲ {config.path}{what}"))
        assert "No setting was saved." in rig.message
        assert rig.session.settings.unsaved == {"speed": 1.2}
    assert config.read() == text


# -------------------------------------------------------------------- hostile names


HOSTILE = [*MARKUP[::3], *ESCAPES[::2], "x" * 5_000, "a\nb\nc"]


async def test_hostile_names_of_devices_tools_and_models_are_shown_as_text(
    patch: object,
) -> None:
    devices = [
        *DEVICES, *(DeviceName("input", name, name, name, 1, False) for name in HOSTILE)
    ]  # fmt: skip
    async with picker_rig(patch, devices=devices, with_sound=True) as rig:
        rig.session.toolbox.registry.add(_tool(name, name) for name in HOSTILE)
        rig.session.model = HOSTILE[0]
        rig.session.voice = HOSTILE[-2]
        for name in ("devices", "tools", "models", "voices"):
            await rig.open(name)
            assert rig.screen is not None
            pick_list = rig.screen.query_one(PickList)
            pick_list.page(-10)
            for _ in range(len(HOSTILE) + 1 if name == "tools" else 3):
                text = rig.shown("pick-list") + rig.shown("picker-details")
                assert not [char for char in text if char < " " and char != "\n"]
                assert "\x9b" not in text
                assert "\u202e" not in text
                assert all(len(row) <= 80 for row in rig.rows)
                if name == "tools":
                    pick_list.move(-1)
                else:
                    pick_list.page(1)
                await rig.pilot.pause()


# -------------------------------------------------------------------- small and colorless


@asynccontextmanager
async def open_picker(patch: object, name: str, size: tuple[int, int]) -> AsyncIterator[PickerRig]:
    async with picker_rig(patch, size=size, with_sound=True) as rig:
        await rig.open(name)
        yield rig


@pytest.mark.parametrize("size", [(20, 5), (3, 2)], ids=str)
async def test_pickers_work_in_small_terminals(patch: object, size: tuple[int, int]) -> None:
    async with open_picker(patch, "settings", size) as rig:
        await rig.press("down", "pagedown", "f6")
        await rig.until(rig.selected)
        await rig.press("escape")
        assert rig.screen is None


async def test_the_selected_item_and_the_one_in_use_have_signs_without_color(
    patch: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_picker(patch, "devices", (80, 24)) as rig:
        await rig.press("down")
        selected = [row for row in rig.rows if row.startswith("›")]
        assert len(selected) == 1
        assert "Headset" in selected[0]
        assert [row[1] for row in rig.rows if "in use" in row] == ["●", "●"]
