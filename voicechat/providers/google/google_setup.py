"""Settings as the setup object, the first frame of a Gemini Live connection.

Sources: Gemini API reference, "Live API - WebSockets", `BidiGenerateContentSetup` and
`ContextUpdate`; guide "Live API capabilities" (activity detection, thinking, tools).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from voicechat.core.settings import (
    Effort,
    McpChoice,
    SemanticVad,
    ServerVad,
    SessionSettings,
    Transcription,
)
from voicechat.providers.google.google_tools import declaration, wire_names
from voicechat.providers.openai.openai_parts import UNCOMMON, ignored, no_setting, without_none

Message = dict[str, object]

INPUT_RATE = 16_000
"""Hz; the models' own input rate. Others are accepted, too."""
OUTPUT_RATE = 24_000


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """Properties of a model that change its setup."""

    generation: int
    """2 or 3; later ones count as 3."""
    writes: bool
    """It can answer in text only; others always speak."""
    thinks: bool
    """It thinks in the background: tools do not block it, and it takes a thinking level."""
    takes_content: bool
    """It takes content, not only live input, after the first turn."""

    @property
    def updates(self) -> bool:
        """True if instructions and tools can change in a running session."""
        return self.generation >= 3 and self.takes_content

    @property
    def reads_json_schemas(self) -> bool:
        """True if the model sees `parametersJsonSchema`; others see only `parameters`."""
        return self.generation >= 3 and not self.thinks

    @property
    def cancels_calls(self) -> bool:
        """True if new input cancels the calls that run."""
        return self.updates and not self.thinks


def traits(model: str) -> ModelTraits:
    """Return the traits of a model by its name, with or without `models/`."""
    name = model.rpartition("/")[2]
    found = re.match(r"gemini-(?:live-)?(\d+)", name)
    generation = min(int(found[1][:2]), 3) if found else 3
    return ModelTraits(
        generation,
        writes=generation < 3 and "native-audio" not in name,
        thinks="extended-thinking" in name,
        takes_content=re.match(r"gemini-3\.1\b", name) is None,
    )


def setup(model: str, settings: SessionSettings, resume: str = "") -> Message:
    """Return the setup; with a handle in `resume` the server continues that session."""
    its = traits(model)
    speaks = settings.output == "audio" or not its.writes
    generation: Message = {"responseModalities": ["AUDIO" if speaks else "TEXT"]}
    if speaks and settings.voice:
        voice = {"prebuiltVoiceConfig": {"voiceName": settings.voice}}
        generation["speechConfig"] = {"voiceConfig": voice}
    if its.thinks:
        generation["thinkingConfig"] = {"thinkingLevel": _level(settings.reasoning_effort).upper()}
    generation |= without_none(
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
        asked["inputAudioTranscription"] = _transcription(settings.transcription)
    if speaks:
        asked["outputAudioTranscription"] = {}
    if its.generation >= 3 and not resume:
        asked["historyConfig"] = {"initialHistoryInClientContent": True}
    return asked


def context(model: str, settings: SessionSettings) -> Message:
    """Return the part of the setup that later models can change in a running session."""
    its = traits(model)
    asked: Message = {}
    if settings.instructions:
        asked["systemInstruction"] = {"parts": [{"text": settings.instructions}]}
    if settings.tools:
        names, behavior = wire_names(settings.tools), _behavior(its)
        declared = [
            declaration(tool, names, is_plain=not its.reads_json_schemas, behavior=behavior)
            for tool in settings.tools
        ]
        asked["tools"] = [{"functionDeclarations": declared}]
    return asked


def update(before: Message, after: Message) -> Message:
    """Return the update that turns one context into the other; removed parts become empty."""
    changed: Message = {}
    if before.get("systemInstruction") != after.get("systemInstruction"):
        nothing = {"parts": [{"text": ""}]}
        changed["systemInstruction"] = after.get("systemInstruction", nothing)
    if before.get("tools") != after.get("tools"):
        changed["tools"] = {"tools": after.get("tools", [])}
    return changed


def fixed(asked: Message) -> Message:
    """Return the part of a setup that cannot change on a connection."""
    return {name: asked[name] for name in asked if name not in {"systemInstruction", "tools"}}


def _behavior(its: ModelTraits) -> str | None:
    if its.generation < 3:
        return None
    return "NON_BLOCKING" if its.thinks else "BLOCKING"


LEVELS = ("low", "medium", "high")
"""Thinking levels, the cheapest first. A model that takes one requires one."""


def _level(effort: Effort | None) -> str:
    """Return the thinking level that is nearest to this effort."""
    if effort is not None and effort in LEVELS:
        return effort
    return LEVELS[-1] if effort == "xhigh" else LEVELS[0]


def _turns(settings: SessionSettings) -> Message:
    wanted = settings.turn_detection
    if wanted is None:
        return {"automaticActivityDetection": {"disabled": True}}
    found: Message = {"disabled": False}
    if isinstance(wanted, ServerVad):
        found |= without_none(
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
    """Map a threshold to one of two sensitivities; a low threshold is a high sensitivity."""
    if threshold is None or threshold == 0.5:
        return None
    return "START_SENSITIVITY_HIGH" if threshold < 0.5 else "START_SENSITIVITY_LOW"


def _transcription(wanted: Transcription) -> Message:
    languages = list(wanted.languages or ((wanted.language,) if wanted.language else ()))
    keywords = list(wanted.keywords)
    return without_none({"languageCodes": languages or None, "customVocabulary": keywords or None})


_UNSUPPORTED = (
    *UNCOMMON,
    "noise_reduction", "speed", "mcp_servers", "parallel_tool_calls", "tracing", "truncation",
    "prompt", "include", "transcription.model", "transcription.prompt", "transcription.delay",
)  # fmt: skip


def unsupported(model: str, settings: SessionSettings) -> list[str]:
    """Return a sentence for each setting that `setup` cannot carry."""
    its, detection = traits(model), settings.turn_detection
    found = ignored("google", settings, _UNSUPPORTED)
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
        or settings.output_format.rate != OUTPUT_RATE,
    }
    found += [no_setting("google", name) for name, is_odd in odd.items() if is_odd]
    effort = settings.reasoning_effort
    if its.thinks and effort is not None and effort != _level(effort):
        instead = f"{_level(effort)} is used"
        found.append(no_setting("google", f"reasoning_effort {effort}", instead))
    if isinstance(detection, SemanticVad) and detection != SemanticVad():
        found.append(no_setting("google", "turn_detection semantic", "its own detection is used"))
    return found
