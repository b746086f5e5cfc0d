"""The flat session object of the OpenAI Realtime beta.

The preview API of Azure OpenAI, Azure Voice Live and older compatible servers use it. Their frames
are read by the common table, which knows the event names of the beta, too.

Sources: OpenAI Realtime API reference, beta version (header `OpenAI-Beta: realtime=v1`); guide
"Beta to GA migration"; Microsoft Learn, "Voice Live API", `session.update`, and "How to use the
Voice Live API" (which transcriber fits which model, phrase list, several languages).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from voicechat.core.commands import CreateMessage, CreateResponse
from voicechat.core.settings import (
    Capabilities,
    McpChoice,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    SessionSettings,
    Transcription,
)
from voicechat.errors import Secret
from voicechat.providers.json_fields import as_text
from voicechat.providers.openai import openai_parts as parts
from voicechat.providers.openai.openai_codec import Dialect
from voicechat.providers.openai.openai_parts import (
    UNCOMMON,
    Message,
    everything,
    ignored,
    no_setting,
    without_none,
)
from voicechat.providers.openai.openai_session import (
    RATE,
    WRITERS,
    create_message,
    create_response,
    odd_rates,
)
from voicechat.providers.rest import bearer

TRANSCRIBER = "whisper-1"
"""Every beta endpoint has it."""

_FORMATS = {"pcm16": "pcm16", "pcmu": "g711_ulaw", "pcma": "g711_alaw"}

_UNSUPPORTED = (
    *UNCOMMON,
    "parallel_tool_calls",
    "truncation",
    "prompt",
    "mcp_servers",
    "noise_reduction.strength",
    "transcription.keywords",
    "transcription.delay",
    "turn_detection.idle_timeout_ms",
)


def flat_session(settings: SessionSettings) -> Message:
    """Return the whole session object of the beta; a setting that is None is left out."""
    heard: Message = {
        "input_audio_format": _FORMATS[settings.input_format.encoding],
        "input_audio_transcription": parts.transcription(settings.transcription, TRANSCRIBER),
        "turn_detection": _turn_detection(settings),
        **without_none({"input_audio_noise_reduction": _noise(settings.noise_reduction)}),
    }
    if settings.purpose == "transcription":
        return {**heard, **without_none({"include": list(settings.include) or None})}
    return {
        "modalities": _modalities(settings.output),
        "output_audio_format": _FORMATS[settings.output_format.encoding],
        "tools": parts.tools(SessionSettings(tools=settings.tools)),
        **heard,
        **without_none({
            "instructions": settings.instructions,
            "voice": settings.voice,
            "tool_choice": _tool_choice(settings),
            "max_response_output_tokens": settings.max_output_tokens,
            "speed": settings.speed,
            "temperature": settings.temperature,
            "tracing": parts.tracing(settings.tracing),
        }),
    }  # fmt: skip


def _turn_detection(settings: SessionSettings) -> Message | None:
    detection = parts.turn_detection(settings.turn_detection)
    if detection:
        detection.pop("idle_timeout_ms", None)
    return detection


def _noise(wanted: NoiseReduction | None) -> Message | None:
    return None if wanted is None else {"type": wanted.kind}


def _tool_choice(settings: SessionSettings) -> str | None:
    return None if isinstance(settings.tool_choice, McpChoice) else settings.tool_choice


def unsupported(provider: str, settings: SessionSettings) -> list[str]:
    """Return a sentence for each setting that `flat_session` cannot carry."""
    found = ignored(provider, settings, (*_UNSUPPORTED, "reasoning_effort"))
    found += _unsaid(provider, settings)
    if settings.purpose == "conversation":
        found += ignored(provider, settings, ("include",))
    return found + odd_rates(provider, settings, (RATE,))


def _unsaid(provider: str, settings: SessionSettings) -> list[str]:
    wanted = settings.transcription
    found = []
    if wanted and len(wanted.languages) > 1:
        found.append(no_setting(provider, "transcription.languages", "the first one is used"))
    if isinstance(settings.tool_choice, McpChoice):
        found.append(no_setting(provider, "tool_choice of an MCP server"))
    return found


def _update_type(settings: SessionSettings) -> str:
    kind = "transcription_session" if settings.purpose == "transcription" else "session"
    return f"{kind}.update"


def _create_response(command: CreateResponse) -> Message:
    """Return `response.create` with the names of the beta, where audio includes text."""
    message = create_response(command)
    response = message.get("response")
    if isinstance(response, dict) and "max_output_tokens" in response:
        response["max_response_output_tokens"] = response.pop("max_output_tokens")
    if isinstance(response, dict) and "output_modalities" in response:
        response["modalities"] = _modalities(response.pop("output_modalities")[0])
    return message


def _modalities(output: str) -> list[str]:
    return ["audio", "text"] if output == "audio" else ["text"]


def _with_beta(key: Secret) -> dict[str, Secret]:
    return {**bearer(key), "OpenAI-Beta": Secret("realtime=v1")}


BETA = Dialect(
    capabilities=Capabilities(transcription_only=True, pictures=(), remote_tools=False),
    session=flat_session,
    update_type=_update_type,
    unsupported=unsupported,
    headers=_with_beta,
    writers={
        **WRITERS,
        CreateMessage: ("conversation.item.create", partial(create_message, answer="text")),
        CreateResponse: ("response.create", _create_response),
    },
)
"""A server with the session object and the header of the beta."""


# --------------------------------------------------------------------------- Azure Voice Live

AZURE_TRANSCRIBER = "azure-speech"
"""Transcribes for every model except the realtime models of OpenAI, which have their own."""

_AZURE_TRANSCRIBERS = (AZURE_TRANSCRIBER, "mai-transcribe")
"""Beginnings of the names of Azure's transcribers."""


