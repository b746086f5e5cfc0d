"""Out-of-band responses: answers outside the conversation, neither spoken nor kept.

An out-of-band response may run while the user or the assistant speaks. It is recognized by the
metadata of its request or, if a server does not return them, by the order of the responses.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.core import commands, effects, events, inputs
from voicechat.core.budget_gate import BudgetGate
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Usage
from voicechat.core.settings import Capabilities

TIMEOUT_S = 45.0
"""Seconds from the request to the end of the response."""

METADATA_KEY = "voicechat_request"
"""Metadata key that holds the key of the request."""


@dataclass(slots=True)
class OutOfBandResponse:
    """A request that waits for its response."""

    key: str
    due: float
    response_id: str = ""
    """Empty until the response starts."""
    text: str = ""
    is_cancelled: bool = False
    """Its answer is no longer needed."""


class OutOfBandResponses:
    """The open out-of-band requests."""

    def __init__(self, buffer: EffectBuffer, capabilities: Capabilities, gate: BudgetGate) -> None:
        self._buffer = buffer
        self._gate = gate
        self._capabilities = capabilities
        self.open: dict[str, OutOfBandResponse] = {}

    @property
    def due(self) -> float | None:
        """Deadline (s) of the oldest request."""
        return min((request.due for request in self.open.values()), default=None)

    def ask(self, request: inputs.AskOutOfBand, now: float) -> None:
        """Send a request, or report at once why it is not possible."""
        if not self._buffer.online:
            self._answer(request.key, error="There is no connection.")
        elif self._gate.closed:
            self._answer(request.key, error="The budget is used up.")
        elif not self._capabilities.out_of_band:
            self._answer(request.key, error="This model has no out-of-band responses.")
        else:
            if request.key in self.open:
                self._answer(request.key, error="A newer request replaced it.")
            self.open[request.key] = OutOfBandResponse(request.key, now + TIMEOUT_S)
            self._buffer.send(
                commands.CreateResponse(
                    request.instructions,
                    out_of_band=True,
                    metadata={METADATA_KEY: request.key},
                    output="text",
                    most_tokens=request.most_tokens,
                )
            )

    def created(self, event: events.ResponseCreated) -> None:
        """Assign a started response to its request."""
        known = self.open.get(event.metadata.get(METADATA_KEY, ""))
        waiting = (request for request in self.open.values() if not request.response_id)
        request = known or next(waiting, None)
        if request is not None and not request.response_id:
            request.response_id = event.response_id
            if request.is_cancelled and self._capabilities.cancel:
                self._buffer.send(commands.CancelResponse(event.response_id))

    def text(self, event: events.TextDelta | events.TextDone) -> bool:
        """Add text; return False if it belongs to no out-of-band response."""
        request = self._find(event.response_id)
        if request is None:
            return False
        if isinstance(event, events.TextDelta):
            request.text += event.text
        elif event.text is not None:
            request.text = event.text
        return True

    def done(self, event: events.ResponseDone) -> bool:
        """End a response; return False if it is not an out-of-band response."""
        request = self._find(event.response_id)
        if request is None:
            return False
        del self.open[request.key]
        text = request.text.strip()
        error = event.error or ("" if text else "The model gave no answer.")
        usage = event.usage or Usage()
        self._answer(request.key, text, error if not text else "", usage)
        return True

    def cancel(self, key: str) -> None:
        """Give up a request; its response is cancelled and counts as one out of band."""
        request = self.open.get(key)
        if request is not None and not request.is_cancelled:
            request.is_cancelled = True
            if request.response_id and self._capabilities.cancel:
                self._buffer.send(commands.CancelResponse(request.response_id))

    def refused(self, message: str) -> bool:
        """Report a request that the provider refused; return False if no request waits."""
        for request in self.open.values():
            if not request.response_id:
                del self.open[request.key]
                self._answer(request.key, error=message)
                return True
        return False

    def connection_lost(self) -> None:
        """Report to all open requests that the connection was lost."""
        self._fail(list(self.open.values()), "The connection was lost.")

    def tick(self, now: float) -> None:
        """Check the deadlines at the time `now` (s)."""
        overdue = [request for request in self.open.values() if request.due <= now]
        self._fail(overdue, "The model did not answer in time.")

    def _fail(self, requests: list[OutOfBandResponse], why: str) -> None:
        for request in requests:
            del self.open[request.key]
            self._answer(request.key, error=why)

    def _find(self, response_id: str) -> OutOfBandResponse | None:
        return next((a for a in self.open.values() if a.response_id == response_id), None)

    def _answer(
        self, key: str, text: str = "", error: str = "", usage: Usage | None = None
    ) -> None:
        self._buffer.do(effects.OutOfBandAnswered(key, text, error, usage or Usage()))
