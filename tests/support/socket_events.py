"""Events of a server as a client of the openai package sees them."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from scripted import check


async def events_until(connection: Any, last: str) -> list[dict[str, Any]]:
    """Return all events up to the first of this type, each validated by the openai package."""
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        while not seen or seen[-1]["type"] != last:
            seen.append(check(await connection.recv_bytes()))
    return seen


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Return the event types in order; consecutive deltas count as one."""
    found: list[str] = []
    for event in events:
        if not found or not event["type"].endswith("delta") or event["type"] not in found[-2:]:
            found.append(event["type"])
    return found


async def append(connection: Any, pcm: bytes) -> None:
    """Send sound in 20 ms blocks."""
    for start in range(0, len(pcm), 960):
        block = base64.b64encode(pcm[start : start + 960]).decode()
        await connection.input_audio_buffer.append(audio=block)


END_OF_REPLY = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
REPLY = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    *END_OF_REPLY,
]
