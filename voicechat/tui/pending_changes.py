"""Changes since the screen was last painted.

The session publishes hundreds of updates per second, and the screen paints about 15 times. All
updates between two paints are merged: an entry that changed ten times is one id, and only the
latest levels are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, get_args

from voicechat.core.effects import EntryChanged, EntryRemoved, Notice
from voicechat.session.event_stream import Overflow, Subscription
from voicechat.session.updates import (
    UPDATES,
    Cleared,
    LevelsChanged,
    LinkChanged,
    Report,
    ScreenRequest,
    SoundChanged,
)

if TYPE_CHECKING:
    from voicechat.session.view import SessionView

MAX_NOTICES = 8
"""Most notices kept between two paints; older ones are dropped."""

QUEUE_LIMIT = 4_096
"""Most updates queued between two paints."""


class PendingChanges:
    """Updates that the screen has not shown yet.

    Call `wait`, then `collect`, read the fields, and call `reset`.
    """

    def __init__(self, updates: Subscription) -> None:
        self._updates = updates
        self._dropped = 0
        self.link_text = ""
        """Latest text about the connection; kept by `reset`."""
        self.levels = LevelsChanged(-100.0, -100.0)
        """Latest levels; kept by `reset`."""
        self.reset()

    def reset(self) -> None:
        """Discard the changes, after they were shown."""
        self.entries: dict[str, None] = {}
        """Ids of added, changed and removed entries, in the order of their first change."""
        self.redraw_all = False
        """True if the whole transcript must be shown again."""
        self.notices: deque[Notice] = deque(maxlen=MAX_NOTICES)
        self.reports: deque[Report] = deque(maxlen=MAX_NOTICES)
        self.sound: SoundChanged | None = None
        self.requests: dict[type, ScreenRequest] = {}
        """The last request of each type."""
        self.only_levels = True
        """True if only the levels changed."""

    async def wait(self) -> bool:
        """Wait for an update; return False when the session is over."""
        return await self._updates.wait()

    def collect(self) -> None:
        """Take all queued updates. Sets `redraw_all` if the queue dropped some."""
        for update in self._updates.pop_all():
            self._apply(update)
        if self._updates.dropped > self._dropped:
            self._dropped = self._updates.dropped
            self.redraw_all = True
            self.only_levels = False

    def _apply(self, update: object) -> None:
        self.only_levels &= isinstance(update, LevelsChanged)
        apply = self._APPLY.get(type(update))
        if apply is not None:
            apply(self, update)

    def _entry(self, update: EntryChanged | EntryRemoved) -> None:
        self.entries[update.entry_id] = None

    def _clear(self, update: Cleared) -> None:
        self.entries.clear()
        self.redraw_all = True

    def _levels(self, update: LevelsChanged) -> None:
        self.levels = update

    def _link(self, update: LinkChanged) -> None:
        self.link_text = update.text

    def _sound(self, update: SoundChanged) -> None:
        self.sound = update

    def _notice(self, update: Notice) -> None:
        self.notices.append(update)

    def _report(self, update: Report) -> None:
        self.reports.append(update)

    def _request(self, update: ScreenRequest) -> None:
        self.requests[type(update)] = update

    _APPLY: ClassVar[dict[type, Callable[..., None]]] = {
        EntryChanged: _entry,
        EntryRemoved: _entry,
        Cleared: _clear,
        LevelsChanged: _levels,
        LinkChanged: _link,
        SoundChanged: _sound,
        Notice: _notice,
        Report: _report,
        **dict.fromkeys(get_args(ScreenRequest), _request),
    }


def changes_of(session: SessionView) -> PendingChanges:
    """Return the changes of a session from now on."""
    subscription = session.subscribe(
        "screen", limit=QUEUE_LIMIT, overflow=Overflow.COALESCE, wants=UPDATES
    )
    return PendingChanges(subscription)
