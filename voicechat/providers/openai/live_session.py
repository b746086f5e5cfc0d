"""The settings of an OpenAI Live session as its session object, and the address of the service.

The voice has instructions of its own, which cannot change; the backing model has tools and
instructions that can. Unknown fields are refused, among them `idle_timeout_s` and `wake_policy`:
a session over a socket does not pause by itself.

Sources: OpenAI API reference, `live/sessions` (session object, Responses delegation); guides
"Managing GPT-Live sessions" (what can change) and "Delegation and tools in GPT-Live".
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlunsplit

from voicechat.core.settings import AudioFormat, SessionSettings
from voicechat.providers.base_url import SOCKET_SCHEMES, checked
from voicechat.providers.openai import openai_parts as parts
from voicechat.providers.openai.openai_parts import Message, ignored, without_none
from voicechat.providers.openai.openai_session import audio_format, voice_object

BACKING_MODEL = "gpt-5.5"
"""The backing model if the settings name none."""

RATES = (24_000, 16_000)
"""Rates of PCM16 in Hz, the preferred one first; both directions have the same."""

APPEND_BYTES = 480
"""Most bytes of text in one append: at most 500 tokens are accepted, and no token is empty."""

_DELEGATION = (
    "Delegate every request that needs tools, current facts or calculation. Never guess a result."
)

_UNSUPPORTED = (
    "speed", "noise_reduction", "temperature", "tracing", "truncation", "prompt", "include",
    "translate_to", "pronunciation",
    "transcription.model", "transcription.language", "transcription.languages",
    "transcription.prompt", "transcription.keywords", "transcription.delay",
)  # fmt: skip


def live_url(base_url: str) -> str:
    """Return the address of the socket below a base URL, with or without `/realtime`.

    Raises `UsageError` if the base URL is not an address.
    """
    parts_of = checked(base_url)
    path = parts_of.path.rstrip("/").removesuffix("/realtime") or "/v1"
    if not path.endswith("/live/sessions"):
        path += "/live/sessions"
    scheme = SOCKET_SCHEMES[parts_of.scheme]
    return urlunsplit(SplitResult(scheme, parts_of.netloc, path, "", ""))


def session_object(model: str, settings: SessionSettings) -> Message:
    """Return the session object of `session.start`."""
    wire_format = audio_format(settings.input_format)
    return {
        "model": model,
        "instructions": "\n".join(filter(None, (settings.instructions, _DELEGATION))),
        "audio": {
            "format": {"rate": settings.input_format.rate, **wire_format},
            **({"output": {"voice": voice_object(settings.voice)}} if settings.voice else {}),
        },
        "delegation": {"type": "responses", "responses": backing(settings)},
        "store": False,
    }


def backing(settings: SessionSettings) -> Message:
    """Return the settings of the backing model."""
    effort = settings.reasoning_effort
    return {
        "model": settings.backing_model or BACKING_MODEL,
        "tools": parts.tools(settings),
        **without_none({
            "instructions": settings.instructions,
            "max_output_tokens": settings.max_output_tokens,
            "parallel_tool_calls": settings.parallel_tool_calls,
            "tool_choice": parts.tool_choice(settings.tool_choice),
            "reasoning": {"effort": effort} if effort else None,
        }),
    }  # fmt: skip


def backing_changes(before: SessionSettings, after: SessionSettings) -> Message:
    """Return the settings of the backing model that changed; removed ones are reset."""
    changed = parts.changes(backing(before), backing(after))
    if "max_output_tokens" in changed:
        changed["max_output_tokens"] = after.max_output_tokens
    return changed


def unsupported(provider: str, settings: SessionSettings) -> list[str]:
    """Return a sentence for each setting that a Live session does not have."""
    return ignored(provider, settings, _UNSUPPORTED)


def appendable(text: str) -> list[str]:
    """Split text into pieces that one append may hold, between words where possible."""
    pieces, text, at = [], text.strip(), 0
    while at < len(text):
        near = text[at : at + APPEND_BYTES].encode("utf-8", "replace")
        whole = near[:APPEND_BYTES].decode("utf-8", "ignore")
        if at + len(whole) < len(text) and " " in whole:
            whole = whole[: whole.rindex(" ")] or whole
        pieces.append(whole)
        at += len(whole)
        while at < len(text) and text[at].isspace():
            at += 1
    return pieces


def fixed(settings: SessionSettings) -> tuple[AudioFormat, str | None]:
    """Return the settings that a running session cannot change."""
    return settings.input_format, settings.voice
