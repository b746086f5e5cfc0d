"""The settings that a session requests from its provider and its audio, from the user's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voicechat.audio.messages import AudioSettings
from voicechat.config.options import Options
from voicechat.core.settings import (
    AudioFormat,
    Capabilities,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
)

INSTRUCTIONS = (
    "You are a friendly voice assistant in a terminal. Answer briefly, as in speech: one to three"
    " sentences, no lists, no markup. If you did not understand, ask."
)
TYPED_INSTRUCTIONS = (
    "You are a friendly assistant in a terminal. Answer briefly. The terminal renders Markdown."
    " If you did not understand, ask."
)
"""Instructions for replies that are only read."""
CALL_INSTRUCTIONS = (
    "You are a friendly voice assistant on the phone. Answer briefly: one to three sentences, no"
    " lists, no markup. If you did not understand, ask."
)

PHONE = AudioFormat("pcmu", 8_000)
"""The sound of a phone call, unless the settings name another one."""


def session_settings(
    options: Options, capabilities: Capabilities, tools: tuple[ToolSpec, ...]
) -> SessionSettings:
    """Return the settings to request: the defaults, overridden by the settings file."""
    is_call = options.call is not None
    speaks = options.with_sound or is_call or not capabilities.text_output
    spoken = CALL_INSTRUCTIONS if is_call else INSTRUCTIONS
    defaults = SessionSettings(
        instructions=options.instructions or (spoken if speaks else TYPED_INSTRUCTIONS),
        voice=options.voice,
        output="audio" if speaks else "text",
        turn_detection=SemanticVad() if capabilities.semantic_vad else ServerVad(),
        input_format=PHONE if is_call else AudioFormat(rate=_rate(capabilities.input_rates)),
        output_format=PHONE if is_call else AudioFormat(rate=_rate(capabilities.output_rates)),
        tools=tools,
    )
    # In the file, pcm16 means the provider's own rate.
    overrides = {
        name: value
        for name, value in options.session_settings.items()
        if not (isinstance(value, AudioFormat) and value.encoding == "pcm16")
    }
    return replace(defaults, **overrides)  # type: ignore[arg-type]


def sound_settings(options: Options, settings: SessionSettings) -> AudioSettings:
    """Return the settings of the audio process for these session settings."""
    return AudioSettings(
        input_device=options.input_device,
        output_device=options.output_device,
        preferred=options.remembered_devices,
        input_rate=settings.input_format.rate,
        output_rate=settings.output_format.rate,
        echo_cancel=options.echo_cancel,
        noise_suppression=options.noise_suppression,
        gain_control=options.gain_control,
        barge_in=options.barge_in,
        monitor=options.record is not None,
    )


def _rate(rates: Sequence[int]) -> int:
    """Return the rate to use in Hz: 24 kHz if the provider accepts it."""
    return 24_000 if 24_000 in rates else rates[0]
