"""Speech of a provider over HTTP: one bounded request for each piece of a text.

A request that fails before its first sound is sent again up to twice if another attempt can help.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from voicechat.core.text import clean, excerpt
from voicechat.errors import (
    ConnectError,
    KeyMissing,
    Secret,
    SessionLost,
    UsageError,
    VoicechatError,
    unusable_proxy,
)
from voicechat.providers.rest import HttpRequest, read_error
from voicechat.providers.speech_service import (
    SpeechAudio,
    SpeechEvent,
    SpeechFailed,
    SpeechReader,
    SpeechRequest,
    SpeechService,
    WholeBody,
)
from voicechat.system.http_body import UNCOMPRESSED, BodyError, pieces, read_start
from voicechat.system.http_client import open_client
from voicechat.system.loopback import is_loopback
from voicechat.transports.refusal_reasons import refusal

if TYPE_CHECKING:
    import httpx

CONNECT_S = 10.0
"""Seconds to connect."""
ANSWER_S = 90.0
"""Seconds until the answer begins: some servers speak the whole text before."""
PIECE_S = 30.0
"""Seconds until the next bytes of an answer."""
ATTEMPTS = 3
PAUSE_S = 0.5
"""Seconds before the second attempt, up to twice as many; before the third, doubled."""
_LONGEST_PAUSE_S = 10.0
_ENCODED = frozenset(
    {"audio/mpeg", "audio/mp3", "audio/ogg", "audio/opus", "audio/aac", "audio/flac"}
)
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_BYTES_PER_CHARACTER = 32_000
"""Bytes of an answer for each character at normal speed: half a second of sound in base64."""
_LEAST_BYTES = 16 << 20


class _PassingFailure(Exception):
    """A failure after which another attempt can help; it holds the error to raise otherwise."""

    def __init__(self, error: VoicechatError, pause_s: float = 0.0) -> None:
        super().__init__()
        self.error, self.pause_s = error, pause_s


class ProviderSpeech:
    """Speaks pieces of text, one after the other. Close it at the end."""

    def __init__(self, service: SpeechService, request: SpeechRequest) -> None:
        self._service, self._request = service, request
        self._client: httpx.AsyncClient | None = None

    async def speak(self, text: str) -> AsyncGenerator[SpeechEvent, None]:
        """Yield the answer for one piece; a failure is raised.

        Raises `KeyMissing`, `UsageError` for a setting that the provider refuses, `ConnectError`,
        and `SessionLost` for sound that is cut off.
        """
        post = self._service.request(self._request, text)
        check_encrypted(post.url, self._request.key)
        for attempt in range(ATTEMPTS):
            try:
                async with aclosing(self._attempt(post, len(text))) as events:
                    async for event in events:
                        yield event
                return
            except _PassingFailure as failure:
                if attempt + 1 == ATTEMPTS or failure.pause_s > _LONGEST_PAUSE_S:
                    raise failure.error from None
                spread = PAUSE_S * 2.0**attempt * (1 + random.random())
                await asyncio.sleep(max(failure.pause_s, spread))

    async def _attempt(
        self, post: HttpRequest, characters: int
    ) -> AsyncGenerator[SpeechEvent, None]:
        import httpx

        host = urlsplit(post.url).hostname or ""
        is_sounding = False
        try:
            async with aclosing(self._events(post, host, characters)) as events:
                async for event in events:
                    is_sounding = is_sounding or isinstance(event, SpeechAudio)
                    yield event
        except BodyError as error:
            raise SessionLost(f"{host} sent no readable sound. {error}") from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            absent = ConnectError(
                f"{host} could not be reached.", "Check the network and --base-url."
            )
            raise _PassingFailure(absent) from None
        except (httpx.TimeoutException, TimeoutError):
            raise SessionLost(f"{host} stopped answering.", "Try again.") from None
        except httpx.HTTPError:
            cut = SessionLost(f"{host} ended the sound early.", "Try again.")
            if is_sounding:
                raise cut from None
            raise _PassingFailure(cut) from None
        except (httpx.InvalidURL, UnicodeError):
            raise UsageError("The address cannot be used.", "Check --base-url.") from None

    async def _events(
        self, post: HttpRequest, host: str, characters: int
    ) -> AsyncGenerator[SpeechEvent, None]:
        client = self._open_client(host)
        headers = {name: value.reveal() for name, value in post.headers.items()} | UNCOMPRESSED
        stream = client.stream("POST", post.url, headers=headers, content=post.body)
        async with asyncio.timeout(ANSWER_S):
            answer = await stream.__aenter__()
        try:
            if answer.status_code != 200:
                async with asyncio.timeout(PIECE_S):
                    body = await read_start(answer)
                self._refuse(host, answer, body)
            content_type = answer.headers.get("content-type", "").strip().lower()
            reader = self._service.reader(self._request, content_type)
            self._check_media_type(host, content_type.partition(";")[0].rstrip(), reader)
            most = most_bytes(characters, self._request.speed)
            async with aclosing(_read(answer, reader, host, most)) as events:
                async for event in events:
                    if isinstance(event, SpeechFailed):
                        raise failed(host, event, self._request.key)
                    yield event
        finally:
            await stream.__aexit__(None, None, None)

    def _check_media_type(self, host: str, media_type: str, reader: SpeechReader) -> None:
        """Raise `ConnectError` for an answer that is not the requested sound."""
        if not isinstance(reader, WholeBody) or media_type in {"", "application/octet-stream"}:
            return
        wanted, sent = self._request.format, clean(media_type)[:60]
        is_encoded = media_type in _ENCODED
        if not media_type.startswith("audio/") or (wanted in {"wav", "pcm"} and is_encoded):
            raise ConnectError(
                f"{host} sent {sent} instead of {wanted}.", "Check --base-url and --model."
            )

    def _open_client(self, host: str) -> httpx.AsyncClient:
        import httpx

        if self._client is None:
            try:
                self._client = open_client(
                    timeout=httpx.Timeout(None, connect=CONNECT_S, pool=CONNECT_S),
                    follow_redirects=False,
                    trust_env=not is_loopback(host),
                )
            except ImportError:
                raise unusable_proxy() from None
        return self._client

    def _refuse(self, host: str, answer: httpx.Response, body: bytes) -> NoReturn:
        """Raise the error for an answer with a status other than 200."""
        status = answer.status_code
        said = _quotable(read_error(body), self._request.key)
        if status in {401, 403} and not self._request.key:
            raise KeyMissing(f"{host} asks for a key (HTTP {status}).", "Set the provider's key.")
        error = refused(host, status, said)
        if status in _PASSING and type(error) is ConnectError and not _is_final(said):
            raise _PassingFailure(error, _retry_after(answer))
        raise error

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def most_bytes(characters: int, speed: float | None) -> int:
    """Return how many bytes the speech of a text may have. More is sound without end."""
    return _LEAST_BYTES + int(characters * _BYTES_PER_CHARACTER / min(1.0, speed or 1.0))


async def _read(
    answer: httpx.Response, reader: SpeechReader, host: str, most: int
) -> AsyncGenerator[SpeechEvent, None]:
    """Yield what a reader finds in a body. Raises `SessionLost` if it is cut off or too long."""
    received = 0
    async with aclosing(pieces(answer)) as body:
        while True:
            async with asyncio.timeout(PIECE_S):
                piece = await anext(body, None)
            if piece is None:
                break
            received += len(piece)
            if received > most:
                raise SessionLost(f"{host} does not stop sending sound.")
            for event in reader.read(piece):
                yield event
    if not reader.finished:
        raise SessionLost(f"{host} ended the sound early.", "Try again.")


def failed(host: str, event: SpeechFailed, key: Secret | None) -> VoicechatError:
    """Return the error for a failure that a provider reports in its answer."""
    said = _quotable(event.reason, key)
    quote = f": {said}" if said else ""
    return refusal(host, said, quote) or SessionLost(f"{host} could not speak the text{quote}.")


def refused(host: str, status: int, said: str) -> VoicechatError:
    """Return the error for an answer with a status other than 200.

    said: the clean reason of the provider, without a key.
    """
    tail = f" (HTTP {status}{f': {said}' if said else ''})."
    quote = tail.removesuffix(".")
    known = refusal(host, said, quote) if said else None
    if known is not None:
        return known
    if status in {401, 403}:
        return KeyMissing(f"{host} refused the key{tail}", "Check the key and its permissions.")
    if status == 402:
        return ConnectError(f"The account at {host} has no quota left{tail}", "Check its billing.")
    if status in {400, 413, 422}:
        return UsageError(f"{host} refused the request{tail}", "Check the options.")
    if status == 404:
        return ConnectError(f"{host} cannot speak this{tail}", "Check --model and --base-url.")
    if status == 429:
        return ConnectError(f"{host} limits the rate of requests{tail}", "Try again later.")
    if 300 <= status < 400:
        return ConnectError(f"{host} redirects to another address{tail}", "Use that one.")
    return ConnectError(f"{host} could not speak the text{tail}", "Try again later.")


def _quotable(text: str, key: Secret | None) -> str:
    """Return a provider's text for a sentence: clean, short and without the key."""
    if key:
        text = text.replace(key.reveal(), "***")
    return excerpt(" ".join(clean(text).split())).rstrip(".")


def check_encrypted(url: str, key: Secret | None) -> None:
    """Raise `UsageError` if a key would be sent without TLS to another machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if key and parts.scheme in {"http", "ws"} and not is_loopback(host):
        raise UsageError(
            f"The key would be sent unencrypted to {clean(host)}.",
            "Use an https:// base URL, or unset the key.",
        )


def _is_final(said: str) -> bool:
    return refusal("", said, "") is not None


def _retry_after(answer: httpx.Response) -> float:
    """Return the seconds that the provider asks to wait; 0 if it names none (RFC 9110, 10.2.3)."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0
