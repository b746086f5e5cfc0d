"""Signals that ask a server to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from voicechat.server import shutdown

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")


@pytest.fixture(autouse=True)
def deadlines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the signals after which the process would have to end soon."""
    found: list[int] = []
    monkeypatch.setattr(shutdown, "end_within", found.append)
    return found


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
async def test_a_signal_asks_to_stop(name: str, deadlines: list[int]) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with shutdown.stop_requested(parent_watch=False) as stopped:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stopped.wait(), 10)
    assert deadlines == [number]
    assert signal.getsignal(number) is before


async def test_the_end_of_the_terminal_stops_nothing_under_nohup(deadlines: list[int]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with shutdown.stop_requested(parent_watch=False) as stopped:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(stopped.wait(), 10)
        assert deadlines == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)
