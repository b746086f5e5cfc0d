"""STUN and TURN servers as they are written in the settings. Sources: RFC 7064, RFC 7065."""

from __future__ import annotations

import re
from dataclasses import dataclass

from voicechat.errors import Secret, UsageError

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


def ice_servers(text: str, password: Secret | None) -> tuple[IceServer, ...]:
    """Return the servers in a text, separated by spaces. Raises `UsageError`.

    A TURN server has its user before an @. password: of the TURN server.
    """
    found = []
    for word in text.split():
        match = _SERVER.fullmatch(word)
        if match is None or (match["kind"] == "stun") != (match["user"] is None):
            raise UsageError(
                f"--ice-servers has {word[:60]!r}, which is no STUN or TURN server.",
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
