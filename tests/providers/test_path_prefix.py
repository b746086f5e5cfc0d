"""The path of a base URL, such as that of an API management gateway, is kept everywhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from voicechat.errors import Secret
from voicechat.providers import catalog, rest

KEYS = {
    name: Secret("planted-key-for-tests")
    for name in (
        "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "XAI_API_KEY", "GEMINI_API_KEY",
        "AI_GATEWAY_API_KEY",
    )
}  # fmt: skip
HOST = "https://gateway.example"
GEMINI = "/ws/google.ai.generativelanguage.{}.GenerativeService.BidiGenerateContent"


def socket_of(model: str, path: str) -> str:
    choice = catalog.resolve(model, base_url=f"{HOST}{path}", environ=KEYS)
    return choice.codec().endpoint().url


@pytest.mark.parametrize(
    ("model", "base", "expected"),
    [
        ("openai/m", "/team/v1", "/team/v1/realtime"),
        ("openai/m", "", "/v1/realtime"),
        ("xai/m", "/team/v1", "/team/v1/realtime"),
        ("azure/m", "", "/openai/v1/realtime"),
        ("azure/m", "/team", "/team/openai/v1/realtime"),
        ("azure/m", "/team/", "/team/openai/v1/realtime"),
        ("azure/m", "/openai/v1", "/openai/v1/realtime"),
        ("azure/m", "/team/openai/v1/realtime", "/team/openai/v1/realtime"),
        ("azure/m", "/team/openai?api-version=2025-04-01-preview", "/team/openai/realtime"),
        ("azure/m", "/team/voice-live", "/team/voice-live/realtime"),
        ("google/m", "", GEMINI.format("v1beta")),
        ("google/m", "/team", f"/team{GEMINI.format('v1beta')}"),
        ("google/m", "/v1beta", GEMINI.format("v1beta")),
        ("google/m", "/team/v1/", f"/team{GEMINI.format('v1')}"),
        ("gateway/p/m", "", "/v4/ai/realtime-model"),
        ("gateway/p/m", "/team", "/team/v4/ai/realtime-model"),
        ("gateway/p/m", "/team/v4/ai", "/team/v4/ai/realtime-model"),
    ],
)
def test_the_socket(model: str, base: str, expected: str) -> None:
    parts = urlsplit(socket_of(model, base))
    assert (parts.scheme, parts.netloc, parts.path) == ("wss", "gateway.example", expected)


@pytest.mark.parametrize(
    ("model", "post", "opens"),
    [
        ("openai/m", "/team/v1/realtime/client_secrets", "/team/v1/realtime"),
        ("xai/m", "/team/v1/realtime/client_secrets", "/team/v1/realtime"),
        ("azure/m", "/team/openai/v1/realtime/client_secrets", "/team/openai/v1/realtime"),
        ("google/m", "/team/v1alpha/auth_tokens", f"/team{GEMINI.format('v1alpha')}Constrained"),
        ("gateway/p/m", "/team/v1/realtime/client-secrets", "/team/v4/ai/realtime-model"),
    ],
)
def test_a_token(model: str, post: str, opens: str) -> None:
    provider, _, name = model.partition("/")
    base = "/team/v1" if provider in {"openai", "xai"} else "/team"
    tokens = catalog.token_endpoint(provider)
    asked = rest.TokenRequest(name, Secret("planted-key-for-tests"), socket_of(model, base))
    assert urlsplit(tokens.build(asked).url).path == post
    secret = tokens.read(asked, b'{"value": "ek_1"}')
    assert secret is not None
    assert urlsplit(secret.url).path == opens
