"""Nothing stays after many calls. `CALLS=1000 pytest tests/calls/test_call_leaks.py` runs more."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading

import psutil
import pytest
from calls_rig import CallsRig, calls_rig

from voicechat.config.call_settings import CallSettings

CALLS = int(os.environ.get("CALLS", "30"))
AT_ONCE = 10


@pytest.mark.skipif(sys.platform == "win32", reason="counts file descriptors")
@pytest.mark.timeout(60 + CALLS)
async def test_nothing_stays_after_many_calls() -> None:
    settings = CallSettings(default="accept", at_once=AT_ONCE, tools=("calculate",))
    async with calls_rig(settings) as rig:
        await _hold_calls(rig, range(AT_ONCE))
        before = await _held(rig)
        memory = psutil.Process().memory_info().rss
        for number in range(100, 100 + CALLS, AT_ONCE):
            await _hold_calls(rig, range(number, number + AT_ONCE))
        after = await _held(rig)
        # Threads of the pool and connections that are kept may still grow a little.
        grown_by = [now - then for now, then in zip(after, before, strict=True)]
        assert max(grown_by) <= 5, (before, after)
        grown = (psutil.Process().memory_info().rss - memory) / 2**20
        sys.stdout.write(f"{CALLS} calls: {after}, {grown:+.1f} MB\n")
        assert grown < 20 + CALLS / 50
        assert rig.warnings == []


async def _hold_calls(rig: CallsRig, numbers: range) -> None:
    ids = [f"rtc_{number}" for number in numbers]
    await asyncio.gather(*(rig.ring(each) for each in ids))
    await rig.online(*ids)
    for each in ids:
        await rig.provider.calls[each].speak("", "calculate", '{"expression": "1 + 1"}')
    await rig.said(*(f"{each} Tool: calculate is done" for each in ids))
    for each in ids:
        await rig.provider.calls[each].end()
    await rig.idle()
    for each in ids:
        del rig.provider.calls[each]
    rig.lines.clear()


async def _held(rig: CallsRig) -> tuple[int, ...]:
    """Tasks, threads, files and sessions that are there."""
    process = psutil.Process()
    found: list[tuple[int, ...]] = []

    def settled() -> bool:
        found.append((len(asyncio.all_tasks()), threading.active_count(), process.num_fds()))
        return len(found) > 3 and found[-1] == found[-2] == found[-3]

    await rig.provider.until(settled)
    gc.collect()
    sessions = sum(type(each).__name__ == "Session" for each in gc.get_objects())
    return *found[-1], sessions
