"""The exchange of session descriptions that opens a WebRTC connection: one HTTP request.

The offer goes alone (`application/sdp`), with the session in a form (`multipart/form-data`), or
with it in JSON; then the answer is JSON, too.
The answer is bounded and checked before the library reads it: a server on the internet may name
addresses on the internet only, not those of this machine and its network. No key reaches a log or
an exception.

Sources: OpenAI Realtime API reference, `POST /v1/realtime/calls`; RFC 8866 (SDP), RFC 8839 (ICE
candidates), RFC 8841 (data channels).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Final

import httpx
import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from voicechat.system.dial_target import CallOffer, DialTarget
from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_all
from voicechat.system.http_client import open_client
from voicechat.transports.connection_errors import DialFailed, Peer

MAX_BYTES: Final = 65_536
"""Largest answer, in bytes; usual ones have about 2,000."""
MAX_LINES: Final = 1_000
MAX_CANDIDATES: Final = 64
"""Most network addresses that an answer may name; each is tried."""
_DEFAULT_MESSAGE: Final = 65_536
"""Largest message of a peer that does not name one (RFC 8841, 6.1)."""

_SDP: Final = "application/sdp"


@dataclass(frozen=True, slots=True)
class SdpAnswer:
    """The answer of the peer."""

    sdp: str
    largest_message: int
    """Largest message that the peer accepts, in bytes."""
    date: str
    """The header `Date`, empty if there is none."""


async def exchange(endpoint: DialTarget, call: CallOffer, offer: str, peer: Peer) -> SdpAnswer:
    """Send an offer and return the answer. The caller sets the deadline.

    Raises `DialFailed`, `KeyMissing` and what `Peer.unreachable` returns.
    """
    headers = {name: value.reveal() for name, value in endpoint.headers.items()}
    headers |= {"Accept": "application/json" if call.is_json else _SDP, **UNCOMPRESSED}
    # Without proxies for this machine, like the socket.
    direct = {f"{scheme}://": None for scheme in ("all", "http", "https")}
    client = await asyncio.to_thread(
        open_client,
        timeout=None,  # the caller has the deadline
        follow_redirects=False,
        mounts=direct if peer.is_local else None,
    )
    try:
        async with client:
            answer = await client.send(_request(client, call, offer, headers), stream=True)
            is_public = _is_public(answer)
            body = await read_all(answer, MAX_BYTES)
    except BodyError as error:
        raise _unusable(peer, str(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as failure:
        error_of_peer = peer.unreachable(_cause(failure), 0.0)
    else:
        found = _read(answer, body, peer, is_json=call.is_json)
        return replace(found, sdp=_without_private(found.sdp)) if is_public else found
    # Outside the handler: the library's exception contains the request and must not be chained.
    raise error_of_peer


def _request(
    client: httpx.AsyncClient, call: CallOffer, offer: str, headers: dict[str, str]
) -> httpx.Request:
    if call.is_json:
        parts = {
            "session": msgspec.Raw(call.session.encode()),
            "transport": {"type": "webrtc", "sdp": offer},
        }
        headers = headers | {"Content-Type": "application/json"}
        content = msgspec.json.encode(parts)
        return client.build_request("POST", call.url, content=content, headers=headers)
    if not call.session:
        headers = headers | {"Content-Type": _SDP}
        return client.build_request("POST", call.url, content=offer, headers=headers)
    form = {
        "sdp": (None, offer, _SDP),
        "session": (None, call.session, "application/json"),
    }
    return client.build_request("POST", call.url, files=form, headers=headers)


def _is_public(answer: httpx.Response) -> bool:
    """Return True if the answer comes from an address on the internet."""
    stream = answer.extensions.get("network_stream")
    address = stream.get_extra_info("server_addr") if stream is not None else None
    return isinstance(address, tuple) and _is_global(str(address[0]))


def _is_global(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return found.is_global and not found.is_multicast


def _without_private(sdp: str) -> str:
    """Return an answer without candidates that name no address on the internet."""
    return "".join(
        line
        for line in sdp.splitlines(keepends=True)
        if not line.startswith("a=candidate:") or _is_global(f"{line}     ".split(" ")[4])
    )


def _cause(failure: Exception) -> Exception:
    """Return the error of the system behind an error of the HTTP library."""
    if isinstance(failure, httpx.TimeoutException):
        return TimeoutError()
    if isinstance(failure, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError):
        return ConnectionResetError()
    found: BaseException | None = failure
    while found is not None:
        if isinstance(found, OSError):
            return found
        found = found.__cause__ or found.__context__
    return OSError() if isinstance(failure, httpx.TransportError) else failure


class _Transport(msgspec.Struct):
    sdp: str


class _Created(msgspec.Struct):
    transport: _Transport


def _read(answer: httpx.Response, body: bytes, peer: Peer, *, is_json: bool) -> SdpAnswer:
    if answer.status_code not in {200, 201}:
        kept = Headers()
        if wait := answer.headers.get("Retry-After"):
            kept["Retry-After"] = wait
        raise peer.unreachable(
            InvalidStatus(Response(answer.status_code, "", kept, body[:MAX_BYTES])), 0.0
        )
    try:
        sdp = msgspec.json.decode(body, type=_Created).transport.sdp if is_json else body.decode()
    except (msgspec.MsgspecError, RecursionError):
        raise _unusable(peer, "The answer has no session description.") from None
    except UnicodeDecodeError:
        raise _unusable(peer, "The answer is no text.") from None
    if problem := problem_of(sdp):
        raise _unusable(peer, problem)
    found = re.search(r"^a=max-message-size:(\d{1,12})\s*$", sdp, re.MULTILINE)
    largest = int(found[1]) if found else _DEFAULT_MESSAGE
    return SdpAnswer(sdp, largest or 1 << 30, answer.headers.get("Date", ""))


def problem_of(sdp: str) -> str:
    """Return a sentence about an answer that cannot be used; empty if nothing is wrong."""
    lines = sdp.splitlines()
    if not lines or lines[0].strip() != "v=0":
        return "The answer is no session description."
    if len(lines) > MAX_LINES:
        return f"The answer has more than {MAX_LINES:,} lines."
    if sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
        return f"The answer has more than {MAX_CANDIDATES} candidates."
    for kind, name in (("audio", "sound"), ("application", "data channel")):
        # Port 0 refuses it.
        if not re.search(rf"^m={kind} [1-9]", sdp, re.MULTILINE):
            return f"The answer has no {name}."
    if not any(line.startswith("a=fingerprint:") for line in lines):
        return "The answer names no certificate."
    return ""


def _unusable(peer: Peer, problem: str) -> DialFailed:
    return DialFailed(
        f"{peer.host} did not accept the call. {problem}",
        "Check --base-url, or use --transport websocket.",
    )
