"""What the protocol asks of whoever runs the engines."""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.server.realtime.server_response import Reply
from voicechat.speech.formats import Format


@dataclass(frozen=True, slots=True)
class Sound:
    """The person's sound, in the session's input format."""

    sound: bytes
    format: Format


@dataclass(frozen=True, slots=True)
class Configured:
    """The session changed."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The sound up to here is the user item `item_id`; its text is wanted."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """The uncommitted sound is gone."""


@dataclass(frozen=True, slots=True)
class Recognise:
    """The client brought an item with sound and no text."""

    item_id: str
    sound: bytes
    format: Format


@dataclass(frozen=True, slots=True)
class Started:
    """A response began and wants its content."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Stopped:
    """A response was cancelled; nothing of it may be made any more."""

    reply: Reply


Action = Sound | Configured | Committed | Cleared | Recognise | Started | Stopped
Actions = list[Action]
