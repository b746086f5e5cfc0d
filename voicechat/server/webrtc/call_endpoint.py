"""Calls over HTTP: `POST /v1/realtime/calls` with an SDP offer, and the calls that run.

The body is the offer alone (`application/sdp`), or a form with `sdp` and `session`. The answer is
201 with the SDP answer; its header Location ends in the id of the call.
`POST /v1/realtime/calls/ID/hangup` ends a call.

Source: OpenAI API reference, "Create call", "Hang up call"; guide "Realtime API with WebRTC".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib import import_module
from typing import Any, Final

from websockets.datastructures import Headers
from websockets.http11 import Response

from voicechat.errors import UsageError
from voicechat.server.fair_share import FairShare
from voicechat.server.form_parts import form_parts
from voicechat.server.http_connection import ClientRequest, refusal
from voicechat.server.pipeline import Engines
from voicechat.server.realtime import client_shapes
from voicechat.server.realtime.call_protocol import CallProtocol
from voicechat.server.realtime.server_frames import Json, WireError, decode_object, new_id
from voicechat.server.realtime.server_session import overlaid
from voicechat.server.serve_options import ServeOptions
from voicechat.server.webrtc.call_offer import CheckedOffer, call_offer
from voicechat.server.webrtc.call_playout import CallPlayout
from voicechat.server.webrtc.ice_settings import IceSettings
from voicechat.server.webrtc.served_call import Register, ServedCall
from voicechat.system.optional_parts import require_webrtc

PATH = "/v1/realtime/calls"
_HANG_UP = "/hangup"
_KIND = "unsupported_media_type"
_SDP, _FORM = "application/sdp", "multipart/form-data"
_PEER = "voicechat.server.webrtc.call_peer"
_DEADLINE_S = 4.0
"""Time for an answer: the connection must be answered before its handshake times out."""
_END_S = 3.5
_CLOSE_S = 0.5

Redeem = Callable[[], Json | None]
"""Uses up the token of a request; returns its session, or None if the token is not valid."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A checked request for a call."""

    offer: CheckedOffer
    session: Json


