"""The Python API: the speech of a text, in one call."""

from __future__ import annotations

import os
from contextlib import aclosing
from dataclasses import dataclass, field

from voicechat.core.items import Usage
from voicechat.providers.speech_service import MEDIA_TYPES, SPEECH_FORMATS, SpeechFormat
from voicechat.session.blocking_call import run_blocking
from voicechat.session.client_checks import check_choice, check_type, check_types, rewording
from voicechat.session.client_options import Parameters
from voicechat.synthesis.speech_file import SpeechBytes
from voicechat.synthesis.speech_settings import SpeechSettings
from voicechat.synthesis.synthesizer import Synthesizer
from voicechat.synthesis.text_source import WholeText


@dataclass(frozen=True, slots=True)
class SynthesizedSpeech:
    """The speech of a text, as a file in memory."""

    audio: bytes = field(repr=False)
    media_type: str
    """Such as audio/wav. PCM is 16-bit little-endian mono at 24 kHz."""
    model: str
    """PROVIDER/MODEL."""
    usage: Usage
    """What the provider billed; where it bills characters, each counts as a token."""
    cost: float | None
    """Estimated cost in US dollars; None if the price is unknown."""
    warnings: tuple[str, ...] = ()
    """Sentences about settings that have no effect."""


def speak(
    text: str,
    model: str | None = None,
    *,
    format: SpeechFormat = "wav",  # noqa: A002
    voice: str | None = None,
    speed: float | None = None,
    instructions: str | None = None,
    language: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    profile: str | None = None,
    settings: bool | str | os.PathLike[str] = True,
) -> SynthesizedSpeech:
    """Return the speech of a text of any length; Markdown is not read aloud.

    text          the text
    model         PROVIDER/MODEL; None chooses like the command
    format        mp3, opus, aac, flac, wav or pcm
    voice         name of the voice
    speed         1.0 is normal
    instructions  how to speak, such as "cheerful"
    language      of the text, such as "en"
    base_url      another address of the provider's API
    api_key       the provider's key; by default it comes from the environment, the settings or
                  `voicechat login`
    profile       a profile of the settings file
    settings      True: read the user's settings file. False: read none. A path: read that one

    Blocks until the speech is complete; in a coroutine, use `speak_async`. Raises `TypeError` for
    a parameter of a wrong type, and `VoicechatError`: `UsageError` for a setting that the model
    does not take, `KeyMissing`, `ConnectError`, `SessionLost` for speech that is cut off,
    `ServerError`, `BudgetSpent`.
    """
    return run_blocking(
        "speak",
        speak_async(
            text,
            model,
            format=format,
            voice=voice,
            speed=speed,
            instructions=instructions,
            language=language,
            base_url=base_url,
            api_key=api_key,
            profile=profile,
            settings=settings,
        ),
    )


async def speak_async(
    text: str,
    model: str | None = None,
    *,
    format: SpeechFormat = "wav",  # noqa: A002
    voice: str | None = None,
    speed: float | None = None,
    instructions: str | None = None,
    language: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    profile: str | None = None,
    settings: bool | str | os.PathLike[str] = True,
) -> SynthesizedSpeech:
    """Return the speech of a text. Parameters and errors are those of `speak`."""
    check_type("text", text, str)
    check_choice("format", format, SPEECH_FORMATS)
    check_types(
        {"voice": voice, "instructions": instructions, "language": language},
        {"voice": str, "instructions": str, "language": str},
    )
    if speed is not None:
        check_type("speed", speed, float, int)
    given = Parameters(
        model=model, base_url=base_url, api_key=api_key, profile=profile, settings=settings
    )
    warnings: list[str] = []
    with rewording():
        speech = Synthesizer(
            given.options(None),
            SpeechSettings(voice, speed, instructions, language),
            warnings.append,
            keeps_usage=settings is not False,
        )
        try:
            content = await _content(speech, WholeText(text), format)
        finally:
            await speech.close()
    spent = speech.spending
    return SynthesizedSpeech(
        content, MEDIA_TYPES[format], speech.name, spent.usage, spent.cost, tuple(warnings)
    )


async def _content(speech: Synthesizer, text: WholeText, audio_format: SpeechFormat) -> bytes:
    """Return the bytes of the file."""
    is_native = speech.is_native(audio_format, text)
    made = speech.native(text, audio_format) if is_native else speech.sound(text)
    output = SpeechBytes(None if is_native else audio_format)
    try:
        async with aclosing(made) as pieces:
            async for data in pieces:
                output.write(data)
        output.finish()
        return b"".join(output.blocks())
    finally:
        output.discard()
