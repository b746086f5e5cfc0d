"""A live session that is kept in the history, and recorded if its options name a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicechat.session.budget_watch import kept_ledger
from voicechat.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicechat.config.options import Options
    from voicechat.history.stored_conversation import StoredConversation
    from voicechat.session.session_recording import StartRecording
    from voicechat.tools.tool_context import AppCommand


def open_session(
    options: Options,
    commands: Callable[[Session], tuple[AppCommand, ...]] | None = None,
    stored: StoredConversation | None = None,
) -> Session:
    """Make the session of these options; see `Session` for `commands` and `stored`.

    It is kept in the history unless the options turn that off. Raises the errors of `Session` and
    `recorder.record`.
    """
    start_recording: StartRecording | None = None
    if options.record is not None:
        from voicechat.recording.recorder import record

        start_recording = record
    return Session(
        options,
        start_recording=start_recording,
        open_ledger=kept_ledger(),
        commands=commands,
        keeps_history=options.history,
        stored=stored,
    )
