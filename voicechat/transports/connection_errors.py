"""The other end of a socket in sentences: why it cannot be reached, why it went.

Nothing a peer wrote is quoted before it is clean, short and free of what was sent as a secret.
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
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.http11 import Response

from voicechat.core.text import clean
from voicechat.errors import ConnectError, KeyMissing, SessionLost, VoicechatError
from voicechat.system.dial_target import DialTarget

_LONGEST_WAIT = 60.0
_LONGEST_QUOTE = 200

_SHORTEST_KEY = 16
"""Characters; a shorter header value may be an ordinary word, which a frame may hold."""


class DialFailed(ConnectError):
    """Could not connect. With `retry` another attempt may succeed, after `retry_after` s."""

    def __init__(
        self, message: str, hint: str = "", *, retry: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint)
        self.retry = retry
        self.retry_after = retry_after


class ConnectionLost(SessionLost):
    """An epoch ended. `close_code` is the peer's, if it said one; with `retry` dial again."""

    def __init__(self, reason: str, close_code: int | None = None, *, retry: bool = True) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.retry = retry


class Peer:
    """Peer of a connection."""

    def __init__(self, endpoint: DialTarget) -> None:
        """Never raises; an address that is none is found out by dialling it."""
        try:
            parts = urlsplit(endpoint.url)
            self.host = clean(parts.hostname or "") or "the server"
            self.port = parts.port or (443 if parts.scheme == "wss" else 80)
        except ValueError:
            self.host, self.port = "the server", 0
        secrets = [value.reveal() for value in endpoint.headers.values()]
        self._unspeakable = [*secrets, *(part for value in secrets for part in value.split())]
        self.keys = [value for value in self._unspeakable if len(value) >= _SHORTEST_KEY]
        self.has_key = bool(secrets)

    @property
    def is_here(self) -> bool:
        """True if it is on this machine, where no proxy belongs in between."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    def quote(self, text: str) -> str:
        """What the peer wrote as a clause to append; empty if it wrote nothing."""
        for secret in self._unspeakable:
            if len(secret) > len("Bearer"):
                text = text.replace(secret, "***")
        text = " ".join(clean(text).split())
        if len(text) > _LONGEST_QUOTE:
            text = text[:_LONGEST_QUOTE] + "…"
        return f": {text}" if text else ""

    def hushed(self, frame: str | bytes) -> str | bytes:
        """The frame without the keys that were sent to the peer, should it repeat them."""
        for key in self.keys:
            if isinstance(frame, str):
                frame = frame.replace(key, "***")
            else:
                frame = frame.replace(key.encode(), b"***")
        return frame

    def stalled(self) -> ConnectionLost:
        """It takes nothing any more."""
        return ConnectionLost(f"{self.host} stopped taking what was sent.")

    def silent(self, seconds: float) -> ConnectionLost:
        """It gives no sign of life."""
        return ConnectionLost(f"{self.host} gave no sign of life for {seconds:.0f} seconds.")

    def closed(self, closed: ConnectionClosed) -> ConnectionLost:
        """It closed the connection, or the connection broke."""
        if closed.rcvd is None:
            ours = closed.sent.code if closed.sent else 1006
            why = _COMPLAINTS.get(ours, "sent what no endpoint may send")
            return ConnectionLost(f"{self.host} {why}.")
        code = closed.rcvd.code
        sentence = _ENDINGS.get(code, f"closed the connection with code {code}")
        said = self.quote(closed.rcvd.reason).rstrip(".")
        return ConnectionLost(f"{self.host} {sentence}{said}.", code, retry=code not in _FINAL)

    def unreachable(self, failure: Exception, deadline: float) -> VoicechatError:
        """Why dialling failed. `failure` is what the library raised."""
        if isinstance(failure, InvalidStatus):
            return self._refused(failure.response)
        if isinstance(failure, TimeoutError):
            return DialFailed(f"{self.host} did not answer within {deadline:g} s.", retry=True)
        if isinstance(failure, gaierror):
            return DialFailed(
                f"The name {self.host} cannot be found.",
                "Check the address and the network.",
                retry=True,
            )
        if isinstance(failure, ssl.SSLError):
            return self._untrusted(failure)
        if isinstance(failure, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
            return self._hung_up()
        if isinstance(failure, OSError):
            return DialFailed(
                f"No server answers at {self.host} port {self.port}.",
                "Check the address, and that the server runs.",
                retry=True,
            )
        return self._no_socket(failure)

    def _hung_up(self) -> DialFailed:
        return DialFailed(f"{self.host} hung up before it answered.", retry=True)

    def _untrusted(self, failure: ssl.SSLError) -> DialFailed:
        if isinstance(failure, ssl.SSLCertVerificationError):
            why = self.quote(failure.verify_message)
            return DialFailed(f"The certificate of {self.host} cannot be trusted{why}.")
        return DialFailed(
            f"{self.host} port {self.port} does not speak TLS.",
            "An address without TLS begins with http:// or ws://.",
        )

    def _no_socket(self, failure: Exception) -> DialFailed:
        if isinstance(failure, InvalidProxy | ImportError):
            return DialFailed(
                f"The proxy set for {self.host} cannot be used.",
                "Look at HTTPS_PROXY and ALL_PROXY; SOCKS needs the package python-socks.",
            )
        if isinstance(failure, ProxyError):
            return DialFailed(f"The proxy did not let us through to {self.host}.", retry=True)
        if isinstance(failure, InvalidURI | ValueError):
            return DialFailed("The address cannot be dialled.", "It looks like https://host/v1.")
        if isinstance(failure.__cause__, EOFError | ConnectionError):
            return self._hung_up()
        return DialFailed(
            f"{self.host} answers, but not as a realtime endpoint.",
            "Check --base-url; it has to be one with a realtime API.",
        )

    def _refused(self, response: Response) -> VoicechatError:
        status = response.status_code
        tail = f" (HTTP {status}{self.quote(_message(response.body))})."
        if status in {401, 403}:
            said = "refused the key" if self.has_key else "asks for a key"
            return KeyMissing(f"{self.host} {said}{tail}", "Check the key, and what it may do.")
        if status == 404:
            return DialFailed(
                f"{self.host} has no such realtime endpoint or model{tail}",
                "Check --base-url and --model.",
            )
        if status == 429 or status >= 500:
            said = "asks us to wait" if status == 429 else "is out of order"
            wait = _seconds(response.headers.get("Retry-After"))
            return DialFailed(f"{self.host} {said}{tail}", retry=True, retry_after=wait)
        if 300 <= status < 400:
            return DialFailed(
                f"{self.host} points to another address (HTTP {status}), where no key is sent.",
                "Give the new address as --base-url.",
            )
        return DialFailed(f"{self.host} refused to open a session{tail}", "Check --base-url.")


_ENDINGS = {
    1000: "ended the session",
    1001: "is going away",
    1008: "refused to go on",
    1011: "had an internal error",
    1012: "is restarting",
    1013: "is overloaded",
}
_COMPLAINTS = {1006: "broke off the connection", 1009: "sent a frame that is too large"}
_FINAL = frozenset({1002, 1003, 1007, 1008, 1010, 3000, 3003, 4001, 4003, 4400, 4401, 4403, 4404})
"""Close codes with which a peer says that the same would fail again."""


class _Refusal(msgspec.Struct):
    error: object = None
    message: object = None


def _message(body: bytes) -> str:
    """The message in an error body, whichever of the usual shapes it has; else nothing."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    error = refusal.error
    said = error.get("message") if isinstance(error, dict) else error or refusal.message
    return said if isinstance(said, str) else ""


def _seconds(retry_after: str | None) -> float | None:
    """The header in seconds from now, at most a minute; None when it says nothing sensible."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after or "") - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None
