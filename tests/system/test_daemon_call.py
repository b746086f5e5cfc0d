"""Calls in a daemon thread with a deadline."""

from __future__ import annotations

import threading

import pytest

from voicechat.system.daemon_call import call_with_deadline


async def test_the_result_is_returned() -> None:
    assert await call_with_deadline(lambda: 3, 5) == 3


async def test_an_error_is_raised() -> None:
    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await call_with_deadline(fail, 5)


async def test_a_call_that_hangs_times_out() -> None:
    released = threading.Event()
    with pytest.raises(TimeoutError):
        await call_with_deadline(lambda: released.wait(30), 0.01)
    released.set()
