"""Changes since the screen was last painted.

The session publishes hundreds of updates per second; the screen paints about 15 times. Between
two paints all updates collapse: an entry that changed ten times is one id, levels are the last
ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

from voicechat.core.effects import EntryChanged, EntryRemoved, Notice
from voicechat.session.event_stream import Subscription
from voicechat.session.updates import (
    Cleared,
    LevelsChanged,
    LinkChanged,
    Report,
    SoundChanged,
)

NOTICES = 8
"""Notices kept between two looks; older ones are dropped."""


WAITING = 4_096
"""Updates that may wait for the next look."""


class Changes:
    """Updates that the screen has not shown yet.

    `wait` until there are some, `collect` them, read the fields, then `forget` them.
    """

    def __init__(self, updates: Subscription) -> None:
        self._updates = updates
        self._dropped = 0
        self.link_text = ""
        """The last sentence about the connection; survives `forget`."""
        self.levels = LevelsChanged(-100.0, -100.0)
        """The latest; survives `forget`."""
        self.forget()

    def forget(self) -> None:
        """Everything was shown; begin again."""
        self.entries: dict[str, None] = {}
        """Ids of entries that appeared, changed or went, in order of their first change."""
        self.cleared = False
        self.notices: deque[Notice] = deque(maxlen=NOTICES)
        self.told: deque[Report] = deque(maxlen=NOTICES)
        self.sound: SoundChanged | None = None
        self.only_levels = True
        """True if there is nothing new but the levels, which change all the time."""

    async def wait(self) -> bool:
        """Wait for something to show; False when the session is over."""
        return await self._updates.wait()

    def collect(self) -> None:
        """Take all updates that wait. After lost updates the whole transcript is to be shown."""
        for update in self._updates.pop_all():
            self._note(update)
        if self._updates.dropped > self._dropped:
            self._dropped = self._updates.dropped
            self.cleared = True
            self.only_levels = False

    def _note(self, update: object) -> None:
        self.only_levels &= isinstance(update, LevelsChanged)
        keep = self._keep.get(type(update))
        if keep is not None:
            keep(self, update)

    def _entry(self, update: EntryChanged | EntryRemoved) -> None:
        self.entries[update.entry_id] = None

    def _clear(self, update: Cleared) -> None:
        self.entries.clear()
        self.cleared = True

    def _levels(self, update: LevelsChanged) -> None:
        self.levels = update

    def _link(self, update: LinkChanged) -> None:
        self.link_text = update.text

    def _sound(self, update: SoundChanged) -> None:
        self.sound = update

    def _notice(self, update: Notice) -> None:
        self.notices.append(update)

    def _tell(self, update: Report) -> None:
        self.told.append(update)

    _keep: ClassVar[dict[type, Callable[..., None]]] = {
        EntryChanged: _entry,
        EntryRemoved: _entry,
        Cleared: _clear,
        LevelsChanged: _levels,
        LinkChanged: _link,
        SoundChanged: _sound,
        Notice: _notice,
        Report: _tell,
    }
