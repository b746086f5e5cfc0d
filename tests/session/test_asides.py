"""Requests out of band: one bounded queue with deadlines, usage and costs."""

from __future__ import annotations

import asyncio

import pytest
from scripted import scripted_server
from session_driver import running_session

from voicechat.core import effects, inputs
from voicechat.core.effects import OutOfBandAnswered
from voicechat.core.items import Usage
from voicechat.errors import SessionLost
from voicechat.line_mode.slash_commands import run_command
from voicechat.server.engine_protocols import Say
from voicechat.session.aside_queue import MAX_WAITING, PARALLEL, AsideQueue
from voicechat.session.updates import Report


class Provider:
    """Takes the requests of a queue, and answers them when told."""

    def __init__(self) -> None:
        self.queue = AsideQueue(self.take, lambda usage: usage.total_tokens / 100)
        self.asked: list[str] = []
        self.cancelled: list[str] = []

    def take(self, event: inputs.Input) -> None:
        if isinstance(event, inputs.AskOutOfBand):
            self.asked.append(event.key)
        elif isinstance(event, inputs.CancelOutOfBand):
            self.cancelled.append(event.key)

    def answer(self, key: str, error: str = "") -> None:
        usage = Usage(total_tokens=7)
        self.queue.settle(OutOfBandAnswered(key, "" if error else f"to {key}", error, usage))


async def steps() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_some_requests_run_others_wait_and_more_are_refused() -> None:
    provider = Provider()
    asking = [
        asyncio.create_task(provider.queue.ask(f"q{number}"))
        for number in range(PARALLEL + MAX_WAITING)
    ]
    await steps()
    assert len(provider.asked) == PARALLEL
    with pytest.raises(SessionLost, match="wait already"):
        await provider.queue.ask("one too many")
    for number in range(len(asking)):
        provider.answer(provider.asked[number])
        await steps()
    answers = [await each for each in asking]
    assert [each.text for each in answers] == [f"to {key}" for key in provider.asked]
    assert {(each.usage.total_tokens, each.cost) for each in answers} == {(7, 0.07)}
    asking = [asyncio.create_task(provider.queue.ask("again"))]
    await steps()
    provider.answer(provider.asked[-1], error="Overloaded.")
    with pytest.raises(SessionLost, match=r"Overloaded\."):
        await asking[0]


async def test_a_request_ends_at_its_deadline_and_is_cancelled() -> None:
    provider = Provider()
    with pytest.raises(SessionLost, match="in time"):
        await provider.queue.ask("q", deadline_s=0.01)
    assert provider.cancelled == provider.asked
    task = asyncio.create_task(provider.queue.ask("q"))
    await steps()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert provider.cancelled == provider.asked
    filling = [asyncio.create_task(provider.queue.ask("q")) for _ in range(PARALLEL)]
    await steps()
    assert len(provider.asked) == 2 + PARALLEL, "both slots are free again"
    for each in filling:
        each.cancel()
    await asyncio.gather(*filling, return_exceptions=True)


async def test_ask_aside_shows_the_answer_and_changes_nothing() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session.type("hello")
        await driver.until(lambda: driver.session.floor is effects.Floor.IDLE)
        await driver.until(lambda: len(driver.session.transcript.entries) == 2)
        backend.assistant.answer = lambda request: [Say("Because of "), Say("the air.")]
        run_command(driver.session, "/ask-aside why is the sky blue?")
        await driver.until(lambda: any(isinstance(each, Report) for each in driver.updates))
        (report,) = (each for each in driver.updates if isinstance(each, Report))
        assert report.title == "Aside, why is the sky blue?"
        assert report.text.startswith("Because of the air.")
        request = backend.assistant.requests[-1]
        assert request.is_aside
        assert request.own_instructions.endswith("\nwhy is the sky blue?")
        assert request.messages[0].text == "hello"
        assert len(driver.session.transcript.entries) == 2


async def test_an_aside_that_fails_is_one_sentence() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session._handle(inputs.Disconnected("gone"))
        driver.session.report_aside("why")
        wanted = "No answer: there is no connection."
        await driver.until(
            lambda: wanted in [e.text for e in driver.updates if isinstance(e, effects.Notice)]
        )
