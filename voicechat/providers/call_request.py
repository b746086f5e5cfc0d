"""Codecs of calls: what the request for a connection needs beyond an address."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from voicechat.core.settings import SessionSettings
from voicechat.providers.codec import Codec
from voicechat.system.dial_target import DialTarget
from voicechat.system.ice_servers import IceServer


@runtime_checkable
class StartsInRequest(Protocol):
    """A codec whose request for a connection carries the session."""

    def begin(self, settings: SessionSettings) -> None:
        """Use these settings for the session."""
        ...


@runtime_checkable
class UsesIceServers(Protocol):
    """A codec of WebRTC connections."""

    ice_servers: tuple[IceServer, ...]
    """STUN and TURN servers to use."""


def dial_target(codec: Codec, settings: SessionSettings) -> DialTarget:
    """Return where and how to dial for a session with these settings."""
    if isinstance(codec, StartsInRequest):
        codec.begin(settings)
    return codec.endpoint()
