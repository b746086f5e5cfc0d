"""Updates between two paints are merged."""

from __future__ import annotations

import asyncio

from voicechat.core.effects import EntryChanged, EntryRemoved, Level, Notice, TurnMeasured
from voicechat.session.event_stream import EventStream, Overflow
from voicechat.session.updates import Cleared, LevelsChanged, Link, LinkChanged
from voicechat.tui.pending_changes import MAX_NOTICES, PendingChanges


class ChangesFromStream(PendingChanges):
    """Pending changes with the stream that publishes their updates."""

    def __init__(self, limit: int = 4_096) -> None:
        self.stream = EventStream()
        super().__init__(self.stream.subscribe("screen", limit=limit, overflow=Overflow.COALESCE))

    def publish(self, update: object) -> None:
        self.stream.publish(update, 0.0)


async def test_many_changes_of_an_entry_are_merged() -> None:
    changes = ChangesFromStream()
    for _ in range(1000):
        changes.publish(EntryChanged("a"))
        changes.publish(EntryChanged("b"))
    changes.collect()
    assert list(changes.entries) == ["a", "b"]


async def test_wait_returns_after_an_update_and_blocks_after_a_reset() -> None:
    changes = ChangesFromStream()
    waiting = asyncio.ensure_future(changes.wait())
    changes.publish(TurnMeasured(300.0))
    await asyncio.wait_for(waiting, 1)
    changes.collect()
    changes.reset()
    waiting = asyncio.ensure_future(changes.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_cleared_discards_earlier_changes() -> None:
    changes = ChangesFromStream()
    changes.publish(EntryChanged("old"))
    changes.publish(EntryRemoved("older"))
    changes.publish(Cleared())
    changes.publish(EntryChanged("new"))
    changes.collect()
    assert changes.redraw_all
    assert list(changes.entries) == ["new"]


async def test_only_the_newest_notices_are_kept() -> None:
    changes = ChangesFromStream()
    for number in range(MAX_NOTICES * 3):
        changes.publish(Notice(f"{number}", Level.INFO))
    changes.collect()
    assert [notice.text for notice in changes.notices][-1] == f"{MAX_NOTICES * 3 - 1}"
    assert len(changes.notices) == MAX_NOTICES


async def test_reset_keeps_levels_and_link() -> None:
    changes = ChangesFromStream()
    levels = LevelsChanged(-20.0, -30.0, -8.0, -18.0)
    changes.publish(levels)
    changes.publish(LinkChanged(Link.CONNECTING, "Loading"))
    changes.collect()
    changes.reset()
    assert (changes.levels, changes.link_text) == (levels, "Loading")


async def test_lost_updates_redraw_the_whole_transcript_once() -> None:
    changes = ChangesFromStream(limit=10)
    for number in range(9):
        changes.publish(EntryChanged(f"{number % 3}"))
    changes.collect()
    assert not changes.redraw_all
    for number in range(30):
        changes.publish(EntryChanged(f"{number}"))
    changes.collect()
    assert changes.redraw_all
    changes.reset()
    changes.collect()
    assert not changes.redraw_all, "a loss redraws once"
