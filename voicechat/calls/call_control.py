"""Control of a phone call over HTTP: accept, reject, transfer, hang up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from voicechat.config.call_settings import is_target
from voicechat.config.joined_call import JoinedCall
from voicechat.config.options import Options
from voicechat.core.text import clean
from voicechat.errors import CallEnded, ConnectError, KeyMissing, UsageError, VoicechatError
from voicechat.providers.phone_call import ControlsCall, call_controls
from voicechat.providers.rest import HttpRequest, read_error
from voicechat.session.model import ChosenModel
from voicechat.session.provider_request import post_request

DEADLINE_S = 10.0
"""Seconds for a request; a phone that rings longer may be given up."""


ANSWERED_BEFORE = 409
"""Status of the provider for a call that another request has answered."""


class CallRefused(ConnectError):
    """The provider refused a request about a call; `status` is that of HTTP."""

    def __init__(self, message: str, hint: str, status: int) -> None:
        super().__init__(message, hint)
        self.status = status

    @property
    def passes(self) -> bool:
        """True if the same request may succeed a moment later."""
        return self.status == 429 or self.status >= 500


def call_options(options: Options, call: JoinedCall) -> Options:
    """Return the options of the session that controls this call: it opens no sound.

    One that watches has no guardrails: the program that runs the call has them.
    """
    guardrails = () if call.watches else options.guardrails
    return replace(options, with_sound=False, call=call, earcons=False, guardrails=guardrails)


class CallControl:
    """The requests about one call. Each raises `VoicechatError` with one sentence."""

    def __init__(self, options: Options, call: JoinedCall) -> None:
        """Raises `UsageError` and `KeyMissing` if the options name no provider that takes calls."""
        self.call = call
        self._chosen = ChosenModel(call_options(options, call), tuple, lambda progress: None)

    async def check(self) -> None:
        """Raise `WrongKind` if the model cannot answer the call."""
        await self._built(lambda control: control.accept(self._chosen.settings))

    async def accept(self) -> None:
        """Answer the call with the settings of the options."""
        settings = self._chosen.settings
        await self._send(lambda control: control.accept(settings), "answer the call")

    async def reject(self, status: int) -> None:
        """Refuse the call with a status code of SIP."""
        await self._send(lambda control: control.reject(status), "reject the call")

    async def refer(self, target: str) -> None:
        """Transfer the call to a `tel:` or `sip:` address."""
        if not is_target(target):
            raise UsageError(
                f"{clean(target)[:60]!r} is not the address of a phone.",
                "Write it like tel:+15551234567 or sip:ann@host.example.",
            )
        await self._send(lambda control: control.refer(target), "transfer the call")

    async def hang_up(self) -> None:
        """End the call."""
        await self._send(lambda control: control.hang_up(), "end the call")

    async def _send(self, build: Callable[[ControlsCall], HttpRequest], what: str) -> None:
        request = await self._built(build)
        status, content = await post_request(request, f"did not {what}", DEADLINE_S)
        if not 200 <= status < 300:
            raise _refused(request, status, content, what, self.call.call_id)

    async def _built(self, build: Callable[[ControlsCall], HttpRequest]) -> HttpRequest:
        control = call_controls(await self._chosen.codec())
        assert control is not None, "a codec of a call"
        return build(control)


def _refused(
    request: HttpRequest, status: int, content: bytes, what: str, call_id: str
) -> VoicechatError:
    host = urlsplit(request.url).hostname or ""
    said = clean(read_error(content))
    for value in request.headers.values():
        for word in value.reveal().split():
            if len(word) > len("Bearer"):
                said = said.replace(word, "***")
    said = " ".join(said.split())[:200].rstrip(".")
    tail = f" (HTTP {status}{f': {said}' if said else ''})."
    if status in {401, 403}:
        return KeyMissing(f"{host} refused the key{tail}", "Check the key and its permissions.")
    if status in {404, 410}:
        return CallEnded(f"{host} has no call {call_id}{tail}", "It is over, or its id is wrong.")
    if status in {400, 422}:
        return UsageError(f"{host} refused to {what}{tail}", "Check the settings of the call.")
    hint = "It was answered before." if status == ANSWERED_BEFORE else "Try again later."
    return CallRefused(f"{host} did not {what}{tail}", hint, status)
