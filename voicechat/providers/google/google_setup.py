"""What Gemini Live is asked to be: settings as the object of its first frame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from voicechat.core.settings import (
    McpChoice,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
    Transcription,
)
from voicechat.providers.openai.openai_parts import ignored, lacks, said

Message = dict[str, object]

HEARD_RATE = 16_000
"""Hz of the sound the models were made for; others are taken, too."""
SPOKEN_RATE = 24_000


@dataclass(frozen=True, slots=True)
class Traits:
    """How a model differs from the others."""

    generation: int
    """2 or 3; later ones are taken for 3."""
    writes: bool
    """It can answer in text alone; others always speak."""
    thinks: bool
    """It works on in the background: tools never make it wait, and it wants to know how long."""


def traits(model: str) -> Traits:
    """What can be told by a model's name, written with or without `models/`."""
    name = model.rpartition("/")[2]
    found = re.match(r"gemini-(?:live-)?(\d+)", name)
    generation = min(int(found[1][:2]), 3) if found else 3
    return Traits(
        generation,
        writes=generation < 3 and "native-audio" not in name,
        thinks="extended-thinking" in name,
    )


def setup(model: str, settings: SessionSettings, resume: str = "") -> Message:
    """The whole object of the first frame. With a handle the server goes on with that session."""
    its = traits(model)
    speaks = settings.output == "audio" or not its.writes
    generation: Message = {"responseModalities": ["AUDIO" if speaks else "TEXT"]}
    if speaks and settings.voice:
        voice = {"prebuiltVoiceConfig": {"voiceName": settings.voice}}
        generation["speechConfig"] = {"voiceConfig": voice}
    if its.thinks:
        generation["thinkingConfig"] = {"thinkingLevel": _level(settings)}
    generation |= said(
        {"temperature": settings.temperature, "maxOutputTokens": settings.max_output_tokens}
    )
    asked: Message = {
        "model": model if "/" in model else f"models/{model}",
        "generationConfig": generation,
        **context(model, settings),
        "realtimeInputConfig": _turns(settings),
        "sessionResumption": {"handle": resume} if resume else {},
        "contextWindowCompression": {"slidingWindow": {}},
    }
    if settings.transcription is not None:
        asked["inputAudioTranscription"] = _heard(settings.transcription)
    if speaks:
        asked["outputAudioTranscription"] = {}
    if its.generation >= 3 and not resume:
        asked["historyConfig"] = {"initialHistoryInClientContent": True}
    return asked


def context(model: str, settings: SessionSettings) -> Message:
    """The part of the setup that later models let one change while the session lives."""
    its = traits(model)
    asked: Message = {}
    if settings.instructions:
        asked["systemInstruction"] = {"parts": [{"text": settings.instructions}]}
    if settings.tools:
        asked["tools"] = [{"functionDeclarations": [_tool(tool, its) for tool in settings.tools]}]
    return asked


def update(before: Message, after: Message) -> Message:
    """The update that turns one context into the other; what vanished becomes empty."""
    changed: Message = {}
    if before.get("systemInstruction") != after.get("systemInstruction"):
        nothing = {"parts": [{"text": ""}]}
        changed["systemInstruction"] = after.get("systemInstruction", nothing)
    if before.get("tools") != after.get("tools"):
        changed["tools"] = {"tools": after.get("tools", [])}
    return changed


def fixed(asked: Message) -> Message:
    """The part of a setup that holds as long as its connection."""
    return {name: asked[name] for name in asked if name not in {"systemInstruction", "tools"}}


def _tool(tool: ToolSpec, its: Traits) -> Message:
    told: Message = {
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": tool.parameters,
    }
    if its.generation >= 3:
        told["behavior"] = "NON_BLOCKING" if its.thinks else "BLOCKING"
    return told


def _level(settings: SessionSettings) -> str:
    effort = settings.reasoning_effort or "low"
    return "MINIMAL" if effort == "none" else effort.upper()


def _turns(settings: SessionSettings) -> Message:
    wanted = settings.turn_detection
    if wanted is None:
        return {"automaticActivityDetection": {"disabled": True}}
    found: Message = {"disabled": False}
    if isinstance(wanted, ServerVad):
        found |= said(
            {
                "startOfSpeechSensitivity": _sensitivity(wanted.threshold),
                "prefixPaddingMs": wanted.prefix_padding_ms,
                "silenceDurationMs": wanted.silence_duration_ms,
            }
        )
    elif wanted.eagerness in _EAGERNESS:
        found["endOfSpeechSensitivity"] = _EAGERNESS[wanted.eagerness]
    asked: Message = {"automaticActivityDetection": found}
    if not wanted.interrupt_response:
        asked["activityHandling"] = "NO_INTERRUPTION"
    return asked


_EAGERNESS: Mapping[str, str] = {"low": "END_SENSITIVITY_LOW", "high": "END_SENSITIVITY_HIGH"}


def _sensitivity(threshold: float | None) -> str | None:
    """A threshold says how sure to be; a sensitivity the opposite, in two steps."""
    if threshold is None or threshold == 0.5:
        return None
    return "START_SENSITIVITY_HIGH" if threshold < 0.5 else "START_SENSITIVITY_LOW"


def _heard(wanted: Transcription) -> Message:
    languages = list(wanted.languages or ((wanted.language,) if wanted.language else ()))
    keywords = list(wanted.keywords)
    return said({"languageCodes": languages or None, "customVocabulary": keywords or None})


_NOWHERE = (
    "noise_reduction", "speed", "mcp_servers", "parallel_tool_calls", "tracing", "truncation",
    "prompt", "include", "transcription.model", "transcription.prompt", "transcription.delay",
)  # fmt: skip


def unsupported(model: str, settings: SessionSettings) -> list[str]:
    """A sentence for each setting that `setup` cannot carry."""
    its, detection = traits(model), settings.turn_detection
    found = ignored("google", settings, _NOWHERE)
    odd = {
        "tool_choice": isinstance(settings.tool_choice, McpChoice)
        or settings.tool_choice not in {None, "auto"},
        "output text": settings.output == "text" and not its.writes,
        "reasoning_effort": settings.reasoning_effort is not None and not its.thinks,
        "purpose transcription": settings.purpose == "transcription",
        "turn_detection.idle_timeout_ms": isinstance(detection, ServerVad)
        and detection.idle_timeout_ms is not None,
        "turn_detection.create_response false": detection is not None
        and not detection.create_response,
        "input_format": settings.input_format.encoding != "pcm16",
        "output_format": settings.output_format.encoding != "pcm16"
        or settings.output_format.rate != SPOKEN_RATE,
    }
    found += [lacks("google", name) for name, is_odd in odd.items() if is_odd]
    if isinstance(detection, SemanticVad) and detection != SemanticVad():
        found.append(lacks("google", "turn_detection semantic", "its own detection counts"))
    return found
