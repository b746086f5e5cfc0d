"""What every wire format must be able to do, and the flags that tell how providers differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from voicechat.core.events import Command, Event
from voicechat.core.settings import SessionSettings
from voicechat.errors import Secret


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do. The conversation and the session read these flags and never ask who it is."""

    truncate: bool = True
    """A spoken item can be cut at what was heard."""
    cancel: bool = True
    """A running response can be stopped by a command."""
    semantic_vad: bool = True
    text_output: bool = True
    manual_turns: bool = True
    """Push-to-talk: the client may end a turn."""
    commit_starts_response: bool = False
    """A commit alone asks for the reply; `CreateResponse` must not follow it."""
    user_partials: bool = True
    """The person's words arrive while they speak."""
    input_rates: tuple[int, ...] = (24_000,)
    output_rates: tuple[int, ...] = (24_000,)
    resumption: bool = False
    """The provider can restore a session by handle."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect. Header values are secret: reveal them only to the socket."""

    url: str
    headers: Mapping[str, Secret]
    subprotocols: Sequence[str] = ()


class Codec(Protocol):
    """One connection's translation between a wire and the vocabulary. Pure: no I/O, no clock.

    Make a new codec for every connection: it may keep state between frames.
    """

    capabilities: Capabilities

    def endpoint(self) -> Endpoint:
        """Where and how to dial."""
        ...

    def opening(self, settings: SessionSettings) -> list[str | bytes]:
        """Frames to send as soon as the socket is open, before anything was received."""
        ...

    def decode(self, frame: str | bytes) -> list[Event]:
        """The events in one frame. Never raises: a frame that cannot be read is `Unmapped`."""
        ...

    def encode(self, command: Command) -> list[str | bytes]:
        """The frames that carry out one command; empty if this wire has no such command."""
        ...
