"""Tools that misbehave in a session: delays of the event loop, and processes left over."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.append(str(Path(__file__).parents[1] / "support"))
from figures import Figure, Table
from scripted import TOKEN, scripted_server, until
from session_driver import SessionDriver, options

from voicechat.server.engine_protocols import Call, Say
from voicechat.session.session import Session
from voicechat.session.updates import Link
from voicechat.tools.plugins import plugin_loader

PLUGIN = '''
import signal, subprocess, sys, time
from voicechat.tools import tool

@tool(permission="auto", deadline=1.0)
def block() -> str:
    """Block."""
    time.sleep(600)

@tool(permission="auto", deadline=1.0)
def burn() -> str:
    """Hold the interpreter."""
    return str(sum(range(10**12)))

@tool(permission="auto")
def flood() -> str:
    """Return 50 MB."""
    return "x" * 50_000_000

@tool(permission="auto")
def babble() -> str:
    """Print 5 MB."""
    print("x" * 5_000_000)
    return "printed"

@tool(permission="auto", deadline=1.0)
def stay() -> str:
    """Leave a child that ignores SIGTERM."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
'''
NAMES = ("block", "burn", "flood", "babble", "stay")
STEP_S = 0.005


async def _beat(gaps: list[float]) -> None:
    """Record by how many ms the loop is late."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(STEP_S)
        gaps.append((time.monotonic() - began - STEP_S) * 1000)


async def _lived(folder: Path, gaps: list[float]) -> tuple[float, int]:
    """Call every tool at once; return the seconds to end, and the processes left 3 s after."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    async with scripted_server() as backend:
        backend.assistant.answer = lambda request: (
            [Say("Done.")]
            if request.messages[-1].role == "tool_result"
            else [Call(f"call_{name}", name, "{}") for name in NAMES]
        )
        driver = SessionDriver(Session(options(backend.app.url, TOKEN)))
        living = asyncio.create_task(driver.session.run())
        session = driver.session
        await driver.until(lambda: session.link is Link.ONLINE)
        await until(lambda: any(t.name == "stay" for t in session._conversation.settings.tools), 20)
        beating = asyncio.create_task(_beat(gaps))
        session.type("do it all")
        await driver.until(lambda: session.transcript.get("call_stay") is not None)
        await asyncio.sleep(3)
        beating.cancel()
        children = psutil.Process().children(recursive=True)
        began = time.monotonic()
        session.close()
        await living
        took = time.monotonic() - began
    with suppress(asyncio.CancelledError):
        await beating
    await asyncio.sleep(max(0.0, 3 - took))
    left = [p for p in children if p.pid not in before and p.is_running()]
    return took, sum(p.status() != psutil.STATUS_ZOMBIE for p in left)


def misbehaving(effort: float) -> Iterator[Figure]:
    """Measure tools that block, compute, flood, print and ignore signals, all in one reply."""
    gaps: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bad.py").write_text(PLUGIN)
        usual = plugin_loader.tools_folder
        plugin_loader.tools_folder = lambda: folder
        try:
            took, left = asyncio.run(_lived(folder, gaps))
        finally:
            plugin_loader.tools_folder = usual
    gaps.sort()
    p99, worst = gaps[int(len(gaps) * 0.99)], gaps[-1]
    ours = f"p99 {p99:.0f}, worst {worst:.0f}, n {len(gaps)}"
    yield Figure("event loop comes late, ms", ours, "worst 50", worst <= 50)
    yield Figure("session ends, s", f"{took:.1f}", "at most 3", took <= 3)
    yield Figure("processes left 3 s after", str(left), "0", left == 0)


TABLE = Table("Tools", {"five that misbehave at once": misbehaving})
