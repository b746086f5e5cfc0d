"""The transcript view: order, cost, and the window of mounted entries."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_session import ScriptedSession
from textual.pilot import Pilot

from voicechat.core.items import Item, ItemStatus, Role, ToolState
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.entry_widgets import EntryLine, ToolPanel
from voicechat.tui.widgets.transcript_view import (
    PAGE_ENTRIES,
    WINDOW_ENTRIES,
    WINDOW_SLACK,
    EarlierTurnsHint,
    LaterTurnsHint,
    TranscriptView,
)


class TranscriptDriver:
    """A running screen with a scripted session."""

    def __init__(self, pilot: Pilot[None], session: ScriptedSession) -> None:
        self.pilot = pilot
        self.session = session
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        self.screen = screen
        self.view = screen.query_one(TranscriptView)

    async def refresh(self) -> None:
        await self.screen.flush()
        await self.pilot.pause()

    def texts(self) -> list[str]:
        lines = self.view.query_children(EntryLine)
        return [line.entry_text.plain for line in lines]

    async def add_turns(self, turns: int) -> None:
        """Add finished user turns and paint them in batches of 100."""
        for number in range(turns):
            self.session.you(f"turn {number}")
            if number % 100 == 0:
                await self.refresh()
        await self.refresh()


@pytest.fixture
async def driver() -> AsyncIterator[TranscriptDriver]:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        yield TranscriptDriver(pilot, session)


async def test_entries_are_in_the_order_of_the_transcript(driver: TranscriptDriver) -> None:
    first = driver.session.voiced("answer")
    await driver.refresh()
    driver.session.voiced("more")
    late = Item("late", Role.USER, "question", ItemStatus.COMPLETED)
    driver.session.transcript.entries.insert(0, late)
    driver.session.transcript._by_id["late"] = late
    driver.session.changed(late)
    driver.session.put(Item("mid", Role.USER, "in between", ItemStatus.COMPLETED), first.item_id)
    await driver.refresh()
    assert driver.texts() == ["question", "answer", "in between", "more"]


async def test_speech_text_grows_with_the_heard_text(driver: TranscriptDriver) -> None:
    item = driver.session.voiced("one two three", status=ItemStatus.IN_PROGRESS, heard_chars=0)
    shown = []
    for heard in (0, 3, 5, 13):
        item.heard_chars = heard
        driver.session.changed(item)
        await driver.refresh()
        shown.append(driver.texts())
    assert shown == [[], ["one"], ["one two"], ["one two three"]]


async def test_a_removed_entry_disappears(driver: TranscriptDriver) -> None:
    item = driver.session.you("never mind")
    await driver.refresh()
    driver.session.gone(item)
    await driver.refresh()
    assert driver.texts() == []
    assert len(driver.view.query("#greeting")) == 1


async def test_a_hidden_entry_disappears(driver: TranscriptDriver) -> None:
    item = driver.session.you("psst")
    driver.session.you("loud")
    await driver.refresh()
    item.hidden = True
    driver.session.changed(item)
    await driver.refresh()
    assert driver.texts() == ["loud"]


async def test_many_hidden_entries_at_the_end_hide_no_others(driver: TranscriptDriver) -> None:
    driver.session.you("loud")
    for number in range(100):
        driver.session.put(Item(f"h{number}", Role.USER, "x", ItemStatus.COMPLETED, hidden=True))
    await driver.view.reload()
    assert driver.texts() == ["loud"]


async def test_unknown_ids_are_ignored(driver: TranscriptDriver) -> None:
    driver.session.you("hello")
    await driver.refresh()
    await driver.view.show(["unknown", "", "[/]"])
    assert driver.texts() == ["hello"]


async def test_the_window_is_bounded_and_shows_a_hint_for_earlier_turns(
    driver: TranscriptDriver,
) -> None:
    await driver.add_turns(WINDOW_ENTRIES * 2)
    count = len(driver.texts())
    assert WINDOW_ENTRIES <= count <= WINDOW_ENTRIES + WINDOW_SLACK
    assert driver.texts()[-1] == f"turn {WINDOW_ENTRIES * 2 - 1}"
    assert len(driver.view.query(EarlierTurnsHint)) == 1


async def test_entries_that_come_while_others_are_mounted_are_shown(
    driver: TranscriptDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = driver.view.mount_all

    def mount_all(*widgets: object, **options: object) -> object:
        if "late" not in [
            getattr(entry, "text", "") for entry in driver.session.transcript.entries
        ]:
            driver.session.you("late")
        return mount(*widgets, **options)  # type: ignore[arg-type]

    await driver.add_turns(10)
    monkeypatch.setattr(driver.view, "mount_all", mount_all)
    async with driver.screen._flush_lock:
        await driver.view.reload()
    await driver.refresh()
    assert driver.texts() == [*(f"turn {number}" for number in range(10)), "late"]
    assert not driver.view.query(LaterTurnsHint)


async def test_a_taller_terminal_shows_more_of_the_earlier_turns(
    driver: TranscriptDriver,
) -> None:
    await driver.add_turns(200)
    await driver.pilot.resize_terminal(80, 150)
    await driver.pilot.pause()
    await driver.refresh()
    assert driver.view.max_scroll_y > 0
    assert driver.texts()[-1] == "turn 199"
    assert len(driver.texts()) >= driver.view.size.height
    await driver.pilot.resize_terminal(80, 24)
    await driver.pilot.pause()
    assert driver.view.scroll_y == driver.view.max_scroll_y


async def test_a_burst_below_a_reader_is_not_mounted(driver: TranscriptDriver) -> None:
    await driver.add_turns(WINDOW_ENTRIES)
    await driver.pilot.press("pageup", "pageup")
    for number in range(5 * WINDOW_ENTRIES):
        driver.session.you(f"burst {number}")
    await driver.refresh()
    assert driver.texts() == [f"turn {number}" for number in range(WINDOW_ENTRIES)]
    assert len(driver.view.query(LaterTurnsHint)) == 1
    await driver.pilot.press("ctrl+end")
    await driver.pilot.pause()
    assert driver.texts()[-1] == f"burst {5 * WINDOW_ENTRIES - 1}"
    assert len(driver.texts()) == WINDOW_ENTRIES


async def test_entries_outside_the_window_appear_when_all_in_it_are_removed(
    driver: TranscriptDriver,
) -> None:
    await driver.add_turns(40)
    await driver.pilot.press("pageup", "pageup")
    for number in range(2 * WINDOW_ENTRIES):
        driver.session.you(f"burst {number}")
    await driver.refresh()
    later = driver.session.you("last")
    for entry in list(driver.session.transcript.entries)[:40]:
        driver.session.gone(entry)
    await driver.refresh()
    assert len(driver.texts()) == WINDOW_ENTRIES
    assert driver.texts()[-1] == later.text
    driver.session.put(Item("new", Role.USER, "after it", ItemStatus.COMPLETED))
    await driver.refresh()
    assert driver.texts()[-2:] == ["last", "after it"]


async def test_scrolling_up_loads_earlier_turns_and_keeps_the_position(
    driver: TranscriptDriver,
) -> None:
    turns = WINDOW_ENTRIES + 2 * PAGE_ENTRIES
    await driver.add_turns(turns)
    first = driver.texts()[0]
    driver.view.scroll_home(animate=False)
    await driver.pilot.pause()
    await driver.pilot.press("pageup")
    await driver.pilot.pause()
    texts = driver.texts()
    assert texts.index(first) == PAGE_ENTRIES
    for _ in range(3):
        driver.view.scroll_home(animate=False)
        await driver.pilot.pause()
        await driver.pilot.press("pageup")
    assert driver.texts() == [f"turn {number}" for number in range(turns)]
    assert not driver.view.query(EarlierTurnsHint)


async def test_returning_to_the_end_removes_earlier_turns(driver: TranscriptDriver) -> None:
    await driver.add_turns(WINDOW_ENTRIES + WINDOW_SLACK + 30)
    driver.view.scroll_home(animate=False)
    await driver.pilot.pause()
    await driver.pilot.press("pageup")
    driver.view.scroll_end(animate=False)
    await driver.pilot.pause()
    await driver.pilot.press("pagedown")
    assert len(driver.texts()) == WINDOW_ENTRIES


async def test_new_entries_do_not_scroll_a_view_that_is_not_at_the_end(
    driver: TranscriptDriver,
) -> None:
    await driver.add_turns(40)
    await driver.pilot.press("pageup", "pageup")
    await driver.pilot.pause()
    position = driver.view.scroll_y
    assert position < driver.view.max_scroll_y
    driver.session.voiced("something new")
    await driver.refresh()
    assert driver.view.scroll_y == position
    await driver.pilot.press("pagedown", "pagedown", "pagedown", "pagedown")
    await driver.pilot.pause()
    assert driver.view.is_vertical_scroll_end


async def test_sending_a_message_scrolls_to_the_end(driver: TranscriptDriver) -> None:
    await driver.add_turns(40)
    await driver.pilot.press("pageup", "pageup")
    await driver.pilot.pause()
    assert not driver.view.is_vertical_scroll_end
    await driver.pilot.press(*"hi", "enter")
    await driver.pilot.pause()
    assert driver.view.is_vertical_scroll_end


@pytest.mark.parametrize("turns", [3, 400])
async def test_the_cost_of_a_word_does_not_depend_on_the_length(
    driver: TranscriptDriver, turns: int
) -> None:
    """Count draws, layouts and widgets for each word, instead of measuring time."""
    await driver.add_turns(turns)
    item = driver.session.voiced("word " * 10, status=ItemStatus.IN_PROGRESS, heard_chars=4)
    await driver.refresh()
    view, cost = driver.view, 0
    widgets = len(driver.screen.query("*"))
    layouts: list[bool] = []
    for line in view.query_children(EntryLine):
        line.update = _recording(line.update, layouts)  # type: ignore[method-assign]
    before = view.draw_count
    for heard in (9, 14, 19):
        item.heard_chars = heard
        for _ in range(50):
            driver.session.changed(item)
        await driver.refresh()
        cost += 1
    assert view.draw_count - before == cost
    assert layouts == [False] * cost, "a word on the same line requires no layout"
    assert len(driver.screen.query("*")) == widgets


def _recording(update, layouts):  # type: ignore[no-untyped-def]
    def counted(content, *, layout=True):  # type: ignore[no-untyped-def]
        layouts.append(layout)
        update(content, layout=layout)

    return counted


async def test_a_new_line_increases_the_height(driver: TranscriptDriver) -> None:
    item = driver.session.voiced("word " * 60, status=ItemStatus.IN_PROGRESS, heard_chars=4)
    await driver.refresh()
    line = driver.view.query_one(EntryLine)
    assert line.content_size.height == 1
    item.heard_chars = 200
    driver.session.changed(item)
    await driver.refresh()
    assert line.content_size.height == 4


async def test_a_new_conversation_removes_earlier_entries(driver: TranscriptDriver) -> None:
    await driver.add_turns(30)
    driver.session.new_conversation()
    driver.session.you("fresh")
    await driver.refresh()
    assert driver.texts() == ["fresh"]


async def test_an_existing_conversation_is_shown() -> None:
    session = ScriptedSession()
    for number in range(WINDOW_ENTRIES + 40):
        session.you(f"turn {number}")
    async with VoicechatApp(session).run_test() as pilot:
        texts = TranscriptDriver(pilot, session).texts()
    assert texts[-1] == f"turn {WINDOW_ENTRIES + 39}"
    assert len(texts) == WINDOW_ENTRIES


async def test_enter_expands_the_focused_tool_call_and_ctrl_o_all(driver: TranscriptDriver) -> None:
    for _ in range(2):
        driver.session.call("look", "{}", ToolState.DONE, output="word " * 200)
    await driver.refresh()
    first, second = driver.view.query_children(ToolPanel)
    first.focus()
    await driver.pilot.press("enter")
    assert "more characters" not in first.entry_text.body.plain
    assert "more characters" in second.entry_text.body.plain
    await driver.pilot.press("ctrl+o")
    assert all("more characters" not in text for text in driver.texts())
    await driver.pilot.app.run_action("screen.toggle_results")
    assert all("more characters" in text for text in driver.texts())


async def test_a_tool_call_stays_expanded_while_it_changes(driver: TranscriptDriver) -> None:
    call = driver.session.call("look", "{}", ToolState.RUNNING)
    await driver.refresh()
    driver.view.query_one(ToolPanel).focus()
    await driver.pilot.press("enter")
    call.state, call.output = ToolState.DONE, "word " * 200
    driver.session.changed(call)
    await driver.refresh()
    assert "more characters" not in driver.texts()[0]


async def test_copied_text_has_no_margin(driver: TranscriptDriver) -> None:
    driver.session.you("copy me, please")
    await driver.refresh()
    line = driver.view.query_one(EntryLine)
    driver.screen.selections = {line: _everything()}
    await driver.pilot.pause()
    assert driver.screen.get_selected_text() == "copy me, please"


def _everything():  # type: ignore[no-untyped-def]
    from textual.selection import SELECT_ALL

    return SELECT_ALL


async def test_changed_entries_are_not_shown_twice(driver: TranscriptDriver) -> None:
    await driver.add_turns(30)
    for entry in driver.session.transcript.entries:
        driver.session.changed(entry)
    await driver.refresh()
    assert driver.texts() == [f"turn {number}" for number in range(30)]


@pytest.mark.parametrize("turns", [0, 60], ids=["short", "longer than the screen"])
async def test_a_growing_reply_is_laid_out_only_for_a_new_line(
    driver: TranscriptDriver, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    await driver.add_turns(turns)
    reply = driver.session.voiced("Once", status=ItemStatus.IN_PROGRESS)
    await driver.refresh()
    hints: list[bool] = []
    driver.screen.watch(driver.view, "has_new_below", lambda on: hints.append(on), init=False)
    layouts: list[object] = []
    lay_out = type(driver.screen)._refresh_layout

    def counted(screen: ConversationScreen, *arguments: object, **options: object) -> None:
        layouts.append(screen)
        lay_out(screen, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(driver.screen), "_refresh_layout", counted)
    for _ in range(10):
        reply.text += " word"
        driver.session.changed(reply)
        await driver.refresh()
    assert hints == []
    assert layouts == [], "all of it fits in the first line"


async def test_a_result_that_the_answer_repeats_is_shown_only_if_expanded(
    driver: TranscriptDriver,
) -> None:
    session = driver.session
    session.call("current_time", "{}", ToolState.DONE, output="It’s 8:05 AM.", elapsed_ms=3.0)
    session.call("weigh", "{}", ToolState.DONE, output="4 grams", elapsed_ms=3.0)
    await driver.refresh()
    assert "→ It’s 8:05 AM." in driver.texts()[0]
    session.voiced("Sure. it’s 8:05 am. That is 14 grams.")
    await driver.refresh()
    assert "→" not in driver.texts()[0]
    assert "→ 4 grams" in driver.texts()[1]
    await driver.pilot.press("ctrl+o")
    assert "→ It’s 8:05 AM." in driver.texts()[0]
    await driver.pilot.app.run_action("screen.toggle_results")
    await driver.view.reload()
    assert "→" not in driver.texts()[0]
