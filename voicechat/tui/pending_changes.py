"""What the session said since the screen last looked.

The session may speak hundreds of times a second; the screen looks some 15 times. Between
two looks everything collapses: an entry that changed ten times is one name, levels are the
last ones. So nothing here grows with the number of updates.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import ClassVar

from voicechat.core.effects import EntryChanged, EntryRemoved, Notice
from voicechat.session.updates import (
    Cleared,
    LevelsChanged,
    LinkChanged,
    SoundChanged,
    Told,
    Update,
)

NOTICES = 8
"""Notices kept between two looks; older ones are dropped."""


class Changes:
    """Collects updates; `wait` until there are some, then read the fields and `forget` them."""

    def __init__(self) -> None:
        self._some = asyncio.Event()
        self.link_text = ""
        """The last sentence about the connection; survives `forget`."""
        self.levels = LevelsChanged(-100.0, -100.0)
        """The latest; survives `forget`."""
        self.forget()

    def forget(self) -> None:
        """Everything was shown; begin anew."""
        self.entries: dict[str, None] = {}
        """Ids of entries that appeared, changed or went, in order of their first change."""
        self.cleared = False
        self.notices: deque[Notice] = deque(maxlen=NOTICES)
        self.told: deque[Told] = deque(maxlen=NOTICES)
        self.sound: SoundChanged | None = None
        self.only_levels = True
        """Whether there is nothing new but the levels, which change all the time."""
        self._some.clear()

    async def wait(self) -> None:
        """Return when there is something to show."""
        await self._some.wait()

    def note(self, update: Update) -> None:
        """Take one update of the session. Returns at once; call it on the loop."""
        self.only_levels &= isinstance(update, LevelsChanged)
        keep = self._keep.get(type(update))
        if keep is not None:
            keep(self, update)
        self._some.set()

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

    def _tell(self, update: Told) -> None:
        self.told.append(update)

    _keep: ClassVar[dict[type, Callable[..., None]]] = {
        EntryChanged: _entry,
        EntryRemoved: _entry,
        Cleared: _clear,
        LevelsChanged: _levels,
        LinkChanged: _link,
        SoundChanged: _sound,
        Notice: _notice,
        Told: _tell,
    }
