"""The input clock of continuous sessions, which advance only while they receive sound."""

from __future__ import annotations

import asyncio
import time

from voicechat.providers.codec import Codec, FillsSilence
from voicechat.transports.dialing import Connection

FILL_S = 0.1
"""Seconds between two checks; a microphone sends several blocks in this time."""


async def fill_silence(codec: Codec, connection: Connection) -> None:
    """Send silence while the microphone sends nothing; return at once for other wires."""
    if not isinstance(codec, FillsSilence):
        return
    before = time.monotonic()
    while True:
        await asyncio.sleep(FILL_S)
        now = time.monotonic()
        for frame in codec.silence((now - before) * 1000):
            connection.send_audio(frame)
        before = now
