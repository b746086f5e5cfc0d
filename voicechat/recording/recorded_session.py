"""A live session that is recorded if its options name a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicechat.session.budget_watch import open_ledger
from voicechat.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicechat.config.options import Options
    from voicechat.tools.tool_context import AppCommand


def open_session(
    options: Options, commands: Callable[[Session], tuple[AppCommand, ...]] | None = None
) -> Session:
    """Make the session of these options; see `Session` for `commands`.

    Raises the errors of `Session` and `recorder.record`.
    """
    if options.record is None:
        return Session(options, open_ledger=open_ledger, commands=commands)
    from voicechat.recording.recorder import record

    return Session(options, start_recording=record, open_ledger=open_ledger, commands=commands)
