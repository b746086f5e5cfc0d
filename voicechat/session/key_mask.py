"""Mask for keys in text that leaves the session: recordings and raw frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from voicechat.core.text import KEY_MASK, KEY_SHAPES
from voicechat.system.frame_cost import CHEAP_CHARACTERS, is_costly, is_sound

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.errors import Secret

_SHORT_KEY: Final = 8
"""Shortest part (characters) of a provider key that is masked."""
_SURE_KEY: Final = 20
"""Shortest part (characters) of an MCP or endpoint value that is masked, so that words remain."""


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
