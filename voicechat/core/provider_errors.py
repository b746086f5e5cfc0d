"""Provider errors: ignored, no answer, a later answer, or the end of the session.

An error about something that the conversation asked for in passing, such as truncating what was
cut already, concerns nobody. One about an answer ends the wait for it. One that nobody knows is
told, and the conversation goes on.
"""

from __future__ import annotations

from voicechat.core import effects, events
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.out_of_band import OutOfBandResponses
from voicechat.core.responses import Responses

_QUIET_CODES = frozenset({"response_cancel_not_active"})
_QUIET_COMMANDS = frozenset({
    "TruncateItem", "DeleteItem", "CancelResponse", "ClearAudio", "RetrieveItem",
})  # fmt: skip
_BUSY = "conversation_already_has_active_response"


class ProviderErrors:
    """Takes in what a provider complains of."""

    def __init__(
        self, buffer: EffectBuffer, responses: Responses, out_of_band: OutOfBandResponses
    ) -> None:
        self._buffer = buffer
        self._responses = responses
        self._out_of_band = out_of_band

    def take(self, event: events.ProviderError) -> None:
        """The provider says that something went wrong."""
        if event.fatal:
            self._buffer.do(effects.Recycle(event.message))
            return
        if event.command == "RetrieveItem":
            self._buffer.do(effects.ItemFetched("", None))
        if event.code in _QUIET_CODES or event.command in _QUIET_COMMANDS:
            return
        if event.code == _BUSY:
            self._responses.refused(busy=True)
            return
        if event.command == "CreateResponse":
            if not self._responses.requested and self._out_of_band.refused(event.message):
                return
            self._responses.refused(busy=False)
        self._responses.expect_none()
        self._buffer.do(effects.Notice(event.message, effects.Level.ERROR))
