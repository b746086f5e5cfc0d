"""A sample of a voice, spoken by the provider of the session's model."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicechat.core.text import clean, excerpt
from voicechat.errors import ConnectError, KeyMissing, UsageError
from voicechat.providers.voice_samples import SAMPLE_RATE, at_rate
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

MAX_BYTES = 2 * SAMPLE_RATE * 20
"""Most bytes of a sample: 20 seconds."""


async def voice_sample(chosen: ChosenModel, voice: str, rate: int) -> bytes:
    """Return a sample of a voice as PCM16 mono at `rate` Hz.

    Raises `UsageError` if the provider has no samples, `KeyMissing` and `ConnectError` if it
    does not send one.
    """
    import httpx

    request = chosen.sample
    if request is None:
        raise UsageError(f"{chosen.name} has no samples of its voices.")
    target = (await chosen.codec()).endpoint()
    post = request(voice, TEXT)
    address = f"{root_of(target.url)}/{post.path}"
    host = urlsplit(address).hostname or ""
    headers = {name: value.reveal() for name, value in target.headers.items()} | UNCOMPRESSED
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            open_client(follow_redirects=False, trust_env=not is_loopback(host)) as client,
            client.stream("POST", address, headers=headers, json=post.body) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                _refuse(answer.status_code, voice, await read_start(answer))
            kind = answer.headers.get("content-type", "")
            if kind.startswith(("text/", "application/json")):
                raise _failed(voice, "the provider sent no sound")
            pcm = await read_all(answer, MAX_BYTES)
    except TimeoutError:
        raise _failed(voice, "the provider did not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ImportError, BodyError) as error:
        raise _failed(voice, excerpt(clean(str(error))) or type(error).__name__) from None
    return at_rate(pcm, rate)


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
