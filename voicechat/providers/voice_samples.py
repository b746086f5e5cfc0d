"""Requests for a sample of a voice: a short text as speech, over HTTP.

This module sends nothing. The answer to each request is PCM16 mono at `SAMPLE_RATE`, without a
header. Sources: OpenAI API reference, "Create speech" (`response_format` pcm is 24 kHz); xAI docs,
"Text to Speech".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

SAMPLE_RATE = 24_000
"""Sample rate in Hz of every sample."""


class SpeechPost(NamedTuple):
    """A POST below the root of a provider's API."""

    path: str
    body: dict[str, object]


SampleRequest = Callable[[str, str], SpeechPost]
"""Returns the request for a text in a voice: `request(voice, text)`."""


def openai_sample(voice: str, text: str) -> SpeechPost:
    """Return the request of the OpenAI API."""
    return SpeechPost(
        "audio/speech",
        {"model": "gpt-4o-mini-tts", "voice": voice, "input": text, "response_format": "pcm"},
    )


def xai_sample(voice: str, text: str) -> SpeechPost:
    """Return the request of xAI."""
    form = {"codec": "pcm", "sample_rate": SAMPLE_RATE}
    return SpeechPost(
        "tts", {"voice_id": voice, "text": text, "language": "en", "output_format": form}
    )


def at_rate(pcm: bytes, rate: int) -> bytes:
    """Return a sample as PCM16 mono at `rate` Hz; half a frame at its end is dropped."""
    pcm = pcm[: len(pcm) // 2 * 2]
    if rate == SAMPLE_RATE:
        return pcm
    import numpy as np

    from voicechat.speech.pcm import Resampler

    resampler = Resampler(SAMPLE_RATE, rate)
    sound = resampler.convert(np.frombuffer(pcm, np.int16))
    return sound.tobytes() + resampler.finish().tobytes()
