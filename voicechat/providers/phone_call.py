"""Phone calls at a provider: the requests that control one, and what a watcher sees of it.

A codec of a call is for the control socket of the call ("sideband"): no sound flows there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from voicechat.core.events import (
    Event,
    ItemKind,
    KeypadPressed,
    OutputItemAdded,
    RemoteCall,
    ToolArgumentsDelta,
    ToolCallReady,
)
from voicechat.core.items import ToolState
from voicechat.core.settings import SessionSettings
from voicechat.errors import UsageError
from voicechat.providers.codec import Codec
from voicechat.providers.json_fields import as_text, message
from voicechat.providers.rest import HttpRequest

_PRESSED = frozenset({"input_audio_buffer.dtmf_event_received", "transport.dtmf.received"})
"""Events of the realtime and of the Live sockets."""

_KEYS = "0123456789*#ABCD"
_LONGEST_KEY_FRAME = 1_000
"""Characters of a frame that may report a key."""

DECLINE = 603
"""Status code of SIP for a call that is declined everywhere (RFC 3261, 21.6.2)."""


@runtime_checkable
class ControlsCall(Protocol):
    """A codec of a phone call."""

    sound_plays: bool
    """True while the phone plays sound of the model, as far as the provider tells."""

    def accept(self, settings: SessionSettings) -> HttpRequest:
        """Build the request that answers the call with these settings.

        Raises `UsageError` if the model does not fit the call.
        """
        ...

    def reject(self, status: int) -> HttpRequest:
        """Build the request that refuses the call with a status code of SIP."""
        ...

    def refer(self, target: str) -> HttpRequest:
        """Build the request that transfers the call to a `tel:` or `sip:` address."""
        ...

    def hang_up(self) -> HttpRequest:
        """Build the request that ends the call."""
        ...


def call_controls(codec: Codec) -> ControlsCall | None:
    """Return the codec as the control of its call; None if it has no call."""
    return codec if isinstance(codec, ControlsCall) else None


class WrongKind(UsageError):
    """A model that cannot answer a call, because it is of the other kind."""


def wrong_kind(call_id: str, model: str, needed: str) -> WrongKind:
    """Return the error for a model that cannot answer a call."""
    return WrongKind(f"The call {call_id} needs {needed}, not {model}.", "Use another --model.")


def keypad(frame: str | bytes) -> Iterator[Event]:
    """Yield the key of the phone that a frame reports."""
    if isinstance(frame, str) and len(frame) <= _LONGEST_KEY_FRAME and "dtmf" in frame:
        found = message(frame) or {}
        key = as_text(found.get("event")).upper()
        if found.get("type") in _PRESSED and len(key) == 1 and key in _KEYS:
            yield KeypadPressed(key)


def watched(events: Iterable[Event]) -> Iterator[Event]:
    """Replace calls of tools, which another program runs, by reports about them."""
    for event in events:
        match event:
            case ToolArgumentsDelta():
                continue
            case OutputItemAdded(kind=ItemKind.TOOL_CALL):
                yield RemoteCall(event.item_id, event.response_id, name=event.name or "")
            case ToolCallReady():
                yield RemoteCall(
                    event.item_id, event.response_id, name=event.name,
                    arguments=event.arguments, state=ToolState.RUNNING,
                )  # fmt: skip
            case _:
                yield event
