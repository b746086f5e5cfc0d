"""A title that the model writes: asked once, out of band, while the conversation is short and idle.

It costs a response about one to three turns, and changes nothing in the conversation.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from voicechat.core import effects
from voicechat.core.items import Item, Role
from voicechat.core.text import clean
from voicechat.session.event_stream import EventStream, Overflow

if TYPE_CHECKING:
    from voicechat.session.controls import SessionControls
    from voicechat.session.conversation_log import ConversationLog

IDLE_S: Final = 8.0
"""Seconds without speech and answers before the title is asked for."""

MOST_TURNS: Final = 3
"""Turns of the user above which a title would cost too much."""

MOST_TOKENS: Final = 200
"""Tokens of the answer; some models reason before a title of a few."""

PROMPT: Final = (
    "Write a title for this conversation so far: at most six words, in the language it is held in,"
    " without quotes and without a period. Write the title and nothing else."
)

_QUIET = {effects.Floor.IDLE, effects.Floor.LISTENING}
_ENCLOSING = " \"'“”„«»*#.。"


class TitleRequest:
    """Asks for the title of each conversation of one session. Use it on the event loop."""

    def __init__(self, session: SessionControls, stream: EventStream, log: ConversationLog) -> None:
        self._session = session
        self._log = log
        self._asked: set[str] = set()
        """Conversations whose title was asked for."""
        self._timer: asyncio.TimerHandle | None = None
        self._floors = stream.subscribe(
            "title", limit=10, overflow=Overflow.DROP_OLDEST, wants={effects.FloorChanged}
        )
        self._floors.wake = self._wake

    def _wake(self) -> None:
        changes = self._floors.pop_all()
        last = changes[-1] if changes else None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        is_quiet = isinstance(last, effects.FloorChanged) and last.floor in _QUIET
        if is_quiet and self._may_ask():
            self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._ask)

    def _may_ask(self) -> bool:
        """Return True once, after the first answers of a conversation without such a title."""
        shown = [e for e in self._session.transcript.entries if isinstance(e, Item) and e.text]
        roles = [item.role for item in shown if not item.hidden]
        return (
            self._log.conversation_id not in self._asked
            and not self._log.has_own_title
            and Role.ASSISTANT in roles
            and 0 < roles.count(Role.USER) <= MOST_TURNS
            and self._session.may_write
        )

    def _ask(self) -> None:
        self._timer = None
        conversation_id = self._log.conversation_id
        self._asked.add(conversation_id)

        def keep(answer: str) -> None:
            title = " ".join(clean(answer).split()).strip(_ENCLOSING)
            if title and self._log.conversation_id == conversation_id:
                self._log.set_title(title)

        self._session.request_text(PROMPT, MOST_TOKENS, keep)
