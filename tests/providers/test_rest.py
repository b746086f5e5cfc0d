"""Token requests and answers of each provider."""

import json

import pytest
from wire_examples import example

from voicechat.errors import Secret, UsageError
from voicechat.providers.catalog import PROVIDERS, token_endpoint
from voicechat.providers.rest import TokenRequest, read_error

ISSUERS = [each.name for each in PROVIDERS.values() if each.tokens]
NOW = 1_794_643_200.0
OPENAI = "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"


def ask(model="gpt-realtime-2.1", socket=OPENAI, **more) -> TokenRequest:
    return TokenRequest(model, Secret("sk-test"), socket, now=NOW, **more)


def shown(headers) -> dict:
    return {name: value.reveal() for name, value in headers.items()}


def test_the_openai_request_is_the_documented_one():
    request = token_endpoint("openai").build(ask(seconds=600, voice="marin"))
    assert request.url == "https://api.openai.com/v1/realtime/client_secrets"
    assert shown(request.headers) == {
        "Authorization": "Bearer sk-test", "Content-Type": "application/json",
    }  # fmt: skip
    expected = example("openai-client-secret", "openai_client_secret_request")
    assert json.loads(request.body) == expected
    assert request.body == json.dumps(expected, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("provider", "given", "url", "header", "body"),
    [
        ("azure", ask("mine", "wss://r.openai.azure.com/openai/v1/realtime?model=mine"),
         "https://r.openai.azure.com/openai/v1/realtime/client_secrets", "api-key",
         {"expires_after": {"anchor": "created_at", "seconds": 600},
          "session": {"type": "realtime", "model": "mine"}}),
        ("xai", ask("grok", "wss://api.x.ai/v1/realtime?model=grok", seconds=90),
         "https://api.x.ai/v1/realtime/client_secrets", "Authorization",
         {"expires_after": {"seconds": 90}}),
        ("google", ask("gemini-3.8-live", ""),
         "https://generativelanguage.googleapis.com/v1alpha/auth_tokens", "x-goog-api-key",
         {"uses": 1, "expireTime": "2026-11-14T08:31:00Z",
          "newSessionExpireTime": "2026-11-14T08:01:00Z",
          "bidiGenerateContentSetup": {"model": "models/gemini-3.8-live"},
          "fieldMask": "model"}),
        ("gateway", ask("openai/gpt-realtime-2.1", "", seconds=60),
         "https://ai-gateway.vercel.sh/v1/realtime/client-secrets", "Authorization",
         {"model": "openai/gpt-realtime-2.1", "expiresIn": 60}),
    ],
)  # fmt: skip
def test_the_requests_of_the_other_providers(provider, given, url, header, body):
    request = token_endpoint(provider).build(given)
    assert (request.url, json.loads(request.body)) == (url, body)
    assert set(request.headers) == {"Content-Type", header}
    assert "sk-test" in request.headers[header].reveal()
    assert "sk-test" not in repr(request)
    assert "sk-test" not in request.url


def test_an_entra_token_is_a_bearer_token():
    given = ask(
        "mine", "wss://r.openai.azure.com/openai/v1/realtime", key_variable="AZURE_OPENAI_AD_TOKEN"
    )
    assert shown(token_endpoint("azure").build(given).headers)["Authorization"] == "Bearer sk-test"


@pytest.mark.parametrize(
    ("provider", "seconds"), [("openai", 9), ("openai", 7201), ("gateway", 301), ("xai", 0)]
)
def test_invalid_lifetimes(provider, seconds):
    with pytest.raises(UsageError, match=f"not {seconds}"):
        token_endpoint(provider).build(ask(seconds=seconds))


def test_providers_without_tokens():
    with pytest.raises(UsageError, match="openai"):
        token_endpoint("nothing").build(ask())
    with pytest.raises(UsageError, match="current Azure"):
        token_endpoint("azure").build(
            ask("m", "wss://r.openai.azure.com/openai/realtime?api-version=1")
        )


@pytest.mark.parametrize(
    ("provider", "scenario", "kind", "value", "expires"),
    [
        ("openai", "openai-client-secret", "openai_client_secret_response",
         "ek_3Bv8c1GUf42gtaYbqHwt6oQvQkdC3G0W", 1794643800),
        ("azure", "openai-client-secret", "openai_client_secret_response",
         "ek_3Bv8c1GUf42gtaYbqHwt6oQvQkdC3G0W", 1794643800),
        ("xai", "xai-client-secret", "xai_client_secret",
         "xai-realtime-client-secret-VEfENMcsrQU9n849z4vbtAXAbYGlPLCQr0hizJDJ", 1794643800),
        ("google", "gemini-token", "gemini_auth_token",
         "auth_tokens/zw5reb5tnyfuyzhryf5n9bunbeteasio8zmduahl", None),
        ("gateway", "gateway-client-secret", "gateway_client_secret",
         "vcst_ekvqjq9Lua9rQYer5NHVldRR7sVVr3gwxEAWaxH5", 1794643260),
    ],
)  # fmt: skip
def test_answers_with_a_token(provider, scenario, kind, value, expires):
    body = json.dumps(example(scenario, kind)).encode()
    token = token_endpoint(provider).read(ask(), body)
    assert token is not None
    assert (token.value.reveal(), token.expires_at) == (value, expires)
    assert value not in repr(token)


def test_the_socket_of_a_token():
    answer = json.dumps({"value": "t"}).encode()
    gateway = token_endpoint("gateway").read(ask("openai/gpt-realtime-2.1", ""), answer)
    assert gateway.url == (
        "wss://ai-gateway.vercel.sh/v4/ai/realtime-model?ai-model-id=openai%2Fgpt-realtime-2.1"
    )
    google = token_endpoint("google").read(
        ask("g", ""), b'{"name":"auth_tokens/a","expireTime":"x"}'
    )
    assert google.url.endswith("v1alpha.GenerativeService.BidiGenerateContentConstrained")
    assert google.url.startswith("wss://generativelanguage.googleapis.com/ws/")
    assert token_endpoint("openai").read(ask(), answer).url == OPENAI
    timed = b'{"name":"auth_tokens/a","expireTime":"2026-11-14T08:31:00Z"}'
    assert token_endpoint("google").read(ask("g", ""), timed).expires_at == NOW + 1860


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"value": 3}', b"\xff", b'{"value": ""}'])
def test_an_answer_without_a_token(body):
    assert all(token_endpoint(provider).read(ask(), body) is None for provider in ISSUERS)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "No.", "type": "t", "code": None}}, "No."),
        ({"error": "speed must be lower"}, "speed must be lower"),
        ({"code": "invalid-argument", "error": "file is required"}, "file is required"),
        ({"error": {"code": 400, "message": "Bad.", "status": "INVALID"}}, "Bad."),
        ({"error": {"code": "DeploymentNotFound"}}, "DeploymentNotFound"),
        ({"message": "Nope \u001b[2J"}, "Nope \ufffd[2J"),
        ({"detail": "Not Found"}, "Not Found"),
        (
            {"detail": [{"loc": ["body"], "msg": "Field required", "type": "missing"}]},
            "Field required",
        ),
        ({"detail": [7]}, ""),
        ({}, ""),
        ([], ""),
    ],
)
def test_errors_of_every_shape(body, said):
    assert read_error(json.dumps(body).encode()) == said
