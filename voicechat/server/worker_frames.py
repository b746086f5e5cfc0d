"""Frames between an engine process and its parent. Only the parent needs asyncio."""

from __future__ import annotations

import msgspec

from voicechat.system.frames import frame


def encode(number: int, name: str, value: object) -> bytes:
    """Encode one frame, in either direction."""
    return frame(msgspec.msgpack.encode((number, name, value)))
