"""The Python API: the transcript of a recording, in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from voicechat.core.recorded_speech import RecordedSpeech
from voicechat.providers.transcription_service import TranscriptionWishes
from voicechat.session.blocking_call import run_blocking
from voicechat.session.client_checks import check_choice, check_type, check_types, rewording
from voicechat.session.client_options import Parameters
from voicechat.transcription.recording_session import recording_session
from voicechat.transcription.recordings import STDIN, opened

Source = str | os.PathLike[str] | bytes
"""A path, an address, or the content of a file."""


def transcribe(
    source: Source,
    model: str | None = None,
    *,
    language: str | None = None,
    prompt: str | None = None,
    keywords: Iterable[str] = (),
    diarize: bool = False,
    timestamps: Literal["segment", "word"] | None = None,
    logprobs: bool = False,
    base_url: str | None = None,
    api_key: str | None = None,
    profile: str | None = None,
    settings: bool | str | os.PathLike[str] = True,
    budget: float | None = None,
) -> RecordedSpeech:
    """Return the transcript of a recording.

    source       a path, an address that begins with http:// or https://, or the bytes of a file
    model        PROVIDER/MODEL; None chooses like the command
    language     of the speech, such as "en"; None lets the model detect it
    prompt       a text in the style of the speech, with names as they are written
    keywords     words that the speech may contain
    diarize      tell the speakers apart
    timestamps   "segment" or "word": the times that the transcript must have
    logprobs     add the log probability of each token
    base_url     another address of the provider's API
    api_key      the provider's key; by default it comes from the environment, the settings or
                 `voicechat login`
    profile      a profile of the settings file
    settings     True: read the user's settings file. False: read none. A path: read that one
    budget       US dollars after which nothing more is requested

    Blocks until the transcript is complete; in a coroutine, use `transcribe_async`. Raises
    `TypeError` for a parameter of a wrong type, and `VoicechatError`: `UsageError` for a recording
    that cannot be used, `KeyMissing`, `ConnectError`, `ServerError`, `BudgetSpent`.
    """
    return run_blocking(
        "transcribe",
        transcribe_async(
            source,
            model,
            language=language,
            prompt=prompt,
            keywords=keywords,
            diarize=diarize,
            timestamps=timestamps,
            logprobs=logprobs,
            base_url=base_url,
            api_key=api_key,
            profile=profile,
            settings=settings,
            budget=budget,
        ),
    )


async def transcribe_async(
    source: Source,
    model: str | None = None,
    *,
    language: str | None = None,
    prompt: str | None = None,
    keywords: Iterable[str] = (),
    diarize: bool = False,
    timestamps: Literal["segment", "word"] | None = None,
    logprobs: bool = False,
    base_url: str | None = None,
    api_key: str | None = None,
    profile: str | None = None,
    settings: bool | str | os.PathLike[str] = True,
    budget: float | None = None,
) -> RecordedSpeech:
    """Return the transcript of a recording. Parameters and errors are those of `transcribe`."""
    check_type("source", source, str, os.PathLike, bytes)
    check_types(
        {"language": language, "prompt": prompt, "diarize": diarize, "logprobs": logprobs},
        {"language": str, "prompt": str, "diarize": bool, "logprobs": bool},
    )
    if timestamps is not None:
        check_choice("timestamps", timestamps, ("segment", "word"))
    words = (keywords,) if isinstance(keywords, str) else tuple(keywords)
    for word in words:
        check_type("keywords", word, str)
    given = Parameters(
        model=model, base_url=base_url, api_key=api_key, profile=profile, settings=settings,
        budget=budget,
    )  # fmt: skip
    warnings: list[str] = []
    if source == STDIN:
        source = Path(STDIN)  # a file of that name: standard input belongs to the program
    with rewording():
        wishes = TranscriptionWishes(language, prompt, words, diarize, timestamps or "", logprobs)
        session = recording_session(
            given.options(None), wishes, warnings.append, resumes=False,
            keeps_usage=given.keeps_files,
        )  # fmt: skip
        async with session as found, opened(source) as recording:
            speech = await found.transcriber.transcribe(recording)
            warnings += [*found.choice.unsupported, *speech.warnings]
    return replace(speech, warnings=tuple(dict.fromkeys(warnings)))
