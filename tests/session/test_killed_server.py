"""An embedded server that is killed in a turn is replaced, and the user's words are answered."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from chat_servers import ANSWER, UNKNOWN, ChatServer, chat_server
from scripted import until
from session_driver import SessionDriver, online

from voicechat.config.options import Options
from voicechat.core.items import Role
from voicechat.session.local_server import LocalServer
from voicechat.session.session import Session
from voicechat.session.updates import Link, LinkChanged

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server(UNKNOWN) as server:
        yield server


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Process ids of the embedded servers that were started."""
    pids: list[int] = []
    start = LocalServer.start

    async def noted(server: LocalServer, deadline: float = 20.0) -> object:
        ready = await start(server, deadline)
        assert server._child is not None
        pids.append(server._child.pid)
        return ready

    monkeypatch.setattr(LocalServer, "start", noted)
    return pids


def driver_at(chat: ChatServer) -> SessionDriver:
    url = f"http://127.0.0.1:{chat.port}/v1"
    options = Options(model="local", with_sound=False, chat_url=url, chat_model="some-model")
    return SessionDriver(Session(options))


def kill(pid: int) -> None:
    """Kill a server, and return when it has ended; the loop has not noticed it yet."""
    os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):  # asyncio has taken its exit status
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def waits(driver: SessionDriver) -> list[str]:
    """Return what was said about attempts that failed."""
    told = [each.text for each in driver.updates if isinstance(each, LinkChanged)]
    return [text for text in told if "Trying again" in text]


@pytest.mark.parametrize("moment", ["while it thinks", "before the message"])
async def test_a_killed_server_is_replaced_at_the_first_attempt(
    moment: str, chat: ChatServer, servers: list[int]
) -> None:
    async with online(driver_at(chat)) as driver:
        chat.hangs_on_chats = moment == "while it thinks"
        if chat.hangs_on_chats:
            driver.session.type("What is the capital of France?")
            await until(lambda: chat.asked)
        chat.hangs_on_chats = False
        kill(servers[0])
        if not chat.asked:
            driver.session.type("What is the capital of France?")
        await driver.until(lambda: driver.texts(Role.ASSISTANT) == [ANSWER])
        assert driver.session.link is Link.ONLINE
        assert len(servers) == 2
        # Each attempt that fails costs a wait, and each wait is longer.
        assert waits(driver) == []
        assert driver.texts(Role.USER) == ["What is the capital of France?"]


async def test_each_of_several_servers_that_are_killed_is_replaced(
    chat: ChatServer, servers: list[int]
) -> None:
    async with online(driver_at(chat)) as driver:
        for number in range(1, 3):
            kill(servers[-1])
            driver.session.type(f"Question {number}?")
            await driver.until(lambda count=number: len(driver.texts(Role.ASSISTANT)) == count)
        assert len(servers) == 3
        assert waits(driver) == []
        asked = [f"Question {number}?" for number in range(1, 3)]
        assert driver.texts(Role.USER) == asked
