"""The session object of xAI, a mix of the GA and beta shapes of OpenAI.

Sources: xAI docs, "Voice Agent API" (session parameters: `audio`, `turn_detection`, `reasoning`,
`replace`) and "Text to Speech" (range of `speed`).
"""

from __future__ import annotations

from dataclasses import replace

from voicechat.core.settings import (
    McpServer,
    SemanticVad,
    ServerVad,
    SessionSettings,
    Transcription,
    TurnDetection,
)
from voicechat.providers.openai import openai_parts as parts
from voicechat.providers.openai.openai_parts import (
    CONTINUOUS,
    Message,
    ignored,
    no_setting,
    without_none,
)
from voicechat.providers.openai.openai_session import audio_format, odd_rates

TRANSCRIBER = "grok-transcribe"

RATES = (24_000, 16_000, 48_000, 44_100, 32_000, 22_050, 8_000)
"""Rates of PCM16, in Hz, the preferred one first."""

_EFFORTS = ("none", "high")

_MOST_TERMS = 100
_LONGEST_TERM = 50
"""Characters of a key term."""

_UNSUPPORTED = (
    *CONTINUOUS,
    "noise_reduction",
    "max_output_tokens",
    "parallel_tool_calls",
    "temperature",
    "tracing",
    "truncation",
    "prompt",
    "include",
    "transcription.prompt",
    "transcription.delay",
)


def session_object(settings: SessionSettings) -> Message:
    """Return the whole session object; a setting that is None is left out."""
    effort = settings.reasoning_effort
    spoken = {
        "format": audio_format(settings.output_format),
        **without_none({"speed": settings.speed}),
    }
    heard = {
        "format": audio_format(settings.input_format),
        **without_none({"transcription": _transcription(settings.transcription)}),
    }
    return {
        "turn_detection": _turn_detection(settings.turn_detection),
        "audio": {"input": heard, "output": spoken},
        "tools": parts.tools(replace(settings, mcp_servers=_reachable(settings))),
        **without_none({
            "instructions": settings.instructions,
            "voice": settings.voice,
            "tool_choice": parts.tool_choice(settings.tool_choice),
            "reasoning": {"effort": effort} if effort in _EFFORTS else None,
            "replace": dict(settings.pronunciation) if settings.pronunciation else None,
        }),
    }  # fmt: skip


def _transcription(wanted: Transcription | None) -> Message | None:
    if wanted is None:
        return None
    languages = wanted.languages or (wanted.language,)
    return without_none({
        "model": wanted.model or TRANSCRIBER,
        "language_hint": languages[0],
        "keyterms": _key_terms(wanted) or None,
    })  # fmt: skip


def _key_terms(wanted: Transcription) -> list[str]:
    return [term for term in wanted.keywords if len(term) <= _LONGEST_TERM][:_MOST_TERMS]


def _turn_detection(wanted: TurnDetection) -> Message | None:
    if isinstance(wanted, SemanticVad):
        wanted = ServerVad(interrupt_response=wanted.interrupt_response)
    return parts.turn_detection(wanted)


def _reachable(settings: SessionSettings) -> tuple[McpServer, ...]:
    return tuple(server for server in settings.mcp_servers if server.url)


def unsupported(provider: str, settings: SessionSettings) -> list[str]:
    """Return a sentence for each setting that is not supported or has no effect."""
    wanted = settings.transcription
    detection = settings.turn_detection
    effort = settings.reasoning_effort
    instead = {
        "turn_detection semantic_vad": isinstance(detection, SemanticVad)
        and "a silence ends the turn",
        "turn_detection.create_response": detection is not None
        and not detection.create_response
        and "every turn is answered",
        "output text": settings.output == "text" and "it always speaks",
        "transcription.languages": wanted is not None
        and len(wanted.languages) > 1
        and "the first one is used",
        f"transcription.keywords beyond {_MOST_TERMS} or {_LONGEST_TERM} characters": wanted
        is not None
        and len(_key_terms(wanted)) < len(wanted.keywords)
        and "they are left out",
        f"reasoning_effort {effort}": effort not in (None, *_EFFORTS)
        and "it accepts none and high; its default is used",
        "mcp_servers.connector": len(_reachable(settings)) < len(settings.mcp_servers)
        and "only servers with a url are used",
    }
    return [
        *ignored(provider, settings, _UNSUPPORTED),
        *(no_setting(provider, name, what) for name, what in instead.items() if what),
        *odd_rates(provider, settings, RATES),
    ]
