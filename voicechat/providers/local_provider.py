"""The embedded server as a provider."""

from __future__ import annotations

from dataclasses import replace

from voicechat.core.price import Price
from voicechat.providers.openai.openai_provider import client_secret_request
from voicechat.providers.openai.openai_speech import SPEECH
from voicechat.providers.provider import Provider
from voicechat.providers.rest import HttpRequest, TokenEndpoint, TokenRequest

SERVE_TOKEN = "VOICECHAT_SERVE_TOKEN"
"""The variable with the token of `voicechat serve`."""


def _token_request(request: TokenRequest) -> HttpRequest:
    if request.settings is not None:
        request = replace(request, settings=replace(request.settings, mcp_servers=(), prompt=None))
    return client_secret_request(request)


PROVIDER = Provider(
    name="local",
    default_model="built-in",
    models=("built-in",),
    voices=("heart",),
    samples=SPEECH,
    prices={"built-in": Price()},
    tokens=TokenEndpoint(_token_request, 10, 7_200),
    order=1_000,
)
