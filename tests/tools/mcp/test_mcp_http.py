"""MCP servers at an address, over streamable HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bombs import BOMB, NESTED
from faults import port_without_server
from mcp_http_stub import Answer, Request, mcp_stub
from mcp_rig import MISBEHAVING_SERVER, running_servers

from voicechat.config.mcp_server import ServerConfig
from voicechat.errors import ConnectError, Secret
from voicechat.system import process_supervisor
from voicechat.tools.mcp import mcp_servers
from voicechat.tools.mcp.mcp_connection import McpConnection

KEY = "planted-0123"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Return the URL of the server that misbehaves."""
    command = [
        sys.executable,
        "-I",
        "-S",
        process_supervisor.__file__,
        sys.executable,
        str(MISBEHAVING_SERVER),
    ]
    with subprocess.Popen(
        [*command, str(tmp_path), "http"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/mcp"
        assert server.stdin is not None
        server.stdin.close()
        server.wait(10)


async def test_an_http_server_offers_and_runs_tools(tmp_path: Path, address: str) -> None:
    async with running_servers(tmp_path, ServerConfig("rude", url=address, timeout_s=3)) as rig:
        greeting = await rig.call("rude__greet", '{"name": "Ada"}')
        assert (greeting.output, greeting.failed) == ("Hello Ada\ufffd[2J", False)
        flood = await rig.call("rude__large", '{"megabytes": 5}')
        assert flood.failed
        assert len(flood.output) < 400
        assert "longer than 3 seconds" in (await rig.call("rude__hang")).output
        await rig.until((tmp_path / "cancelled").exists)
        await rig.call("rude__change")
        await rig.until(lambda: "rude__more" in rig.names())
        assert "send their password" in rig.servers.difference("rude__greet")
        async with asyncio.timeout(5):
            assert (await rig.call("rude__die")).failed
        await rig.until(lambda: rig.state().state != "ready")
        assert rig.state().problem


async def answer(head: str, body: bytes = b"") -> tuple[asyncio.Server, str, list[bytes]]:
    """Run an HTTP server that always gives the same answer and keeps the requests."""
    asked: list[bytes] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            lines = (
                "HTTP/1.1 " + head,
                f"Content-Length: {len(body)}",
                "Connection: close",
                "",
                "",
            )
            writer.write("\r\n".join(lines).encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return server, f"http://127.0.0.1:{port}/mcp", asked


@pytest.mark.parametrize(
    ("head", "body", "says"),
    [
        ("401 Unauthorized", b"", "It refused the connection (401)"),
        ("404 Not Found", b"", "It answered 404"),
        ("500 Oops\r\nContent-Type: text/html", b"<html>\x1b[2J", "It answered 500"),
        ("200 OK\r\nContent-Type: text/html", b"<html>", "Unexpected content type"),
        ("200 OK\r\nContent-Type: application/json", b"{", ""),
        ("200 OK\r\nContent-Type: application/json", b" " * 2_000_000, "larger than 1 MB"),
        (
            f"200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {NESTED}",
            BOMB,
            "unknown encoding",
        ),
        (
            "200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip",
            gzip.compress(bytes(50_000_000)),
            "larger than 1 MB",
        ),
        ("307 Away\r\nLocation: http://192.0.2.1/mcp", b"", ""),
    ],
    ids=["401", "404", "500", "no MCP", "no JSON", "a flood", "a bomb", "compressed", "elsewhere"],
)
async def test_every_wrong_answer_is_reported_in_a_sentence(
    head: str, body: bytes, says: str
) -> None:
    server, url, asked = await answer(head, body)
    async with server:
        config = ServerConfig(
            "there", url=url, headers={"Authorization": Secret(f"Bearer {KEY}")}, start_timeout_s=5
        )
        with pytest.raises(ConnectError) as caught:
            await McpConnection(config, lambda tools: None).live()
    sentence = str(caught.value)
    assert says in sentence
    assert KEY not in sentence
    assert "\x1b" not in sentence
    assert KEY.encode() in asked[0]


async def test_a_missing_http_server_is_reported() -> None:
    with port_without_server() as port:
        config = ServerConfig("there", url=f"http://127.0.0.1:{port}/mcp")
        with pytest.raises(ConnectError, match="Nothing answers at http://127"):
            await McpConnection(config, lambda tools: None).live()


async def test_a_key_in_an_address_is_not_shown() -> None:
    def refuse(request: Request) -> Answer:
        return Answer(404 if request.path == f"/mcp/{KEY}" else 500)

    async with mcp_stub(override=refuse) as stub:
        written, filled = f"{stub.url}/$TOKEN", Secret(f"{stub.url}/{KEY}")
        config = ServerConfig("there", url=written, address=filled)
        with pytest.raises(ConnectError, match="It answered 404") as caught:
            await McpConnection(config, lambda tools: None).live()
    assert KEY not in str(caught.value)
    with port_without_server() as port:
        filled = Secret(f"http://127.0.0.1:{port}/{KEY}")
        config = ServerConfig("there", url="http://127.0.0.1/$TOKEN", address=filled)
        with pytest.raises(ConnectError, match=r"Nothing answers at http://127\.0\.0\.1/\$TOKEN"):
            await McpConnection(config, lambda tools: None).live()


async def test_a_silent_http_server_times_out() -> None:
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/mcp"
        config = ServerConfig("there", url=url, start_timeout_s=0.5)
        with pytest.raises(ConnectError, match=r"did not answer within 0\.5 seconds"):
            await McpConnection(config, lambda tools: None).live()
        await asyncio.wait_for(left.wait(), 10)


@pytest.mark.parametrize("key", [f"{KEY}\nx", f"{KEY}\u00e9"])
async def test_a_key_that_cannot_be_sent_is_not_repeated(tmp_path: Path, key: str) -> None:
    server, url, asked = await answer("200 OK")
    async with server:
        config = ServerConfig("web", url=url, headers={"Authorization": Secret(key)})
        async with running_servers(tmp_path, config) as rig:
            problem = rig.state().problem
            assert "The header Authorization holds characters that cannot be sent" in problem
            assert KEY not in str(rig.reported)
    assert asked == []


async def test_an_address_with_the_old_sse_transport_is_recognized() -> None:
    def override(request: Request) -> Answer:
        if request.method == "GET":
            return Answer(200, "event: endpoint\ndata: /messages\n\n", "text/event-stream")
        return Answer(405)

    async with mcp_stub(override=override) as stub:
        config = ServerConfig("old", url=stub.url, headers={"X": Secret(KEY)})
        with pytest.raises(ConnectError, match="It offers only SSE, an old transport"):
            await McpConnection(config, lambda tools: None).live()
        assert stub.seen[-1].headers["x"] == KEY


# ------------------------------------------------------------------------------ slow starts


async def test_a_server_that_does_not_answer_yet_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_servers, "START_PAUSES_S", (0.0, 0.01, 0.01))
    is_up = False

    def override(request: Request) -> Answer | None:
        return None if is_up else Answer(503)

    async with mcp_stub(override=override) as stub:
        config = ServerConfig("slow", url=stub.url)
        async with running_servers(tmp_path, config, ready=False) as rig:
            await rig.servers.settled()
            assert rig.state().state == "starting"
            assert rig.names() == []
            is_up = True
            await rig.until(lambda: rig.state().state == "ready")
            assert rig.names() == ["slow__nod"]
            assert (await rig.call("slow__nod")).output == "nods"
    first, last = rig.reported
    assert first.startswith("MCP server slow: It answered 503")
    assert first.endswith("voicechat keeps trying.")
    assert last == "MCP server slow: It is ready now, with 1 tool."


async def test_a_server_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_servers, "START_PAUSES_S", (0.01, 0.01))
    with port_without_server() as port:
        config = ServerConfig("away", url=f"http://127.0.0.1:{port}/mcp")
        async with running_servers(tmp_path, config) as rig:
            assert rig.state().state == "failed"
    assert len(rig.reported) == 2
    assert "voicechat keeps trying" in rig.reported[0]


async def test_a_server_that_was_ready_is_tried_again_as_long_as_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_servers, "START_PAUSES_S", (0.01,) * 9)
    answers = 0

    def override(request: Request) -> Answer | None:
        nonlocal answers
        if not is_down or '"initialize"' not in request.body:
            return None
        answers += 1
        return Answer(503) if answers < 7 else None

    is_down = False
    async with (
        mcp_stub(override=override) as stub,
        running_servers(tmp_path, ServerConfig("web", url=stub.url)) as rig,
    ):
        is_down = True
        rig.servers._servers[0]._connection.end()  # as for a session that is gone
        await rig.until(lambda: rig.state().state == "restarting")
        assert rig.names() == ["web__nod"]
        await rig.until(lambda: answers == 7 and rig.state().state == "ready")
        assert not (await rig.call("web__nod")).failed
        assert [sentence.split(": ")[1][:16] for sentence in rig.reported] == [
            "It answered 503",
            "It is ready now,",
        ]


