"""Requests of a session to the history, off the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voicechat.errors import UsageError
from voicechat.history import history_calls
from voicechat.history.history_reader import NotFound
from voicechat.history.stored_conversation import StoredConversation
from voicechat.system.daemon_call import call_with_deadline

if TYPE_CHECKING:
    from voicechat.session.conversation_log import ConversationLog

DEADLINE_S: Final = 10.0
"""Seconds that the disk may take."""

_LISTED: Final = 20
_SHORTEST_ID: Final = 4


async def list_or_load(argument: str, log: ConversationLog | None) -> str | StoredConversation:
    """Return the conversation with this id, or a list of those that contain the argument.

    `log` first saves what it has. Raises `UsageError`, also when the disk is too slow.
    """
    if log is not None:
        log.flush()

    def work() -> str | StoredConversation:
        if log is not None:
            log.wait_saved()
        if len(argument) >= _SHORTEST_ID and " " not in argument:
            try:
                return history_calls.load(argument)
            except NotFound:
                pass
        found = history_calls.find(argument, _LISTED)
        if not found:
            raise UsageError("Nothing was found." if argument else "The history is empty.")
        return f"{history_calls.listing(found)}\n/history ID continues a conversation."

    try:
        return await call_with_deadline(work, DEADLINE_S)
    except TimeoutError:
        raise UsageError("The history does not answer: the disk is too slow.") from None
