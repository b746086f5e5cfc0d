"""The embedded voice as a provider: OpenAI's wire, without what it has no use for."""

from __future__ import annotations

from dataclasses import replace

from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.providers.openai.openai_codec import Dialect
from voicechat.providers.openai.openai_parts import Message, ignored
from voicechat.providers.openai.openai_session import RATE, odd_rates, session_object

_LACKING = (
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
    # It refuses an update that asks for MCP servers, and with it everything else.
    return session_object(replace(settings, mcp_servers=(), prompt=None))


def _unsupported(provider: str, settings: SessionSettings) -> list[str]:
    return ignored(provider, settings, _LACKING) + odd_rates(provider, settings, (RATE,))


EMBEDDED = Dialect(
    name="local",
    capabilities=Capabilities(pictures=(), remote_tools=False, transcription_only=True),
    session=_session,
    unsupported=_unsupported,
)
"""The embedded voice."""