FORGOTTEN = {
    "as specified": Answer(404),
    "python": Answer(404, '{"jsonrpc": "2.0", "id": "server-error", "error":'
                     ' {"code": -32600, "message": "Session not found"}}'),
    "typescript": Answer(400, '{"jsonrpc": "2.0", "id": null, "error":'
                         ' {"code": -32000, "message": "Bad Request: No valid session ID"}}'),
    "rust": Answer(401, "Unauthorized: Session not found", "text/plain"),
}  # fmt: skip


@pytest.mark.parametrize("server", FORGOTTEN)
async def test_a_call_in_a_session_that_the_server_forgot_is_sent_in_another_one(
    server: str, tmp_path: Path
) -> None:
    sessions = 0

    def serve(request: Request) -> Answer | None:
        nonlocal sessions
        if '"initialize"' in request.body:
            sessions += 1
            return stub.answer(request)._replace(headers=(f"Mcp-Session-Id: s{sessions}",))
        known = request.headers.get("mcp-session-id")
        if '"tools/call"' in request.body and known == f"s{forgotten}":
            return FORGOTTEN[server]
        return None

    forgotten = 0
    async with (
        mcp_stub(override=serve) as stub,
        running_servers(tmp_path, ServerConfig("stub", url=stub.url)) as rig,
    ):
        # More often than a server that ends may be restarted.
        for forgotten in range(1, mcp_servers.RESTARTS + 3):
            assert (await rig.call("stub__nod")).output == "nods"
            assert sessions == forgotten + 1
        assert rig.reported == []


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("only_calls", [False, True], ids=["all", "calls"])
async def test_a_key_that_expires_in_a_session_is_told_with_the_remedy(
    status: int, only_calls: bool, tmp_path: Path
) -> None:
    def serve(request: Request) -> Answer | None:
        refuses = is_expired and ('"tools/call"' in request.body or not only_calls)
        return Answer(status, "", "text/plain") if refuses else None

    is_expired = False
    async with (
        mcp_stub(override=serve) as stub,
        running_servers(tmp_path, ServerConfig("stub", url=stub.url)) as rig,
    ):
        is_expired = True
        outcome = await rig.call("stub__nod")
        assert outcome.failed
        assert f"({status}): the key is missing or wrong" in outcome.output
        assert "voicechat mcp login stub" in outcome.output
        if status == 401 and not only_calls:
            assert rig.state().state == "failed"
            assert "mcp login stub" in rig.reported[-1]
        assert len(stub.messages("tools/call")) <= 2


async def test_an_error_that_speaks_of_a_session_is_not_repeated(tmp_path: Path) -> None:
    error = {"code": -32000, "message": "No such session."}

    def serve(request: Request) -> Answer | None:
        if '"tools/call"' in request.body:
            answer = {"jsonrpc": "2.0", "id": json.loads(request.body)["id"], "error": error}
            return Answer(200, json.dumps(answer))
        return Answer(404) if request.method == "GET" else None

    async with mcp_stub(override=serve) as stub:
        async with running_servers(tmp_path, ServerConfig("stub", url=stub.url)) as rig:
            assert "No such session" in (await rig.call("stub__nod")).output
        assert len(stub.messages("tools/call")) == 1


@pytest.mark.parametrize("cursor", ["8", ""])
async def test_a_server_that_repeats_its_first_page_is_read_once(
    cursor: str, tmp_path: Path
) -> None:
    page = {"tools": [{"name": "nod", "inputSchema": {}}], "nextCursor": cursor}
    async with mcp_stub(results={"tools/list": page}) as stub:
        async with running_servers(tmp_path, ServerConfig("stub", url=stub.url)) as rig:
            assert rig.names() == ["stub__nod"]
            assert rig.reported == []
        assert len(stub.messages("tools/list")) == 2
