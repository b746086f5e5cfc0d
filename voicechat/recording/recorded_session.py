"""A live session that is recorded if its options name a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicechat.session.session import Session

if TYPE_CHECKING:
    from voicechat.config.options import Options


def open_session(options: Options) -> Session:
    """Make the session of these options. Raises the errors of `Session` and `recorder.record`."""
    if options.record is None:
        return Session(options)
    from voicechat.recording.recorder import record

    return Session(options, start_recording=record)
