"""Errors of a connection in sentences: why dialing failed, why the connection ended.

Text of the peer is quoted only after it is cleaned, shortened and stripped of secrets.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from socket import gaierror
from urllib.parse import urlsplit

import msgspec
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHeader,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.http11 import Response

from voicechat.core.text import clean
from voicechat.errors import (
    SOCKS_HINT,
    CallEnded,
    ConnectError,
    KeyMissing,
    SessionLost,
    VoicechatError,
)
from voicechat.system.dial_target import DialTarget
from voicechat.transports.refusal_reasons import refusal

_PROXY_HINT = "Check HTTPS_PROXY and ALL_PROXY."
_LONGEST_WAIT = 60.0
_LONGEST_QUOTE = 200

_SHORTEST_KEY = 16
"""Shortest header value (characters) that is masked; shorter ones may be ordinary words."""


class DialFailed(ConnectError):
    """Could not connect. With `retry` another attempt may succeed, after `retry_after` s.

    `answered` is True if the server itself answered that it is busy or failed, `is_blocked` if
    the network seems to let HTTP through, but no WebSocket.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        retry: bool = False,
        retry_after: float | None = None,
        answered: bool = False,
        is_blocked: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.is_blocked = is_blocked
        self.retry = retry
        self.answered = answered
        self.retry_after = retry_after


class ConnectionLost(SessionLost):
    """The connection ended. `close_code` is the peer's, if any; with `retry`, dial again.

    `too_large` is True if the peer sent a frame beyond the limit.

    `refusal` is the error that ends the session if no other attempt can succeed.
    """

    def __init__(
        self,
        reason: str,
        close_code: int | None = None,
        *,
        retry: bool = True,
        refusal: VoicechatError | None = None,
        too_large: bool = False,
    ) -> None:
        super().__init__(reason)
        self.too_large = too_large
        self.close_code = close_code
        self.retry = retry and refusal is None
        self.refusal = refusal


