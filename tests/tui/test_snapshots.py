"""How it looks. After a wanted change: `pytest tests/tui/test_snapshots.py --snapshot-update`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import scenes
from scripted_session import ScriptedSession
from textual.pilot import Pilot

from voicechat.core.effects import Level, Notice
from voicechat.session.updates import Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.themes import LIGHT

Scene = Callable[[ScriptedSession], None]
Compare = Callable[..., bool]


def empty(session: ScriptedSession) -> None:
    """Nothing was said yet."""


def warming(session: ScriptedSession) -> None:
    """The embedded voice starts."""
    session.link_to(Link.CONNECTING, "Warming up the local voice: ears")


def troubled(session: ScriptedSession) -> None:
    """No microphone, a lost connection, a notice."""
    scenes.talk(session)
    session.sound("No microphone was found.", "Plug one in, or type.")
    session.link_to(Link.RECONNECTING, "The server closed the connection; trying again")
    session.notice(Notice("The tool took too long.", Level.WARNING, "It was stopped."))


def look(
    compare: Compare,
    scene: Scene,
    size: tuple[int, int],
    session: ScriptedSession | None = None,
    keys: tuple[str, ...] = (),
    theme: str = "",
) -> bool:
    """Compare the screen showing the scene with how it looked before."""
    session = session or ScriptedSession()
    app = VoicechatApp(session)
    if theme:
        app.theme = theme

    async def show(pilot: Pilot[None]) -> None:
        scene(session)
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        await screen.flush()
        await pilot.press(*keys)
        await pilot.pause()

    return compare(app, terminal_size=size, run_before=show)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
@pytest.mark.parametrize("scene", [empty, scenes.talk, scenes.tools])
def test_spoken(snap_compare: Compare, scene: Scene, size: tuple[int, int]) -> None:
    assert look(snap_compare, scene, size)


@pytest.mark.parametrize("scene", [scenes.shown, scenes.limited, scenes.summed_up])
def test_pictures_costs_and_sheets(snap_compare: Compare, scene: Scene) -> None:
    assert look(snap_compare, scene, (80, 24))


@pytest.mark.parametrize("size", [(80, 24), (44, 12)])
def test_a_card_to_decide_on(snap_compare: Compare, size: tuple[int, int]) -> None:
    assert look(snap_compare, scenes.asking, size, keys=("f8", "o"))


def test_a_card_nobody_went_to(snap_compare: Compare) -> None:
    assert look(snap_compare, scenes.asking, (80, 24))


def test_trouble(snap_compare: Compare) -> None:
    assert look(snap_compare, troubled, (80, 24))


def test_warming_up(snap_compare: Compare) -> None:
    assert look(snap_compare, warming, (80, 24))


def test_push_to_talk_narrow(snap_compare: Compare) -> None:
    session = ScriptedSession(hands_free=False)
    assert look(snap_compare, scenes.noted, (60, 20), session)


def test_text_only(snap_compare: Compare) -> None:
    session = ScriptedSession(with_sound=False)
    keys = (*"hello", "ctrl+j", *"there")
    assert look(snap_compare, empty, (80, 24), session, keys)


def test_light(snap_compare: Compare) -> None:
    assert look(snap_compare, scenes.talk, (80, 24), theme=LIGHT.name)


def test_help(snap_compare: Compare) -> None:
    assert look(snap_compare, scenes.talk, (80, 36), keys=("f1",))


def test_tiny(snap_compare: Compare) -> None:
    assert look(snap_compare, scenes.talk, (24, 6))
