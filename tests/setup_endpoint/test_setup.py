"""Tokens from the setup endpoint: who gets one, with which session, and what stops it."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate
from http_stub import HANG, http_stub
from scripted import TOKEN, check, scripted_server
from setup_rig import ACCESS, BEARER, KEY, PAGE, SetupRig, setup_rig

from voicechat.config.budget_settings import BudgetSettings
from voicechat.errors import KeyMissing, Secret, ServerError, UsageError
from voicechat.providers.local_provider import SERVE_TOKEN
from voicechat.server.asgi import http_server, request_body
from voicechat.server.asgi.client_limits import MAX_CLIENTS, ClientLimits, client_of
from voicechat.server.asgi.refusals import Refusal
from voicechat.setup_endpoint import client_check, token_issuer

CONFIG = {"instructions": "Be kind.", "voice": "marin", "turnDetection": {"type": "semantic-vad"}}
COOKIE = {"Cookie": "session=planted", "Origin": PAGE}


# ----------------------------------------------------------------------- a token


async def test_a_page_gets_a_token_with_its_session() -> None:
    async with setup_rig() as rig:
        answer = await rig.post(
            content={"sessionConfig": CONFIG}, headers={**BEARER, "Origin": PAGE}
        )
        assert answer.status_code == 200
        found = answer.json()
        assert found.pop("url") == f"ws://127.0.0.1:{rig.provider.port}/v1/realtime?model=m"
        assert found == {"token": "ek_1", "expiresAt": 1794643800}
        assert answer.headers["cache-control"] == "no-store"
        asked = rig.provider.posts[0]
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        session = json.loads(asked.body)["session"]
        assert session["instructions"] == "Be kind."
        assert session["audio"]["output"]["voice"] == "marin"
        assert session["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"


async def test_the_settings_fill_what_the_page_leaves_open() -> None:
    settings = {"instructions": "Be brief.", "voice": "cedar"}
    async with setup_rig(settings, seconds=30, socket_url="wss://voice.example/v1") as rig:
        found = (await rig.post(content={"sessionConfig": {"voice": "marin"}})).json()
        assert found["url"] == "wss://voice.example/v1"
        body = json.loads(rig.provider.posts[0].body)
        assert body["expires_after"]["seconds"] == 30
        assert body["session"]["instructions"] == "Be brief."
        assert body["session"]["audio"]["output"]["voice"] == "marin"
        assert (await rig.client.post("/api/realtime/setup", headers=BEARER)).status_code == 200


async def test_a_token_opens_one_session_of_voicechat_serve() -> None:
    async with scripted_server() as backend:
        at = backend.app.url.removesuffix("/v1/realtime").replace("ws", "http")
        settings = {"model": "local", "base_url": at, "keys": {SERVE_TOKEN: Secret(TOKEN)}}
        async with setup_rig(settings) as rig:
            found = (await rig.post(content={"sessionConfig": {"instructions": "Hi."}})).json()
        assert TOKEN not in str(found)
        async with backend.client(found["token"]).realtime.connect(model="m") as connection:
            created = check(await connection.recv_bytes())
            assert created["session"]["instructions"] == "Hi."


# ----------------------------------------------------------------------- who gets one


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ({"Authorization": f"Basic {ACCESS}"}, 401, "invalid_api_key"),
        ({"Authorization": ACCESS}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer \xe4"}, 401, "invalid_api_key"),
        (COOKIE, 401, "invalid_api_key"),
        ({**BEARER, "Origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ({**BEARER, "Origin": "null"}, 403, "origin_not_allowed"),
        ({**BEARER, "Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ],
    ids=str,
)
async def test_others_get_none(headers: dict[str, str], status: int, code: str) -> None:
    async with setup_rig() as rig:
        sent: Any = {name: value.encode("latin-1") for name, value in headers.items()}
        answer = await rig.post(headers=sent)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert "access-control-allow-origin" not in answer.headers or headers.get("Origin") == PAGE
        assert rig.provider.posts == []


async def test_a_login_of_the_users_own_proxy_is_enough() -> None:
    async with http_stub() as login, setup_rig(login_url=f"{login.url}/auth") as rig:
        login.listed, login.models = 202, b""
        path = "/api/realtime/setup?a=%ff"
        assert (await rig.post(path, headers=COOKIE)).status_code == 200
        assert login.seen[0].headers["x-original-uri"] == "/api/realtime/setup"
        assert login.seen[0].headers["cookie"] == "session=planted"
        assert "authorization" not in login.seen[0].headers
        for status, expected in (
            (401, (401, "invalid_api_key")),
            (302, (401, "invalid_api_key")),
            (500, (502, "login_unavailable")),
        ):
            login.listed = status
            assert await rig.refused(headers=COOKIE) == expected
        # Without the header Origin, any page may have sent the cookies.
        assert await rig.refused(headers={"Cookie": "a=b"}) == (403, "origin_not_allowed")
        large = {**COOKIE, "Cookie": "a" * 9_000}
        assert await rig.refused(headers=large) == (400, "invalid_request")
        assert (await rig.post()).status_code == 200
        assert len(rig.provider.posts) == 2


async def test_a_login_that_cannot_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_check, "LOGINS_PER_MINUTE", 1)
    async with setup_rig(login_url="http://127.0.0.1:9/auth") as rig:
        assert await rig.refused(headers=COOKIE) == (502, "login_unavailable")
        assert await rig.refused(headers=COOKIE) == (429, "rate_limit_exceeded")


async def test_without_authentication_only_this_machine() -> None:
    async with setup_rig(is_open=True) as rig:
        assert (await rig.post(headers={})).status_code == 200
        rebound = {"Host": "evil.example"}
        assert await rig.refused(headers=rebound) == (403, "host_not_allowed")
        page = {"Origin": "https://evil.example"}
        assert await rig.refused(headers=page) == (403, "origin_not_allowed")


# ----------------------------------------------------------------------- pages (CORS)


async def test_a_listed_page_may_ask_first() -> None:
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with setup_rig() as rig:
        answer = await rig.client.options("/api/realtime/setup", headers={**ask, "Origin": PAGE})
        assert (answer.status_code, answer.content) == (204, b"")
        allowed = {k: v for k, v in answer.headers.items() if k.startswith("access-control")}
        assert allowed == {
            "access-control-allow-origin": PAGE,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "Authorization, Content-Type",
            "access-control-max-age": "600",
            "access-control-expose-headers": "Retry-After",
        }
        assert answer.headers["vary"] == "Origin"
        evil = await rig.client.options("/", headers={**ask, "Origin": "https://evil.example"})
        assert evil.status_code == 403
        assert not any(name.startswith("access-control") for name in evil.headers)
        # A page can read why it was refused.
        refused = await rig.post(headers={"Origin": PAGE})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == PAGE


# ----------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[" * 200_000, 400, "invalid_request"),
        (b'{"sessionConfig":' * 2_000, 400, "invalid_request"),
        (b"\xff\xfe", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b'{"sessionConfig":{"voice":{"a":1}}}', 400, "invalid_request"),
        (b'{"sessionConfig":{"tools":[{"type":"mcp"}]}}', 400, "invalid_request"),
        (b" " * 262_145, 413, "body_too_large"),
    ],
    ids=["nested", "nested objects", "no text", "a list", "a voice", "a tool", "large"],
)
async def test_a_hostile_body_costs_nothing(body: bytes, status: int, code: str) -> None:
    async with setup_rig() as rig:
        assert await rig.refused(content=body) == (status, code)
        assert rig.provider.posts == []


async def raw(rig: SetupRig, request: str, whole: bool = False) -> bytes:
    """Send bytes; return the answer at the end of the connection."""
    host = rig.endpoint.url.split("/")[2]
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(request.replace("HOST", host).encode("latin-1"))
    if whole:
        writer.write_eof()
    async with asyncio.timeout(8):
        answer = await reader.read()
    writer.close()
    return answer


async def test_requests_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_S", 0.4)
    monkeypatch.setattr(request_body, "BODY_S", 0.1)
    head = f"POST /api/realtime/setup HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer {ACCESS}\r\n"
    async with setup_rig() as rig:
        assert await raw(rig, "") == b""
        assert await raw(rig, head) == b""
        late = await raw(rig, f"{head}Content-Length: 9\r\n\r\n{{")
        assert late.split()[1] == b"408"
        large = await raw(rig, f"{head}Content-Length: {'9' * 20}\r\n\r\n{{")
        assert large.split()[1] == b"413"
        noise = await raw(rig, "\x16\x03\x01\x02\r\n\r\n")
        assert noise.split()[1] == b"400"
        assert b"application/json" in noise


async def test_other_addresses_and_methods() -> None:
    async with setup_rig() as rig:
        assert (await rig.client.get("/healthz")).json() == {"status": "ok"}
        for path in (
            "/",
            "/tools/calculate",
            "/tools",
            "/api/realtime/setup/",
            "/tools/../healthz",
        ):
            answer = await rig.client.post(path, headers=BEARER)
            assert (path, answer.status_code) in {(path, 404), ("/tools/../healthz", 405)}
            assert answer.json()["error"]["message"]
        got = await rig.client.get("/api/realtime/setup", headers=BEARER)
        assert (got.status_code, got.headers["allow"]) == (405, "POST")


# ----------------------------------------------------------------------- limits


async def test_tokens_per_client() -> None:
    async with setup_rig(tokens_per_minute=2, proxies=("127.0.0.1",)) as rig:
        one = {**BEARER, "X-Forwarded-For": "203.0.113.7"}
        other = {**BEARER, "X-Forwarded-For": "203.0.113.8"}
        assert [(await rig.post(headers=one)).status_code for _ in "123"] == [200, 200, 429]
        late = await rig.post(headers=one)
        assert late.headers["retry-after"] == "30"
        assert late.json()["error"]["code"] == "rate_limit_exceeded"
        assert (await rig.post(headers=other)).status_code == 200
        rig.clock[0] += 30
        assert [(await rig.post(headers=one)).status_code for _ in "12"] == [200, 429]


async def test_a_client_cannot_name_itself_without_a_proxy() -> None:
    async with setup_rig(tokens_per_minute=1) as rig:
        assert (await rig.post()).status_code == 200
        assert await rig.refused(headers={**BEARER, "X-Forwarded-For": "203.0.113.7"}) == (
            429, "rate_limit_exceeded",
        )  # fmt: skip


def test_the_clients_are_bounded() -> None:
    limits = ClientLimits(1, "tokens", lambda: 0.0)
    for number in range(MAX_CLIENTS + 1):
        limits.take(str(number))
    assert len(limits._clients) == MAX_CLIENTS
    with pytest.raises(Refusal):
        limits.take(str(MAX_CLIENTS))


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", "unknown"),
    ],
)
def test_a_network_is_one_client(host: str, client: str) -> None:
    from starlette.requests import Request

    assert client_of(Request({"type": "http", "client": (host, 1)})) == client


async def test_tokens_count_in_the_budget(tmp_path: Path) -> None:
    spending = {"spending": BudgetSettings(day=1.0)}
    file = tmp_path / "history.db"
    async with setup_rig(spending, ledger=file, token_minutes=6) as rig:
        assert (await rig.post()).status_code == 200
        assert any("6 minutes at $0.1 each" in text for text in rig.warnings)
    # Another run knows what the first one spent: $0.60.
    async with setup_rig(spending, ledger=file, token_minutes=6) as rig:
        assert (await rig.post()).status_code == 200
        answer = await rig.post()
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "budget_spent")
        assert "$" not in answer.text
        assert len(rig.provider.posts) == 1


async def test_tokens_of_voicechat_serve_cost_nothing(tmp_path: Path) -> None:
    async with scripted_server() as backend:
        at = backend.app.url.removesuffix("/v1/realtime").replace("ws", "http")
        settings = {
            "model": "local", "base_url": at, "keys": {SERVE_TOKEN: Secret(TOKEN)},
            "spending": BudgetSettings(session=0.01),
        }  # fmt: skip
        async with setup_rig(settings, ledger=tmp_path / "history.db") as rig:
            assert [(await rig.post()).status_code for _ in "12"] == [200, 200]


# ----------------------------------------------------------------------- the provider


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, (502, "no_token")),
        (500, (502, "no_token")),
        (404, (502, "no_token")),
        (429, (429, "provider_rate_limit")),
        (400, (400, "invalid_session")),
    ],
)
async def test_a_refusal_of_the_provider(
    status: int, expected: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with setup_rig() as rig:
        rig.provider.status = status
        rig.provider.chunks = [json.dumps({"error": {"message": f"wrong {KEY}"}}).encode()]
        assert await rig.refused() == expected
        assert f"HTTP {status}" in rig.warnings[0]
        assert "planted" not in "".join(rig.warnings)
    assert "planted" not in caplog.text


async def test_a_provider_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with setup_rig() as rig:
        rig.provider.chunks = [HANG]
        with monkeypatch.context() as patch:
            patch.setattr(token_issuer, "ISSUE_S", 0.2)
            assert await rig.refused() == (503, "server_overloaded")
        rig.provider.chunks = [b"<html>"]
        assert await rig.refused() == (502, "no_token")


# ----------------------------------------------------------------------- the start


async def test_over_tls(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    async with setup_rig(tls_cert=chain, tls_key=key) as rig:
        assert rig.endpoint.url.startswith("https://127.0.0.1:")
        assert (await rig.post()).status_code == 200


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"host": "0.0.0.0"}, UsageError, "Other machines can reach"),
        ({"host": "0.0.0.0", "is_open": True}, UsageError, "127.0.0.1 only"),
        ({"is_open": True, "login_url": "https://a.example"}, UsageError, "exclude each other"),
        ({"login_url": "http://a.example/auth"}, UsageError, "must begin with https://"),
        ({"socket_url": "https://a.example"}, UsageError, "an address like wss://"),
        ({"proxies": ("my.proxy",)}, UsageError, "an IP address or a network"),
        ({"seconds": 1}, UsageError, "lasts 10 to 7200 seconds"),
        ({"tools": ("calculate2",)}, UsageError, "There is no tool 'calculate2'. Did you mean"),
        ({"tools": ("run_command",)}, UsageError, "each of its calls needs an approval"),
        ({"tools": ("read_file",)}, UsageError, "its permission is “never”"),
        ({"tls_key": Path("none")}, UsageError, "needs a certificate"),
        ({"tls_cert": Path(__file__)}, UsageError, "test_setup.py holds no certificate"),
        ({"token": Secret("schl\u00fcssel")}, UsageError, "characters that no HTTP header"),
        ({"host": "nowhere.invalid", "allow_remote": True}, ServerError, "Check --host."),
    ],
    ids=str,
)
async def test_what_cannot_work_is_one_sentence(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        async with setup_rig(**options):
            pass
    assert words in str(caught.value)


async def test_a_missing_key_and_a_busy_port() -> None:
    with pytest.raises(KeyMissing, match="Set OPENAI_API_KEY"):
        async with setup_rig({"keys": {}}):
            pass
    async with setup_rig() as rig:
        port = int(rig.endpoint.url.split(":")[2].partition("/")[0])
        with pytest.raises(ServerError, match=r"Address already in use\. Choose another port"):
            async with setup_rig(port=port):
                pass
