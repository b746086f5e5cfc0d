"""The address and credentials of a connection, passed from a codec to a transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voicechat.errors import Secret


@dataclass(frozen=True, slots=True)
class DialTarget:
    """An address to connect to. Header values are secret: reveal them only to the socket."""

    url: str
    headers: Mapping[str, Secret]
    subprotocols: Sequence[str | Secret] = ()
    """Offered to the server in this order; one that carries a token is secret."""
    key_variable: str = ""
    """Environment variable that may hold the key; for messages."""
    call_id: str = ""
    """Id of the phone call beside which the socket is; it ends with the call."""
