"""HTTP requests that are no WebSocket handshake, one-time tokens, and tokens in a subprotocol."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types.realtime import ClientSecretCreateResponse
from scripted import TOKEN, ScriptedServer, check, scripted_server
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from voicechat.server import http_connection
from voicechat.server.client_secrets import ClientSecrets
from voicechat.server.http_connection import ClientRequest

BEARER = f"Authorization: Bearer {TOKEN}\r\n"
SECRETS = "/v1/realtime/client_secrets"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
MANY = "a: b\r\n" * 130
SOCKET = "GET /v1/realtime HTTP/1.1\r\nHost: HOST\r\n"
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


def post(path: str, body: str = "", *fields: str) -> str:
    """Return a POST request with this body, in JSON unless the fields say otherwise."""
    head = "".join(fields) or "Content-Type: application/json\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: HOST\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"


async def exchange(backend: ScriptedServer, request: str | bytes) -> tuple[int, Any, str]:
    """Send raw bytes; return the status, the JSON body and the head of the answer."""
    host = backend.app.url.split("/")[2]
    reader, writer = await asyncio.open_connection(*host.split(":"))
    raw = request.replace("HOST", host).encode("latin-1") if isinstance(request, str) else request
    writer.write(raw)
    if not raw.endswith(b"\r\n\r\n"):
        writer.write_eof()
    async with asyncio.timeout(5):
        answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    assert "Content-Type: application/json" in head
    return int(head.split()[1]), json.loads(body), head


REQUESTS = {
    "POST to the socket": (post("/v1/realtime", "{}", BEARER), 405),
    "POST elsewhere": (post("/v1/audio/translations", "{}"), 404),
    "PUT": ("PUT /v1/models HTTP/1.1\r\nHost: HOST\r\n\r\n", 405),
    "GET for a token": (f"GET {SECRETS} HTTP/1.1\r\nHost: HOST\r\n{BEARER}\r\n", 405),
    "an old version": ("GET /healthz HTTP/1.0\r\nHost: HOST\r\n\r\n", 200),
    "no version": ("GET /healthz\r\n\r\n", 400),
    "no host": ("GET /healthz HTTP/1.1\r\n\r\n", 400),
    "a header without a colon": ("GET /healthz HTTP/1.1\r\nHost: HOST\r\nnonsense\r\n\r\n", 400),
    "half a request": ("GET /healthz HTTP/1.1\r\nHost: HO", 400),
    "a long line": (f"GET /{'x' * 9_000} HTTP/1.1\r\nHost: HOST\r\n\r\n", 431),
    "many headers": (f"GET / HTTP/1.1\r\nHost: HOST\r\n{MANY}\r\n", 431),
    "a long body": (post(SECRETS, "x" * 300_000), 413),
    "noise": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a path that is no address": ("GET //[ HTTP/1.1\r\nHost: HOST\r\n\r\n", 404),
    "an upgrade without a key": (
        f"GET /v1/realtime HTTP/1.1\r\nHost: HOST\r\n{BEARER}{UPGRADE}\r\n",
        400,
    ),
    "an upgrade at another address": (
        f"GET /v1/models HTTP/1.1\r\nHost: HOST\r\n{UPGRADE}{KEY}\r\n",
        400,
    ),
    "an old WebSocket": (f"{SOCKET}{BEARER}{UPGRADE.replace('13', '8')}{KEY}\r\n", 400),
    "half an upgrade": (f"{SOCKET}{BEARER}Upgrade: websocket\r\n{KEY}\r\n", 426),
}


async def test_every_request_gets_an_answer_as_json() -> None:
    async with scripted_server() as backend:
        for name, (request, status) in REQUESTS.items():
            found, body, head = await exchange(backend, request)
            assert (name, found) == (name, status)
            assert name == "an old version" or body["error"]["message"]
            assert (status == 405) == ("Allow: " in head)
            assert TOKEN not in str(body)


async def test_a_request_that_does_not_end_gets_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "_REQUEST_SECONDS", 0.05)
    async with scripted_server() as backend:
        reader, writer = await asyncio.open_connection(*backend.app.url.split("/")[2].split(":"))
        writer.write(b"GET /v1/realtime HTTP/1.1\r\nX-Slow: ")
        async with asyncio.timeout(5):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()


async def test_an_upgrade_with_an_empty_body_opens_a_session() -> None:
    async with scripted_server() as backend:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Length": "0"}
        async with connect(backend.app.url, additional_headers=headers, proxy=None) as socket:
            assert check(await socket.recv())["type"] == "session.created"


async def opened(backend: ScriptedServer, *names: str, **headers: str) -> str | None:
    """Open a session with these subprotocols; return the one that the server chose."""
    subprotocols = [Subprotocol(name) for name in names]
    async with connect(
        backend.app.url, subprotocols=subprotocols, additional_headers=headers, proxy=None
    ) as socket:
        assert check(await socket.recv())["type"] == "session.created"
        return socket.subprotocol


async def test_the_token_may_come_as_a_subprotocol() -> None:
    key = f"openai-insecure-api-key.{TOKEN}"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with scripted_server() as backend:
        assert await opened(backend, "realtime", key) == "realtime"
        assert await opened(backend, key, "openai-agents-sdk.0.20.0", "realtime") == "realtime"
        for names, headers, status in (
            (["realtime", "openai-insecure-api-key.wrong"], {}, 401),
            (["realtime", "openai-insecure-api-key."], {}, 401),
            (["realtime", key], bearer, 401),
            (["realtime", key, key], {}, 401),
            (["realtime", key], {"Origin": "https://evil.example"}, 403),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await opened(backend, *names, **headers)
            assert refused.value.response.status_code == status


async def test_a_one_time_token_opens_one_session_with_its_settings() -> None:
    session: Any = {
        "type": "realtime",
        "model": "gpt-realtime",
        "instructions": "Be brief.",
        "audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"voice": "deep"}},
    }
    async with scripted_server() as backend:
        made = await backend.client().realtime.client_secrets.create(
            session=session, expires_after={"anchor": "created_at", "seconds": 90}
        )
        ClientSecretCreateResponse.model_validate(made.model_dump(), strict=True)
        assert made.value.startswith("ek_")
        assert made.session.type == "realtime"
        assert made.session.instructions == "Be brief."
        async with backend.client(made.value).realtime.connect() as connection:
            created = check(await connection.recv_bytes())["session"]
        assert created["model"] == "gpt-realtime"
        assert created["audio"]["output"]["voice"] == "deep"
        assert created["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        with pytest.raises(InvalidStatus) as refused:
            async with backend.client(made.value).realtime.connect(model="m"):
                pass
        assert refused.value.response.status_code == 401


async def test_a_one_time_token_for_a_transcription_session() -> None:
    session: Any = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
    async with scripted_server() as backend:
        made = await backend.client().realtime.client_secrets.create(session=session)
        async with backend.client(made.value).realtime.connect(model="m") as connection:
            created = check(await connection.recv_bytes())["session"]
        assert created["type"] == "transcription"
        assert created["audio"]["input"]["turn_detection"] is None
        # The token of one client makes no tokens for others.
        made = await backend.client().realtime.client_secrets.create()
        with pytest.raises(openai.AuthenticationError):
            await backend.client(made.value).realtime.client_secrets.create()
        assert await opened(backend, "realtime", f"openai-insecure-api-key.{made.value}")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ('{"session": {"type": "tea"}}', 400, "session.type"),
        ('{"session": {"type": "realtime", "tools": 7}}', 400, "session.tools"),
        ('{"expires_after": {"seconds": 60}}', 400, "expires_after.anchor"),
        ('{"expires_after": {"anchor": "created_at", "seconds": 9}}', 400, "expires_after.seconds"),
        ("[]", 400, None),
        ("{", 400, None),
    ],
)
def test_a_wrong_request_for_a_token_says_what_is_wrong(
    body: str, status: int, param: str | None
) -> None:
    made = ClientSecrets("m", lambda: ("plain",))
    answer = made.create(request(body))
    assert answer.status_code == status
    assert json.loads(answer.body)["error"]["param"] == param


def test_long_requests_for_tokens_are_bounded_together() -> None:
    session = {"type": "realtime", "instructions": "x" * 250_000}
    made = ClientSecrets("m", lambda: ("plain",))
    statuses = [
        made.create(request(json.dumps({"session": session}))).status_code for _ in "x" * 90
    ]
    assert statuses[:60] == [200] * 60
    assert statuses[70:] == [429] * 20


def request(body: str = "{}", kind: str = "application/json; charset=utf-8") -> ClientRequest:
    """Return a request for a token."""
    headers = http_connection.Headers({"Content-Type": kind})
    return ClientRequest("POST", SECRETS, headers, body.encode())


def test_one_time_tokens_expire_and_are_bounded() -> None:
    now = [1_000.5]
    made = ClientSecrets("m", lambda: ("plain",), now=lambda: now[0])
    assert made.create(request(kind="text/plain")).status_code == 415
    tokens = [json.loads(made.create(request()).body) for _ in range(1_000)]
    assert tokens[0]["expires_at"] == 1_060
    assert made.create(request()).status_code == 429
    assert made.redeem(tokens[0]["value"]) == {"type": "realtime"}
    assert made.redeem(tokens[0]["value"]) is None
    now[0] = 1_060
    assert not made.is_unused(tokens[1]["value"])
    assert made.create(request()).status_code == 200
