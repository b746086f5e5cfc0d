"""Several clients are served at once: lanes of the engine, detectors, and the limit."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from scripted import Loud

from voicechat.server.detector_pool import DetectorPool
from voicechat.server.engine_worker import Worker
from voicechat.server.serve_options import ServeOptions
from voicechat.server.worker_lanes import WorkerLanes, available_cores


async def test_lanes_of_a_part_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"), prepend=":")
    worker = Worker("faulty_engine:Meeting", "The engine")
    lanes = WorkerLanes("part", 2)
    try:
        await worker.start()
        calls = [
            worker.call(lanes.acquire().method("meet"), deadline=30),
            worker.call(lanes.acquire().method("meet"), deadline=30),
        ]
        assert sorted(await asyncio.gather(*calls)) == [0, 1]
    finally:
        await worker.stop()


def test_work_goes_to_the_lane_with_the_fewest_users() -> None:
    lanes = WorkerLanes("stt", 2)
    first, second, third = (lanes.acquire() for _ in range(3))
    assert [lane.method("decode") for lane in (first, second)] == ["stt.decode", "stt#1.decode"]
    assert third is first
    first.users -= 2
    assert lanes.acquire() is first


def test_a_server_for_many_uses_every_core_and_the_one_of_a_conversation_does_not() -> None:
    assert ServeOptions().lanes == available_cores()
    assert ServeOptions(parent_watch=True).lanes == 1
    assert ServeOptions().max_connections >= 20


async def test_a_new_detector_does_not_stop_the_loop() -> None:
    released = threading.Event()

    def make() -> Loud:
        assert released.wait(20)
        return Loud()

    pool = DetectorPool(make)
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    released.set()
    detector = await waiting
    pool.release(detector)
    assert await pool.acquire() is detector
