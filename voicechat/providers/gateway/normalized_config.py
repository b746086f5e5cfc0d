"""The normalized session configuration, to our settings and back.

All fields are optional; a missing one means the provider's default. `turnDetection: null` is off,
like `{"type": "disabled"}`.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4SessionConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from voicechat.core.settings import (
    AudioFormat,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
    Transcription,
    TurnDetection,
)
from voicechat.providers.json_fields import count, fields, number, several, word, words
from voicechat.providers.openai.openai_parts import said

Message = dict[str, object]

Encoding = Literal["pcm16", "pcmu", "pcma"]
_ENCODINGS: Mapping[str, Encoding] = {
    "audio/pcm": "pcm16", "audio/pcmu": "pcmu", "audio/pcma": "pcma",
}  # fmt: skip


def settings_of(config: Mapping[str, object], rate: int = 24_000) -> SessionSettings:
    """Return the settings of a configuration; `rate` (Hz) is used where it names none."""
    modalities = several(config.get("outputModalities"))
    heard = config.get("inputAudioTranscription")
    return SessionSettings(
        instructions=_text(config.get("instructions")),
        voice=word(config.get("voice")),
        output="text" if modalities and "audio" not in modalities else "audio",
        turn_detection=_detection(config),
        transcription=_transcription(fields(heard)) if isinstance(heard, dict) else None,
        input_format=_format(config.get("inputAudioFormat"), rate),
        output_format=_format(config.get("outputAudioFormat"), 24_000),
        tools=tuple(
            ToolSpec(words(tool.get("name")), words(tool.get("description")), parameters)
            for tool in map(fields, several(config.get("tools")))
            if word(tool.get("name"))
            for parameters in [fields(tool.get("parameters")) or {"type": "object"}]
        ),
    )


def _text(value: object) -> str | None:
    return words(value) if isinstance(value, str) else None


def _format(value: object, rate: int) -> AudioFormat:
    told = fields(value)
    encoding = _ENCODINGS.get(words(told.get("type")), "pcm16")
    usual = rate if encoding == "pcm16" else 8_000
    return AudioFormat(encoding, count(told.get("rate")) or usual)


def _detection(config: Mapping[str, object]) -> TurnDetection:
    wanted = fields(config.get("turnDetection"))
    if "turnDetection" in config and not wanted:
        return None
    if wanted.get("type") == "disabled":
        return None
    if wanted.get("type") == "semantic-vad":
        return SemanticVad()
    threshold = wanted.get("threshold")
    return ServerVad(
        number(threshold) if isinstance(threshold, int | float) else None,
        _whole(wanted.get("prefixPaddingMs")),
        _whole(wanted.get("silenceDurationMs")),
    )


def _whole(value: object) -> int | None:
    return count(value) if isinstance(value, int | float) else None


def _transcription(wanted: Message) -> Transcription:
    return Transcription(
        word(wanted.get("model")), word(wanted.get("language")), word(wanted.get("prompt"))
    )


def config_of(settings: SessionSettings) -> Message:
    """Return the configuration of these settings, as far as it has fields for them."""
    heard = settings.transcription
    languages = heard.languages if heard is not None else ()
    config: Message = {
        "outputModalities": [settings.output],
        "inputAudioFormat": _format_of(settings.input_format),
        "turnDetection": _turns(settings.turn_detection),
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            }
            for tool in settings.tools
        ],
        **said({"instructions": settings.instructions, "voice": settings.voice}),
    }
    if heard is not None:
        language = heard.language or (languages[0] if languages else None)
        config["inputAudioTranscription"] = said(
            {"model": heard.model, "language": language, "prompt": heard.prompt}
        )
    if settings.output == "audio":
        config["outputAudioFormat"] = _format_of(settings.output_format)
        config["outputAudioTranscription"] = {}
    return config


def _format_of(sound: AudioFormat) -> Message:
    name = {encoding: kind for kind, encoding in _ENCODINGS.items()}[sound.encoding]
    return {"type": name, "rate": sound.rate}


def _turns(wanted: TurnDetection) -> Message:
    if wanted is None:
        return {"type": "disabled"}
    if isinstance(wanted, SemanticVad):
        return {"type": "semantic-vad"}
    return {
        "type": "server-vad",
        **said(
            {
                "threshold": wanted.threshold,
                "silenceDurationMs": wanted.silence_duration_ms,
                "prefixPaddingMs": wanted.prefix_padding_ms,
            }
        ),
    }
