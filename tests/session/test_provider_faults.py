"""Faults of providers at the socket: each has its outcome, and no turn is sent twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import pytest
from fake_wires import Fake
from faults import FaultProxy
from five_wires import WIRES
from session_driver import SessionDriver
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Item, Role
from voicechat.core.seeding import SHORTENED
from voicechat.errors import ConnectError, KeyMissing, Secret, SessionLost, VoicechatError
from voicechat.session import reconnect, session_expiry
from voicechat.session.frame_limits import TEXT_AT_ONCE, UNREADABLE
from voicechat.session.session import Session
from voicechat.session.updates import Link, LinkChanged
from voicechat.transports import websocket
from voicechat.transports.websocket import DialFailed

KEY = "planted-key"


class Provider:
    """A fake of a wire that can be made to misbehave."""

    def __init__(self, wire: str) -> None:
        self.talk, self.model, self.key = WIRES[wire]
        self.fake = Fake()
        self.dialled = 0
        self.answers: list[tuple[int, dict[str, str]]] = []
        """HTTP answers to the next dials instead of a socket."""

    def judge(self, socket: ServerConnection, request: Request) -> Response | None:
        self.dialled += 1
        if not self.answers:
            return None
        status, headers = self.answers.pop(0)
        answer = socket.respond(HTTPStatus(status), '{"error": {"message": "As you see."}}')
        for name, value in headers.items():
            answer.headers[name] = value
        return answer

    async def hold(self, socket: ServerConnection) -> None:
        self.fake.sockets.append(socket)
        with suppress(ConnectionClosed):
            await self.talk(self.fake, socket)

    @property
    def socket(self) -> ServerConnection:
        return self.fake.sockets[-1]

    def session(self, port: int = 0) -> Session:
        url = f"http://127.0.0.1:{port or self.fake.port}"
        keys = {self.key: Secret(KEY)}
        return Session(Options(model=self.model, with_sound=False, base_url=url, keys=keys))


@asynccontextmanager
async def provided(wire: str) -> AsyncIterator[Provider]:
    provider = Provider(wire)
    async with serve(provider.hold, "127.0.0.1", 0, process_request=provider.judge) as server:
        provider.fake.port = server.sockets[0].getsockname()[1]
        yield provider


@asynccontextmanager
async def running_session(
    session: Session,
) -> AsyncIterator[tuple[SessionDriver, asyncio.Task[None]]]:
    driver = SessionDriver(session)
    running = asyncio.create_task(session.run())
    try:
        await driver.until(lambda: session.link is Link.ONLINE or running.done())
        yield driver, running
    finally:
        session.close()
        with suppress(VoicechatError):
            await running


async def answered(driver: SessionDriver, words: str) -> None:
    driver.session.type(words)
    await driver.until(lambda: f"You said {words}." in driver.texts(Role.ASSISTANT))


def notices(driver: SessionDriver) -> list[str]:
    return [update.text for update in driver.updates if isinstance(update, LinkChanged)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "backoff", lambda attempt, random: 0.0)


# ------------------------------------------------------------------------------ at the dial


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("status", "kind"), [(401, KeyMissing), (403, KeyMissing), (404, DialFailed)]
)
async def test_permanent_errors_are_not_retried(wire, status, kind, capfd) -> None:
    async with provided(wire) as provider:
        provider.answers = [(status, {})]
        with pytest.raises(kind, match=f"HTTP {status}: As you see") as caught:
            await provider.session().run()
    assert provider.dialled == 1
    assert KEY not in f"{caught.value}{caught.value.hint}{''.join(capfd.readouterr())}"


async def test_retry_after_is_respected() -> None:
    async with provided("openai") as provider:
        provider.answers = [(429, {"Retry-After": "0.3"})]
        async with running_session(provider.session()) as (driver, _):
            await answered(driver, "one")
            assert any("Trying again in 0.3 s." in text for text in notices(driver))
    assert provider.dialled == 2


@pytest.mark.parametrize("wire", WIRES)
async def test_server_errors_are_retried(wire, impatient) -> None:
    async with provided(wire) as provider, running_session(provider.session()) as (driver, _):
        await answered(driver, "one")
        provider.answers = [(503, {}), (500, {}), (429, {"Retry-After": "0"}), (502, {})]
        provider.socket.transport.abort()
        await answered(driver, "two")
        assert driver.texts(Role.ASSISTANT) == ["You said one.", "You said two."]
    assert provider.dialled == 6
    assert provider.fake.wrong == []


@pytest.mark.parametrize("wire", WIRES)
async def test_a_busy_server_is_dialed_again_at_the_start(wire, impatient) -> None:
    async with provided(wire) as provider:
        provider.answers = [(503, {}), (429, {})]
        async with running_session(provider.session()) as (driver, _):
            await answered(driver, "one")
        assert provider.dialled == 3
        provider.answers = [(500, {})] * 9
        with pytest.raises(DialFailed, match="HTTP 500"):
            await provider.session().run()
    assert provider.dialled == 3 + reconnect.MAX_FIRST_DIALS


async def test_a_revoked_key_ends_a_running_session(impatient) -> None:
    async with (
        provided("openai") as provider,
        running_session(provider.session()) as (driver, running),
    ):
        await answered(driver, "one")
        provider.answers = [(401, {})]
        provider.socket.transport.abort()
        with pytest.raises(KeyMissing, match="refused the key"):
            await running


# ------------------------------------------------------------------------------ closing


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013])
async def test_a_closed_session_continues_on_a_new_connection(wire, code, impatient) -> None:
    async with provided(wire) as provider, running_session(provider.session()) as (driver, _):
        await answered(driver, "one")
        if code == 1006:
            provider.socket.transport.abort()
        else:
            await provider.socket.close(code, "for a reason")
        await answered(driver, "two")
        assert driver.texts(Role.USER) == ["one", "two"]
        assert driver.texts(Role.ASSISTANT) == ["You said one.", "You said two."]
    assert len(provider.fake.sockets) == 2
    assert provider.fake.wrong == []


async def test_an_announced_end_is_followed_between_turns(monkeypatch) -> None:
    monkeypatch.setattr(session_expiry, "YOUNG_SHARE", 0.0)
    monkeypatch.setattr(reconnect, "WATCH_S", 0.01)
    async with provided("google") as provider, running_session(provider.session()) as (driver, _):
        await answered(driver, "one")
        before = len(notices(driver))
        await provider.socket.send(json.dumps({"goAway": {"timeLeft": "50s"}}))
        await driver.until(lambda: driver.session._connections.sessions_created == 2)
        assert provider.fake.setups[-1]["sessionResumption"]["handle"]
        await answered(driver, "two")
        assert driver.texts(Role.USER) == ["one", "two"]
        links = [update for update in driver.updates if isinstance(update, LinkChanged)][before:]
        assert Link.RECONNECTING not in {update.link for update in links}, "nothing went wrong"
    assert provider.fake.wrong == []


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        *(("openai", code) for code in (1002, 1003, 1008, 3000, 4001, 4403)),
        *(("google", code) for code in (1002, 1003, 3000, 4001, 4403)),
    ],
)
async def test_a_refused_session_is_not_retried(wire, code) -> None:
    async with provided(wire) as provider, running_session(provider.session()) as (driver, running):
        await answered(driver, "one")
        await provider.socket.close(code, "not like that")
        with pytest.raises(SessionLost, match="not like that"):
            await running
    assert provider.dialled == 1


@pytest.mark.parametrize("wire", WIRES)
async def test_a_session_that_refused_its_history_is_seeded_with_less(wire, impatient) -> None:
    async with provided(wire) as provider, running_session(provider.session()) as (driver, running):
        for words in ("one", "two", "three", "four"):
            await answered(driver, words)
        await provider.socket.close(1007, "Too much.")
        await answered(driver, "five")
        assert driver.texts(Role.USER) == ["one", "two", "three", "four", "five"]
        notices = [update.text for update in driver.updates if isinstance(update, effects.Notice)]
        assert notices.count(SHORTENED) == 1
        assert provider.fake.wrong == []
        await provider.socket.close(1007, "Still too much.")
        with pytest.raises(SessionLost, match="Still too much"):
            await running
    assert provider.dialled == 2


async def test_a_refused_handle_is_dropped_and_the_conversation_seeded(impatient) -> None:
    async with provided("google") as provider, running_session(provider.session()) as (driver, _):
        await answered(driver, "one")
        talk = provider.talk

        async def refuse(fake: Fake, socket: ServerConnection) -> None:
            provider.talk = talk
            resumed = json.loads(await socket.recv())["setup"]["sessionResumption"]
            assert resumed["handle"]
            await socket.close(1007, "The handle cannot be used.")

        provider.talk = refuse
        provider.socket.transport.abort()
        await answered(driver, "two")
        assert "handle" not in provider.fake.setups[-1]["sessionResumption"]
    assert provider.dialled == 3
    assert provider.fake.wrong == []


POLICY = (1008, "Operation is not implemented, or supported, or enabled.")


async def test_a_resumable_session_that_is_closed_is_resumed(impatient) -> None:
    async with provided("google") as provider, running_session(provider.session()) as (driver, _):
        await answered(driver, "one")
        await provider.socket.close(*POLICY)
        await answered(driver, "two")
        assert provider.fake.setups[-1]["sessionResumption"]["handle"]
        await provider.socket.close(*POLICY)
        await answered(driver, "three")
    assert provider.dialled == 3
    assert provider.fake.wrong == []


async def test_a_resumable_session_that_is_closed_each_time_is_given_up(impatient) -> None:
    async with provided("google") as provider, running_session(provider.session()) as (driver, run):
        await answered(driver, "one")
        handles: list[bool] = []

        async def close(fake: Fake, socket: ServerConnection) -> None:
            setup = json.loads(await socket.recv())["setup"]
            handles.append("handle" in setup["sessionResumption"])
            await socket.send(json.dumps({"setupComplete": {}}))
            update = {"newHandle": "another", "resumable": True}
            await socket.send(json.dumps({"sessionResumptionUpdate": update}))
            await socket.close(*POLICY)

        provider.talk = close
        await provider.socket.close(*POLICY)
        with pytest.raises(SessionLost, match="Operation is not implemented"):
            await run
    assert handles == [True, False]


@pytest.mark.parametrize(
    ("wire", "code", "reason", "kind"),
    [
        ("google", 1007, "API key not valid. Please pass a valid API key.", KeyMissing),
        ("google", 1008, "Your API key was reported as leaked.", KeyMissing),
        ("google", 1011, "You exceeded your current quota, please check it.", ConnectError),
        ("openai", 3000, "invalid_api_key", KeyMissing),
    ],
)
@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_reason_that_no_attempt_changes_ends_the_session_once(
    wire, code, reason, kind, has_begun, impatient
) -> None:
    async with provided(wire) as provider:

        async def close(fake: Fake, socket: ServerConnection) -> None:
            await socket.close(code, reason)

        if not has_begun:
            provider.talk = close
        async with running_session(provider.session()) as (driver, running):
            if has_begun:
                await answered(driver, "one")
                await provider.socket.close(code, reason)
            with pytest.raises(kind, match=reason.rstrip(".")):
                await running
    assert provider.dialled == 1


REFUSED_TOOLS = ("calculate", "current_time")


async def test_tools_that_gemini_refuses_are_left_out(impatient) -> None:
    async with provided("google") as provider:
        talk = provider.talk

        async def choose(fake: Fake, socket: ServerConnection) -> None:
            recv = socket.recv
            frame = await recv()
            (group,) = json.loads(frame)["setup"]["tools"]
            names = [each["name"] for each in group["functionDeclarations"]]
            for name in REFUSED_TOOLS:
                if name in names:
                    place = f"setup.tools[0].function_declarations[{names.index(name)}].parameters"
                    reason = f"* BidiGenerateContentRequest.{place}.properties[x]: only allow"
                    await socket.close(1007, reason)
                    return

            async def again(*more: object) -> str | bytes:
                socket.recv = recv  # type: ignore[method-assign]
                return frame

            socket.recv = again  # type: ignore[method-assign, assignment]
            await talk(fake, socket)

        provider.talk = choose
        async with running_session(provider.session()) as (driver, _):
            await answered(driver, "one")
        notices = [update for update in driver.updates if isinstance(update, effects.Notice)]
        said = [notice.text for notice in notices if notice.level is effects.Level.WARNING]
        assert len(said) == len(REFUSED_TOOLS)
        for name, sentence in zip(REFUSED_TOOLS, said, strict=True):
            assert sentence.startswith(f"The provider refused the tool {name}: 127.0.0.1")
    assert provider.dialled == 3
    assert provider.fake.wrong == []


async def test_short_connections_are_given_up_after_a_time(impatient, monkeypatch) -> None:
    monkeypatch.setattr(reconnect, "FIRST_GIVE_UP_S", 0.3)
    async with provided("openai") as provider:

        async def faint(fake: Fake, socket: ServerConnection) -> None:
            await socket.close(1011, "out of memory")

        provider.talk = faint
        with pytest.raises(SessionLost, match=r"out of memory.*No connection lasted, \d+ times"):
            await provider.session().run()
    assert provider.dialled > 1


async def test_short_connections_that_answer_are_usable(impatient, monkeypatch) -> None:
    monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.0)
    async with provided("openai") as provider, running_session(provider.session()) as (driver, _):
        for words in ("one", "two", "three", "four"):
            await answered(driver, words)
            provider.socket.transport.abort()
    assert len(provider.fake.sockets) >= 4


async def test_a_frame_that_is_too_large_is_not_requested_again(impatient, monkeypatch) -> None:
    monkeypatch.setattr(websocket, "LARGEST_FRAME", 100_000)
    async with provided("openai") as provider:
        talk = provider.talk

        async def flood(fake: Fake, socket: ServerConnection) -> None:
            async for frame in socket:
                if '"response.create"' in str(frame):
                    await socket.send("x" * 200_000)
                elif "session.update" in str(frame):
                    await socket.send('{"type": "session.created", "session": {"id": "s"}}')

        provider.talk = flood
        async with running_session(provider.session()) as (driver, _):
            driver.session.type("one")
            await driver.until(lambda: "sent a frame that is too large" in str(notices(driver)))
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            provider.talk = talk
            provider.socket.transport.abort()
            await answered(driver, "two")
            assert driver.texts(Role.USER) == ["one", "two"]
            assert driver.texts(Role.ASSISTANT) == ["You said two."]


async def test_backoff_grows_after_short_connections(monkeypatch) -> None:
    monkeypatch.setattr(reconnect, "FIRST_GIVE_UP_S", 0.3)
    waits: list[int] = []

    def backoff(attempt: int, random: Callable[[], float]) -> float:
        waits.append(attempt)
        return 0.0

    monkeypatch.setattr(reconnect, "backoff", backoff)
    async with provided("openai") as provider:

        async def faint(fake: Fake, socket: ServerConnection) -> None:
            await socket.close(1011)

        provider.talk = faint
        with pytest.raises(SessionLost):
            await provider.session().run()
    # The first attempt has no delay.
    assert waits == list(range(1, len(waits) + 1))


# ------------------------------------------------------------------------------ silence and noise


@pytest.mark.parametrize("wire", ["openai", "gateway"])
async def test_silence_while_a_response_is_due_is_detected(wire, monkeypatch, impatient) -> None:
    assert reconnect.LIVENESS_TIMEOUT_S == 5.0
    monkeypatch.setattr(reconnect, "LIVENESS_TIMEOUT_S", 2.5)
    async with (
        provided(wire) as provider,
        FaultProxy(provider.fake.port) as proxy,
        running_session(provider.session(proxy.port)) as (driver, _),
    ):
        await answered(driver, "one")
        proxy.black_hole()
        driver.session.type("two")
        await driver.until(lambda: driver.session.link is Link.RECONNECTING)
        proxy.heal()
        await driver.until(lambda: "You said two." in driver.texts(Role.ASSISTANT))
        assert driver.texts(Role.USER) == ["one", "two"]
    assert proxy.connections == 2


async def test_slow_pongs_of_gemini_do_not_end_the_connection(monkeypatch) -> None:
    monkeypatch.setattr(reconnect, "LIVENESS_TIMEOUT_S", 0.2)
    monkeypatch.setattr(reconnect, "WATCH_S", 0.1)
    async with (
        provided("google") as provider,
        FaultProxy(provider.fake.port) as proxy,
        running_session(provider.session(proxy.port)) as (driver, _),
    ):
        await answered(driver, "one")
        proxy.black_hole()
        driver.session.type("two")
        # Several liveness checks during which no frame arrives.
        await asyncio.sleep(0.5)
        assert driver.session.floor is effects.Floor.THINKING
        proxy.heal()
        await driver.until(lambda: "You said two." in driver.texts(Role.ASSISTANT))
        assert driver.session.link is Link.ONLINE
    assert proxy.connections == 1


INVALID_AUDIO = {
    "openai": {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i",
               "delta": "no base64!"},
    "google": {"serverContent": {"modelTurn": {"parts": [
        {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "no base64!"}}]}}},
    "gateway": {"type": "audio-delta", "responseId": "r", "itemId": "i", "delta": "no base64!"},
}  # fmt: skip


@pytest.mark.parametrize("wire", INVALID_AUDIO)
async def test_a_provider_that_sends_unreadable_audio_is_disconnected(wire, impatient) -> None:
    async with provided(wire) as provider, running_session(provider.session()) as (driver, _):
        await answered(driver, "one")
        for _ in range(UNREADABLE):
            await provider.socket.send(json.dumps(INVALID_AUDIO[wire]))
        await driver.until(lambda: len(provider.fake.sockets) == 2)
        await answered(driver, "two")
        assert any("unreadable data" in text for text in notices(driver))


async def test_a_provider_that_sends_unreadable_frames_is_disconnected(impatient) -> None:
    async with provided("openai") as provider, running_session(provider.session()) as (driver, _):
        await answered(driver, "one")
        for _ in range(UNREADABLE - 1):
            await provider.socket.send("\x00 no JSON")
        await answered(driver, "two")
        assert len(provider.fake.sockets) == 1, "a few are tolerated"
        for _ in range(UNREADABLE):
            await provider.socket.send("[1, 2]")
        await driver.until(lambda: len(provider.fake.sockets) == 2)
        await answered(driver, "three")
        assert any("unreadable data" in text for text in notices(driver))
        assert driver.texts(Role.USER) == ["one", "two", "three"]


TEXT_DELTAS = {
    "openai": {"type": "response.output_text.delta", "response_id": "r", "item_id": "i"},
    "google": {"serverContent": {"outputTranscription": {}}},
    "gateway": {"type": "text-delta", "responseId": "r", "itemId": "i"},
}


@pytest.mark.parametrize("wire", TEXT_DELTAS)
async def test_a_provider_that_sends_text_without_end_is_left(wire, impatient) -> None:
    text = "word " * (TEXT_AT_ONCE // 50)
    frame = dict(TEXT_DELTAS[wire])
    if wire == "google":
        frame = {"serverContent": {"outputTranscription": {"text": text}}}
    else:
        frame["delta"] = text
    async with provided(wire) as provider:
        session = provider.session()
        driver = SessionDriver(session)
        running = asyncio.create_task(session.run())
        await driver.until(lambda: len(provider.fake.sockets) == 1)
        await answered(driver, "one")
        with suppress(ConnectionClosed):
            for _ in range(40):
                await provider.socket.send(json.dumps(frame))
        with pytest.raises(ConnectError, match="sends text without end"):
            await running
        kept = sum(len(each.text) for each in session.transcript.entries if isinstance(each, Item))
        assert kept < 2 * TEXT_AT_ONCE
        assert provider.dialled == 1


@pytest.mark.parametrize(
    ("code", "kind"), [("session_expired", SessionLost), ("invalid_api_key", KeyMissing)]
)
async def test_a_server_that_ends_each_session_with_an_error_is_given_up(
    code, kind, impatient, monkeypatch
) -> None:
    monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.3)
    async with provided("openai") as provider:

        async def end(fake: Fake, socket: ServerConnection) -> None:
            session = {"type": "realtime", "id": "sess_1", "object": "realtime.session"}
            await socket.send(json.dumps({"type": "session.created", "session": session}))
            error = {"type": "invalid_request_error", "code": code, "message": "It is over."}
            await socket.send(json.dumps({"type": "error", "error": error}))
            await socket.wait_closed()

        provider.talk = end
        with pytest.raises(kind, match="It is over"):
            await provider.session().run()
    assert (provider.dialled == 1) is (kind is KeyMissing)


@pytest.mark.parametrize(
    ("code", "kind"), [("invalid_api_key", KeyMissing), ("insufficient_quota", ConnectError)]
)
async def test_an_error_instead_of_a_session_has_the_exit_code_of_its_reason(code, kind) -> None:
    async with provided("openai") as provider:

        async def refuse(fake: Fake, socket: ServerConnection) -> None:
            messages = {
                "invalid_api_key": "Incorrect API key provided.",
                "insufficient_quota": "You exceeded your current quota.",
            }
            error = {"type": code, "code": code, "message": messages[code]}
            await socket.send(json.dumps({"type": "error", "error": error}))
            await socket.close(1000)

        provider.talk = refuse
        with pytest.raises(VoicechatError) as refused:
            await provider.session().run()
    assert type(refused.value) is kind
    assert provider.dialled == 1


async def _create_only(fake: Fake, socket: ServerConnection) -> None:
    """Create the session, and never answer."""
    session = {"type": "realtime", "id": "sess_1", "object": "realtime.session"}
    await socket.send(json.dumps({"type": "session.created", "session": session}))
    async for frame in socket:
        if json.loads(frame)["type"] == "response.create":
            socket.transport.abort()


async def test_a_question_without_an_answer_on_every_connection_ends_the_session(
    monkeypatch, impatient
) -> None:
    monkeypatch.setattr(reconnect, "SHORT_S", 0.0)
    async with provided("openai") as provider:
        provider.talk = _create_only
        async with running_session(provider.session()) as (driver, running):
            driver.session.type("hello")
            with pytest.raises(SessionLost, match="no answer on 3 connections in a row") as lost:
                await asyncio.wait_for(running, 30)
        assert lost.value.exit_code == 5
        assert provider.dialled == reconnect.MAX_UNANSWERED_CONNECTIONS


async def test_a_connection_that_began_an_answer_does_not_count(impatient) -> None:
    async with provided("openai") as provider:
        talk = provider.talk

        async def begin_only(fake: Fake, socket: ServerConnection) -> None:
            """Begin an answer on the first connection, none on the next two, then work."""
            number = len(fake.sockets)
            if number > reconnect.MAX_UNANSWERED_CONNECTIONS:
                await talk(fake, socket)
                return
            session = {"type": "realtime", "id": "sess_1", "object": "realtime.session"}
            await socket.send(json.dumps({"type": "session.created", "session": session}))
            async for frame in socket:
                if json.loads(frame)["type"] != "response.create":
                    continue
                if number == 1:
                    response = {"id": "r", "status": "in_progress"}
                    item = {"id": "i", "type": "message", "role": "assistant", "content": []}
                    added = {"response_id": "r", "output_index": 0, "item": item}
                    await socket.send(
                        json.dumps({"type": "response.created", "response": response})
                    )
                    await socket.send(json.dumps({"type": "response.output_item.added", **added}))
                await socket.close(1011)

        provider.talk = begin_only
        async with running_session(provider.session()) as (driver, _):
            await answered(driver, "hello")
        assert provider.dialled == reconnect.MAX_UNANSWERED_CONNECTIONS + 1


async def _only_garbage(fake: Fake, socket: ServerConnection) -> None:
    for _ in range(UNREADABLE):
        await socket.send("\x00 no JSON")
    await socket.wait_closed()


async def test_a_server_that_sends_only_garbage_is_not_a_realtime_endpoint(impatient) -> None:
    async with provided("openai") as provider:
        provider.talk = _only_garbage
        sentence = "127.0.0.1 sends data that is not the Realtime protocol. Check --base-url."
        with pytest.raises(ConnectError) as refused:
            await provider.session().run()
        assert str(refused.value) == sentence
        assert provider.dialled == 1


@pytest.mark.parametrize("wire", [*WIRES, "openai/gpt-live-1", "openai/gpt-realtime-translate"])
async def test_a_server_that_opens_no_session_is_given_up(wire, monkeypatch) -> None:
    monkeypatch.setattr(reconnect, "OPENING_TIMEOUT_S", 0.0)
    monkeypatch.setattr(reconnect, "WATCH_S", 0.02)
    async with provided(wire.partition("/")[0]) as provider:
        provider.model = wire if "/" in wire else provider.model

        async def silent(fake: Fake, socket: ServerConnection) -> None:
            await socket.wait_closed()

        provider.talk = silent
        with pytest.raises(ConnectError, match="opens no session"):
            await provider.session().run()
