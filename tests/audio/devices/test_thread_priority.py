"""Callbacks run at real-time priority, device calls do not."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from voicechat.audio.devices.background_call import BackgroundCall
from voicechat.audio.devices.streams import CallbackClock
from voicechat.audio.devices.thread_priority import use_ordinary, use_real_time

T = TypeVar("T")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such call")


def on_thread(work: Callable[[], T]) -> T:
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(10)
    return found[0]


def priority() -> int:
    return os.sched_getscheduler(0)


def test_a_device_call_does_not_inherit_real_time_priority() -> None:
    def call() -> int | None:
        use_real_time()
        opening, done = BackgroundCall(priority), threading.Event()
        while not opening.done:
            done.wait(0.001)
        return opening.result

    assert on_thread(call) == os.SCHED_OTHER


def test_the_first_callback_asks_for_real_time_priority() -> None:
    def allowed() -> int:
        use_real_time()
        return priority()

    def calls_back() -> int:
        use_ordinary()
        CallbackClock().called(1.0)
        return priority()

    assert on_thread(calls_back) == on_thread(allowed)
