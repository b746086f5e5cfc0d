"""The embedded server as a provider: OpenAI's wire with the settings of an offline server.

Source: `voicechat.server.realtime`, the server's half of the wire.
"""

from __future__ import annotations

from dataclasses import replace

from voicechat.core.price import Price
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.providers.openai.openai_codec import Dialect
from voicechat.providers.openai.openai_parts import UNCOMMON, Message, ignored
from voicechat.providers.openai.openai_provider import client_secret_request
from voicechat.providers.openai.openai_session import RATE, odd_rates, session_object
from voicechat.providers.openai.openai_speech import SPEECH
from voicechat.providers.provider import Provider
from voicechat.providers.rest import HttpRequest, TokenEndpoint, TokenRequest

ANSWER_FACTOR = 20.0
"""A chat server may load a model for two minutes, and the model may reason as long."""

_UNSUPPORTED = (
    *UNCOMMON,
    "mcp_servers",
    "noise_reduction",
    "parallel_tool_calls",
    "reasoning_effort",
    "temperature",
    "tracing",
    "truncation",
    "prompt",
    "include",
    "transcription.model",
    "transcription.language",
    "transcription.languages",
    "transcription.keywords",
    "transcription.prompt",
    "transcription.delay",
)


SERVE_TOKEN = "VOICECHAT_SERVE_TOKEN"
"""The variable with the token of `voicechat serve`."""


def _session(settings: SessionSettings) -> Message:
    # The server refuses a whole update that names MCP servers.
    return session_object(replace(settings, mcp_servers=(), prompt=None))


def _unsupported(provider: str, settings: SessionSettings) -> list[str]:
    return ignored(provider, settings, _UNSUPPORTED) + odd_rates(provider, settings, (RATE,))


def _token_request(request: TokenRequest) -> HttpRequest:
    if request.settings is not None:
        request = replace(request, settings=replace(request.settings, mcp_servers=(), prompt=None))
    return client_secret_request(request)


EMBEDDED = Dialect(
    name="local",
    capabilities=Capabilities(
        pictures=(),
        remote_tools=False,
        transcription_only=True,
        transcription_remedy="",
        answer_factor=ANSWER_FACTOR,
    ),
    session=_session,
    unsupported=_unsupported,
)
"""The dialect of the embedded server."""

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
