"""The WebSocket connection with a real server on loopback, and with a faulty network."""

import asyncio
import contextlib
import http
import logging
import ssl
import time

import pytest
from faults import FaultProxy, port_without_server
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from voicechat.errors import KeyMissing, Secret
from voicechat.system.dial_target import DialTarget
from voicechat.transports import websocket
from voicechat.transports.connection_errors import Peer
from voicechat.transports.websocket import ConnectionLost, DialFailed, backoff, dial

KEY = "sk-planted-0123456789abcdef"


def endpoint(port: int, *, scheme: str = "ws", host: str = "127.0.0.1") -> DialTarget:
    return DialTarget(
        f"{scheme}://{host}:{port}/v1/realtime?model=m",
        {"Authorization": Secret(f"Bearer {KEY}")},
    )


@contextlib.asynccontextmanager
async def server(handler, **options):
    async with serve(handler, "127.0.0.1", 0, **options) as listening:
        yield listening.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def connected(port, **options):
    connection = await dial(endpoint(port), **options)
    try:
        yield connection
    finally:
        await connection.close()


async def echo(client):
    async for frame in client:
        await client.send(frame)


async def hold_open(client):
    await client.wait_closed()


async def ending(connection) -> ConnectionLost:
    with pytest.raises(ConnectionLost) as caught:
        async for _ in connection:
            pass
    return caught.value


# ------------------------------------------------------------------------------- traffic


async def test_frames_are_sent_and_received():
    async with server(echo) as port, connected(port) as connection:
        await connection.send(["one", b"two"])
        connection.send_audio("three")
        received = []
        async for frame in connection:
            received.append(frame)
            if len(received) == 3:
                break
        assert received == ["one", b"two", "three"]
        assert connection.dropped_audio == 0


async def test_the_handshake_contains_key_path_and_user_agent():
    seen = {}

    async def look(client):
        seen.update(client.request.headers, path=client.request.path)
        seen["extensions"] = client.protocol.extensions

    async with server(look) as port, connected(port) as connection:
        await ending(connection)
    assert seen["authorization"] == f"Bearer {KEY}"
    assert seen["path"] == "/v1/realtime?model=m"
    assert seen["user-agent"].startswith("voicechat/")
    assert seen["extensions"] == []


async def test_audio_and_control_frames_keep_their_order():
    async with server(echo) as port, connected(port) as connection:
        for block in range(5):
            connection.send_audio(f"block {block}")
        await connection.send(["commit"])
        received = [frame async for frame, _ in zip_first(connection, 6)]
        assert received == [*(f"block {block}" for block in range(5)), "commit"]


async def zip_first(connection, count):
    async for frame in connection:
        yield frame, None
        count -= 1
        if not count:
            return


async def test_a_large_frame_is_received_and_a_giant_one_ends_the_connection():
    async def tell(client):
        await client.send("x" * 5_000_000)
        await client.send("x" * (websocket.LARGEST_FRAME + 1))

    async with server(tell) as port, connected(port) as connection:
        frames = aiter(connection)
        assert len(await anext(frames)) == 5_000_000
        with pytest.raises(ConnectionLost) as caught:
            await anext(frames)
        assert "too large" in str(caught.value)
        assert caught.value.retry


async def test_sending_no_frames_returns_at_once():
    async with server(hold_open) as port, connected(port) as connection:
        await connection.send([])


async def test_a_frame_counts_as_activity():
    async with server(echo) as port, connected(port, liveness_timeout_s=1000) as connection:
        connection._alive -= 100
        assert connection.quiet_for() >= 100
        await connection.send(["hello"])
        async for _ in connection:
            break
        assert connection.quiet_for() < 100


# ------------------------------------------------------------------------------- endings


@pytest.mark.parametrize(
    ("code", "retry", "words"),
    [
        (1000, True, "ended the session: see you"),
        (1001, True, "shutting down"),
        (1007, False, "code 1007"),
        (1008, False, "refused to continue"),
        (1011, True, "internal error"),
        (1013, True, "overloaded"),
        (4001, False, "code 4001"),
        (4999, True, "code 4999"),
    ],
)
async def test_the_peer_closes(code, retry, words):
    async def close(client):
        await client.close(code, "see\x1b[2J you" if code == 1001 else "see you")

    async with server(close) as port, connected(port) as connection:
        lost = await ending(connection)
    assert (lost.close_code, lost.retry) == (code, retry)
    assert words in str(lost)
    assert "\x1b" not in str(lost)
    assert str(lost).startswith("127.0.0.1 ")


