"""The event console in a flood: 20,000 text deltas and 2,000 of sound, as fast as they are read.

The screen runs in memory, 120 by 36 cells. A frame is published together with the event that the
codec makes of it, as in a session.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import time
import timeit
from collections.abc import Iterator

from figures import Figure, Table
from scripted_session import ScriptedSession

from voicechat.core.events import TextDelta
from voicechat.session.event_stream import Direction, EventStream, RawFrame
from voicechat.session.frame_facts import read_frame
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.frame_list import FrameList

SOUND = base64.b64encode(bytes(9_600)).decode()
BATCH = 20
"""Frames that a socket delivers between two steps of the loop."""


class Loop:
    """The longest CPU time in seconds between two steps of the event loop."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, before = max(self.longest, now - before), now

    def stop(self) -> None:
        """End the measurement."""
        self._task.cancel()


def publish(session: ScriptedSession, number: int) -> None:
    """Publish one delta of text, and every tenth time one of sound."""
    now = time.monotonic()
    item = '"item_id":"item_1","response_id":"resp_1"'
    text = f'{{"type":"response.output_text.delta",{item},"delta":"word {number} "}}'
    session.stream.publish(RawFrame(Direction.RECEIVED, text, now), now)
    session.stream.publish(TextDelta("resp_1", "item_1", "word ", spoken=False), now)
    if number % 10 == 0:
        sound = f'{{"type":"response.output_audio.delta",{item},"delta":"{SOUND}"}}'
        session.stream.publish(RawFrame(Direction.RECEIVED, sound, now), now)


async def flood(count: int) -> Iterator[Figure]:
    """Measure the console while `count` deltas arrive."""
    session = ScriptedSession(with_sound=False)
    async with VoicechatApp(session, console=True).run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        console, frames = screen.console, screen.query_one(FrameList)
        assert console is not None
        gc.freeze()  # as the app does on a terminal
        drawn, loop, began = frames.drawn_rows, Loop(), time.monotonic()
        for number in range(count):
            publish(session, number)
            if number % BATCH == 0:
                await asyncio.sleep(0.001)
        console.drain()
        took = time.monotonic() - began
        loop.stop()
        paints, rows = console.paints, frames.drawn_rows - drawn
        lost = console._tap.subscription.dropped
    per_s = paints / took
    return iter((
        Figure("events lost", f"{lost}, all in {took:.1f} s", "0", not lost, peers=""),
        Figure("renders per s", f"{per_s:.1f} ({paints})", "15", per_s <= 15, peers=""),
        Figure("rows drawn per render", f"{rows / max(1, paints):.0f} of {len(frames.rows)} kept",
               "70", rows <= 70 * max(1, paints), peers=""),
        Figure("longest block, CPU ms", f"{loop.longest * 1000:.0f}", "100",
               loop.longest <= 0.1, peers=""),
    ))  # fmt: skip


def opened(effort: float) -> Iterator[Figure]:
    """Measure the open console."""
    yield from asyncio.run(flood(int(20_000 * effort)))


def closed(effort: float) -> Iterator[Figure]:
    """Measure what a frame costs while no console is open, and reading it while one is."""
    stream, count = EventStream(), int(100_000 * effort)
    nothing = min(timeit.repeat(lambda: stream.wanted(RawFrame), number=count, repeat=3)) / count
    yield Figure("a frame, closed, ns", f"{nothing * 1e9:.0f}", "500", nothing <= 5e-7, peers="")
    delta = '{"type":"response.output_text.delta","item_id":"item_1","delta":"word "}'
    reading = min(timeit.repeat(lambda: read_frame(delta), number=2_000, repeat=3)) / 2_000
    yield Figure("reading a delta, µs", f"{reading * 1e6:.0f}", "50", reading <= 5e-5, peers="")


TABLE = Table("The event console", {"flood of 20,000 deltas": opened, "console closed": closed})
