"""How much of an MCP server's message is read: what would hold up the event loop is not parsed."""

from __future__ import annotations

MESSAGE_LIMIT = 1 << 20
"""Bytes of one message."""

OBJECTS = 4_000
"""Objects in one message; reading that many holds up the event loop for some 50 ms."""

VALUES = 40_000
"""Values of lists and objects in one message."""

TOO_LARGE = "The answer was larger than 1 MB, or in thousands of parts, and was left out."


def is_too_large(message: bytes) -> bool:
    """Whether a message of JSON is not to be parsed; told by looking at its punctuation alone."""
    if len(message) > MESSAGE_LIMIT:
        return True
    if message.count(b"{") <= OBJECTS and message.count(b",") + message.count(b"[") <= VALUES:
        return False
    # Only what stands outside of texts counts.
    texts = message.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    outside = b"".join(texts[::2])
    return outside.count(b"{") > OBJECTS or outside.count(b",") + outside.count(b"[") > VALUES
