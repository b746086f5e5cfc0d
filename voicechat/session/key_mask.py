"""Masks for keys: in text that leaves the session, and in text that a provider streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from voicechat.core import events, inputs
from voicechat.core.text import KEY_MASK, KEY_SHAPES
from voicechat.system.frame_cost import CHEAP_CHARACTERS, is_costly, is_sound

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.errors import Secret

_SHORT_KEY: Final = 8
"""Shortest part (characters) of a provider key that is masked."""
_SURE_KEY: Final = 20
"""Shortest part (characters) of an MCP or endpoint value that is masked, so that words remain."""


_Streamed = events.TextDelta | events.UserTranscript | events.ToolArgumentsDelta
_MAX_HELD: Final = 64
"""Most texts whose end is held back; the oldest is released."""


class KeyMask:
    """Replaces keys that occur in a text or in bytes: those of the options, and known shapes."""

    def __init__(self, options: Options) -> None:
        self.keys = keys_of(options)
        written = {key: json.dumps(key)[1:-1] for key in self.keys}
        self._encoded = [each.encode() for key in self.keys for each in {key, written[key]}]

    def text(self, text: str) -> str:
        """Return the text with all keys masked."""
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def data(self, data: bytes) -> bytes:
        """Return the bytes with all keys masked."""
        for key in self._encoded:
            data = data.replace(key, KEY_MASK.encode())
        if len(data) <= CHEAP_CHARACTERS:
            return _without_shapes(data)
        # To search 15 MB of sound would block the event loop for 130 ms.
        return b'"'.join(
            part if is_sound(part) else _without_shapes(part) for part in data.split(b'"')
        )

    def frame(self, frame: str | bytes) -> tuple[str | bytes, int]:
        """Return a frame with all keys masked.

        Of one that is too large to read, only the start is returned, with its whole size. The size
        is 0 for every other frame.
        """
        size = len(frame) if is_costly(frame) else 0
        start = frame[:CHEAP_CHARACTERS] if size else frame
        return (self.text(start) if isinstance(start, str) else self.data(start)), size

    def streamed(
        self, take: Callable[[events.Event | inputs.Disconnected], None]
    ) -> Callable[[events.Event | inputs.Disconnected], None]:
        """Return a receiver of events that passes them on with streamed keys masked."""
        mask = StreamedKeyMask(self.keys)

        def masked(event: events.Event | inputs.Disconnected) -> None:
            for each in mask.passed_on(event):
                take(each)

        return masked if self.keys else take


class StreamedKeyMask:
    """Masks keys that come in several pieces of one text.

    The end of a piece that may be the start of a key is held back until the next piece.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._held: dict[tuple[type, str], _Streamed] = {}

    def passed_on(
        self, event: events.Event | inputs.Disconnected
    ) -> Iterator[events.Event | inputs.Disconnected]:
        """Yield the events to pass on instead of this one, in order."""
        if isinstance(event, events.UserTranscript) and (event.replace or event.final):
            self._held.pop((events.UserTranscript, event.item_id), None)
            yield event
        elif isinstance(event, _Streamed):
            yield from self._piece(event)
        elif not self._held:
            yield event
        else:
            yield from self._released(event)
            yield event

    def _piece(self, event: _Streamed) -> Iterator[_Streamed]:
        key = (type(event), event.item_id)
        held = self._held.pop(key, None)
        text = (held.text if held is not None else "") + event.text
        for secret in self._keys:
            text = text.replace(secret, KEY_MASK)
        shown = len(text) - max((_start_of_key(text, secret) for secret in self._keys), default=0)
        if shown < len(text):
            self._held[key] = replace(event, text=text[shown:])
            if len(self._held) > _MAX_HELD:
                yield self._held.pop(next(iter(self._held)))
        if shown or not text:
            yield replace(event, text=text[:shown])

    def _released(self, event: events.Event | inputs.Disconnected) -> Iterator[_Streamed]:
        """Yield what is held back of the texts that this event ends."""
        item_id = getattr(event, "item_id", None)
        ends_all = isinstance(event, events.ResponseDone | inputs.Disconnected)
        ends = isinstance(event, events.TextDone | events.OutputItemDone | events.ToolCallReady)
        for key in list(self._held) if ends or ends_all else ():
            if ends_all or key[1] == item_id:
                yield self._held.pop(key)


def _start_of_key(text: str, key: str) -> int:
    """Return the length of the longest end of the text that is a start of the key."""
    at = text.find(key[0], max(0, len(text) - len(key) + 1))
    while at >= 0 and not key.startswith(text[at:]):
        at = text.find(key[0], at + 1)
    return len(text) - at if at >= 0 else 0


def _without_shapes(data: bytes) -> bytes:
    return KEY_SHAPES.sub(KEY_MASK.encode(), data)


def keys_of(options: Options) -> list[str]:
    """Return every secret in these options that must be masked, the longest first."""
    own = [*options.keys.values(), *([options.token] if options.token else [])]
    others: list[Secret] = []
    for server in options.mcp_servers:
        others += (*server.env.values(), *server.headers.values())
    for endpoint in options.endpoints:
        others += endpoint.headers.values()
    texts = [(key.reveal(), _SHORT_KEY) for key in own] + [(k.reveal(), _SURE_KEY) for k in others]
    texts += [(text, _SURE_KEY) for text in _sent_to_servers(options)]
    words = {(word, least) for text, least in texts for word in text.split()}
    return sorted({word for word, least in words if len(word) >= least}, key=len, reverse=True)


def _sent_to_servers(options: Options) -> list[str]:
    """Return the texts with which a provider authorizes itself at MCP servers."""
    servers = options.session_settings.get("mcp_servers", ())
    found: list[str] = []
    for server in servers if isinstance(servers, tuple) else ():
        found += [server.authorization] if server.authorization else []
        found += server.headers.values()
    return found
