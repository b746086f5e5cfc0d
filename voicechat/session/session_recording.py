"""The recording of a session, as the session sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from voicechat.core import effects
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.session.event_stream import EventStream

if TYPE_CHECKING:
    from voicechat.config.options import Options


class SessionRecording(Protocol):
    """A recording of a session, from its start to its end."""

    @property
    def is_recording(self) -> bool:
        """True until the recording ends or fails."""
        ...

    def close(self) -> None:
        """Write the queued events and end the recording; blocks on the disk."""
        ...


StartRecording = Callable[
    [EventStream, "Options", SessionSettings, Capabilities, Callable[[effects.Notice], None]],
    SessionRecording,
]