async def test_a_reset_is_reported_at_once_to_reader_and_writer():
    async with (
        server(hold_open) as port,
        FaultProxy(port) as network,
        connected(network.port) as connection,
    ):
        network.reset()
        lost = await ending(connection)
        assert str(lost) == "127.0.0.1 closed the connection."
        assert lost.retry
        assert lost.close_code is None
        with pytest.raises(ConnectionLost):
            await connection.send(["too late"])
        connection.send_audio("too late")
        assert connection.dropped_audio == 1


async def test_a_black_hole_is_detected_without_a_close(monkeypatch):
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.05)
    async with (
        server(hold_open) as port,
        FaultProxy(port) as network,
        connected(network.port, liveness_timeout_s=0.4) as connection,
    ):
        network.black_hole()
        lost = await ending(connection)
        assert "did not respond" in str(lost)
        assert lost.retry


async def test_a_silent_peer_that_answers_pings_is_kept(monkeypatch):
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.02)
    pings = asyncio.Event()

    async def think(client):
        await pings.wait()
        await client.send("done thinking")
        await client.wait_closed()

    async with server(think) as port, connected(port, liveness_timeout_s=1.0) as connection:
        stamped = 0
        mark = connection._pong

        def counted(pong):
            nonlocal stamped
            mark(pong)
            stamped += 1
            if stamped == 60:  # at least 1.2 s after the first frame
                pings.set()

        connection._pong = counted
        assert await anext(aiter(connection)) == "done thinking"
        assert connection.quiet_for() < 1.0


class SleepingComputer:
    """The clock that advances while the computer sleeps."""

    def __init__(self, monkeypatch):
        self.slept = 0.0
        self.looked_at = asyncio.Event()
        monkeypatch.setattr(websocket, "PING_SECONDS", 0.01)
        monkeypatch.setattr(websocket, "PROBE_SECONDS", 0.05)
        monkeypatch.setattr(websocket, "_clock_during_sleep", self.now)

    def now(self):
        self.looked_at.set()
        return time.monotonic() + self.slept


async def test_a_connection_that_ended_while_the_computer_slept_is_given_up_soon(monkeypatch):
    computer = SleepingComputer(monkeypatch)
    async with (
        server(hold_open) as port,
        FaultProxy(port) as network,
        connected(network.port) as connection,
    ):
        network.black_hole()
        await computer.looked_at.wait()
        computer.slept = 600
        lost = await ending(connection)
        assert "did not respond for 600 seconds" in str(lost)
        assert lost.retry
        assert connection.quiet_for() < websocket.LIVENESS_SECONDS


@pytest.mark.parametrize("slept", [600, 90_000, -9_000])
@pytest.mark.parametrize("patience", [websocket.LIVENESS_SECONDS, 60.0])
async def test_a_connection_that_survived_a_sleep_or_a_jump_of_the_clock_is_kept(
    monkeypatch, patience, slept
):
    computer = SleepingComputer(monkeypatch)
    monkeypatch.setattr(websocket, "PROBE_SECONDS", 5.0)
    async with server(echo) as port, connected(port, liveness_timeout_s=patience) as connection:
        await computer.looked_at.wait()
        computer.slept = slept
        for _ in range(3):  # the second look sees the jump, the third comes after the probe
            computer.looked_at.clear()
            await computer.looked_at.wait()
        await connection.send(["awake"])
        assert await anext(aiter(connection)) == "awake"


async def test_a_stopped_program_does_not_blame_the_peer():
    async with server(hold_open) as port, connected(port) as connection:
        connection._alive -= 100  # the program was stopped for this time,
        assert connection.quiet_for() >= 100
        connection._awake_at -= 100  # and has not looked at the connection since
        assert connection.quiet_for() == 0.0


