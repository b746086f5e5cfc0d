"""`voicechat serve` under attack: how long an honest client waits while others misbehave."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).parents[1] / "support"))
import wire_examples
from figures import Figure, Table
from mutation import mutate
from scripted import TOKEN, scripted_server
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

EVENTS = 100_000
CONNECTS = 1_000
SENDERS = 4
TARGET_MS = 100
ASK = {
    "type": "response.create",
    "response": {"conversation": "none", "output_modalities": ["text"], "input": []},
}


OPENING: dict = {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}, "proxy": None}


Wait = tuple[float, float]
"""The ms until an answer, and the ms of CPU that the server used in this time."""

# --------------------------------------------------------------------------- the other processes


async def serve() -> None:
    """Serve scripted engines until the end of stdin, and print the address."""
    async with scripted_server() as backend:
        sys.stdout.write(f"{backend.app.url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


async def send_broken_events(url: str) -> None:
    """Send mutated events on a few connections as fast as the server takes them."""
    examples = wire_examples.frames("openai_ga_client")
    choose = Random(7)
    broken = [mutate(choose, choose.choice(examples), choose.choice(examples)) for _ in range(999)]

    async def read(socket: ClientConnection) -> None:
        with suppress(WebSocketException):
            async for _ in socket:
                pass

    async def flood(count: int) -> None:
        async with connect(url, ping_interval=None, **OPENING) as socket:
            reading = asyncio.create_task(read(socket))
            for place in range(count):
                frame = broken[place % len(broken)]
                await socket.send(frame if isinstance(frame, str) else frame.decode("latin-1"))
            reading.cancel()

    await asyncio.gather(*(flood(EVENTS // SENDERS) for _ in range(SENDERS)))


async def connect_often(url: str) -> None:
    """Open sessions as fast as the server accepts them, and leave each at once."""

    async def leave(count: int) -> None:
        for _ in range(count):
            with suppress(OSError, WebSocketException):
                async with connect(url, **OPENING):
                    pass

    await asyncio.gather(*(leave(CONNECTS // 20) for _ in range(20)))


async def wait(_url: str) -> None:
    """Do nothing, as long as the others measure."""
    await asyncio.sleep(600)


PARTS = {"nothing": wait, "serve": serve, "events": send_broken_events, "connects": connect_often}


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a part of this file in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


# --------------------------------------------------------------------------- the honest client


def cpu_ms(pid: int) -> float:
    """Return the CPU time that a process has used, on Linux."""
    return time.clock_gettime((~pid << 3) | 2) * 1000


async def waits(server: int, url: str, attack: str, most: int) -> tuple[list[Wait], bool]:
    """Ask until the attack ends; return each wait, and True if the attack ended."""
    found: list[Wait] = []
    async with connect(url, **OPENING) as socket:
        with process(attack, url) as attacker:
            while len(found) < most and attacker.poll() is None:
                began, used = time.perf_counter(), cpu_ms(server)
                await socket.send(json.dumps(ASK))
                while json.loads(await socket.recv())["type"] != "response.done":
                    continue
                found.append(((time.perf_counter() - began) * 1000, cpu_ms(server) - used))
                await asyncio.sleep(0.02)
            return found, attacker.poll() is not None


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return sorted(values)[int(len(values) * 0.95)]


def attacked(attack: str, name: str, effort: float) -> Iterator[Figure]:
    """Measure an honest client without and with the attack."""
    with process("serve") as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        quiet, _ = asyncio.run(waits(server.pid, url, "nothing", 100))
        found, ended = asyncio.run(waits(server.pid, url, attack, round(1_000 * effort)))
    (times, work), (usual, usual_work) = zip(*found, strict=True), zip(*quiet, strict=True)
    ours = f"p95 {p95(times):.0f}, worst {max(times):.0f}, n {len(found)}"
    note = "" if ended else ", not over"
    met = p95(times) <= TARGET_MS
    yield Figure(f"answer during {name}, ms", f"{ours}{note}", f"p95 {TARGET_MS}", met)
    yield Figure("times the p95 without it", f"{p95(times) / p95(usual):.1f}")
    yield Figure(
        "work of the server in that time, ms",
        f"p95 {p95(work):.1f}, without it {p95(usual_work):.1f}",
        f"p95 {TARGET_MS}",
        p95(work) <= TARGET_MS,
    )


TABLE = Table(
    "Server",
    {
        "flood of broken events": lambda effort: attacked(
            "events", f"{EVENTS} broken events", effort
        ),
        "rapid connects": lambda effort: attacked("connects", f"{CONNECTS} connects", effort),
    },
)

if __name__ == "__main__" and sys.argv[1] in PARTS:
    asyncio.run(PARTS[sys.argv[1]](*sys.argv[2:]))  # type: ignore[operator]
