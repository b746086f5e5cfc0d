"""Subscribers of a session for tests: they see every event at the moment it is published."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from voicechat.session.event_stream import EventStream, Overflow
from voicechat.session.updates import UPDATES


def follow(
    session: Any, on_event: Callable[[Any], object], wants: Collection[type] | None = UPDATES
) -> None:
    """Call `on_event` for every event of the session, or of anything else with `subscribe`."""
    events = session.subscribe("test", limit=100_000, overflow=Overflow.CLOSE, wants=wants)

    def wake() -> None:
        for event in events.pop_all():
            on_event(event)

    events.wake = wake


class Publisher:
    """The publishing side of a session that follows a script."""

    def __init__(self) -> None:
        self.stream = EventStream()
        self.subscribe = self.stream.subscribe

    def tell(self, update: object) -> None:
        """Publish an update."""
        self.stream.publish(update, time.monotonic())
