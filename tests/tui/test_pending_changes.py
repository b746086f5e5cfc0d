"""Between two looks everything collapses."""

from __future__ import annotations

import asyncio

from voicechat.core.effects import EntryChanged, EntryRemoved, Level, Notice, TurnMeasured
from voicechat.session.updates import Cleared, LevelsChanged, Link, LinkChanged
from voicechat.tui.pending_changes import NOTICES, Changes


async def test_a_thousand_words_are_one_change() -> None:
    changes = Changes()
    for _ in range(1000):
        changes.note(EntryChanged("a"))
        changes.note(EntryChanged("b"))
    assert list(changes.entries) == ["a", "b"]


async def test_it_wakes_for_every_update_and_sleeps_when_all_is_shown() -> None:
    changes = Changes()
    waiting = asyncio.ensure_future(changes.wait())
    changes.note(TurnMeasured(300.0))
    await asyncio.wait_for(waiting, 1)
    changes.forget()
    waiting = asyncio.ensure_future(changes.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_a_clearing_forgets_what_changed_before_it() -> None:
    changes = Changes()
    changes.note(EntryChanged("old"))
    changes.note(EntryRemoved("older"))
    changes.note(Cleared())
    changes.note(EntryChanged("new"))
    assert changes.cleared
    assert list(changes.entries) == ["new"]


async def test_notices_are_bounded_and_the_newest_stay() -> None:
    changes = Changes()
    for number in range(NOTICES * 3):
        changes.note(Notice(f"{number}", Level.INFO))
    assert [notice.text for notice in changes.notices][-1] == f"{NOTICES * 3 - 1}"
    assert len(changes.notices) == NOTICES


async def test_levels_and_link_outlive_a_look() -> None:
    changes = Changes()
    levels = LevelsChanged(-20.0, -30.0, -8.0, -18.0)
    changes.note(levels)
    changes.note(LinkChanged(Link.CONNECTING, "Warming up"))
    changes.forget()
    assert (changes.levels, changes.link_text) == (levels, "Warming up")
