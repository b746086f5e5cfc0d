"""Renewal of sessions before they expire, whatever the clocks say."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from fake_openai import openai
from fake_wires import Fake
from session_driver import SessionDriver, online, options
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from voicechat.core import effects
from voicechat.core.items import Role
from voicechat.core.settings import SessionSettings
from voicechat.errors import ConnectError, SessionLost
from voicechat.providers.openai.openai_codec import GENERAL, Dialect, OpenAICodec
from voicechat.providers.openai.openai_compatible import ANY_SERVER, SERVER_BETA
from voicechat.session import reconnect
from voicechat.session.reconnect import ConnectionLoop
from voicechat.session.session import Session
from voicechat.session.session_expiry import SessionExpiry
from voicechat.session.updates import Link, LinkChanged
from voicechat.transports.websocket import ConnectionLost

HOUR_S = 3_600.0


@pytest.mark.parametrize("seconds", [-HOUR_S, 0.0, 29.0])
def test_an_end_right_after_the_beginning_is_not_believed(seconds: float) -> None:
    expiry = SessionExpiry(100.0)
    expiry.ends_in(seconds, 100.5)
    assert expiry.is_implausible
    assert not expiry.is_due(100_000.0, between_turns=True)


@pytest.mark.parametrize(
    ("lifetime", "between_turns", "due_at"),
    [
        (HOUR_S, True, HOUR_S - 120), (HOUR_S, False, HOUR_S - 15),
        (60.0, True, 30.0), (60.0, False, 45.0),
    ],
)  # fmt: skip
def test_a_young_session_is_not_renewed(
    lifetime: float, between_turns: bool, due_at: float
) -> None:
    expiry = SessionExpiry(0.0)
    expiry.ends_in(lifetime, 0.0)
    assert not expiry.is_due(due_at - 0.01, between_turns=between_turns)
    assert expiry.is_due(due_at + 0.01, between_turns=between_turns)


def test_a_late_announcement_is_followed_at_once() -> None:
    expiry = SessionExpiry(0.0)
    expiry.ends_in(50.0, 540.0)
    assert expiry.is_due(540.0, between_turns=True)
    assert not expiry.is_due(540.0, between_turns=False)


@pytest.mark.parametrize("dialect", [GENERAL, ANY_SERVER, SERVER_BETA], ids=["ga", "any", "beta"])
def test_a_silent_server_is_given_up_within_35_s_of_the_first_start(dialect: Dialect) -> None:
    codec = OpenAICodec("wss://example.com/v1/realtime", dialect=dialect)

    async def make_codec() -> OpenAICodec:
        return codec

    loop = ConnectionLoop(
        make_codec, SessionSettings, lambda _: None, lambda: effects.Floor.IDLE, lambda *_: None
    )
    loop._check_opening(codec, 14.0)
    with pytest.raises(ConnectionLost, match=r"example.com .* opens no session. Trying again."):
        loop._check_opening(codec, 15.5)
    with pytest.raises(ConnectError, match=r"example.com .* opens no session."):
        loop._check_opening(codec, 15.5)


# ------------------------------------------------------------------------------ at the socket


class Announcing:
    """The fake of OpenAI, whose sessions announce when they expire."""

    def __init__(self, expires_at: float, date: float | None = None) -> None:
        self.expires_at, self.date = expires_at, date
        self.fake = Fake()

    async def hold(self, socket: ServerConnection) -> None:
        self.fake.sockets.append(socket)
        send = socket.send

        async def announce(frame: str) -> None:
            said = json.loads(frame)
            if said["type"] == "session.created":
                said["session"]["expires_at"] = self.expires_at
            await send(json.dumps(said))

        socket.send = announce  # type: ignore[method-assign, assignment]
        await openai(self.fake, socket)

    def add_date(self, _: ServerConnection, request: Request, response: Response) -> None:
        if self.date is not None:
            del response.headers["Date"]
            response.headers["Date"] = formatdate(self.date, usegmt=True)


@asynccontextmanager
async def announcing(
    expires_at: float, date: float | None = None
) -> AsyncIterator[tuple[Announcing, SessionDriver]]:
    provider = Announcing(expires_at, date)
    async with serve(provider.hold, "127.0.0.1", 0, process_response=provider.add_date) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        async with online(SessionDriver(Session(options(url, "planted-key")))) as driver:
            yield provider, driver


def warnings(driver: SessionDriver) -> list[str]:
    notices = [update for update in driver.updates if isinstance(update, effects.Notice)]
    return [notice.text for notice in notices if notice.level is effects.Level.WARNING]


async def answered(driver: SessionDriver, words: str) -> None:
    driver.session.type(words)
    await driver.until(lambda: f"You said {words}." in driver.texts(Role.ASSISTANT))


async def test_a_session_that_ended_already_is_used_and_the_clock_doubted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "WATCH_S", 0.001)
    async with announcing(time.time() - HOUR_S) as (provider, driver):
        for words in ("one", "two", "three"):
            await answered(driver, words)
        assert len(provider.fake.sockets) == 1
        (warning,) = warnings(driver)
        assert "Check the clock of this computer." in warning


async def test_a_clock_that_is_ahead_is_corrected_by_the_date_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "WATCH_S", 0.001)
    # The server's hour ends now, by the clock of this computer.
    async with announcing(time.time(), date=time.time() - HOUR_S) as (provider, driver):
        await answered(driver, "one")
        await answered(driver, "two")
        assert len(provider.fake.sockets) == 1
        assert warnings(driver) == []


async def test_short_sessions_that_announce_their_end_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "SHORT_S", 0.0)
    monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.3)
    monkeypatch.setattr(reconnect, "backoff", lambda attempt, random: 0.0)
    dialed = 0

    async def expire(socket: ServerConnection) -> None:
        nonlocal dialed
        dialed += 1
        session = {"id": "s", "object": "realtime.session", "expires_at": 1}
        await socket.send(json.dumps({"type": "session.created", "session": session}))
        await socket.close(1001, "Session expired.")

    async with serve(expire, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        with pytest.raises(SessionLost, match="No connection lasted"):
            await Session(options(url)).run()
    assert dialed > 1


# ------------------------------------------------------------------------------ no session


class Silent:
    """The fake of OpenAI, which says nothing on some connections."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = set(numbers)
        """Numbers of the silent connections, from 1."""
        self.fake = Fake()
        self.url = ""

    async def hold(self, socket: ServerConnection) -> None:
        self.fake.sockets.append(socket)
        if len(self.fake.sockets) in self.numbers:
            await socket.wait_closed()
        else:
            await openai(self.fake, socket)


