"""What a session asks of its screen, and the frames that the user sends."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from voicechat.core import effects
from voicechat.core.text import has_key
from voicechat.errors import SessionLost, VoicechatError
from voicechat.history.history_rows import ID_LENGTH
from voicechat.providers.client_frames import checked_frame
from voicechat.providers.codec import client_events
from voicechat.session.setting_controls import SettingControls
from voicechat.session.updates import (
    ConsoleRequested,
    CopyRequested,
    HelpRequested,
    HistoryRequested,
    Report,
    ThemeRequested,
)

if TYPE_CHECKING:
    from voicechat.history.stored_conversation import StoredConversation
    from voicechat.providers.client_frames import ClientFrame
    from voicechat.providers.codec import Codec
    from voicechat.session.reconnect import ConnectionLoop

KEY_TYPED = (
    "Your message seems to contain a key. The model gets it; recording and history show ***."
)
KEY_HINT = "Replace the key at its provider if it should stay secret."


class RequestControls(SettingControls):
    """Requests to the screen, and frames of the user."""

    _connections: ConnectionLoop

    @abstractmethod
    def _codec(self) -> Codec | None:
        """Return the codec of the open connection."""

    @abstractmethod
    def continue_conversation(self, stored: StoredConversation) -> None:
        """Continue a conversation of the history on a new session."""

    # ----------------------------------------------------------------- frames

    @property
    def client_events(self) -> tuple[ClientFrame, ...]:
        """Client event types of the open connection; empty without one."""
        codec = self._codec()
        return client_events(codec) if codec is not None else ()

    def send_event(self, text: str) -> None:
        """Send an event of the connection's wire: a JSON object, or the name of its type.

        Raises `UsageError` for an event that the wire does not have, `SessionLost` without a
        connection.
        """
        if self._codec() is None:
            raise SessionLost("There is no connection.", "Send the event when it is back.")
        frame = checked_frame(self.client_events, text)
        if has_key(frame):
            self._publish_update(effects.Notice(KEY_TYPED, effects.Level.WARNING, KEY_HINT))
        self._connections.send(frame)

    # ----------------------------------------------------------------- screen

    def request_history(self, argument: str) -> None:
        """Show the history, searched for the argument; an id continues that conversation.

        A screen shows it itself; otherwise a `Report` lists it.
        """
        if self.themes and len(argument) != ID_LENGTH:
            self._publish_update(HistoryRequested(argument))
        else:
            self._run(self._answer_from_history(argument))

    async def _answer_from_history(self, argument: str) -> None:
        from voicechat.session.history_requests import list_or_load

        try:
            found = await list_or_load(argument, self.history)
            if not isinstance(found, str):
                self.continue_conversation(found)
            elif self.themes:
                self._publish_update(HistoryRequested(argument))
            else:
                self._publish_update(Report("History", found))
        except VoicechatError as error:
            self._warn_of(error)

    def request_help(self) -> None:
        """Publish a request for the help."""
        self._publish_update(HelpRequested())

    def request_console(self, text: str) -> None:
        """Publish a request for the event console; see `ConsoleRequested`."""
        self._publish_update(ConsoleRequested(text))

    def request_theme(self, name: str) -> None:
        """Publish a request for a theme of the screen, one of `themes`."""
        self.settings.note("theme")
        self._publish_update(ThemeRequested(name))

    def request_copy(self, text: str) -> None:
        """Publish a request to copy this text to the clipboard."""
        self._publish_update(CopyRequested(text))
