"""The normalized session configuration, read into our settings and written from them.

Each object of the configuration that has fields of its own is a table of attribute, field and
reader; both directions follow it.

All fields are optional; a missing one means the provider's default. `turnDetection: null` is off,
like `{"type": "disabled"}`.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4SessionConfig`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from voicechat.core.settings import (
    AudioFormat,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
    Transcription,
    TurnDetection,
)
from voicechat.providers.json_fields import (
    as_list,
    as_text,
    count,
    fields,
    number,
    text_or_none,
)
from voicechat.providers.openai.openai_parts import without_none

Message = dict[str, object]

Encoding = Literal["pcm16", "pcmu", "pcma"]
_ENCODINGS: Mapping[str, Encoding] = {
    "audio/pcm": "pcm16", "audio/pcmu": "pcmu", "audio/pcma": "pcma",
}  # fmt: skip
_FORMATS = {encoding: kind for kind, encoding in _ENCODINGS.items()}


def _text(value: object) -> str | None:
    return as_text(value) if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return number(value) if isinstance(value, int | float) else None


def _whole(value: object) -> int | None:
    return count(value) if isinstance(value, int | float) else None


def _parameters(value: object) -> Message:
    return fields(value) or {"type": "object"}


Table = tuple[tuple[str, str, Callable[[object], object]], ...]
"""Attribute of ours, field of the configuration, reader of the field."""

_SESSION: Table = (("instructions", "instructions", _text), ("voice", "voice", text_or_none))
_SERVER_VAD: Table = (
    ("threshold", "threshold", _number),
    ("silence_duration_ms", "silenceDurationMs", _whole),
    ("prefix_padding_ms", "prefixPaddingMs", _whole),
)
_TRANSCRIPTION: Table = (
    ("model", "model", text_or_none),
    ("language", "language", text_or_none),
    ("prompt", "prompt", text_or_none),
)
_TOOL: Table = (
    ("name", "name", as_text),
    ("description", "description", as_text),
    ("parameters", "parameters", _parameters),
)


def _read(table: Table, value: Mapping[str, object]) -> dict[str, Any]:
    return {attribute: read(value.get(name)) for attribute, name, read in table}


def _write(table: Table, value: object) -> Message:
    return without_none({name: getattr(value, attribute) for attribute, name, _ in table})


# --------------------------------------------------------------------------- reading


def settings_of(config: Mapping[str, object], rate: int = 24_000) -> SessionSettings:
    """Return the settings of a configuration; `rate` (Hz) is used where it names none."""
    modalities = as_list(config.get("outputModalities"))
    transcription = config.get("inputAudioTranscription")
    tools = map(fields, as_list(config.get("tools")))
    return SessionSettings(
        **_read(_SESSION, config),
        output="text" if modalities and "audio" not in modalities else "audio",
        turn_detection=_turn_detection(config),
        transcription=Transcription(**_read(_TRANSCRIPTION, transcription))
        if isinstance(transcription, dict)
        else None,
        input_format=_format(config.get("inputAudioFormat"), rate),
        output_format=_format(config.get("outputAudioFormat"), 24_000),
        translate_to=text_or_none(fields(config.get("outputAudioTranscription")).get("language")),
        tools=tuple(
            ToolSpec(**_read(_TOOL, tool)) for tool in tools if text_or_none(tool.get("name"))
        ),
    )


def _format(value: object, rate: int) -> AudioFormat:
    found = fields(value)
    encoding = _ENCODINGS.get(as_text(found.get("type")), "pcm16")
    default = rate if encoding == "pcm16" else 8_000
    return AudioFormat(encoding, count(found.get("rate")) or default)


def _turn_detection(config: Mapping[str, object]) -> TurnDetection:
    found = fields(config.get("turnDetection"))
    if found.get("type") == "disabled" or ("turnDetection" in config and not found):
        return None
    if found.get("type") == "semantic-vad":
        return SemanticVad()
    return ServerVad(**_read(_SERVER_VAD, found))


# --------------------------------------------------------------------------- writing


def config_of(settings: SessionSettings) -> Message:
    """Return the configuration of these settings, as far as it has fields for them."""
    config: Message = {
        "outputModalities": [settings.output],
        "inputAudioFormat": _format_of(settings.input_format),
        "turnDetection": _turn_detection_of(settings.turn_detection),
        "tools": [{"type": "function", **_write(_TOOL, tool)} for tool in settings.tools],
        **_write(_SESSION, settings),
    }
    if (transcription := settings.transcription) is not None:
        languages = (transcription.language, *transcription.languages)
        language = next((each for each in languages if each), None)
        config["inputAudioTranscription"] = {
            **_write(_TRANSCRIPTION, transcription),
            **without_none({"language": language}),
        }
    if settings.output == "audio":
        config["outputAudioFormat"] = _format_of(settings.output_format)
        config["outputAudioTranscription"] = {}
    return config


def _format_of(sound: AudioFormat) -> Message:
    return {"type": _FORMATS[sound.encoding], "rate": sound.rate}


def _turn_detection_of(wanted: TurnDetection) -> Message:
    if wanted is None:
        return {"type": "disabled"}
    if isinstance(wanted, SemanticVad):
        return {"type": "semantic-vad"}
    return {"type": "server-vad", **_write(_SERVER_VAD, wanted)}