def voice_live_session(settings: SessionSettings) -> Message:
    """Return the session object of Azure Voice Live: the beta's, with more audio and voices."""
    session = flat_session(settings)
    session["input_audio_transcription"] = _azure_transcription(settings.transcription)
    session["turn_detection"] = _azure_detection(settings)
    session["input_audio_sampling_rate"] = settings.input_format.rate
    session |= without_none({"reasoning_effort": settings.reasoning_effort})
    if settings.voice and "-" in settings.voice:
        session["voice"] = {"type": "azure-standard", "name": settings.voice}
    if settings.noise_reduction is not None:
        session["input_audio_noise_reduction"] = {"type": "azure_deep_noise_suppression"}
    return session


def _azure_transcription(wanted: Transcription | None) -> Message | None:
    if wanted is None or not _is_azure(wanted):
        return parts.transcription(wanted, TRANSCRIBER)
    languages = wanted.languages or ((wanted.language,) if wanted.language else ())
    phrases = list(wanted.keywords) if wanted.model == AZURE_TRANSCRIBER else []
    return {
        "model": wanted.model,
        **without_none({"language": ",".join(languages) or None, "phrase_list": phrases or None}),
    }


def _is_azure(wanted: Transcription) -> bool:
    return (wanted.model or "").startswith(_AZURE_TRANSCRIBERS)


def _with_transcriber(settings: SessionSettings, announced: Message) -> SessionSettings:
    """Name the transcriber that fits the announced model, if the user names none."""
    wanted, model = settings.transcription, as_text(announced.get("model"))
    if wanted is None or wanted.model or not model or re.match(r"gpt-.*realtime", model):
        return settings
    return replace(settings, transcription=replace(wanted, model=AZURE_TRANSCRIBER))


def _azure_detection(settings: SessionSettings) -> Message | None:
    wanted = settings.turn_detection
    if not isinstance(wanted, SemanticVad):
        return _turn_detection(settings)
    detection = parts.turn_detection(
        ServerVad(
            create_response=wanted.create_response,
            interrupt_response=wanted.interrupt_response,
        )
    )
    return {**(detection or {}), "type": "azure_semantic_vad"}


def voice_live_unsupported(provider: str, settings: SessionSettings) -> list[str]:
    """Return a sentence for each setting that `voice_live_session` cannot carry."""
    names = [name for name in _UNSUPPORTED if name != "transcription.keywords"]
    found = ignored(provider, settings, (*names, "include", "turn_detection.eagerness"))
    wanted = settings.transcription
    if wanted and _is_azure(wanted):
        found += ignored(provider, settings, ("transcription.prompt",))
        settings = replace(settings, transcription=replace(wanted, languages=()))
    if wanted and wanted.keywords and wanted.model != AZURE_TRANSCRIBER:
        instead = f"only {AZURE_TRANSCRIBER} uses them"
        found.append(no_setting(provider, "transcription.keywords", instead))
    return found + _unsaid(provider, settings) + odd_rates(provider, settings, (RATE, 16_000))


VOICE_LIVE = Dialect(
    name="azure",
    capabilities=Capabilities(
        input_rates=(RATE, 16_000),
        pictures=(),
        remote_tools=False,
        transcription_remedy=f'Set transcription to "{AZURE_TRANSCRIBER}", or to "off". A'
        f' gpt-realtime model takes "{TRANSCRIBER}".',
    ),
    session=voice_live_session,
    adapt=_with_transcriber,
    updates=everything,
    unsupported=voice_live_unsupported,
    writers=BETA.writers,
)
"""Azure Voice Live: the beta's names with additions."""