async def test_a_peer_that_stops_reading_is_given_up_after_the_deadline(monkeypatch):
    monkeypatch.setattr(websocket, "SEND_SECONDS", 0.2)
    async with (
        server(hold_open) as port,
        FaultProxy(port) as network,
        connected(network.port) as connection,
    ):
        network.black_hole()
        with pytest.raises(ConnectionLost, match="stopped accepting"):
            await connection.send(["x" * 1_000_000] * 100)
        assert "stopped accepting" in str(await ending(connection))


async def test_a_large_frame_may_take_long_on_a_slow_network(monkeypatch):
    monkeypatch.setattr(websocket, "SEND_SECONDS", 0.5)
    received = asyncio.get_running_loop().create_future()

    async def listen(client):
        received.set_result(len(await client.recv()))

    async with server(listen, max_size=None) as port, FaultProxy(port) as network:
        network.slice, network.delay = 65_536, 0.01
        async with connected(network.port) as connection:
            began = connection._clock()
            await connection.send(["x" * 8_000_000])
            assert await received == 8_000_000
            assert connection._clock() - began > websocket.SEND_SECONDS
            assert connection.quiet_for() < connection._clock() - began


async def test_audio_for_a_stuck_network_is_bounded_and_counted():
    async with (
        server(hold_open) as port,
        FaultProxy(port) as network,
        connected(network.port) as connection,
    ):
        network.black_hole()
        block = "x" * 1300
        for _ in range(20_000):
            connection.send_audio(block)
            await asyncio.sleep(0)
        waiting = [entry.frame for entry in connection._queue if entry.frame]
        assert connection.dropped_audio > 5000
        assert sum(map(len, waiting)) <= websocket.SOUND_QUEUED + len(block)


def collect_in(received):
    """Return a server's side that adds what it receives to a list."""

    async def listen(client):
        with contextlib.suppress(ConnectionClosed):
            while True:
                received.append(await client.recv())

    return listen


async def test_the_oldest_audio_is_dropped_and_control_frames_never():
    received = []
    async with server(collect_in(received)) as port, connected(port) as connection:
        size = websocket.SOUND_QUEUED // 25
        blocks = [f"{number:04d}".ljust(size, ".") for number in range(100)]
        for block in blocks[:50]:
            connection.send_audio(block)
        commit = asyncio.create_task(connection.send(["commit"]))
        await asyncio.sleep(0)
        for block in blocks[50:]:
            connection.send_audio(block)
        await commit
        await connection.send(["end"])
        await connection.close()
    kept = [frame for frame in received if frame not in {"commit", "end"}]
    assert "commit" in received
    assert kept == sorted(kept)
    assert kept[-1] == blocks[-1]
    assert len(kept) + connection.dropped_audio == 100
    assert connection.dropped_audio >= 50


async def test_a_short_pause_of_the_event_loop_loses_no_speech():
    second = [f"{number:04d}".ljust(1300, ".") for number in range(50)]
    received = []
    async with server(collect_in(received)) as port, connected(port) as connection:
        for block in second * 2:  # what waited is sent in one go
            connection.send_audio(block)
        await connection.send(["end"])
        await connection.close()
    assert received == [*second, *second, "end"]


async def test_slow_networks_lose_nothing():
    async with server(echo) as port, FaultProxy(port) as network:
        network.slice, network.delay = 7, 0.0005
        async with connected(network.port) as connection:
            await connection.send(["a slow frame " * 40])
            assert await anext(aiter(connection)) == "a slow frame " * 40


async def test_closing_is_quick_when_the_peer_does_not_answer():
    async with server(hold_open) as port, FaultProxy(port) as network:
        connection = await dial(endpoint(network.port))
        network.black_hole()
        async with asyncio.timeout(2):
            await connection.close()
        lost = await ending(connection)
        assert not lost.retry
        await connection.close()


async def test_no_task_is_left_running():
    before = asyncio.all_tasks()
    async with server(echo) as port:
        async with connected(port) as connection:
            await connection.send(["hello"])
        for _ in range(3):
            async with FaultProxy(port) as network, connected(network.port) as connection:
                network.reset()
                await ending(connection)
    assert asyncio.all_tasks() == before


