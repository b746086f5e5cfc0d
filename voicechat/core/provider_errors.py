"""Provider errors: ignored, no response, a later response, or the end of the session.

The conversation ignores an error about a minor command, such as truncating an item a second time.
An error about a response, or about no known command, ends the wait for it. An error about settings
leads to a corrected update. If none is possible, the session continues with the settings it has.
"""

from __future__ import annotations

from voicechat.core import effects, events
from voicechat.core.commands import CommandName
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.out_of_band import OutOfBandResponses
from voicechat.core.responses import Responses
from voicechat.core.settings_updates import SettingsUpdates
from voicechat.core.text import excerpt

_QUIET_CODES = frozenset({"response_cancel_not_active"})
_QUIET_COMMANDS = frozenset({
    CommandName.TRUNCATE_ITEM,
    CommandName.DELETE_ITEM,
    CommandName.CANCEL_RESPONSE,
    CommandName.CLEAR_AUDIO,
    CommandName.RETRIEVE_ITEM,
})  # fmt: skip
BUSY = "conversation_already_has_active_response"
"""Code of the error for a request while another response runs."""


class ProviderErrors:
    """Applies the errors that a provider reports."""

    def __init__(
        self,
        buffer: EffectBuffer,
        responses: Responses,
        out_of_band: OutOfBandResponses,
        updates: SettingsUpdates,
    ) -> None:
        self._buffer = buffer
        self._updates = updates
        self._responses = responses
        self._out_of_band = out_of_band

    def take(self, event: events.ProviderError) -> None:
        """Apply an error."""
        if event.fatal:
            self._buffer.do(effects.Recycle(excerpt(event.message)))
            return
        if event.command == CommandName.RETRIEVE_ITEM:
            self._buffer.do(effects.ItemFetched("", None))
        if event.code in _QUIET_CODES or event.command in _QUIET_COMMANDS:
            return
        if event.code == BUSY:
            self._responses.refused(busy=True)
            return
        if event.command == CommandName.CREATE_RESPONSE:
            if not self._responses.requested and self._out_of_band.refused(event.message):
                return
            self._responses.refused(busy=False)
        message = event.message
        if event.command != CommandName.UPDATE_SESSION:
            self._responses.expect_none()
        elif not event.partial and self._updates.refused(event.message, event.part):
            # A response without instructions and tools is not the answer.
            self._responses.request_again()
            return
        else:
            message = f"The server refused settings: {message}"
        self._buffer.do(effects.Notice(excerpt(message), effects.Level.ERROR))
