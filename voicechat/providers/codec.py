"""What every wire format must be able to do. How providers differ is in `Capabilities`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from voicechat.core.commands import Command
from voicechat.core.events import Event
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.system.dial_target import DialTarget

__all__ = ["Capabilities", "Codec", "Critical", "Lasting", "later", "unsupported"]


class Codec(Protocol):
    """One connection's translation between a wire and the vocabulary. Pure: no I/O, no clock.

    Make a new codec for every connection: it may keep state between frames.
    """

    capabilities: Capabilities
    stale: bool
    """True when the last settings that were asked for can only hold for a new connection."""

    def endpoint(self) -> DialTarget:
        """Where and how to dial."""
        ...

    def admit(self, endpoint: DialTarget) -> None:
        """Dial there instead: the way in with a short-lived token."""
        ...

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Frames to send as soon as the socket is open, before anything was received.

        `resume` is the last `ResumptionHandle` of the session to go on with, if there was one.
        """
        ...

    def decode(self, frame: str | bytes) -> list[Event]:
        """The events in one frame. Never raises: a frame that cannot be read is `Unmapped`."""
        ...

    def encode(self, command: Command) -> list[str | bytes]:
        """The frames that carry out one command; empty if this wire has no such command."""
        ...


@runtime_checkable
class Critical(Protocol):
    """A codec that can say which settings its wire cannot carry."""

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """A sentence, naming provider and field, for each setting that will have no effect."""
        ...


def unsupported(codec: Codec, settings: SessionSettings) -> list[str]:
    """What to tell the person before these settings are used; empty when all of them count.

    A codec that cannot say it is taken to carry everything.
    """
    return codec.unsupported(settings) if isinstance(codec, Critical) else []


@runtime_checkable
class Lasting(Protocol):
    """A codec that can say which settings a running session keeps as they are."""

    def later(self, settings: SessionSettings) -> list[str]:
        """A sentence for each setting that will only hold for the next session."""
        ...


def later(codec: Codec, settings: SessionSettings) -> list[str]:
    """What to tell the person before a running session is asked for these settings.

    A codec that cannot say it is taken to change everything at once.
    """
    return codec.later(settings) if isinstance(codec, Lasting) else []
