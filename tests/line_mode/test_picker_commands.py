"""The lists of the pickers without a screen, and the commands that change tools and settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import ESCAPES
from scripted import scripted_server
from session_driver import SessionDriver, running_session

from voicechat.config import loader
from voicechat.core.effects import Notice
from voicechat.core.settings import Permission, ToolSpec
from voicechat.errors import UsageError
from voicechat.line_mode.slash_commands import run_command
from voicechat.session.updates import Report
from voicechat.tools.registry import Tool


async def printed(driver: SessionDriver, command: str) -> list[str]:
    """Return the lines of the list that a command prints."""
    driver.updates.clear()
    assert run_command(driver.session, command) is None
    assert driver.session.pending, "a pipe waits for the list"
    await driver.until(lambda: any(isinstance(each, Report) for each in driver.updates))
    [report] = [each for each in driver.updates if isinstance(each, Report)]
    return report.text.splitlines()


async def test_each_list_is_printed() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        session = driver.session
        models = await printed(driver, "/models")
        assert f"* {session.model}: in use" in models[1]
        assert "  xai/grok-voice-latest: ✗ no key · $0.08/min" in models
        tools = await printed(driver, "/tools")
        assert "  calculate: runs at once" in tools
        settings = await printed(driver, "/settings")
        assert settings[0] == "Changes now:"
        assert f"  model: {session.model}" in settings
        assert "  barge_in: normal" in settings
        session.voice = "marin"
        assert "* marin: in use" in await printed(driver, "/voices")
        assert await printed(driver, "/themes") == ["There is no screen, so there is no theme."]


async def test_hostile_names_are_printed_as_one_clean_line_each() -> None:
    async def call(arguments: str) -> str:
        return ""

    async with scripted_server() as backend, running_session(backend) as driver:
        before = len(await printed(driver, "/tools"))
        driver.session.toolbox.registry.add(
            Tool(ToolSpec(name, name, {}, Permission.ASK), call, name)
            for name in (*ESCAPES, "a\nb", "x" * 9_000)
        )
        lines = await printed(driver, "/tools")
        assert len(lines) == before + 2 * (len(ESCAPES) + 2), "each with a heading"
        assert not [line for line in lines if not line.isprintable() or len(line) > 300]


async def test_tools_are_switched_by_name() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        session = driver.session
        assert run_command(session, "/tools off calculate") == "calculate is off until you quit."
        assert "calculate" not in {spec.name for spec in session.tools}
        assert run_command(session, "/tools off calculate") == "calculate is already off."
        assert run_command(session, "/tools on calculate") == "calculate is on."
        for line, sentence in (
            ("/tools off wibble", "There is no tool or MCP server 'wibble'."),
            ("/tools retry calculate", "There is nothing to retry for calculate."),
            ("/tools calculate", "/tools takes on, off, retry or revoke, and a name."),
        ):
            with pytest.raises(UsageError) as caught:
                run_command(session, line)
            assert caught.value.message == sentence


async def test_settings_are_shown_changed_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with scripted_server() as backend, running_session(backend) as driver:
        session = driver.session
        shown = run_command(session, "/settings earcons")
        assert shown == "earcons is off. Play short sounds when the state changes."
        later = "earcons is now “on”. Save it, and it takes effect at the next start."
        assert run_command(session, "/settings earcons on") == later
        assert run_command(session, "/settings speed 1.25") == "speed is now “1.25”."
        assert session.speaking_rate == 1.25
        for line, sentence in (
            ("/settings wibble 1", "There is no setting 'wibble'."),
            ("/settings speed fast", "speed must be a number"),
            ("/settings barge_in loud", "barge_in must be one of off, low, normal, high."),
            ("/settings earcons maybe", "earcons must be on or off, not 'maybe'."),
            ("/settings model wibble/x", "There is no model 'wibble/x'."),
        ):
            with pytest.raises(UsageError) as caught:
                run_command(session, line)
            assert sentence in caught.value.message
        driver.updates.clear()
        run_command(session, "/settings save")
        await driver.until(lambda: any(isinstance(each, Notice) for each in driver.updates))
        [notice] = [each for each in driver.updates if isinstance(each, Notice)]
        assert notice.text == f"Saved earcons, speed in {loader.settings_path()}."
    loaded = loader.load({}, {})
    assert (loaded.earcons, loaded.session_settings["speed"]) == (True, 1.25)


async def test_a_variable_that_overrides_a_saved_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session.replace_options(origins={"instructions": "VOICECHAT_INSTRUCTIONS"})
        run_command(driver.session, "/settings instructions Be kind.")
        driver.updates.clear()
        run_command(driver.session, "/settings save")
        await driver.until(lambda: any(isinstance(each, Notice) for each in driver.updates))
        [notice] = [each for each in driver.updates if isinstance(each, Notice)]
        assert notice.hint == "VOICECHAT_INSTRUCTIONS overrides the file."
