"""The availability of a remote engine."""

import asyncio

from scripted import until

from voicechat.errors import ConnectError, KeyMissing
from voicechat.server.engine_outage import EngineOutage

DEAD = ConnectError("The voice at x does not answer.", "Check that it is running.")


class Engine:
    """Answers its checks, or not."""

    def __init__(self):
        self.error = None
        self.checks = 0
        self.said = []
        self.outage = EngineOutage(self.check, self.said.append, first=0.001, longest=0.002)

    async def check(self):
        self.checks += 1
        if self.error is not None:
            raise self.error


async def test_a_dead_engine_is_reported_once_and_used_again_after_a_check():
    engine = Engine()
    assert await engine.outage.open()
    assert engine.said == []
    engine.error = DEAD
    engine.outage.failed(DEAD)
    engine.outage.failed(DEAD)
    assert not engine.outage.usable
    await until(lambda: engine.checks > 4)
    assert engine.said == [
        "The voice at x does not answer; the built-in one takes over. Check that it is running."
    ]
    engine.error = None
    await until(lambda: engine.outage.usable)


async def test_an_engine_that_only_passes_its_check_is_not_reported_again():
    engine = Engine()
    for _ in range(3):
        engine.outage.failed(DEAD)
        await until(lambda: engine.outage.usable)
    assert len(engine.said) == 1
    engine.outage.succeeded()
    engine.outage.failed(KeyMissing("The voice at x refused the key."))
    assert engine.said[1:] == ["The voice at x refused the key; the built-in one takes over."]
    engine.outage.close()


async def test_the_wait_doubles_up_to_its_limit(monkeypatch):
    waits = []
    engine = Engine()
    engine.error = DEAD
    engine.outage = EngineOutage(engine.check, engine.said.append)

    async def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 9:
            engine.error = None

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert not await engine.outage.open()
    assert engine.outage._retry is not None
    await engine.outage._retry
    assert waits == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]


async def test_closing_stops_the_checks():
    engine = Engine()
    engine.error = DEAD
    await engine.outage.open()
    task = engine.outage._retry
    engine.outage.close()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_check_on_request_does_not_wait():
    engine = Engine()
    engine.outage = EngineOutage(engine.check, engine.said.append, first=3600.0)
    engine.outage.check_now()
    assert engine.outage.usable
    engine.outage.failed(DEAD)
    engine.error = DEAD
    engine.outage.check_now()
    await until(lambda: engine.checks == 1)
    assert not engine.outage.usable
    engine.error = None
    engine.outage.check_now()
    await until(lambda: engine.outage.usable)
    assert engine.checks == 2
