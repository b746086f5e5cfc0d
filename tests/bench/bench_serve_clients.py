"""`voicechat serve` with many clients at once: those who speak, and those who type."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from bench_speech import Speaker, corpora
from bench_turns import RATE, caller_of, serve, turns
from figures import Figure, Table, spread, trials
from websockets.asyncio.client import connect

from voicechat.server.assistant import intents

SPEAKERS, TYPISTS = 4, 16
MAX_RATIO = 2.0
"""Most that the median of clients at once may take, as a multiple of that of a client alone."""
PAUSE_S = 1.0
"""Seconds between the requests of a client that types."""


async def typed(url: str, token: str, lines: list[str], seed: int) -> list[float]:
    """Return the ms from each typed line to the end of its written answer."""
    chance, took = random.Random(seed), []
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(url, additional_headers=headers, max_size=None) as socket:
        settings = {"type": "realtime", "output_modalities": ["text"]}
        await socket.send(json.dumps({"type": "session.update", "session": settings}))
        for line in lines:
            await asyncio.sleep(PAUSE_S * chance.uniform(0.5, 1.5))
            began = time.perf_counter()
            content = [{"type": "input_text", "text": line}]
            item = {"type": "message", "role": "user", "content": content}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await socket.send(json.dumps({"type": "response.create"}))
            async with asyncio.timeout(20):
                while json.loads(await socket.recv())["type"] != "response.done":
                    pass
            took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(count: int) -> Iterator[Figure]:
    chosen = random.Random(3)
    closed = [one for one in corpora("commands")["commands"] if intents.is_closed(one["text"])]
    entries = chosen.sample(closed, count)
    lines = [entry["text"] for entry in chosen.sample(closed, 4 * count)]
    with tempfile.TemporaryDirectory() as fresh:
        child, url, token = await serve(Path(fresh))
        speaker = Speaker(RATE)
        await speaker.open()
        try:
            async with caller_of(url, token) as caller:
                alone = (await turns(caller, speaker, entries, show=False))[1]["sound"]
            typed_alone = await typed(url, token, lines, 0)
            async with AsyncExitStack() as stack:
                callers = [
                    await stack.enter_async_context(caller_of(url, token)) for _ in range(SPEAKERS)
                ]
                typing = [typed(url, token, lines, seed) for seed in range(TYPISTS)]
                talking = [turns(caller, speaker, entries, show=False) for caller in callers]
                together = await asyncio.gather(*talking, *typing)
        finally:
            child.terminate()
            await child.wait()
            await speaker.close()
    spoken = [ms for _, parts in together[:SPEAKERS] for ms in parts["sound"]]
    written = [ms for each in together[SPEAKERS:] for ms in each]
    asked = SPEAKERS * len(entries)
    return iter(
        (
            *_rows(f"{SPEAKERS} who speak: speech → sound", alone, spoken),
            *_rows(f"{TYPISTS} who type: line → answer", typed_alone, written),
            Figure(
                "spoken without an answer",
                f"{asked - len(spoken)} of {asked}",
                "0",
                len(spoken) == asked,
                "",
            ),
        )
    )


def _rows(what: str, alone: list[float], together: list[float]) -> list[Figure]:
    ratio = statistics.median(together) / statistics.median(alone)
    ours = f"{ratio:.1f} times one alone ({spread(alone)})"
    return [
        Figure(f"{what}, ms", spread(together), peers=""),
        Figure("    its median", ours, f"{MAX_RATIO:.0f} times", ratio <= MAX_RATIO, ""),
    ]


def clients(effort: float) -> Iterator[Figure]:
    """Measure speaking and typing clients alone, and all of them at once."""
    yield from asyncio.run(measure(trials(6, effort)))


TABLE = Table("Server", {"serve-clients: 4 speak, 16 type": clients})
