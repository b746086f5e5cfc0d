"""Latency of spoken answers: `python tests/bench/bench_turns.py`.

A real `voicechat serve` gets speech over its socket at the pace of a microphone, 24 kHz in blocks
of 20 ms, with room noise between the turns. The measure is the time from the last sample of the
speech to the first sound of the answer, with the default turn detection: for complete requests, for
other sentences, and for four users at once. Pauses within a sentence must not end the turn.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from statistics import quantiles

import numpy as np
import psutil
from bench_speech import PEOPLE, ROOMS, Speaker, corpora, means, out
from figures import Figure, Table, trials
from websockets.asyncio.client import ClientConnection, connect

from voicechat.server.assistant import intents

RATE = 24_000
BLOCK_S = 0.02
LEAD_S = 0.4
PATIENCE_S = 3.0
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
    chosen = random.Random(options.seed)
    closed = [one for one in corpora("commands")["commands"] if intents.is_closed(one["text"])]
    closed = chosen.sample(closed, min(options.turns, len(closed)))
    others = chosen.sample(corpora("open_talk")["open_talk"], options.turns)
    with tempfile.TemporaryDirectory() as fresh:
        began = time.perf_counter()
        child, url, token = await serve(Path(fresh))
        ready = time.perf_counter() - began
        speaker = Speaker(RATE)
        await speaker.open()
        try:
            async with caller_of(url, token) as caller:
                right, quick = await turns(caller, speaker, closed, options.show)
                _, slow = await turns(caller, speaker, others, options.show)
                cut = {ms: await cut_off(caller, speaker, closed, ms) for ms in (300, 500)}
            crowd = await at_once(url, token, speaker, closed[: options.turns // 2])
            memory = proportional_mb(child.pid)
        finally:
            child.terminate()
            await child.wait()
            await speaker.close()
    return [
        Figure("ready, s", f"{ready:.1f}", "2", ready <= 2),
        Figure(f"understood of {len(closed)}, %", f"{100 * right / len(closed):.0f}"),
        *(
            spread(f"closed request → {reported}, ms", quick[name], limits)
            for name, reported, limits in (
                ("stop", "its end noticed", None),
                ("text", "text", None),
                ("sound", "sound", (320, 480)),
            )
        ),
        spread("other sentence → sound, ms", slow["sound"], (850, 850)),
        *(
            Figure(
                f"cut off at a pause of {ms} ms, %",
                f"{100 * share:.0f}",
                f"{most}",
                100 * share <= most,
            )
            for (ms, share), most in zip(cut.items(), (2, 10), strict=True)
        ),
        spread("four users at once → sound, ms", crowd, (1190, 1190)),
        Figure(
            "memory of the server and its engines, MB PSS", f"{memory:.0f}", "350", memory <= 350
        ),
    ]


@asynccontextmanager
async def caller_of(url: str, token: str) -> AsyncIterator[Caller]:
    """Connect a microphone."""
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(url, additional_headers=headers, max_size=None) as socket:
        caller = Caller(socket)
        tasks = [asyncio.create_task(caller.stream()), asyncio.create_task(caller.listen())]
        await asyncio.sleep(1)
        try:
            yield caller
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def cut_off(caller: Caller, speaker: Speaker, entries: list[dict], ms: int) -> float:
    """Return the share of requests that end at a pause of `ms` before their last word."""
    chance, cut = random.Random(11), 0
    asked = [entry["text"].rsplit(" ", 1) for entry in entries if " " in entry["text"]]
    for number, (before, last) in enumerate(asked):
        who = list(PEOPLE)[number % len(PEOPLE)]
        parts = [
            await speaker.say(words, who, None, chance, lead=lead, tail=0.0)
            for words, lead in ((before, LEAD_S), (last, 0.0))
        ]
        begin = np.frombuffer(parts[0], "<i2")
        caller.say(b"".join((parts[0], bytes(int(RATE * ms / 1000) * 2), parts[1])))
        started = time.perf_counter()
        with suppress(TimeoutError):
            async with asyncio.timeout(len(begin) / RATE + ms / 1000 + PATIENCE_S):
                await caller.heard.wait()
        stopped = caller.moments.get(MOMENTS["stop"], math.inf) - started
        cut += stopped < (len(begin) / RATE + ms / 1000)
        await asyncio.sleep(1.5)
        await caller.cancel_answer()
        await asyncio.sleep(0.3)
    return cut / len(asked)


async def at_once(
    url: str, token: str, speaker: Speaker, entries: list[dict], users: int = 4
) -> list[float]:
    """Return the ms from the end of speech to sound of users who talk at the same time."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(caller_of(url, token)) for _ in range(users)]
        measured = await asyncio.gather(
            *(turns(caller, speaker, entries, show=False) for caller in callers)
        )
    return [ms for _, parts in measured for ms in parts["sound"]]


def proportional_mb(pid: int) -> float:
    """Return the proportional memory of a process and its children in MB; NaN if unknown."""
    total = 0
    for process in (parent := psutil.Process(pid), *parent.children(recursive=True)):
        try:
            total += getattr(process.memory_full_info(), "pss", 0)
        except psutil.AccessDenied:  # only root may look into a process with keys
            return math.nan
    return total / 2**20 if total else math.nan


def spread(what: str, values: list[float], limits: tuple[int, int] | None) -> Figure:
    """Return the median and the 95th percentile, and whether both are within the limits."""
    if len(values) < 2:
        return Figure(what, "none")
    cuts = quantiles(values, n=20, method="inclusive")
    ours = f"median {cuts[9]:.0f}, p95 {cuts[18]:.0f}, n {len(values)}"
    if limits is None:
        return Figure(what, ours)
    good = cuts[9] <= limits[0] and cuts[18] <= limits[1]
    return Figure(what, ours, f"{limits[0]}/{limits[1]}", good)


def rows(effort: float) -> Iterator[Figure]:
    options = argparse.Namespace(turns=trials(10, effort), seed=3, show=False)
    yield from asyncio.run(bench(options))


TABLE = Table("Embedded voice", {"turns aloud": rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30, help="how many requests")
    parser.add_argument("--seed", type=int, default=3, help="another choice of requests")
    parser.add_argument("--show", action="store_true", help="show every turn")
    for figure in asyncio.run(bench(parser.parse_args())):
        out(f"{figure.what}: {figure.ours}  (target {figure.target})")


if __name__ == "__main__":
    main()
