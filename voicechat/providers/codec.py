"""The protocol of a codec. Differences between providers are in `Capabilities`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from voicechat.core.commands import Command
from voicechat.core.events import Event, UsageReported
from voicechat.core.items import Usage
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.providers.client_frames import ClientFrame
from voicechat.system.dial_target import DialTarget

__all__ = [
    "BillsTime",
    "Capabilities",
    "ClosesSession",
    "Codec",
    "DefersSettings",
    "FillsSilence",
    "NamesRefusedPart",
    "OffersEvents",
    "PromptsServer",
    "RejectsSettings",
    "client_events",
    "closing",
    "deferred",
    "prompting",
    "refused_part",
    "unreported",
    "unsupported",
]


class Codec(Protocol):
    """One connection's translation between a wire and the vocabulary. Pure: no I/O, no clock.

    Make a new codec for every connection: it may keep state between frames.
    """

    capabilities: Capabilities
    stale: bool
    """True if the settings requested last need a new connection."""

    def endpoint(self) -> DialTarget:
        """Return where and how to dial."""
        ...

    def redirect(self, endpoint: DialTarget) -> None:
        """Dial this target instead, with a short-lived token."""
        ...

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return the frames to send when the socket opens, before anything is received.

        `resume` is the last `ResumptionHandle` of the session to continue, if there is one.
        """
        ...

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame. Never raises: an unreadable frame is `Unmapped`."""
        ...

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out one command; empty if the wire has no such command."""
        ...


@runtime_checkable
class RejectsSettings(Protocol):
    """A codec that reports the settings its wire cannot carry."""

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence, with provider and field, for each setting without effect."""
        ...


def unsupported(codec: Codec, settings: SessionSettings) -> list[str]:
    """Return sentences for the user before these settings are used.

    A codec that does not implement `RejectsSettings` carries every setting.
    """
    return codec.unsupported(settings) if isinstance(codec, RejectsSettings) else []


@runtime_checkable
class PromptsServer(Protocol):
    """A codec for servers that may wait for a first frame."""

    def prompting(self) -> list[str | bytes]:
        """Return the frames for a server that is silent after it accepted the connection."""
        ...


def prompting(codec: Codec) -> list[str | bytes]:
    """Return the frames for a server that is silent after it accepted the connection."""
    return codec.prompting() if isinstance(codec, PromptsServer) else []


@runtime_checkable
class NamesRefusedPart(Protocol):
    """A codec whose server closes the connection because of a part of the settings."""

    def refused_part(self, reason: str) -> str | None:
        """Return the key of the part that this reason names, such as `tools.NAME`; else None."""
        ...


def refused_part(codec: Codec, reason: str) -> str | None:
    """Return the part of the settings that the reason of a closed connection names, if any."""
    return codec.refused_part(reason) if isinstance(codec, NamesRefusedPart) else None


@runtime_checkable
class DefersSettings(Protocol):
    """A codec that reports the settings that a running session cannot change."""

    def deferred(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that takes effect in the next session only."""
        ...


def deferred(codec: Codec, settings: SessionSettings) -> list[str]:
    """Return sentences for the user before a running session gets these settings.

    A codec that does not implement `DefersSettings` changes every setting at once.
    """
    return codec.deferred(settings) if isinstance(codec, DefersSettings) else []


@runtime_checkable
class FillsSilence(Protocol):
    """A codec for sessions that advance only while they receive sound."""

    def silence(self, ms: float) -> list[str | bytes]:
        """Return silence for the last `ms` milliseconds unless sound was sent in that time."""
        ...


@runtime_checkable
class ClosesSession(Protocol):
    """A codec for sessions that end with a frame."""

    def closing(self) -> list[str | bytes]:
        """Return the frames to send before the socket closes."""
        ...


def closing(codec: Codec) -> list[str | bytes]:
    """Return the frames to send before the socket closes."""
    return codec.closing() if isinstance(codec, ClosesSession) else []


@runtime_checkable
class BillsTime(Protocol):
    """A codec for sessions that may be billed by time."""

    def unreported(self, connected_s: float) -> Usage:
        """Return the billed time that no event has reported, for an end `connected_s` after the
        start."""
        ...


def unreported(codec: Codec, connected_s: float) -> list[Event]:
    """Return the billed time of a connection that ends, as far as no event has reported it."""
    usage = codec.unreported(connected_s) if isinstance(codec, BillsTime) else Usage()
    return [UsageReported(usage)] if usage.seconds > 0 else []


@runtime_checkable
class OffersEvents(Protocol):
    """A codec that knows the client event types of its wire."""

    client_events: tuple[ClientFrame, ...]


def client_events(codec: Codec) -> tuple[ClientFrame, ...]:
    """Return the client event types of the wire; empty if the codec does not know them."""
    return codec.client_events if isinstance(codec, OffersEvents) else ()
