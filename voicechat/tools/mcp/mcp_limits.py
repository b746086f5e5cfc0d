"""Limits for messages of MCP servers: one that would block the event loop is not parsed."""

from __future__ import annotations

MESSAGE_LIMIT = 1 << 20
"""Bytes of one message."""

OBJECTS = 4_000
"""Objects in one message; parsing that many blocks the event loop for about 50 ms."""

VALUES = 40_000
"""Values of lists and objects in one message."""

TOO_LARGE = "The answer was larger than 1 MB, or in thousands of parts, and was left out."


def is_too_large(message: bytes) -> bool:
    """Return True when a JSON message is too large to parse, judged by its punctuation alone."""
    if len(message) > MESSAGE_LIMIT:
        return True
    if message.count(b"{") <= OBJECTS and message.count(b",") + message.count(b"[") <= VALUES:
        return False
    # Punctuation inside of strings does not count.
    texts = message.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    outside = b"".join(texts[::2])
    return outside.count(b"{") > OBJECTS or outside.count(b",") + outside.count(b"[") > VALUES