class Peer:
    """The peer of a connection: its name for messages, and the errors it causes."""

    def __init__(self, endpoint: DialTarget) -> None:
        """Read the peer's name from the target. Never raises, even for an invalid address."""
        try:
            parts = urlsplit(endpoint.url)
            self.host = clean(parts.hostname or "") or "the server"
            self.port = parts.port or (443 if parts.scheme == "wss" else 80)
        except ValueError:
            self.host, self.port = "the server", 0
        secrets = [value.reveal() for value in endpoint.headers.values()]
        self._secrets = [*secrets, *(part for value in secrets for part in value.split())]
        self.keys = [value for value in self._secrets if len(value) >= _SHORTEST_KEY]
        self.has_key = bool(secrets)
        self._path = clean(parts.path) if self.port else ""
        self._key_variable = endpoint.key_variable
        self._call_id = clean(endpoint.call_id)
        self.has_proxy = False
        """A proxy is used to reach the peer."""

    @property
    def is_local(self) -> bool:
        """True if the peer is on this machine, so that no proxy is used."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    @property
    def is_address(self) -> bool:
        """True if the peer is named by an IP address, so that there is no other one to try."""
        return ":" in self.host or self.host.replace(".", "").isdecimal()

    def quote(self, text: str) -> str:
        """Return text of the peer as a clause to append; empty if there is none."""
        for secret in self._secrets:
            if len(secret) > len("Bearer"):
                text = text.replace(secret, "***")
        text = " ".join(clean(text).split())
        if len(text) > _LONGEST_QUOTE:
            text = text[:_LONGEST_QUOTE] + "…"
        return f": {text}" if text else ""

    def mask_keys(self, frame: str | bytes) -> str | bytes:
        """Return the frame with the keys sent to the peer masked, in case it repeats them."""
        for key in self.keys:
            if isinstance(frame, str):
                frame = frame.replace(key, "***")
            else:
                frame = frame.replace(key.encode(), b"***")
        return frame

    def stalled(self) -> ConnectionLost:
        """Return the error for a peer that accepts no more data."""
        return ConnectionLost(f"{self.host} stopped accepting data.")

    def silent(self, seconds: float) -> ConnectionLost:
        """Return the error for a peer that does not respond."""
        return ConnectionLost(f"{self.host} did not respond for {seconds:.0f} seconds.")

    def ended(self) -> ConnectionLost:
        """Return the error for a peer that ended a call."""
        return ConnectionLost(f"{self.host} {_ENDINGS[1000]}.")

    def unreached(self) -> ConnectionLost:
        """Return the error for a peer that no network path leads to, or no longer."""
        return ConnectionLost(f"The network path to {self.host} was lost.")

    def flooded(self) -> ConnectionLost:
        """Return the error for a peer that sends more than can be read."""
        return ConnectionLost(f"{self.host} sends too much data.")

    def closed(self, closed: ConnectionClosed) -> ConnectionLost:
        """Return the error for a connection that was closed or broken."""
        if closed.rcvd is None:
            ours = closed.sent.code if closed.sent else 1006
            why = _OWN_CLOSE_CODES.get(ours, "sent an invalid frame")
            return ConnectionLost(f"{self.host} {why}.", too_large=ours == TOO_LARGE)
        code = closed.rcvd.code
        sentence = _ENDINGS.get(code, f"closed the connection with code {code}")
        if self._call_id and code == _NORMAL:
            return ConnectionLost(_OVER, code, refusal=CallEnded(_OVER))
        reason = closed.rcvd.reason
        said = self.quote(reason).rstrip(".")
        return ConnectionLost(
            f"{self.host} {sentence}{said}.",
            code,
            retry=code not in _FINAL,
            refusal=None if code in _PLANNED else refusal(self.host, reason, said),
        )

    def unreachable(self, failure: Exception, deadline: float) -> VoicechatError:
        """Return the error for a failed dial attempt. `failure` is the library's exception."""
        if isinstance(failure, InvalidStatus):
            return self._refused(failure.response)
        if isinstance(failure, TimeoutError):
            return DialFailed(
                f"{self.host} did not answer within {deadline:g} s.",
                "Check the address and the network, or try again later.",
                retry=True,
            )
        if isinstance(failure, gaierror):
            return DialFailed(
                f"The name {self.host} cannot be found.",
                "Check the address and the network.",
                retry=True,
            )
        if isinstance(failure, ssl.SSLError):
            return self._untrusted(failure)
        if isinstance(failure, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
            return self._closed_early()
        if isinstance(failure, OSError):
            return self._no_server()
        return self._no_socket(failure)

    def _no_server(self) -> DialFailed:
        if self.has_proxy:
            return DialFailed(
                f"The proxy set for {self.host} does not answer.", _PROXY_HINT, retry=True
            )
        return DialFailed(
            f"No server answers at {self.host} port {self.port}.",
            "Check the address, and that the server runs.",
            retry=True,
        )

    def _closed_early(self) -> DialFailed:
        return DialFailed(
            f"{self.host} closed the connection before it answered.",
            "Check the address, or try again later.",
            retry=True,
        )

    def _untrusted(self, failure: ssl.SSLError) -> DialFailed:
        if isinstance(failure, ssl.SSLCertVerificationError):
            why = self.quote(failure.verify_message)
            return DialFailed(f"The certificate of {self.host} cannot be trusted{why}.")
        return DialFailed(
            f"{self.host} port {self.port} does not speak TLS.",
            "For an address without TLS, use http:// or ws://.",
        )

    def _no_socket(self, failure: Exception) -> DialFailed:
        if isinstance(failure, InvalidProxy | ImportError):
            return DialFailed(
                f"The proxy set for {self.host} cannot be used.",
                _PROXY_HINT
                if isinstance(failure, InvalidProxy)
                else f"For SOCKS, a part is not installed. {SOCKS_HINT}",
            )
        if isinstance(failure, ProxyError):
            return DialFailed(f"The proxy refused the connection to {self.host}.", retry=True)
        if isinstance(failure, InvalidURI | ValueError):
            return DialFailed("The address is not valid.", "It looks like https://host/v1.")
        if isinstance(failure.__cause__, EOFError | ConnectionError):
            return self._closed_early()
        return DialFailed(
            f"{self.host} answers, but not as a realtime endpoint.",
            "Check --base-url: it must be the address of a realtime API.",
            is_blocked=isinstance(failure, InvalidHeader),
        )

    def _refused(self, response: Response) -> VoicechatError:
        status = response.status_code
        reason = _message(response.body)
        tail = f" (HTTP {status}{self.quote(reason).rstrip('.')})."
        if refused := refusal(self.host, reason, tail.rstrip(".")):
            return refused
        if status in {401, 403}:
            said = "refused the key" if self.has_key else "asks for a key"
            hint = "Check the key and its permissions."
            if not self.has_key and self._key_variable:
                hint = f"Set it as {self._key_variable} in the environment."
            return KeyMissing(f"{self.host} {said}{tail}", hint)
        if self._call_id and status in {404, 410}:
            return CallEnded(
                f"{self.host} has no call {self._call_id}{tail}", "It is over, or its id is wrong."
            )
        if status == 404:
            return DialFailed(
                f"{self.host} has no such realtime endpoint or model at {self._path}{tail}",
                "Check --base-url and --model.",
            )
        if status == 429 or status >= 500:
            said = _RETRIED_STATUSES.get(status, "is unavailable")
            wait = _seconds(response.headers.get("Retry-After"))
            return DialFailed(
                f"{self.host} {said}{tail}",
                "Try again later.",
                retry=True,
                retry_after=wait,
                answered=True,
            )
        if 300 <= status < 400:
            return DialFailed(
                f"{self.host} redirects to another address (HTTP {status}); the key was not sent.",
                "Set --base-url to the new address.",
            )
        return DialFailed(
            f"{self.host} refused to open a session{tail}",
            "Check --base-url.",
            is_blocked=status in _WITHOUT_UPGRADE and not reason,
        )


_NORMAL = 1000
_OVER = "The call is over."
_ENDINGS = {
    1000: "ended the session",
    1001: "is shutting down",
    1008: "refused to continue",
    1011: "had an internal error",
    1012: "is restarting",
    1013: "is overloaded",
}
_PLANNED = frozenset({1000, 1001, 1012})
"""Close codes of an end that is no refusal, whatever its reason says."""
_WITHOUT_UPGRADE = frozenset({200, 400, 405, 426})
"""Statuses of a server that gets a request without the headers of a WebSocket: a proxy dropped
them. The provider's own refusals give a reason."""
_RETRIED_STATUSES = {429: "limits the rate of requests", 500: "had an internal error"}
TOO_LARGE = 1009
"""Close code for a frame that exceeds the limit of its receiver."""
_OWN_CLOSE_CODES = {1006: "closed the connection", TOO_LARGE: "sent a frame that is too large"}
_FINAL = frozenset(
    {1002, 1003, 1007, 1008, TOO_LARGE, 1010, 3000, 3003, 4001, 4003, 4400, 4401, 4403, 4404}
)
"""Close codes after which another attempt would fail again."""


class _Refusal(msgspec.Struct):
    error: object = None
    message: object = None


def _message(body: bytes) -> str:
    """Return the message in an error body of any usual shape; empty if there is none."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    error = refusal.error
    said = error.get("message") if isinstance(error, dict) else error or refusal.message
    return said if isinstance(said, str) else ""


def _seconds(retry_after: str | None) -> float | None:
    """Return a Retry-After header in seconds from now, at most a minute; None if it is invalid."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after or "") - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None
