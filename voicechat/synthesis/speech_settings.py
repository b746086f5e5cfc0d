"""How to speak: the settings of one text, checked against the model that speaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voicechat.config.setting_place import similar
from voicechat.core.text import clean, one_of
from voicechat.errors import UsageError
from voicechat.synthesis.embedded_speech import SPEEDS

if TYPE_CHECKING:
    from voicechat.providers.speech_catalog import SpeechChoice

_CUSTOM_VOICE = "voice_"


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How to speak. None leaves the choice to the model."""

    voice: str | None = None
    speed: float | None = None
    """1.0 is normal."""
    instructions: str | None = None
    language: str | None = None


def taken_settings(
    settings: SpeechSettings,
    choice: SpeechChoice,
    usual_voice: str | None,
    notify: Callable[[str], None],
) -> SpeechSettings:
    """Return the settings that the model takes; `notify` gets a sentence about each other one.

    usual_voice: voice of conversations, which speaks if the model has it. Raises `UsageError` for
    a voice or a speed that the model does not have.
    """
    service, model = choice.service, choice.name
    if settings.instructions and not (service and service.takes_instructions(choice.model)):
        notify(f"{model} follows no instructions.")
        settings = replace(settings, instructions=None)
    if settings.language and not (service and service.takes_language):
        notify(f"{model} takes no language.")
        settings = replace(settings, language=None)
    if settings.speed is not None:
        speeds = SPEEDS if service is None else service.speeds
        settings = replace(settings, speed=_speed(settings.speed, speeds, model, notify))
    # A server of the user's own may have other voices.
    known = () if service is None or choice.base_url else service.voices
    if settings.voice is None:
        usable = known or choice.provider.voices
        return replace(settings, voice=usual_voice if usual_voice in usable else None)
    if known and settings.voice not in known and not settings.voice.startswith(_CUSTOM_VOICE):
        hint = similar(settings.voice, known) or f"Choose {one_of(known)}."
        raise UsageError(f"{model} has no voice {clean(settings.voice)[:40]!r}.", hint)
    return settings


def _speed(
    speed: float,
    speeds: tuple[float, float] | None,
    model: str,
    notify: Callable[[str], None],
) -> float | None:
    if speeds is None:
        notify(f"{model} has no speed to choose.")
        return None
    lowest, highest = speeds
    if not lowest <= speed <= highest:
        raise UsageError(
            f"{model} speaks at a speed of {lowest:g} to {highest:g}, not {speed:g}.",
            "1 is normal.",
        )
    return speed
