"""Minting of tokens against a server that records requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from bombs import BOMB, NESTED
from google.genai import types
from google.genai.tokens import _convert_bidi_setup_to_token_setup
from openai.types.realtime import RealtimeSessionCreateRequestParam
from pydantic import TypeAdapter
from scripted import TOKEN, check, scripted_server
from token_server import TokenServer, token_server

import voicechat
from voicechat.config.options import Options
from voicechat.core.settings import ServerVad
from voicechat.errors import ConnectError, KeyMissing, Secret, UsageError
from voicechat.providers.local_provider import SERVE_TOKEN
from voicechat.session.session_config import settings_from, settings_in
from voicechat.session.token_mint import MintedToken, TokensLimited
from voicechat.session.token_mint import mint as mint_of

KEY = "sk-planted-0123456789"


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as running:
        yield running


def mint(options: Options, seconds: int | None = None) -> dict[str, object]:
    return asyncio.run(mint_of(options, seconds)).as_json()


def options(server: TokenServer, model: str, variable: str, **more: object) -> Options:
    keys = {variable: Secret(KEY)}
    return Options(model=model, base_url=server.address, keys=keys, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "variable", "path", "header", "body"),
    [
        ("openai/m", "OPENAI_API_KEY", "/v1/realtime/client_secrets",
         ("Authorization", f"Bearer {KEY}"),
         (b'{"expires_after":{"anchor":"created_at","seconds":600},'
         b'"session":{"type":"realtime","model":"m"}}')),
        ("azure/m", "AZURE_OPENAI_API_KEY", "/openai/v1/realtime/client_secrets",
         ("api-key", KEY),
         (b'{"expires_after":{"anchor":"created_at","seconds":600},'
         b'"session":{"type":"realtime","model":"m"}}')),
        ("xai/m", "XAI_API_KEY", "/v1/realtime/client_secrets",
         ("Authorization", f"Bearer {KEY}"), b'{"expires_after":{"seconds":600}}'),
        ("gateway/openai/m", "AI_GATEWAY_API_KEY", "/v1/realtime/client-secrets",
         ("Authorization", f"Bearer {KEY}"), b'{"model":"openai/m"}'),
    ],
)  # fmt: skip
def test_the_request_byte_by_byte(server, model, variable, path, header, body) -> None:
    token = mint(options(server, model, variable))
    assert token["token"] == "ek_1"
    assert token["expiresAt"] == 1794643800
    assert str(token["url"]).startswith(f"ws://127.0.0.1:{server.server_address[1]}/")
    seen_path, headers, seen_body = server.received
    assert (seen_path, seen_body) == (path, body)
    name, value = header
    assert headers[name] == value
    assert headers["Content-Type"] == "application/json"
    assert [value for value in headers.values() if KEY in value] == [value]


def test_the_google_key_is_not_in_the_url(server) -> None:
    server.answer = b'{"name":"auth_tokens/1","expireTime":"2026-11-14T05:31:00Z"}'
    assert mint(options(server, "google/m", "GEMINI_API_KEY"), 60)["token"] == "auth_tokens/1"
    path, headers, body = server.received
    assert path == "/v1alpha/auth_tokens"
    assert headers["x-goog-api-key"] == KEY
    assert json.loads(body)["uses"] == 1


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (401, KeyMissing, "refused the key"),
        (403, KeyMissing, "refused the key"),
        (404, ConnectError, "issues no tokens here"),
        (400, UsageError, "refused the session (HTTP 400: wrong key ***"),
        (429, TokensLimited, "limits the rate of requests"),
        (500, ConnectError, "issued no token (HTTP 500: wrong key ***"),
        (307, ConnectError, "issued no token"),
    ],
)
def test_an_error_message_does_not_contain_the_key(server, status, kind, sentence) -> None:
    server.status = status
    server.answer = json.dumps({"error": {"message": f"wrong key {KEY}"}}).encode()
    with pytest.raises(kind) as caught:
        mint(options(server, "openai/m", "OPENAI_API_KEY"))
    assert sentence in str(caught.value)
    assert "planted" not in str(caught.value)


def test_unavailable_tokens_are_refused() -> None:
    with pytest.raises(UsageError, match="needs no token"):
        mint(Options(model="local"))
    with pytest.raises(KeyMissing, match="OPENAI_API_KEY"):
        mint(Options(model="openai", base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(KeyMissing) as caught:
        mint(Options(model="openai"))
    assert str(caught.value) == "openai issues tokens only for a key. Set OPENAI_API_KEY."
    keys = {"OPENAI_API_KEY": Secret(KEY)}
    with pytest.raises(ConnectError, match="could not be reached"):
        mint(Options(model="openai", base_url="http://127.0.0.1:9/v1", keys=keys))


def test_an_answer_that_expands_to_megabytes(server: TokenServer) -> None:
    server.answer, server.encoding = BOMB, NESTED
    with pytest.raises(ConnectError, match="sent no token: The answer has an unknown encoding"):
        mint(options(server, "openai/m", "OPENAI_API_KEY"))


def test_an_answer_without_a_token(server) -> None:
    server.answer = b"<html>"
    with pytest.raises(ConnectError, match="without a token"):
        mint(options(server, "openai/m", "OPENAI_API_KEY"))


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "nonsense://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used_is_one_sentence(server, proxy, monkeypatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ConnectError):
        mint(options(server, "openai/m", "OPENAI_API_KEY"))
    assert not hasattr(server, "received")


def test_a_token_for_a_translation(server: TokenServer) -> None:
    token = mint(options(server, "openai/gpt-realtime-translate", "OPENAI_API_KEY"))
    path, _, body = server.received
    assert path == "/v1/realtime/translations/client_secrets"
    assert json.loads(body)["session"] == {"model": "gpt-realtime-translate"}
    assert str(token["url"]).endswith("/v1/realtime/translations?model=gpt-realtime-translate")


def test_there_is_no_token_for_a_live_session(server: TokenServer) -> None:
    with pytest.raises(UsageError, match="OpenAI issues no tokens for gpt-live-1"):
        mint(options(server, "openai/gpt-live-1", "OPENAI_API_KEY"))


# ----------------------------------------------------------------------- sessions in tokens

CONFIG = {
    "instructions": "Be kind.",
    "voice": "marin",
    "inputAudioFormat": {"type": "audio/pcm", "rate": 24000},
    "inputAudioTranscription": {"model": "whisper-1", "language": "de"},
    "turnDetection": {"type": "server-vad", "silenceDurationMs": 300},
    "tools": [{"type": "function", "name": "wave", "parameters": {"type": "object"}}],
    "providerOptions": {"openai": {"whatever": 1}},
}


def minted(server: TokenServer, model: str, variable: str) -> dict[str, Any]:
    """Mint a token with `CONFIG`; return the body of the request for it."""
    settings = settings_from(CONFIG)
    asyncio.run(mint_of(options(server, model, variable), None, settings))
    found: dict[str, Any] = json.loads(server.received[2])
    return found


@pytest.mark.parametrize(
    ("model", "variable"), [("openai/m", "OPENAI_API_KEY"), ("azure/m", "AZURE_OPENAI_API_KEY")]
)
def test_a_token_holds_the_session(server: TokenServer, model: str, variable: str) -> None:
    session = minted(server, model, variable)["session"]
    TypeAdapter(RealtimeSessionCreateRequestParam).validate_python(session)
    assert session["model"] == "m"
    assert session["instructions"] == "Be kind."
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["audio"]["input"]["transcription"]["language"] == "de"
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 300
    assert [tool["name"] for tool in session["tools"]] == ["wave"]


def test_a_token_of_google_fixes_what_the_session_names(server: TokenServer) -> None:
    server.answer = b'{"name":"auth_tokens/1"}'
    body = minted(server, "google/gemini-3.8-live", "GEMINI_API_KEY")
    setup = body["bidiGenerateContentSetup"]
    assert setup["systemInstruction"] == {"parts": [{"text": "Be kind."}]}
    assert setup["tools"][0]["functionDeclarations"][0]["name"] == "wave"
    # The rest is the client's: its resumption handle, its history.
    assert sorted(setup) == ["generationConfig", "model", "systemInstruction", "tools"]
    masked = {"bidiGenerateContentSetup": {"setup": setup}}
    settings = types.CreateAuthTokenConfig(lock_additional_fields=[])
    expected = _convert_bidi_setup_to_token_setup(masked, settings)["fieldMask"]
    assert sorted(body["fieldMask"].split(",")) == sorted(expected.split(","))


@pytest.mark.parametrize(
    ("model", "variable", "body"),
    [
        ("xai/m", "XAI_API_KEY", {"expires_after": {"seconds": 600}}),
        ("gateway/openai/m", "AI_GATEWAY_API_KEY", {"model": "openai/m"}),
    ],
)
def test_tokens_without_a_session(server: TokenServer, model, variable, body) -> None:
    assert minted(server, model, variable) == body


# ----------------------------------------------------------------------- voicechat serve


async def test_voicechat_serve_issues_one_time_tokens() -> None:
    async with scripted_server() as backend:
        at = backend.app.url.removesuffix("/realtime").replace("ws", "http")
        served = Options(model="local", base_url=at, keys={SERVE_TOKEN: Secret(TOKEN)})
        settings = settings_from({"instructions": "Be kind.", "turnDetection": None})
        token = await mint_of(served, 30, settings)
        assert token.url == f"{backend.app.url}?model=built-in"
        assert TOKEN not in str(token.as_json())
        async with backend.client(token.token).realtime.connect(model="m") as connection:
            session = check(await connection.recv_bytes())["session"]
        assert session["instructions"] == "Be kind."
        assert session["audio"]["input"]["turn_detection"] is None
        with pytest.raises(UsageError, match="refused the session"):
            await mint_of(served, 30, settings_from({"voice": "nobody"}))


def test_the_token_of_the_server_stays_private() -> None:
    with pytest.raises(KeyMissing, match="Set VOICECHAT_SERVE_TOKEN"):
        mint(Options(model="local", base_url="http://127.0.0.1:1"))
    served = {SERVE_TOKEN: Secret(TOKEN)}
    with pytest.raises(UsageError, match=r"unencrypted to example\.com"):
        mint(Options(model="local", base_url="http://example.com/v1", keys=served))


# ----------------------------------------------------------------------- the Python API


def test_a_program_mints_a_token(server: TokenServer) -> None:
    token = voicechat.mint_token(
        "openai/m", seconds=60, instructions="Be brief.", session_config={"voice": "marin"},
        base_url=server.address, api_key=KEY, settings=False,
    )  # fmt: skip
    assert token == MintedToken("ek_1", token.url, 1794643800)
    assert "ek_1" not in repr(token)
    session = json.loads(server.received[2])["session"]
    assert (session["instructions"], session["audio"]["output"]["voice"]) == ("Be brief.", "marin")


async def test_a_program_with_a_loop_awaits_it(server: TokenServer) -> None:
    asked = {"base_url": server.address, "api_key": KEY, "settings": False}
    token = await voicechat.mint_token_async("openai/m", **asked)  # type: ignore[arg-type]
    assert token.token == "ek_1"
    with pytest.raises(UsageError, match=r"Await voicechat\.mint_token_async"):
        voicechat.mint_token("openai/m", **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"voice": 3}, "Expected `str | null`, got `int` - at `$.voice`"),
        ({"tools": [{"type": "function", "name": "a b", "parameters": {}}]}, "matching regex"),
        ({"tools": [{"type": "mcp", "name": "x", "parameters": {}}]}, "Invalid enum value 'mcp'"),
        ({"turnDetection": {"type": "server-vad", "threshold": 7}}, "$.turnDetection.threshold"),
        ({"outputModalities": []}, "length >= 1"),
        ({"instructions": "x" * 100_001}, "length <= 100000"),
        ([], "Expected `object`"),
    ],
    ids=str,
)
def test_another_shape_is_no_session_configuration(config: object, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings_from(config)
    assert problem in str(caught.value)


def test_a_request_body_may_be_empty_and_not_deep() -> None:
    plain = settings_in(b"")
    assert plain == settings_in(b"{}") == settings_in(b'{"sessionConfig":null}')
    assert plain.turn_detection == ServerVad()
    for body in (b"[" * 100_000, b'{"sessionConfig":[]}', b"\xff", b"nonsense"):
        with pytest.raises(UsageError, match="not a setup request"):
            settings_in(body)
