"""`voicechat token` against a server that records requests."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from bombs import BOMB, NESTED
from token_server import TokenServer, token_server

from voicechat.cli.app import main
from voicechat.cli.token import mint
from voicechat.config.options import Options
from voicechat.errors import ConnectError, KeyMissing, Secret, UsageError

KEY = "sk-planted-0123456789"


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as running:
        yield running


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
        (429, ConnectError, "limits the rate of requests"),
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


def test_the_command_prints_one_line_of_json(server, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    arguments = ["--model", "openai/m", "--seconds", "30", "--voice", "marin"]
    assert main(["token", *arguments, "--base-url", server.address]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["token"] == "ek_1"
    assert (out.count("\n"), err) == (1, "")
    body = json.loads(server.received[2])
    assert body["expires_after"]["seconds"] == 30
    assert body["session"]["audio"] == {"output": {"voice": "marin"}}
    assert main(["token", *arguments[:2], "--seconds", "1", "--base-url", server.address]) == 2
    assert "planted" not in capsys.readouterr().err


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
