"""Where the media of calls goes: the addresses of the server, and its STUN and TURN servers.

Source: RFC 8445 (ICE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voicechat.system.ice_servers import IceServer

_LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
_WILDCARDS = ("0.0.0.0", "::", "")


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
