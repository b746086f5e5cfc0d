"""The history screen: search, preview, continue, fork, rename, delete with undo, export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import cast

import pytest
from scripted_session import ScriptedSession
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from voicechat.core.items import Item, ItemStatus, Role
from voicechat.history import database, history_calls, history_store
from voicechat.history.history_rows import ConversationRow, ItemRow
from voicechat.history.stored_conversation import StoredConversation
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens import history_screen
from voicechat.tui.screens.history_screen import HistoryScreen, age
from voicechat.tui.screens.line_sheet import LineSheet
from voicechat.tui.widgets.text_columns import WidthText


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history with three conversations."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    path = database.history_path()
    with closing(database.connect(path)) as connection, database.transaction(connection):
        for number, title in enumerate(("Tea [b]", "Trains", "Weather"), 1):
            name = f"talk{number}000"
            row = ConversationRow(name, title, number, number, "openai/x", turns=2)
            history_store.save_conversation(connection, row)
            for at, (role, text) in enumerate(
                (("user", f"About {title}"), ("assistant", "Well"), ("user", "[red]more"))
            ):
                item = ItemRow(name, str(at), float(at), 1.0, role, text, "completed")
                history_store.save_item(connection, item)


def stored_ids() -> list[str]:
    with database.opened() as connection:
        return [row["id"] for row in connection.execute("SELECT id FROM conversations ORDER BY 1")]


class Continuing(ScriptedSession):
    """A session that records what it continues."""

    history = None

    def continue_conversation(self, stored: StoredConversation) -> None:
        kind = "fork" if stored.is_fork else "continue"
        self.asked.append((kind, stored.row.id, len(stored.items)))


@asynccontextmanager
async def browsing(
    size: tuple[int, int] = (80, 24), keys: tuple[str, ...] = ("f7",)
) -> AsyncIterator[tuple[Pilot[None], Continuing]]:
    session = Continuing(with_sound=False)
    async with VoicechatApp(session).run_test(size=size) as pilot:  # type: ignore[arg-type]
        await pilot.press(*keys)
        await until(pilot, lambda: bool(turns(pilot)))
        yield pilot, session


async def until(pilot: Pilot[None], reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not reached():
            await pilot.pause(0.01)


def screen(pilot: Pilot[None]) -> HistoryScreen:
    shown = pilot.app.screen_stack[-1]
    return cast("HistoryScreen", shown)


def options(pilot: Pilot[None], name: str) -> list[str]:
    if not isinstance(pilot.app.screen, HistoryScreen):
        return []
    shown = pilot.app.screen.query_one(name, OptionList)
    return [str(shown.get_option_at_index(at).prompt) for at in range(shown.option_count)]


def titles(pilot: Pilot[None]) -> list[str]:
    return [text.splitlines()[0] for text in options(pilot, "#history-list")]


def turns(pilot: Pilot[None]) -> list[str]:
    return options(pilot, "#history-turns")


def note(pilot: Pilot[None]) -> str:
    return str(screen(pilot).query_one("#history-note", Static).render())


async def test_typing_searches_and_shows_the_first_result() -> None:
    async with browsing() as (pilot, _):
        assert titles(pilot) == ["Weather", "Trains", "Tea [b]"]
        await pilot.press(*"tea")
        await until(pilot, lambda: titles(pilot) == ["Tea [b]"])
        await until(pilot, lambda: "About Tea [b]" in turns(pilot)[0])
        assert turns(pilot)[2] == "you   [red]more"
        await pilot.press(*"zzz")
        await until(pilot, lambda: titles(pilot) == ["Nothing was found."])
        assert turns(pilot) == []


def keys(pilot: Pilot[None]) -> str:
    line = screen(pilot).query_one("#history-keys", Static)
    return cast("WidthText", line.visual).text(line.size.width).plain


async def test_the_keys_are_those_that_have_an_effect() -> None:
    async with browsing() as (pilot, _):
        whole = "Enter continues  Tab turns  F2 renames  F8 deletes  F4 exports  Esc closes"
        await until(pilot, lambda: keys(pilot) == whole)
        await pilot.press("f8")
        await until(pilot, lambda: "F8 deletes  F9 undoes" in keys(pilot))
        assert keys(pilot).endswith("  Esc closes")
        await pilot.press("tab")
        shown = "Enter forks from this turn  Tab conversations  Esc closes"
        await until(pilot, lambda: keys(pilot) == shown)
        await pilot.press("tab", "f9")
        await until(pilot, lambda: keys(pilot) == whole)
        await pilot.press(*"zzz")
        await until(pilot, lambda: keys(pilot) == "Esc closes")
        await pilot.resize_terminal(44, 12)
        await pilot.press(*["backspace"] * 3)
        await until(pilot, lambda: keys(pilot) == "Enter continues  Tab turns  Esc closes")


@pytest.mark.parametrize("what", ["damaged", "a folder"])
async def test_a_history_that_cannot_be_used_says_what_to_do_and_is_tried_again(what: str) -> None:
    path = database.history_path()
    kept = path.rename(path.with_suffix(".kept"))
    if what == "damaged":
        path.write_bytes(b"no database" * 1_000)
    else:
        path.mkdir()
    session = Continuing(with_sound=False)
    async with VoicechatApp(session).run_test() as pilot:  # type: ignore[arg-type]
        await pilot.press("f7")
        await until(pilot, lambda: titles(pilot) == ["Type to try again."])
        assert "Move it away, and voicechat starts a new one." in note(pilot)
        path.rename(path.with_suffix(".bad"))
        kept.rename(path)
        await pilot.press(*"tr")
        await until(pilot, lambda: titles(pilot) == ["Trains"])
        assert not screen(pilot).query_one("#history-note").display


async def test_a_long_list_goes_by_pages_and_says_that_it_is_not_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history_screen, "MOST_LISTED", 2)
    async with browsing() as (pilot, session):
        more = "These are the last 2. Type more words to find others."
        assert titles(pilot) == ["Weather", "Trains", more]
        await pilot.press("pagedown")
        await until(pilot, lambda: bool(turns(pilot)) and "About Trains" in turns(pilot)[0])
        await pilot.press("pageup")
        await until(pilot, lambda: bool(turns(pilot)) and "About Weather" in turns(pilot)[0])
        await pilot.press(*"tea")
        await until(pilot, lambda: titles(pilot) == ["Tea [b]"])
        assert session.asked == []


async def test_a_search_may_end_after_the_screen_closed() -> None:
    async with browsing() as (pilot, _):
        shown = screen(pilot)
        searching = asyncio.create_task(shown._show_found())
        await pilot.press("escape")
        await until(pilot, lambda: not shown.query("#history-list"))
        await searching
        await shown._show_found()  # a worker that begins late


async def test_enter_in_one_burst_with_the_words_continues_what_they_find() -> None:
    async with browsing() as (pilot, session):
        for key in (*"tea", "enter"):  # as a slow line delivers them
            pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: bool(session.asked))
        assert ("continue", "talk1000", 3) in session.asked


async def test_enter_continues_the_selected_conversation() -> None:
    async with browsing() as (pilot, session):
        await pilot.press("down")
        await until(pilot, lambda: "About Trains" in turns(pilot)[0])
        await pilot.press("enter")
        await until(pilot, lambda: ("continue", "talk2000", 3) in session.asked)
        await until(pilot, lambda: not isinstance(pilot.app.screen, HistoryScreen))


async def test_enter_on_a_turn_forks_from_there() -> None:
    async with browsing() as (pilot, session):
        await pilot.press("tab", "up", "enter")
        await until(pilot, lambda: ("fork", "talk3000", 2) in session.asked)


async def test_a_conversation_is_renamed() -> None:
    async with browsing() as (pilot, _):
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, LineSheet))
        line = pilot.app.screen.query_one(Input)
        assert line.value == "Weather"
        await pilot.press(*" today", "enter")
        await until(pilot, lambda: "Weather today" in titles(pilot))
    assert history_calls.load("talk3").row.title == "Weather today"


async def test_a_deletion_is_undone_or_final_when_the_screen_closes() -> None:
    async with browsing() as (pilot, _):
        await pilot.press("f8")
        await until(pilot, lambda: titles(pilot) == ["Trains", "Tea [b]"])
        assert note(pilot).startswith('Deleted "Weather". F9 brings it back')
        await pilot.press("f9")
        await until(pilot, lambda: len(titles(pilot)) == 3)
        await pilot.press("f8")
        await until(pilot, lambda: len(titles(pilot)) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: stored_ids() == ["talk1000", "talk2000"])


async def test_the_open_conversation_is_not_deleted() -> None:
    async with browsing() as (pilot, session):
        session.conversation_id = "talk3000"
        await pilot.press("f8")
        await until(pilot, lambda: "This conversation is open." in note(pilot))
        assert len(titles(pilot)) == 3


async def test_the_ending_of_the_file_is_the_format_of_an_export(tmp_path: Path) -> None:
    async with browsing() as (pilot, _):
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(pilot.app.screen, LineSheet))
        line = pilot.app.screen.query_one(Input)
        assert line.value == "conversation-talk3000.md"
        line.value = "weather.pdf"
        await pilot.press("enter")
        await until(pilot, lambda: "no known file extension" in note(pilot))
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(pilot.app.screen, LineSheet))
        pilot.app.screen.query_one(Input).value = "weather.txt"
        await pilot.press("enter")
        await until(pilot, lambda: note(pilot) == "Wrote weather.txt.")
    assert "About Weather" in (tmp_path / "weather.txt").read_text("utf-8")


async def test_a_key_of_the_history_acts_on_every_press_though_it_is_a_toggle_elsewhere() -> None:
    async with browsing() as (pilot, _):
        for time in (50.0, 50.1, 50.7):
            press = events.Key("f4", None)
            press.time = time
            pilot.app.post_message(press)
            await until(pilot, lambda: isinstance(pilot.app.screen, LineSheet))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, HistoryScreen))


@pytest.mark.parametrize("size", [(120, 36), (44, 12), (20, 5), (3, 2)])
async def test_the_screen_fits_every_terminal(size: tuple[int, int]) -> None:
    async with browsing(size) as (pilot, _):
        await pilot.press("tab", "down", "tab", "escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, HistoryScreen))


async def test_a_kept_conversation_is_filed_with_one_press() -> None:
    session = Continuing(with_sound=False)
    session.transcript.add(Item("a", Role.USER, "hi", ItemStatus.COMPLETED))
    async with VoicechatApp(session).run_test() as pilot:  # type: ignore[arg-type]
        await pilot.press("f5")
        assert session.asked == []
        session.conversation_id = "talk1000"
        await pilot.press("ctrl+n")
        assert session.asked == [("new_conversation",)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "just now"), (125, "2 min ago"), (7_300, "2 h ago"), (3 * 86_400, "3 d ago")],
)
def test_an_age_is_in_words(seconds: float, text: str) -> None:
    assert age(seconds, 0.0) == text
