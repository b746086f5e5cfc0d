"""The theme: settable, remembered, and by default as light as the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_session import ScriptedSession
from textual.color import Color

from voicechat.config.loader import load
from voicechat.errors import UsageError
from voicechat.tui import remembered_theme
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screen_start import run
from voicechat.tui.terminal_answers import BackgroundReported
from voicechat.tui.themes import DARK, LIGHT, ThemeChosen, theme_for

WHITE = Color(250, 250, 245)
BLACK = Color(10, 10, 20)


@pytest.mark.parametrize(
    ("background", "theme"),
    [
        (WHITE, LIGHT.name),
        (BLACK, DARK.name),
        (Color(253, 246, 227), LIGHT.name),  # Solarized
        (Color(0, 43, 54), DARK.name),
    ],
)
def test_the_theme_for_a_background(background: Color, theme: str) -> None:
    assert theme_for(background) == theme


async def test_the_theme_follows_the_background_that_the_terminal_reports() -> None:
    remembered: list[str] = []
    app = VoicechatApp(ScriptedSession(), remember_theme=remembered.append)
    async with app.run_test() as pilot:
        for color, theme in ((WHITE, LIGHT.name), (BLACK, DARK.name)):
            app.post_message(BackgroundReported(color))
            await pilot.pause()
            assert app.theme == theme
    assert remembered == []


async def test_a_chosen_theme_is_remembered_and_stays() -> None:
    remembered: list[str] = []
    app = VoicechatApp(ScriptedSession(), remember_theme=remembered.append)
    async with app.run_test() as pilot:
        app.theme = "nord"
        await pilot.pause()
        app.post_message(BackgroundReported(WHITE))
        await pilot.pause()
        assert app.theme == "nord"
        assert remembered == ["nord"]
        app.post_message(ThemeChosen("auto"))
        await pilot.pause()
        assert app.theme == LIGHT.name
        assert remembered == ["nord", "auto"]


@pytest.mark.parametrize(
    ("chosen", "theme"),
    [("light", LIGHT.name), ("Nord", "nord"), ("voicechat-light", LIGHT.name)],
)
async def test_a_theme_from_the_settings_wins_over_the_background(chosen: str, theme: str) -> None:
    remembered: list[str] = []
    app = VoicechatApp(ScriptedSession(), chosen, remembered.append)
    async with app.run_test() as pilot:
        app.post_message(BackgroundReported(BLACK))
        await pilot.pause()
        assert app.theme == theme
    assert remembered == []


async def test_an_unknown_remembered_theme_is_ignored() -> None:
    async with VoicechatApp(ScriptedSession(), "gone").run_test() as pilot:
        assert pilot.app.theme == DARK.name


def test_an_unknown_theme_in_the_settings_is_refused() -> None:
    with pytest.raises(UsageError, match="There is no theme 'nort'") as refused:
        run(ScriptedSession(), "nort")
    assert refused.value.hint == "Did you mean nord?"


def test_the_next_start_uses_the_remembered_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    themes: list[str] = []

    async def note_theme(app: VoicechatApp) -> None:
        themes.append(app.theme)

    monkeypatch.setattr(VoicechatApp, "run_async", note_theme)
    remembered_theme.write("nord")
    run(ScriptedSession())
    run(ScriptedSession(), "light")
    remembered_theme.write("auto")
    run(ScriptedSession())
    assert themes == ["nord", LIGHT.name, DARK.name]


def test_the_theme_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECHAT_THEME", "light")
    assert load({}).theme == "light"
    assert load({"theme": "nord"}).theme == "nord"


def test_a_theme_file_that_cannot_be_used_is_ignored(tmp_path: Path) -> None:
    assert remembered_theme.read(tmp_path) == "auto"
    (tmp_path / "theme.txt").write_bytes(b"\xff\xfe")
    assert remembered_theme.read(tmp_path) == "auto"
    remembered_theme.write("nord", tmp_path)
    assert remembered_theme.read(tmp_path) == "nord"
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    remembered_theme.write("nord", blocked)
    assert remembered_theme.read(blocked) == "auto"