async def test_a_cancelled_caller_leaves_the_connection_usable():
    async with server(echo) as port, connected(port) as connection:
        sending = asyncio.create_task(connection.send(["one"]))
        await asyncio.sleep(0)
        sending.cancel()
        await connection.send(["two"])
        assert [frame async for frame, _ in zip_first(connection, 2)] == ["one", "two"]


# ------------------------------------------------------------------------------- dialling


@contextlib.asynccontextmanager
async def answering(status: int, body: bytes = b"", headers: dict[str, str] | None = None):
    def refuse(client, request):
        response = client.respond(http.HTTPStatus(status), "")
        response.body = body
        del response.headers["Content-Length"]
        response.headers["Content-Length"] = str(len(body))
        for name, value in (headers or {}).items():
            response.headers[name] = value
        return response

    async with server(echo, process_request=refuse) as port:
        yield port


OPENAI_BODY = b'{"error":{"message":"No \\u001b[2Jsuch model.","code":"model_not_found"}}'


@pytest.mark.parametrize(
    ("status", "kind", "retry", "words"),
    [
        (401, KeyMissing, None, "refused the key"),
        (403, KeyMissing, None, "refused the key"),
        (404, DialFailed, False, "no such realtime endpoint or model"),
        (400, DialFailed, False, "refused to open a session"),
        (426, DialFailed, False, "refused to open a session"),
        (429, DialFailed, True, "limits the rate"),
        (500, DialFailed, True, "had an internal error"),
        (503, DialFailed, True, "is unavailable"),
        (301, DialFailed, False, "redirects to another address"),
    ],
)
async def test_http_refusals(status, kind, retry, words):
    location = {"Location": "ws://127.0.0.1:1/elsewhere"}
    async with answering(status, OPENAI_BODY, location) as port:
        with pytest.raises(kind) as caught:
            await dial(endpoint(port))
    error = caught.value
    assert words in error.message
    assert "127.0.0.1" in error.message
    assert f"HTTP {status}" in error.message
    assert ".)" not in error.message
    assert error.hint
    assert "\x1b" not in str(error)
    assert getattr(error, "retry", None) is retry
    if status != 301:
        assert "such model" in error.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("0.5", 0.5), ("86400", 60.0), ("-1", 0.0), ("soon", None), ("nan", None)],
)
async def test_retry_after(header, seconds):
    async with answering(429, headers={"Retry-After": header}) as port:
        with pytest.raises(DialFailed) as caught:
            await dial(endpoint(port))
    assert caught.value.retry_after == seconds


async def test_retry_after_as_a_date():
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    async with answering(503, headers={"Retry-After": date}) as port:
        with pytest.raises(DialFailed) as caught:
            await dial(endpoint(port))
    assert caught.value.retry_after == 60.0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error":"flat"}', b'{"error":{}}'])
async def test_any_error_body_gives_a_sentence(body):
    async with answering(400, body) as port:
        with pytest.raises(DialFailed) as caught:
            await dial(endpoint(port))
    assert ("flat" in str(caught.value)) is (b"flat" in body)


async def test_a_closed_port_is_reported():
    with (
        port_without_server() as port,
        pytest.raises(DialFailed, match=f"No server answers at 127.0.0.1 port {port}") as caught,
    ):
        await dial(endpoint(port))
    assert caught.value.retry


async def test_an_unknown_host_name_is_reported():
    with pytest.raises(DialFailed) as caught:
        await dial(DialTarget("ws://no-such-host.invalid:9/", {}))
    assert "no-such-host.invalid" in str(caught.value)


@contextlib.asynccontextmanager
async def tcp(handler):
    async def serve_one(reader, writer):
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


async def test_a_server_that_never_answers():
    async def sleep(reader, writer):
        await reader.read(-1)

    async with tcp(sleep) as port:
        with pytest.raises(DialFailed, match=r"did not answer within 0\.2 s") as caught:
            await dial(endpoint(port), deadline=0.2)
    assert caught.value.retry
    assert "try again later" in caught.value.hint


async def test_a_server_that_closes_during_the_handshake():
    async def close_early(reader, writer):
        await reader.readuntil(b"\r\n\r\n")

    async with tcp(close_early) as port:
        with pytest.raises(DialFailed, match="closed the connection before") as caught:
            await dial(endpoint(port))
    assert caught.value.retry
    assert "try again later" in caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