@asynccontextmanager
async def silent_on(*numbers: int) -> AsyncIterator[tuple[Silent, SessionDriver]]:
    """Serve connections; on those with these numbers, nothing is said."""
    silent = Silent(*numbers)
    async with serve(silent.hold, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        yield silent, SessionDriver(Session(options(url, "planted-key")))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "OPENING_TIMEOUT_S", 0.03)
    monkeypatch.setattr(reconnect, "WATCH_S", 0.1)
    monkeypatch.setattr(reconnect, "backoff", lambda attempt, random: 0.0)


@pytest.mark.usefixtures("impatient")
async def test_a_silent_connection_is_replaced_with_a_sentence() -> None:
    async with silent_on(1) as (silent, driver), online(driver):
        await answered(driver, "one")
        links = [update.text for update in driver.updates if isinstance(update, LinkChanged)]
        assert "127.0.0.1 accepts the connection, but opens no session. Trying again." in links
        assert len(silent.fake.sockets) == 2


async def test_the_sentence_about_a_silent_server_stays_until_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "WATCH_S", 0.02)
    monkeypatch.setattr(reconnect, "PROMPT_AFTER_S", 0.0)
    monkeypatch.setattr(reconnect, "OPENING_TIMEOUT_S", 0.1)
    async with silent_on(*range(1, 99)) as (_, driver):
        with pytest.raises(ConnectError, match="opens no session"):
            await driver.session.run()
    links = [update.text for update in driver.updates if isinstance(update, LinkChanged)]
    sentence = "127.0.0.1 accepts the connection, but opens no session. Trying again."
    after = links[links.index(sentence) + 1 :]
    assert not any(text.startswith("Waiting") for text in after)


@pytest.mark.usefixtures("impatient")
async def test_a_running_session_gives_up_a_server_that_stays_silent() -> None:
    async with silent_on(*range(2, 99)) as (silent, driver):
        running = asyncio.create_task(driver.session.run())
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        silent.fake.sockets[-1].transport.abort()
        with pytest.raises(ConnectError, match="opens no session"):
            await running
        assert len(silent.fake.sockets) == 1 + reconnect.MAX_OPENINGS
