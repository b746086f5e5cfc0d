"""Nothing of a failed task group stays with the task around it."""

from __future__ import annotations

import asyncio

import pytest

from voicechat.system.task_group import TaskGroup


async def fail() -> None:
    raise ValueError


async def test_failed_group_leaves_no_request_to_cancel() -> None:
    with pytest.raises(ExceptionGroup):
        async with TaskGroup() as tasks:
            tasks.create_task(fail())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_time_limit_after_a_failed_group_is_a_timeout() -> None:
    with pytest.raises(ExceptionGroup):
        async with TaskGroup() as tasks:
            tasks.create_task(fail())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_request_from_outside_stays() -> None:
    reached = asyncio.Event()

    async def group() -> int:
        task = asyncio.current_task()
        assert task is not None
        try:
            async with TaskGroup() as tasks:
                tasks.create_task(fail_when_cancelled(reached))
        except* ValueError:
            pass
        return task.cancelling()

    running = asyncio.create_task(group())
    await reached.wait()
    running.cancel()
    assert await running == 1


async def fail_when_cancelled(reached: asyncio.Event) -> None:
    reached.set()
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError
