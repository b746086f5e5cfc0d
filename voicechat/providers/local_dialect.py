"""The dialect of the embedded server: OpenAI's wire with the settings of an offline server.

Source: `voicechat.server.realtime`, the server's half of the wire.
"""

from __future__ import annotations

from dataclasses import replace

from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.providers.openai.openai_codec import Dialect
from voicechat.providers.openai.openai_parts import UNCOMMON, Message, ignored
from voicechat.providers.openai.openai_session import RATE, odd_rates, session_object

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


def _session(settings: SessionSettings) -> Message:
    # The server refuses a whole update that names MCP servers.
    return session_object(replace(settings, mcp_servers=(), prompt=None))


def _unsupported(provider: str, settings: SessionSettings) -> list[str]:
    return ignored(provider, settings, _UNSUPPORTED) + odd_rates(provider, settings, (RATE,))


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