async def test_a_server_that_is_not_a_websocket_server(answer):
    async def something_else(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with tcp(something_else) as port:
        with pytest.raises(DialFailed) as caught:
            await dial(endpoint(port))
    assert not caught.value.retry
    assert "127.0.0.1" in str(caught.value)


async def test_tls_with_a_server_without_tls():
    async def answer_plainly(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with tcp(answer_plainly) as port:
        with pytest.raises(DialFailed, match="does not speak TLS"):
            await dial(endpoint(port, scheme="wss"))


def test_an_untrusted_certificate():
    failure = ssl.SSLCertVerificationError(1, "certificate verify failed")
    failure.verify_message = "self-signed certificate"
    error = Peer(endpoint(1, scheme="wss", host="voice.example")).unreachable(failure, 10)
    assert isinstance(error, DialFailed)
    assert not error.retry
    assert "voice.example cannot be trusted: self-signed certificate." in str(error)


@pytest.mark.parametrize(
    "url", ["http://host/", "ws://[::1/", "ws://host:99999/", f"ws://{'a' * 300}"]
)
async def test_invalid_addresses(url):
    with pytest.raises(DialFailed):
        await dial(DialTarget(url, {}), deadline=5)


async def test_no_proxy_is_used_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with server(echo) as port, connected(port) as connection:
        await connection.send(["direct"])
        assert await anext(aiter(connection)) == "direct"


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5://127.0.0.1:1", "nonsense"])
async def test_a_broken_proxy_is_reported(monkeypatch, proxy):
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DialFailed) as caught:
        await dial(DialTarget("wss://voice.invalid/v1/realtime", {}))
    assert "voice.invalid" in str(caught.value)


# ------------------------------------------------------------------------------- secrets


async def test_the_key_appears_nowhere(caplog, capfd):
    """The key is in everything a peer can send, and all loggers are on."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets").setLevel(logging.DEBUG)
    shown = []

    async def repeat_key(client):
        await client.close(1008, f"bad key {client.request.headers['Authorization']}")

    async with server(repeat_key) as port, connected(port) as connection:
        shown += [repr(connection), repr(vars(connection)), str(await ending(connection))]
        assert KEY not in repr(connection._socket.request)
    body = b'{"error":{"message":"Incorrect key: ' + KEY.encode() + b'"}}'
    for status in (400, 401, 404, 429, 500):
        async with answering(status, body) as port:
            with pytest.raises((KeyMissing, DialFailed)) as caught:
                await dial(endpoint(port))
            error = caught.value
            assert error.__context__ is None
            assert error.__cause__ is None
            shown += [repr(error), str(error), repr(error.__dict__)]
    log = "\n".join(
        record.getMessage() for record in caplog.records if record.name != "websockets.server"
    )
    assert KEY not in "\n".join([*shown, log, *capfd.readouterr()])


# ------------------------------------------------------------------------------- back-off


def test_backoff_grows_within_its_bounds():
    longest = [backoff(attempt, lambda: 1.0) for attempt in range(8)]
    assert longest == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0]
    assert all(backoff(attempt, lambda: 0.0) == 0.25 for attempt in (0, 3, 10, 10_000))
    assert backoff(10_000, lambda: 1.0) == 5.0


async def test_a_flood_of_frames_gives_way_to_other_tasks():
    turns = 0

    async def flood(client):
        await client.recv()
        for number in range(400):
            await client.send(str(number))
        await client.wait_closed()

    async def count_turns():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with server(flood) as port, connected(port) as connection:
        await connection.send(["begin"])
        counting = asyncio.create_task(count_turns())
        frames = aiter(connection)
        await anext(frames)
        time.sleep(0.2)  # noqa: ASYNC251 - all frames arrive meanwhile
        between = []
        for _ in range(200):
            before = turns
            await anext(frames)
            time.sleep(0.002)  # noqa: ASYNC251
            between.append(turns - before)
        counting.cancel()
    longest = max(len(run) for run in "".join("x" if n else "-" for n in between).split("x"))
    assert longest <= 10
