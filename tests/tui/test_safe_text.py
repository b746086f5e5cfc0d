"""Every widget shows markup and escape sequences as harmless text."""

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
from voicechat.core.text import clean
from voicechat.session.updates import Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.safe_text import ControlCharacterFilter, plain
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.composer import Composer


def rendered_strips(app: App[None]) -> list[Strip]:
    """Return every line as it is written to the terminal."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    assert len(strips) == height
    assert all(strip.cell_length == width for strip in strips)
    return strips


def rendered_text(app: App[None]) -> str:
    return "\n".join(strip.text for strip in rendered_strips(app))


def is_harmless(app: App[None]) -> bool:
    text = rendered_text(app).replace("\n", "")
    return all(ch.isprintable() or ch == "�" for ch in text if not "\ue000" <= ch <= "\uf8ff")


async def show_everywhere(pilot: Pilot[None], session: ScriptedSession, text: str) -> None:
    """Show the text in every place that can contain outside text."""
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
async def test_no_text_breaks_the_layout_or_controls_the_terminal(text: str) -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(100, 90), notifications=True) as pilot:
        await show_everywhere(pilot, session, text)
        assert is_harmless(pilot.app)
        await pilot.press("ctrl+o")
        await pilot.pause()
        assert is_harmless(pilot.app)


@pytest.mark.parametrize("text", MARKUP)
async def test_markup_is_shown_literally(text: str) -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(100, 90), notifications=True) as pilot:
        await show_everywhere(pilot, session, text)
        assert rendered_text(pilot.app).count(text) >= 12


async def test_the_composer_accepts_any_text() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        composer = pilot.app.screen.query_one(Composer)
        for text in MARKUP + ESCAPES:
            composer.load_text(text)
            await pilot.pause()
            assert is_harmless(pilot.app), text
            await pilot.press("enter", "up")
            assert is_harmless(pilot.app), text
    sent = [asked[1] for asked in session.asked if asked[0] == "type"]
    assert sent[: len(MARKUP)] == list(MARKUP)
    assert not any("\x1b" in str(text) or "\u202e" in str(text) for text in sent)


@pytest.mark.parametrize("text", MARKUP + ESCAPES)
def test_plain_does_not_parse_markup(text: str) -> None:
    content = plain(text, "bold")
    assert [(span.start, span.end) for span in content.spans] == [(0, len(content))]
    assert content.plain == (text if text in MARKUP else clean(text))
    assert "\x1b" not in content.plain


class UncleanedApp(App[None]):
    """An app with a widget that does not clean its text, protected only by the filter."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._filters.append(ControlCharacterFilter())

    def compose(self) -> ComposeResult:
        widget = Static(Content(self._text, strip_control_codes=False), markup=False)
        widget.border_title = Content(self._text, strip_control_codes=False)
        widget.styles.border = ("round", "white")
        yield widget


@pytest.mark.parametrize("text", ESCAPES)
async def test_the_filter_removes_control_characters_from_uncleaned_text(text: str) -> None:
    async with UncleanedApp(text).run_test(size=(60, 8)) as pilot:
        await pilot.pause()
        shown = rendered_text(pilot.app).replace("\n", "")
        assert not set(shown) & {chr(code) for code in (*range(32), *range(127, 160), 0x202E)}


def test_the_app_uses_the_filter() -> None:
    """Filters are private to Textual: check that it still uses them."""
    filters = VoicechatApp(ScriptedSession()).get_line_filters()
    assert any(isinstance(each, ControlCharacterFilter) for each in filters)


def test_the_filter_keeps_clean_lines_and_control_segments() -> None:
    line_filter, black = ControlCharacterFilter(), Color(0, 0, 0)
    segments = [Segment("plain"), Segment("漢字 👩‍👩‍👧")]
    assert line_filter.apply(segments, black) is segments
    control = Segment("\x1b[2J", None, [(1,)])  # type: ignore[list-item]
    assert line_filter.apply([control, Segment("a\x1bb")], black) == [control, Segment("ab")]
