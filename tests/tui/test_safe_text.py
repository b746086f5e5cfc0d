"""Markup and escape strings through every widget: literal and harmless."""

from __future__ import annotations

import pytest
from corpus import ESCAPES, MARKUP
from rich.segment import Segment
from scripted_session import ScriptedSession
from textual.app import App, ComposeResult
from textual.color import Color
from textual.content import Content
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Static

from voicechat.core.effects import Level, Notice
from voicechat.core.items import ItemStatus, Role, ToolState
from voicechat.session.updates import Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.safe_text import ControlNet, plain
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.composer import Composer


def drawn(app: App[None]) -> list[Strip]:
    """Every line as it would be written to the terminal."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    assert len(strips) == height
    assert all(strip.cell_length == width for strip in strips)
    return strips


def words(app: App[None]) -> str:
    return "\n".join(strip.text for strip in drawn(app))


def harmless(app: App[None]) -> bool:
    text = words(app).replace("\n", "")
    return all(ch.isprintable() or ch == "�" for ch in text if not "\ue000" <= ch <= "\uf8ff")


async def fill(pilot: Pilot[None], session: ScriptedSession, text: str) -> None:
    """Put the text wherever text from outside can stand."""
    session.model, session.voice = text, text
    session.you(text)
    session.you("", error=text)
    session.you(text, status=ItemStatus.IN_PROGRESS)
    session.voiced(text)
    session.voiced(f"heard {text}", status=ItemStatus.INTERRUPTED, heard_chars=5)
    session.voiced("half", status=ItemStatus.FAILED, error=text)
    session.said(Role.SYSTEM, text)
    for state in ToolState:
        session.call(text, text, state, output=text, elapsed_ms=1.0)
    session.sound(text, text)
    session.notice(Notice(text, Level.WARNING, text))
    session.link_to(Link.RECONNECTING, text)
    screen = pilot.app.screen
    assert isinstance(screen, ConversationScreen)
    await screen.flush()
    await pilot.pause()


@pytest.mark.parametrize("text", MARKUP + ESCAPES)
async def test_no_text_breaks_the_screen_or_steers_the_terminal(text: str) -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(100, 90), notifications=True) as pilot:
        await fill(pilot, session, text)
        assert harmless(pilot.app)
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert harmless(pilot.app)


@pytest.mark.parametrize("text", MARKUP)
async def test_markup_is_shown_as_it_was_written(text: str) -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(100, 90), notifications=True) as pilot:
        await fill(pilot, session, text)
        assert words(pilot.app).count(text) >= 12


async def test_the_composer_takes_any_text() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        composer = pilot.app.screen.query_one(Composer)
        for text in MARKUP + ESCAPES:
            composer.load_text(text)
            await pilot.pause()
            assert harmless(pilot.app), text
            await pilot.press("enter", "up")
            assert harmless(pilot.app), text
    sent = [asked[1] for asked in session.asked if asked[0] == "type"]
    assert sent[: len(MARKUP)] == list(MARKUP)
    assert not any("\x1b" in str(text) or "\u202e" in str(text) for text in sent)


@pytest.mark.parametrize("text", MARKUP + ESCAPES)
def test_plain_text_is_never_parsed(text: str) -> None:
    content = plain(text, "bold")
    assert all(span.start == 0 and span.end == len(content) for span in content.spans)
    assert "\x1b" not in content.plain


class Careless(App[None]):
    """A widget that forgot to clean its text, with only the net below it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._filters.append(ControlNet())

    def compose(self) -> ComposeResult:
        careless = Static(Content(self._text, strip_control_codes=False), markup=False)
        careless.border_title = Content(self._text, strip_control_codes=False)
        careless.styles.border = ("round", "white")
        yield careless


@pytest.mark.parametrize("text", ESCAPES)
async def test_the_net_stops_what_nobody_cleaned(text: str) -> None:
    async with Careless(text).run_test(size=(60, 8)) as pilot:
        await pilot.pause()
        text = words(pilot.app).replace("\n", "")
        assert not set(text) & {chr(code) for code in (*range(32), *range(127, 160), 0x202E)}


def test_the_net_is_in_the_app() -> None:
    """Filters are private to Textual: this pins that it still asks for them."""
    filters = VoicechatApp(ScriptedSession()).get_line_filters()
    assert any(isinstance(one, ControlNet) for one in filters)


def test_the_net_leaves_clean_lines_and_control_segments_alone() -> None:
    net, black = ControlNet(), Color(0, 0, 0)
    clean = [Segment("plain"), Segment("漢字 👩‍👩‍👧")]
    assert net.apply(clean, black) is clean
    control = Segment("\x1b[2J", None, [(1,)])  # type: ignore[list-item]
    assert net.apply([control, Segment("a\x1bb")], black) == [control, Segment("ab")]
