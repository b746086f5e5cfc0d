"""A session that outlives its connections: it waits offline, and sends what was typed later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from faults import FaultProxy
from scripted import scripted_server
from session_driver import SessionDriver, online, options

from voicechat.core.effects import Level, Notice
from voicechat.core.items import Item, Role
from voicechat.errors import VoicechatError
from voicechat.session import reconnect, session
from voicechat.session.session import Session
from voicechat.session.updates import Link


@asynccontextmanager
async def lost(
    monkeypatch: pytest.MonkeyPatch, retry_s: float = 3600.0
) -> AsyncIterator[tuple[SessionDriver, FaultProxy]]:
    """Run a session whose server has been gone for too long."""
    monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.0)
    monkeypatch.setattr(session, "RETRY_S", retry_s)
    async with scripted_server() as backend:
        port = urlsplit(backend.app.url).port
        assert port is not None
        async with FaultProxy(port) as proxy:
            url = backend.app.url.replace(f":{port}/", f":{proxy.port}/")
            driver = SessionDriver(Session(options(url)))
            driver.session.outlives_connections = True
            async with online(driver):
                driver.session.type("one")
                await driver.until(lambda: "You said one." in driver.texts(Role.ASSISTANT))
                await proxy.refuse()
                proxy.reset()
                await driver.until(lambda: driver.session.link is Link.OFFLINE)
                yield driver, proxy


def _item(driver: SessionDriver, text: str) -> Item:
    entries = driver.session.transcript.entries
    return next(each for each in entries if isinstance(each, Item) and each.text == text)


def errors(driver: SessionDriver) -> list[Notice]:
    return [
        update
        for update in driver.updates
        if isinstance(update, Notice) and update.level is Level.ERROR
    ]


async def test_a_line_is_marked_and_sent_when_the_server_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with lost(monkeypatch) as (driver, proxy):
        assert driver.session.offline_error is not None
        driver.session.type("two")
        assert _item(driver, "two").unsent
        await driver.until(lambda: len(errors(driver)) == 2)
        await driver.until(lambda: driver.session.link is Link.OFFLINE)
        await proxy.accept()
        driver.session.type("three")
        await driver.until(lambda: "You said three." in driver.texts(Role.ASSISTANT))
        assert driver.texts(Role.USER) == ["one", "two", "three"]
        assert not _item(driver, "two").unsent
        assert not _item(driver, "three").unsent
        assert driver.session.offline_error is None


async def test_a_new_conversation_connects_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lost(monkeypatch) as (driver, proxy):
        driver.session.new_conversation()
        await driver.until(lambda: len(errors(driver)) == 2)
        await driver.until(lambda: driver.session.link is Link.OFFLINE)
        await proxy.accept()
        driver.session.new_conversation()
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        driver.session.type("again")
        await driver.until(lambda: "You said again." in driver.texts(Role.ASSISTANT))


async def test_another_model_connects_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lost(monkeypatch) as (driver, proxy):
        await proxy.accept()
        driver.session.change_model("openai/gpt-realtime-mini")
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        assert driver.session.model == "openai/gpt-realtime-mini"


async def test_a_server_that_comes_back_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lost(monkeypatch, retry_s=0.01) as (driver, proxy):
        await proxy.accept()
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        assert len(errors(driver)) == 1, "retries without the user are silent"


async def test_a_session_that_does_not_wait_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = SessionDriver(Session(options("ws://127.0.0.1:1/v1/realtime")))
    driver.session.outlives_connections = True
    with pytest.raises(VoicechatError):
        async with asyncio.timeout(15):
            await driver.session.run()
