"""Between two looks everything collapses."""

from __future__ import annotations

import asyncio

from voicechat.core.effects import EntryChanged, EntryRemoved, Level, Notice, TurnMeasured
from voicechat.session.event_stream import EventStream, Overflow
from voicechat.session.updates import Cleared, LevelsChanged, Link, LinkChanged
from voicechat.tui.pending_changes import NOTICES, Changes


class Noted(Changes):
    """Changes with the publisher of their updates."""

    def __init__(self, limit: int = 4_096) -> None:
        self.stream = EventStream()
        super().__init__(self.stream.subscribe("screen", limit=limit, overflow=Overflow.COALESCE))

    def note(self, update: object) -> None:
        self.stream.publish(update, 0.0)


async def test_a_thousand_words_are_one_change() -> None:
    changes = Noted()
    for _ in range(1000):
        changes.note(EntryChanged("a"))
        changes.note(EntryChanged("b"))
    changes.collect()
    assert list(changes.entries) == ["a", "b"]


async def test_it_wakes_for_every_update_and_sleeps_when_all_is_shown() -> None:
    changes = Noted()
    waiting = asyncio.ensure_future(changes.wait())
    changes.note(TurnMeasured(300.0))
    await asyncio.wait_for(waiting, 1)
    changes.collect()
    changes.forget()
    waiting = asyncio.ensure_future(changes.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_a_clearing_forgets_what_changed_before_it() -> None:
    changes = Noted()
    changes.note(EntryChanged("old"))
    changes.note(EntryRemoved("older"))
    changes.note(Cleared())
    changes.note(EntryChanged("new"))
    changes.collect()
    assert changes.cleared
    assert list(changes.entries) == ["new"]


async def test_notices_are_bounded_and_the_newest_stay() -> None:
    changes = Noted()
    for number in range(NOTICES * 3):
        changes.note(Notice(f"{number}", Level.INFO))
    changes.collect()
    assert [notice.text for notice in changes.notices][-1] == f"{NOTICES * 3 - 1}"
    assert len(changes.notices) == NOTICES


async def test_levels_and_link_outlive_a_look() -> None:
    changes = Noted()
    levels = LevelsChanged(-20.0, -30.0, -8.0, -18.0)
    changes.note(levels)
    changes.note(LinkChanged(Link.CONNECTING, "Warming up"))
    changes.collect()
    changes.forget()
    assert (changes.levels, changes.link_text) == (levels, "Warming up")


async def test_after_lost_updates_the_whole_transcript_is_shown() -> None:
    changes = Noted(limit=10)
    for number in range(9):
        changes.note(EntryChanged(f"{number % 3}"))
    changes.collect()
    assert not changes.cleared
    for number in range(30):
        changes.note(EntryChanged(f"{number}"))
    changes.collect()
    assert changes.cleared
    changes.forget()
    changes.collect()
    assert not changes.cleared, "the loss is reported once"
