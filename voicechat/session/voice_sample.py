"""A sample of a voice, spoken by the provider of the session's model."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicechat.core.text import clean, excerpt
from voicechat.errors import ConnectError, KeyMissing, UsageError
from voicechat.providers.speech_service import (
    SPEECH_RATE,
    SpeechAudio,
    SpeechFailed,
    SpeechReader,
    SpeechRequest,
    at_rate,
)
from voicechat.session.served_models import root_of
from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_all, read_start
from voicechat.system.http_client import open_client
from voicechat.system.loopback import is_loopback

if TYPE_CHECKING:
    from voicechat.session.model import ChosenModel

TEXT = "Hello. This is how I sound when we talk."
"""The spoken text."""

DEADLINE_S = 15.0
"""Seconds for the whole sample."""

MAX_BYTES = 2 * SPEECH_RATE * 40
"""Most bytes of an answer: 40 seconds, or 30 in base64."""


async def voice_sample(chosen: ChosenModel, voice: str, rate: int) -> bytes:
    """Return a sample of a voice as PCM16 mono at `rate` Hz.

    Raises `UsageError` if the provider has no samples, `KeyMissing` and `ConnectError` if it
    does not send one.
    """
    import httpx

    service = chosen.samples
    if service is None:
        raise UsageError(f"{chosen.name} has no samples of its voices.")
    target = (await chosen.codec()).endpoint()
    request = SpeechRequest(
        service.models[0], voice=voice, language="en", base_url=root_of(target.url)
    )
    post = service.request(request, TEXT)
    host = urlsplit(post.url).hostname or ""
    sent = {**post.headers, **target.headers}
    headers = {name: value.reveal() for name, value in sent.items()} | UNCOMPRESSED
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            open_client(follow_redirects=False, trust_env=not is_loopback(host)) as client,
            client.stream("POST", post.url, headers=headers, content=post.body) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                _refuse(answer.status_code, voice, await read_start(answer))
            kind = answer.headers.get("content-type", "").strip().lower()
            if kind.startswith(("text/html", "text/plain", "application/json")):
                raise _failed(voice, "the provider sent no sound")
            content = await read_all(answer, MAX_BYTES)
    except TimeoutError:
        raise _failed(voice, "the provider did not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ImportError, BodyError) as error:
        raise _failed(voice, excerpt(clean(str(error))) or type(error).__name__) from None
    return at_rate(_sound(service.reader(request, kind), content, voice), rate)


def _sound(reader: SpeechReader, content: bytes, voice: str) -> bytes:
    """Return the sound in an answer. Raises `ConnectError` without any."""
    events = list(reader.read(content))
    failures = [each.reason for each in events if isinstance(each, SpeechFailed)]
    pcm = b"".join(each.data for each in events if isinstance(each, SpeechAudio))
    if failures or not pcm:
        raise _failed(voice, "".join(failures[:1]) or "the provider sent no sound")
    return pcm


def _refuse(status: int, voice: str, content: bytes) -> None:
    """Raise the error for an answer with a status other than 200."""
    if status in (401, 403):
        raise KeyMissing(
            f"The key may not be used for a sample of {voice}.", "Choose the voice to hear it."
        )
    raise _failed(voice, _reason(content) or f"the provider answered {status}")


def _reason(content: bytes) -> str:
    try:
        error = json.loads(content)["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return excerpt(" ".join(clean(str(text)).split())).rstrip(".")


def _failed(voice: str, reason: str) -> ConnectError:
    return ConnectError(
        f"There is no sample of {clean(voice)[:40]}: {reason}.", "Choose the voice to hear it."
    )