class CallEndpoint:
    """Answers requests for calls, and runs the calls.

    register: counts the pipeline of a call. is_full: returns True if all connections are in use.
    """

    def __init__(
        self,
        options: ServeOptions,
        engines: Engines,
        share: FairShare,
        register: Register,
        is_full: Callable[[int], bool],
    ) -> None:
        self._options = options
        self._engines = engines
        self._share = share
        self._register = register
        self._is_full = is_full
        self._ice: Final = IceSettings(options.host, options.ice_servers)
        self._calls: dict[str, ServedCall] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._opening = 0
        self._loading: asyncio.Future[Any] | None = None

    # ----------------------------------------------------------------- requests

    async def create(self, request: ClientRequest, model: str, redeem: Redeem) -> Response:
        """Answer a request for a call."""
        try:
            checked = self._checked(request)
            if self._is_full(self._opening):
                return _full()
            self._opening += 1
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    return await self._open(checked, model, redeem)
            finally:
                self._opening -= 1
        except WireError as error:
            is_kind = error.code == _KIND
            status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE if is_kind else HTTPStatus.BAD_REQUEST
            return refusal(status, error.code, error.message, error.param)
        except UsageError as error:
            return refusal(HTTPStatus.NOT_IMPLEMENTED, "webrtc_not_installed", str(error))
        except TimeoutError:
            message = "The call was not set up in time. Try again."
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return refusal(status, "timeout", message, Retry_After="2")

    def _checked(self, request: ClientRequest) -> _Request:
        """Return the content of a request. Raises `WireError`."""
        kinds = request.headers.get_all("Content-Type")
        kind = kinds[0].partition(";")[0].strip().lower() if len(kinds) == 1 else ""
        if kind == _SDP:
            return _Request(call_offer(request.body), {})
        if kind != _FORM:
            raise WireError(
                _KIND,
                f"Send the SDP offer as '{_SDP}', or a form ('{_FORM}') with 'sdp' and 'session'.",
            )
        parts = form_parts(kinds[0], request.body)
        if "sdp" not in parts:
            raise WireError("missing_required_parameter", "The form has no part 'sdp'.", "sdp")
        offer = call_offer(parts["sdp"])
        voices = (*self._engines.tts.names, *filter(None, [self._options.voice]))
        check = client_shapes.any_session(voices)
        session = check(decode_object(parts["session"]), "session") if "session" in parts else {}
        return _Request(offer, session)

    async def _open(self, request: _Request, model: str, redeem: Redeem) -> Response:
        create_peer = (await self._peer_module()).CallPeer
        granted = redeem()
        if granted is None:
            message = "The token is used up. Get another one."
            return refusal(HTTPStatus.UNAUTHORIZED, "invalid_api_key", message)
        session = overlaid(granted, request.session)
        peer = create_peer(self._ice)
        try:
            answer = await peer.answer(request.offer)
        except BaseException:
            await peer.close()
            raise
        call_id = self._start(peer, session, model)
        fields = {
            "Content-Type": _SDP,
            "Content-Length": str(len(answer.encode())),
            "Location": f"{PATH}/{call_id}",
            "Connection": "close",
            "Cache-Control": "no-store",
        }
        status = HTTPStatus.CREATED
        return Response(status.value, status.phrase, Headers(fields), answer.encode())

    async def _peer_module(self) -> Any:
        """Import aiortc, which takes a second, in a thread. Raises `UsageError` without it."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(_import_peer))
        try:
            return await asyncio.shield(self._loading)
        except UsageError:
            self._loading = None
            raise

    # ----------------------------------------------------------------- calls

    def _start(self, peer: Any, session: Json, model: str) -> str:
        options, voices = self._options, self._engines.tts.names

        def create_protocol(playout: CallPlayout) -> CallProtocol:
            return CallProtocol(
                playout,
                session.get("model", model)[:128] or model,
                voices,
                options.voice,
                options.session_seconds,
                transcription=session.get("type") == "transcription",
                defaults=session,
            )

        call = ServedCall(
            peer, create_protocol, self._engines, self._share, options.session_seconds
        )
        call_id = new_id("rtc")
        self._calls[call_id] = call
        running = asyncio.create_task(call.run(self._register))
        self._running[call_id] = running
        running.add_done_callback(lambda _: self._forget(call_id))
        return call_id

    def _forget(self, call_id: str) -> None:
        del self._calls[call_id], self._running[call_id]

    def watched(self, call_id: str) -> ServedCall | Response:
        """Return the running call with this id for one more socket, or the refusal."""
        call = self._calls.get(call_id)
        if call is None:
            return _unknown(call_id)
        return call if call.has_room else _full()

    def hang_up(self, path: str) -> Response | Awaitable[Response]:
        """Answer a request to end a call."""
        call_id = path.removeprefix(f"{PATH}/").removesuffix(_HANG_UP)
        call = self._calls.get(call_id)
        return _unknown(call_id) if call is None else _hang_up(call)

    async def close(self) -> None:
        """End all calls, with a short deadline."""
        for call in self._calls.values():
            call.hang_up()
        if self._running:
            _, left = await asyncio.wait(self._running.values(), timeout=_CLOSE_S)
            for task in left:
                task.cancel()


async def _hang_up(call: ServedCall) -> Response:
    call.hang_up()
    try:
        async with asyncio.timeout(_END_S):
            await call.over.wait()
    except TimeoutError:
        message = "The call did not end in time. Try again."
        return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "timeout", message)
    fields = {"Content-Length": "0", "Connection": "close", "Cache-Control": "no-store"}
    return Response(HTTPStatus.OK.value, HTTPStatus.OK.phrase, Headers(fields))


def is_hang_up(path: str) -> bool:
    """Return True for the address that ends a call."""
    return path.startswith(f"{PATH}/") and path.endswith(_HANG_UP)


def _unknown(call_id: str) -> Response:
    message = f"There is no call with the id '{call_id[:60]}'."
    return refusal(HTTPStatus.NOT_FOUND, "call_not_found", message, "call_id")


def _full() -> Response:
    message = "All connections of this server are in use. Try again later."
    return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "server_overloaded", message, Retry_After="2")


def _import_peer() -> Any:
    require_webrtc()
    for name in ("aiortc", "aioice"):
        # Their lines show addresses and passwords of calls, and a packet that is not valid is no
        # fault of the server.
        logging.getLogger(name).setLevel(logging.ERROR)
    return import_module(_PEER)
