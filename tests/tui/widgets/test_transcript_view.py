"""The window over the conversation: order, cost, what goes and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_session import ScriptedSession
from textual.pilot import Pilot

from voicechat.core.items import Item, ItemStatus, Role, ToolState, entry_id
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.entry_widgets import EntryLine, ToolPanel
from voicechat.tui.widgets.transcript_view import EARLIER, SLACK, WINDOW, Earlier, TranscriptView


class Bench:
    """A running screen on a scripted session."""

    def __init__(self, pilot: Pilot[None], session: ScriptedSession) -> None:
        self.pilot = pilot
        self.session = session
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        self.screen = screen
        self.view = screen.query_one(TranscriptView)

    async def look(self) -> None:
        await self.screen.flush()
        await self.pilot.pause()

    def texts(self) -> list[str]:
        lines = self.view.query_children(EntryLine)
        return [line.reading.body.plain for line in lines]

    async def talk(self, turns: int) -> None:
        """That many finished entries, shown in portions as they would come."""
        for number in range(turns):
            self.session.you(f"turn {number}")
            if number % 100 == 0:
                await self.look()
        await self.look()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        yield Bench(pilot, session)


async def test_entries_stand_in_the_order_of_the_conversation(bench: Bench) -> None:
    first = bench.session.voiced("answer")
    await bench.look()
    bench.session.voiced("more")
    late = Item("late", Role.USER, "question", ItemStatus.COMPLETED)
    bench.session.transcript.entries.insert(0, late)
    bench.session.transcript._by_id["late"] = late
    bench.session.changed(late)
    bench.session.put(Item("mid", Role.USER, "in between", ItemStatus.COMPLETED), first.item_id)
    await bench.look()
    assert bench.texts() == ["question", "answer", "in between", "more"]


async def test_speech_grows_word_by_word_in_step_with_what_is_heard(bench: Bench) -> None:
    item = bench.session.voiced("one two three", status=ItemStatus.IN_PROGRESS, heard_chars=0)
    seen = []
    for heard in (0, 3, 5, 13):
        item.heard_chars = heard
        bench.session.changed(item)
        await bench.look()
        seen.append(bench.texts())
    assert seen == [[], ["one"], ["one two"], ["one two three"]]


async def test_an_entry_that_goes_leaves_the_screen(bench: Bench) -> None:
    item = bench.session.you("never mind")
    await bench.look()
    bench.session.gone(item)
    await bench.look()
    assert bench.texts() == []
    assert len(bench.view.query("#greeting")) == 1


async def test_an_entry_that_becomes_hidden_leaves_the_screen(bench: Bench) -> None:
    item = bench.session.you("psst")
    bench.session.you("loud")
    await bench.look()
    item.hidden = True
    bench.session.changed(item)
    await bench.look()
    assert bench.texts() == ["loud"]


async def test_unknown_ids_are_nothing(bench: Bench) -> None:
    await bench.view.show(["nobody", "", "[/]"])
    assert bench.texts() == []


async def test_the_window_is_bounded_and_says_that_there_was_more(bench: Bench) -> None:
    await bench.talk(WINDOW * 2)
    count = len(bench.texts())
    assert WINDOW <= count <= WINDOW + SLACK
    assert bench.texts()[-1] == f"turn {WINDOW * 2 - 1}"
    assert len(bench.view.query(Earlier)) == 1


async def test_scrolling_back_brings_earlier_turns_and_keeps_the_place(bench: Bench) -> None:
    await bench.talk(WINDOW * 2)
    first = bench.texts()[0]
    bench.view.scroll_home(animate=False)
    await bench.pilot.pause()
    await bench.pilot.press("pageup")
    await bench.pilot.pause()
    texts = bench.texts()
    assert texts.index(first) == EARLIER
    for _ in range(10):
        bench.view.scroll_home(animate=False)
        await bench.pilot.pause()
        await bench.pilot.press("pageup")
    assert bench.texts() == [f"turn {number}" for number in range(WINDOW * 2)]
    assert not bench.view.query(Earlier)


async def test_coming_back_to_the_end_lets_earlier_turns_go(bench: Bench) -> None:
    await bench.talk(WINDOW + SLACK + 30)
    bench.view.scroll_home(animate=False)
    await bench.pilot.pause()
    await bench.pilot.press("pageup")
    bench.view.scroll_end(animate=False)
    await bench.pilot.pause()
    await bench.pilot.press("pagedown")
    assert len(bench.texts()) == WINDOW


async def test_what_one_reads_stays_where_it_is_while_the_talk_goes_on(bench: Bench) -> None:
    await bench.talk(40)
    await bench.pilot.press("pageup", "pageup")
    await bench.pilot.pause()
    place = bench.view.scroll_y
    bench.session.voiced("something new")
    await bench.look()
    assert bench.view.scroll_y == place
    await bench.pilot.press("pagedown", "pagedown", "pagedown", "pagedown")
    await bench.pilot.pause()
    assert bench.view.is_vertical_scroll_end


async def test_sending_a_message_shows_the_end_again(bench: Bench) -> None:
    await bench.talk(40)
    await bench.pilot.press("pageup", "pageup")
    await bench.pilot.press(*"hi", "enter")
    await bench.pilot.pause()
    assert bench.view.is_vertical_scroll_end


@pytest.mark.parametrize("turns", [3, 400])
async def test_one_more_word_costs_the_same_at_any_length(bench: Bench, turns: int) -> None:
    """Counted, not timed: what is drawn, laid out and looked at for one word."""
    await bench.talk(turns)
    item = bench.session.voiced("word " * 10, status=ItemStatus.IN_PROGRESS, heard_chars=4)
    await bench.look()
    view, cost = bench.view, 0
    widgets = len(bench.screen.query("*"))
    layouts: list[bool] = []
    for line in view.query_children(EntryLine):
        line.update = _counting(line.update, layouts)  # type: ignore[method-assign]
    before = view.drawn
    for heard in (9, 14, 19):
        item.heard_chars = heard
        for _ in range(50):
            bench.session.changed(item)
        await bench.look()
        cost += 1
    assert view.drawn - before == cost
    assert layouts == [False] * cost, "a word on the same line lays nothing out again"
    assert len(bench.screen.query("*")) == widgets


def _counting(update, layouts):  # type: ignore[no-untyped-def]
    def counted(content, *, layout=True):  # type: ignore[no-untyped-def]
        layouts.append(layout)
        update(content, layout=layout)

    return counted


async def test_a_word_on_a_new_line_makes_room_for_it(bench: Bench) -> None:
    item = bench.session.voiced("word " * 60, status=ItemStatus.IN_PROGRESS, heard_chars=4)
    await bench.look()
    line = bench.view.query_one(EntryLine)
    assert line.content_size.height == 1
    item.heard_chars = 200
    bench.session.changed(item)
    await bench.look()
    assert line.content_size.height == 4


async def test_a_clearing_leaves_nothing_of_before(bench: Bench) -> None:
    await bench.talk(30)
    bench.session.new_conversation()
    bench.session.you("fresh")
    await bench.look()
    assert bench.texts() == ["fresh"]


async def test_a_conversation_that_exists_already_is_shown() -> None:
    session = ScriptedSession()
    for number in range(WINDOW + 40):
        session.you(f"turn {number}")
    async with VoicechatApp(session).run_test() as pilot:
        texts = Bench(pilot, session).texts()
    assert texts[-1] == f"turn {WINDOW + 39}"
    assert len(texts) == WINDOW


async def test_enter_unfolds_the_focused_panel_and_one_key_all_of_them(bench: Bench) -> None:
    for _ in range(2):
        bench.session.call("look", "{}", ToolState.DONE, output="word " * 200)
    await bench.look()
    first, second = bench.view.query_children(ToolPanel)
    first.focus()
    await bench.pilot.press("enter")
    assert "more characters" not in first.reading.body.plain
    assert "more characters" in second.reading.body.plain
    await bench.pilot.press("ctrl+r")
    assert all("more characters" not in text for text in bench.texts())
    await bench.pilot.press("ctrl+r")
    assert all("more characters" in text for text in bench.texts())


async def test_a_panel_stays_unfolded_while_its_call_changes(bench: Bench) -> None:
    call = bench.session.call("look", "{}", ToolState.RUNNING)
    await bench.look()
    bench.view.query_one(ToolPanel).focus()
    await bench.pilot.press("enter")
    call.state, call.output = ToolState.DONE, "word " * 200
    bench.session.changed(call)
    await bench.look()
    assert "more characters" not in bench.texts()[0]


async def test_the_text_can_be_copied_without_its_margin(bench: Bench) -> None:
    bench.session.you("copy me, please")
    await bench.look()
    line = bench.view.query_one(EntryLine)
    bench.screen.selections = {line: _everything()}
    await bench.pilot.pause()
    assert bench.screen.get_selected_text() == "copy me, please"


def _everything():  # type: ignore[no-untyped-def]
    from textual.selection import SELECT_ALL

    return SELECT_ALL


async def test_no_entry_is_shown_twice(bench: Bench) -> None:
    await bench.talk(30)
    for entry in bench.session.transcript.entries:
        bench.session.changed(entry)
    await bench.look()
    shown = [entry_id(entry) for entry in bench.session.transcript.entries]
    assert len(bench.texts()) == len(shown)
