"""Progress of a running call, and the deadline that it extends."""

from __future__ import annotations

import asyncio

import pytest

from voicechat.core.settings import ToolSpec
from voicechat.tools.registry import (
    MAX_DEADLINE_S,
    PROGRESS_LIMIT,
    Registry,
    RunningCall,
    Tool,
    current_call,
)


class Clock:
    """The clock of the event loop, moved forward by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.began = asyncio.get_running_loop().time()

    def __call__(self) -> float:
        return self.began + self.ahead


async def test_progress_extends_the_deadline_up_to_a_maximum() -> None:
    clock, reports = Clock(), []
    async with asyncio.timeout(5) as deadline:
        await asyncio.sleep(0)
        call = RunningCall(deadline, 30, reports.append, clock)
        clock.ahead = 20
        call.progressed("one")
        assert deadline.when() == pytest.approx(clock.began + 50)
        clock.ahead = 20.1
        call.progressed("too soon to be shown")
        assert deadline.when() == pytest.approx(clock.began + 50.1)
        clock.ahead = MAX_DEADLINE_S - 1
        call.progressed("x\x1b\n" * 1_000)
        assert deadline.when() == pytest.approx(clock.began + MAX_DEADLINE_S)
    assert [report[:3] for report in reports] == ["one", "x\ufffd "]
    assert len(reports[1]) == PROGRESS_LIMIT
    call.progressed("after its end")  # without effect


async def test_no_deadline_runs_while_the_user_decides() -> None:
    clock = Clock()
    async with asyncio.timeout(5) as deadline:
        await asyncio.sleep(0)
        call = RunningCall(deadline, 30, lambda text: None, clock)
        with call.waiting_for_user():
            with call.waiting_for_user():
                assert deadline.when() is None
            call.progressed("still waiting")
            assert deadline.when() is None
            clock.ahead = 5_000
        assert deadline.when() == pytest.approx(clock.began + 5_030)
        clock.ahead = 6_000
        call.progressed("later")
        assert deadline.when() == pytest.approx(clock.began + 5_000 + MAX_DEADLINE_S)


async def test_a_tool_finds_its_call_in_its_context() -> None:
    async def work(arguments: str) -> str:
        call = current_call()
        assert call is not None
        call.progressed("half")
        return "done"

    reports: list[str] = []
    tool = Tool(ToolSpec("work", "", {}), work)
    assert (await Registry(tool).run("work", "{}", reports.append)).output == "done"
    assert reports == ["half"]
    assert current_call() is None
