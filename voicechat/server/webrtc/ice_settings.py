"""Where the media of calls goes: the addresses of the server, and its STUN and TURN servers.

Sources: RFC 8445 (ICE), RFC 7064 and RFC 7065 (addresses of STUN and TURN servers).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError

_LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
_WILDCARDS = ("0.0.0.0", "::", "")
_SERVER = re.compile(
    r"(?P<kind>stun|turns?):(?:(?P<user>[^\s@?]+)@)?(?P<host>[\w.-]+)"
    r"(?P<port>:\d{1,5})?(?P<way>\?transport=(?:udp|tcp))?"
)


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server."""

    url: str
    user: str | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class IceSettings:
    """The servers, and the address that the HTTP server listens on."""

    host: str
    servers: tuple[IceServer, ...] = ()

    def addresses(self, found: Sequence[str]) -> list[str]:
        """Return the addresses for media. found: those of this machine, without loopback.

        A server on loopback also takes media at the other addresses: a browser may send from one
        of them, and whoever does not know the passwords of the call gets no answer.
        """
        if self.host in _LOOPBACK:
            return [_LOOPBACK[self.host], *found]
        if self.host in _WILDCARDS:
            return list(found) or ["127.0.0.1"]
        return [self.host]


def ice_servers(text: str, password: Secret | None) -> tuple[IceServer, ...]:
    """Return the servers in a text, separated by spaces. Raises `UsageError`.

    A TURN server has its user before an @. password: of the TURN server.
    """
    found = []
    for word in text.split():
        match = _SERVER.fullmatch(word)
        if match is None or (match["kind"] == "stun") != (match["user"] is None):
            raise UsageError(
                f"--ice-servers has {clean(word)[:60]!r}, which is no STUN or TURN server.",
                "Write stun:HOST:PORT, or turn:USER@HOST:PORT with its password in"
                " VOICECHAT_TURN_PASSWORD.",
            )
        if match["user"] is not None and not password:
            raise UsageError(
                "The TURN server in --ice-servers needs a password.",
                "Set VOICECHAT_TURN_PASSWORD.",
            )
        url = word.replace(f"{match['user']}@", "", 1)
        secret = password if match["user"] is not None else None
        found.append(IceServer(url, match["user"], secret))
    if len({each.user is None for each in found}) < len(found):
        raise UsageError(
            "--ice-servers has several servers of one kind.",
            "Name at most one STUN and one TURN server.",
        )
    return tuple(found)
