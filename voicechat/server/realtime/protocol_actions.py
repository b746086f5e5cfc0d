"""Actions of the protocol for the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.server.realtime.server_response import ServerResponse
from voicechat.speech.formats import Format


@dataclass(frozen=True, slots=True)
class InputSound:
    """Audio of the user, in the input format of the session."""

    sound: bytes
    format: Format


@dataclass(frozen=True, slots=True)
class SessionConfigured:
    """The session changed."""


@dataclass(frozen=True, slots=True)
class AudioCommitted:
    """The audio up to here is the user item `item_id` and needs a transcript."""

    item_id: str


@dataclass(frozen=True, slots=True)
class AudioCleared:
    """The client discarded the uncommitted audio."""


@dataclass(frozen=True, slots=True)
class RecognizeItem:
    """The client created an item with audio but no transcript."""

    item_id: str
    sound: bytes
    format: Format


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """A response started and needs its content."""

    reply: ServerResponse


@dataclass(frozen=True, slots=True)
class ResponseStopped:
    """A response was canceled. Stop all work on it."""

    reply: ServerResponse


Action = (
    InputSound
    | SessionConfigured
    | AudioCommitted
    | AudioCleared
    | RecognizeItem
    | ResponseStarted
    | ResponseStopped
)
Actions = list[Action]
