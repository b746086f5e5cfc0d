"""Transcription of sounds by a provider over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from voicechat.core.items import Usage
from voicechat.core.recorded_speech import RecordedSpeech
from voicechat.core.text import clean, excerpt
from voicechat.errors import ConnectError, KeyMissing, UsageError, VoicechatError, unusable_proxy
from voicechat.providers.rest import read_error
from voicechat.providers.transcription_catalog import RecordingChoice
from voicechat.providers.transcription_service import (
    SpeakerReference,
    TranscriptionJob,
    TranscriptionPost,
    UploadedSound,
)
from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_all
from voicechat.system.http_client import open_client
from voicechat.system.loopback import is_loopback

if TYPE_CHECKING:
    import httpx

LANES = 3
"""Requests at a time."""

MAX_BYTES = 32 << 20
"""Largest answer, in bytes."""

ATTEMPTS = 4
"""Times that a request is sent while the provider is busy or out of reach."""

_CONNECT_S = 15.0
_ANSWER_S = 120.0
"""Seconds for an answer, in addition to the length of the sound."""
_LONGEST_ANSWER_S = 1_200.0
_LONGEST_PAUSE_S = 60.0
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_OUT_OF_CREDIT = ("quota", "billing", "credit")


class _Busy(Exception):
    """The provider may answer the same request later. `pause_s`: seconds that it asks for."""

    def __init__(self, failure: VoicechatError, pause_s: float = 0.0) -> None:
        super().__init__(failure.message)
        self.failure, self.pause_s = failure, pause_s


class HostedRecognizer:
    """The recognizer of a provider. `hosted_recognizer` opens it."""

    lanes = LANES

    def __init__(
        self,
        choice: RecordingChoice,
        client: httpx.AsyncClient,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        assert choice.service is not None
        self._choice, self._service = choice, choice.service
        self._client = client
        self._pause = pause

    async def recognize(
        self, sound: UploadedSound, speakers: tuple[SpeakerReference, ...] = ()
    ) -> RecordedSpeech:
        """Return the transcript of a sound. `speakers`: those that the model recognizes.

        Raises `KeyMissing`, `ConnectError` and `UsageError` (a file that cannot be read).
        """
        for attempt in range(ATTEMPTS):
            try:
                return await self._attempt(sound, replace(self._choice.job, speakers=speakers))
            except _Busy as busy:
                if attempt == ATTEMPTS - 1 or busy.pause_s > _LONGEST_PAUSE_S:
                    raise busy.failure from None
                await self._pause(max(busy.pause_s, 2.0**attempt))
        raise AssertionError

    async def _attempt(self, sound: UploadedSound, job: TranscriptionJob) -> RecordedSpeech:
        try:
            post = self._service.request(job, sound)
            content = await self._post(post, sound)
        except OSError as error:
            raise UsageError(f"{sound.path} cannot be read: {error.strerror}.") from None
        speech = self._service.read(job, content)
        if speech is None:
            raise ConnectError(
                f"{self._host(post)} answered with something that is not a transcript.",
                "Check --base-url.",
            )
        seconds = speech.duration_s or sound.seconds
        usage = speech.usage if speech.usage != Usage() else Usage(seconds=seconds)
        return replace(speech, duration_s=seconds, usage=usage)

    async def _post(self, post: TranscriptionPost, sound: UploadedSound) -> bytes:
        import httpx

        host = self._host(post)
        headers = {name: value.reveal() for name, value in post.headers.items()} | UNCOMPRESSED
        seconds = min(_ANSWER_S + sound.seconds, _LONGEST_ANSWER_S)
        opened = nullcontext() if sound.path is None else sound.path.open("rb")
        try:
            with opened as file:
                async with (
                    asyncio.timeout(seconds),
                    self._client.stream(
                        "POST", post.url, headers=headers, **_content(post, sound, file)
                    ) as answer,
                ):
                    content = await read_all(answer, MAX_BYTES)
        except (httpx.TimeoutException, TimeoutError):
            raise _Busy(
                ConnectError(f"{host} did not answer in time.", "Try again later.")
            ) from None
        except BodyError as error:
            raise ConnectError(f"{host} sent no transcript: {error}", "Try again later.") from None
        except (httpx.RemoteProtocolError, httpx.ReadError):
            raise _Busy(
                ConnectError(f"{host} ended its answer early.", "Try again later.")
            ) from None
        except httpx.TransportError:
            raise _Busy(
                ConnectError(f"{host} could not be reached.", "Check the network and --base-url.")
            ) from None
        if answer.status_code != httpx.codes.OK:
            self._refuse(host, answer, content)
        return content

    def _refuse(self, host: str, answer: httpx.Response, content: bytes) -> NoReturn:
        status, said = answer.status_code, clean(read_error(content))
        if self._choice.job.key is not None:
            said = said.replace(self._choice.job.key.reveal(), "***")
        said = excerpt(" ".join(said.split())).rstrip(".")
        tail = f" (HTTP {status}{f': {said}' if said else ''})."
        if status in {401, 403}:
            raise KeyMissing(f"{host} refused the key{tail}", "Check the key and its permissions.")
        if status == 404:
            raise ConnectError(
                f"{host} has no model {clean(self._choice.job.model)[:80]}{tail}",
                "Check --model and --base-url.",
            )
        if status == 429 and any(word in said.lower() for word in _OUT_OF_CREDIT):
            raise ConnectError(f"The account at {host} has no credit left{tail}", "Add credit.")
        if status in _BUSY:
            what = "limits the rate of requests" if status == 429 else "has a failure"
            failure = ConnectError(f"{host} {what}{tail}", "Try again later.")
            raise _Busy(failure, _retry_after(answer))
        if 300 <= status < 400:
            raise ConnectError(f"{host} redirects to another address{tail}", "Check --base-url.")
        raise ConnectError(f"{host} refused the recording{tail}", "Convert it, or change --model.")

    @staticmethod
    def _host(post: TranscriptionPost) -> str:
        return clean(urlsplit(post.url).hostname or "The provider")


def _content(
    post: TranscriptionPost, sound: UploadedSound, file: IO[bytes] | None
) -> dict[str, Any]:
    """Return the content as arguments of httpx, which puts files behind all fields."""
    if post.body is not None:
        return {"content": post.body}
    form: dict[str, list[str]] = {}
    for name, value in post.form:
        form.setdefault(name, []).append(value)
    # Of a file, httpx sends and buffers a little at a time.
    content = BytesIO(sound.content) if file is None else file
    named = (f"recording.{sound.suffix}", content, sound.media_type)
    return {"data": form, "files": {"file": named}}


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds that the provider asks to wait (RFC 9110, section 10.2.3)."""
    try:
        return max(0.0, float(answer.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


@asynccontextmanager
async def hosted_recognizer(choice: RecordingChoice) -> AsyncIterator[HostedRecognizer]:
    """Open the recognizer of a provider while the block runs. Raises `ConnectError`."""
    # Loading the client and its certificates takes long: on a thread.
    client = await asyncio.to_thread(_client, choice.job.base_url)
    async with client:
        yield HostedRecognizer(choice, client)


def _client(base_url: str | None) -> httpx.AsyncClient:
    import httpx

    host = urlsplit(base_url or "").hostname or ""
    try:
        return open_client(
            timeout=httpx.Timeout(None, connect=_CONNECT_S, pool=None),
            limits=httpx.Limits(max_connections=2 * LANES),
            follow_redirects=False,
            trust_env=not is_loopback(host),
        )
    except ImportError:
        raise unusable_proxy() from None
