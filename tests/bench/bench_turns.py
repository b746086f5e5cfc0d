"""Latency and accuracy of spoken answers: `python tests/bench/bench_turns.py`.

A real `voicechat serve` gets complete requests over its socket at the pace of a microphone, 24 kHz
in blocks of 20 ms, with room noise between them. The measure is the time from the last sample of
the speech to the first sound of the answer, with the default turn detection.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import numpy as np
from bench_speech import PEOPLE, ROOMS, Speaker, corpora, means, out
from figures import Figure, Table, trials
from websockets.asyncio.client import ClientConnection, connect

RATE = 24_000
BLOCK_S = 0.02
LEAD_S = 0.4
PATIENCE_S = 3.0
GROWN_S = 60.0
MOMENTS = {
    "stop": "input_audio_buffer.speech_stopped",
    "text": "conversation.item.input_audio_transcription.completed",
    "sound": "response.output_audio.delta",
}


class Caller:
    """Streams a microphone to the server and records each event with its time."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._chance = np.random.default_rng(0)
        self._sound = np.zeros(0, np.int16)
        self._level = 4.0
        self.spoken_at = 0.0
        self.moments: dict[str, float] = {}
        self.text = ""
        self.answered = asyncio.Event()
        self.heard = asyncio.Event()

    async def stream(self) -> None:
        """Send blocks in real time until canceled."""
        size, start, number = int(RATE * BLOCK_S), time.perf_counter(), 0
        while True:
            block = self._sound[:size]
            self._sound = self._sound[size:]
            quiet = self._chance.normal(0, self._level, size - len(block)).astype("<i2")
            pcm = np.concatenate([block, quiet]).astype("<i2").tobytes()
            number += 1
            await asyncio.sleep(max(0.0, start + number * BLOCK_S - time.perf_counter()))
            audio = base64.b64encode(pcm).decode()
            await self._socket.send(
                json.dumps({"type": "input_audio_buffer.append", "audio": audio})
            )
            if len(block) and not len(self._sound):
                self.spoken_at = time.perf_counter() - (size - len(block)) / RATE

    def say(self, pcm: bytes) -> None:
        """Send this sound from the next block on."""
        self.moments.clear()
        self.text, self.spoken_at = "", 0.0
        self.answered.clear()
        self.heard.clear()
        self._sound = np.frombuffer(pcm, "<i2")

    async def listen(self) -> None:
        """Record events until the connection ends."""
        async for frame in self._socket:
            event = json.loads(frame)
            kind = event["type"]
            self.moments.setdefault(kind, time.perf_counter())
            if kind == "conversation.item.input_audio_transcription.completed":
                self.text = event["transcript"]
                self.heard.set()
            elif kind == "response.output_audio.delta":
                self.answered.set()

    async def cancel_answer(self) -> None:
        """Cancel the answer and wait until the server is silent."""
        if "response.done" not in self.moments:
            await self._socket.send(json.dumps({"type": "response.cancel"}))
        for _ in range(100):
            if "response.done" in self.moments:
                break
            await asyncio.sleep(0.02)


async def serve(cache: Path) -> tuple[asyncio.subprocess.Process, str, str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "XDG_DATA_HOME": str(cache)}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicechat", "serve", "--port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    assert child.stdout is not None
    line = json.loads(await child.stdout.readline())
    return child, line["url"], line["token"]


async def grown(cache: Path) -> None:
    """Wait until the full language model is built."""
    for _ in range(int(GROWN_S)):
        models = await asyncio.to_thread(lambda: list(cache.rglob("*.arpa")))
        if len(models) > 1:
            await asyncio.sleep(2)
            return
        await asyncio.sleep(1)


async def turns(
    caller: Caller, speaker: Speaker, entries: list[dict], show: bool
) -> tuple[int, dict[str, list[float]]]:
    """Count the understood requests, and measure ms from the end of speech to each event."""
    chance = random.Random(7)
    right = 0
    parts: dict[str, list[float]] = {name: [] for name in MOMENTS}
    for number, entry in enumerate(entries):
        who, noise = list(PEOPLE)[number % len(PEOPLE)], ROOMS[number // 2 % len(ROOMS)]
        pcm = await speaker.say(entry["text"], who, noise, chance, lead=LEAD_S, tail=0.0)
        caller.say(pcm)
        length = len(pcm) / 2 / RATE
        try:
            async with asyncio.timeout(length + PATIENCE_S):
                await caller.heard.wait()
                await caller.answered.wait()
        except TimeoutError:
            out(f"    no answer to {entry['text']!r}")
        good = means(caller.text, entry)
        right += good
        moments = {
            name: (caller.moments[kind] - caller.spoken_at) * 1000
            for name, kind in MOMENTS.items()
            if kind in caller.moments and caller.spoken_at
        }
        if "sound" in moments and moments["sound"] > 0:
            for name, ms in moments.items():
                parts[name].append(ms)
        if show:
            marks = " ".join(f"{name} {ms:.0f}" for name, ms in moments.items())
            out(f"  {'  ' if good else '!!'} {who:6} {entry['text']!r} -> {caller.text!r}  {marks}")
        await caller.cancel_answer()
        await asyncio.sleep(0.3)
    return right, parts


async def bench(options: argparse.Namespace) -> list[Figure]:
    entries = next(iter(corpora("commands").values()))
    entries = random.Random(options.seed).sample(entries, min(options.turns, len(entries)))
    with tempfile.TemporaryDirectory() as fresh:
        cache = options.cache or Path(fresh)
        child, url, token = await serve(cache)
        speaker = Speaker(RATE)
        await speaker.open()
        try:
            await grown(cache)
            headers = {"Authorization": f"Bearer {token}"}
            async with connect(url, additional_headers=headers, max_size=None) as socket:
                caller = Caller(socket)
                tasks = [asyncio.create_task(caller.stream()), asyncio.create_task(caller.listen())]
                await asyncio.sleep(1)
                right, parts = await turns(caller, speaker, entries, options.show)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            child.terminate()
            await child.wait()
            await speaker.close()
    share = 100 * right / len(entries)
    return [
        Figure(f"understood of {len(entries)}, %", f"{share:.0f}"),
        *(
            Figure(f"end of speech → {reported}, ms", _spread(parts[name]))
            for name, reported in (
                ("stop", "its end noticed"),
                ("text", "text"),
                ("sound", "sound"),
            )
        ),
    ]


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return "none"
    cuts = quantiles(values, n=20, method="inclusive")
    return f"median {cuts[9]:.0f}, p95 {cuts[18]:.0f}, n {len(values)}"


def rows(effort: float) -> Iterator[Figure]:
    options = argparse.Namespace(turns=trials(8, effort), seed=3, show=False, cache=None)
    yield from asyncio.run(bench(options))


TABLE = Table("Embedded voice", {"turns aloud": rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30, help="how many requests")
    parser.add_argument("--seed", type=int, default=3, help="another choice of requests")
    parser.add_argument("--show", action="store_true", help="show every turn")
    parser.add_argument("--cache", type=Path, help="keep the language model here")
    for figure in asyncio.run(bench(parser.parse_args())):
        out(f"{figure.what}: {figure.ours}")


if __name__ == "__main__":
    main()
