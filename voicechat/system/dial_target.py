"""The address and credentials of a connection, passed from a codec to a transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voicechat.errors import Secret
from voicechat.system.ice_servers import IceServer


@dataclass(frozen=True, slots=True)
class CallOffer:
    """A WebRTC connection: the HTTP request that answers its offer, and its data channel.

    Frames of text travel over the data channel. A frame of bytes is sound, which travels apart:
    mono PCM16.
    """

    url: str
    """Address that takes the offer (a session description, SDP) and returns the answer."""
    channel: str
    """Label of the data channel."""
    session: str = ""
    """JSON of the session, sent with the offer as a form; empty to send the offer alone."""
    rate: int = 24_000
    """Samples per second of the sound, in both directions."""
    is_json: bool = False
    """The offer and the answer are JSON, with `session` and `transport` (OpenAI Live)."""
    ice_servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers to use."""


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
    """Id of the phone call that the socket controls; it ends with the call."""
    call: CallOffer | None = None
    """The WebRTC connection to use instead of the WebSocket at `url`; None for the WebSocket."""
