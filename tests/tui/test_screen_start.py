"""The start: the session runs while the screen is imported, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import gc

import pytest
from scripted_session import ScriptedSession
from textual.content import Content

from voicechat.core.effects import Level, Notice
from voicechat.errors import ConnectError, UsageError
from voicechat.tui import screen_start
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screen_start import EarlySession
from voicechat.tui.widgets.notice_line import NoticeLine


class Stepping(ScriptedSession):
    """A session that takes a step in each round of the event loop; `tried` has what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[str] = []
        self.is_over = False

    async def run(self) -> None:
        try:
            while not self.failure:
                self.tried.append("step")
                await asyncio.sleep(0)
            raise self.failure
        finally:
            self.is_over = True


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Stepping:
    session = Stepping()
    monkeypatch.setattr(screen_start, "import_module", session.tried.append)
    return session


async def nothing(*anything: object, **options: object) -> None:
    """Show no screen."""


def test_the_session_goes_on_between_the_parts_of_the_screen(
    session: Stepping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VoicechatApp, "run_async", nothing)
    assert screen_start.run(session) == 0
    tried = session.tried[: session.tried.index("voicechat.tui.app") + 1]
    parts = [each for each in tried if each != "step"]
    assert parts == list(screen_start._PARTS)
    for part in parts:
        before = tried[: tried.index(part)]
        assert before[-5:] == ["step"] * 5, f"the session waited for what comes before {part}"
    assert session.is_over
    assert gc.isenabled()


@pytest.mark.parametrize("option", ["shows_history", "console"])
def test_a_session_that_the_screen_must_see_from_the_start_waits_for_it(
    session: Stepping, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(VoicechatApp, "run_async", nothing)
    assert screen_start.run(session, **{option: True}) == 0
    assert "step" not in session.tried


def test_a_session_without_a_screen_ends(session: Stepping) -> None:
    with pytest.raises(UsageError):
        screen_start.run(session, "no such theme")
    assert session.is_over
    assert gc.isenabled()


async def test_what_happens_before_the_screen_is_shown_on_it() -> None:
    session = ScriptedSession()
    early = EarlySession(session)
    assert session.outlives_connections
    session.tell(Notice("The device is gone.", level=Level.WARNING))
    await asyncio.sleep(0)
    async with VoicechatApp(session, early=early).run_test() as pilot:
        await pilot.pause()
        shown = pilot.app.screen.query_one(NoticeLine).render()
        assert isinstance(shown, Content)
        assert "The device is gone." in shown.plain
    await early.end()


async def test_a_session_that_fails_before_the_screen_ends_the_app_with_its_error() -> None:
    session = Stepping()
    session.failure = ConnectError("No server answers.", "Is it running?")
    early = EarlySession(session)
    await asyncio.sleep(0)
    assert session.is_over
    app = VoicechatApp(session, early=early)
    async with app.run_test() as pilot:
        await pilot.pause()
    assert app.failure is session.failure
    assert app.return_code == ConnectError.exit_code
    await early.end()
