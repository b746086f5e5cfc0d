"""Transcription of recordings by a provider: its requests and how its answers are read.

This module sends nothing. One request holds a whole recording, or a piece of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from voicechat.core.items import Usage
from voicechat.core.recorded_speech import RecordedSpeech
from voicechat.errors import Secret
from voicechat.providers.base_url import checked
from voicechat.providers.json_fields import as_text, count, fields, number

Times = Literal["", "segment", "word"]
"""The times that are wanted: none in particular, of segments, or of words too."""


@dataclass(frozen=True, slots=True)
class TranscriptionWishes:
    """What the user wants of a transcript."""

    language: str | None = None
    """Language of the speech, such as `en`; None lets the model detect it."""
    prompt: str | None = None
    """A text in the style of the speech, with names as they are written."""
    keywords: tuple[str, ...] = ()
    """Words that the speech may contain."""
    diarize: bool = False
    """Tell the speakers apart."""
    times: Times = ""
    logprobs: bool = False
    """The log probability of each token."""


@dataclass(frozen=True, slots=True)
class UploadedSound:
    """A sound to send: the bytes of a piece, or a whole file."""

    media_type: str
    suffix: str
    """The usual ending of its name, such as `mp3`."""
    content: bytes = field(default=b"", repr=False)
    path: Path | None = None
    """The file that holds the content; it is read while it is sent."""
    seconds: float = 0.0
    """Length; 0 if it is unknown."""

    def read(self) -> bytes:
        """Return the bytes. Raises `OSError`."""
        return self.content if self.path is None else self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class SpeakerReference:
    """A speaker that the model recognizes in further parts."""

    name: str
    wav: bytes = field(repr=False)
    """Some seconds of speech, as a WAV file."""


@dataclass(frozen=True, slots=True)
class TranscriptionJob:
    """How to have sounds transcribed."""

    model: str
    """Without the provider's name."""
    wishes: TranscriptionWishes = field(default_factory=TranscriptionWishes)
    key: Secret | None = None
    base_url: str | None = None
    """Root of the provider's API; None for its public address."""
    options: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
    """The settings of the provider, such as the tags of the gateway."""
    environ: Mapping[str, str | Secret] = field(default_factory=dict, repr=False, hash=False)
    speakers: tuple[SpeakerReference, ...] = ()
    """For a model that knows speakers."""


@dataclass(frozen=True, slots=True)
class TranscriptionPost:
    """A POST. Either a form whose last field is the file, or a body."""

    url: str
    headers: Mapping[str, Secret]
    form: tuple[tuple[str, str], ...] = ()
    """Fields in order; a name may repeat."""
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TranscriptionService:
    """Transcription of recordings by one provider."""

    choose: Callable[[TranscriptionWishes, bool], str]
    """Returns the default model for these wishes. The switch is True for a server of the user's
    own, which has other models."""
    models: tuple[str, ...]
    """Models to list; other names are accepted."""
    request: Callable[[TranscriptionJob, UploadedSound], TranscriptionPost]
    read: Callable[[TranscriptionJob, bytes], RecordedSpeech | None]
    """Reads the body of an answer; None if it is no transcript. Times are those of the sound."""
    gives_times: Callable[[str], bool]
    """Returns True if this model gives the times of segments."""
    lost: Callable[[TranscriptionJob], list[str]]
    """Returns a word for each wish that this model does not take, such as "a prompt"."""
    knows_speakers: Callable[[str], bool] = lambda _: False
    """Returns True if this model knows the speakers of a job again."""
    live_only: tuple[str, ...] = ()
    """Models that transcribe live speech only."""
    most_bytes: int = 24_000_000
    """Largest file of one request, in bytes."""
    most_seconds: float = 1_200.0
    """Longest sound of one request."""


def api_root(base_url: str) -> str:
    """Return the HTTP root of an API for the base URL of it or of its realtime socket.

    Raises `UsageError` if it is not an address.
    """
    parts = checked(base_url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/").removesuffix("/realtime") or "/v1"
    return f"{scheme}://{parts.netloc}{path}"


def same_host(base_url: str | None, url: str) -> bool:
    """Return True for no address of the user's own, or one at the host of `url`."""
    return not base_url or urlsplit(base_url).hostname == urlsplit(url).hostname


def billed(value: object) -> Usage:
    """Return the usage in an answer: of tokens, or of the seconds of the sound.

    Sources: OpenAI API reference, "Create transcription", `usage`; the AI SDK's own names.
    """
    found = fields(value)
    if as_text(found.get("type")) == "duration":
        return Usage(seconds=number(found.get("seconds")))
    inward = count(found.get("input_tokens")) or count(found.get("inputTokens"))
    outward = count(found.get("output_tokens")) or count(found.get("outputTokens"))
    total = count(found.get("total_tokens")) or count(found.get("totalTokens"))
    details = fields(found.get("input_token_details"))
    return Usage(
        total_tokens=total or inward + outward,
        input_tokens=inward,
        output_tokens=outward,
        input_text_tokens=count(details.get("text_tokens")),
        input_audio_tokens=count(details.get("audio_tokens")),
        output_text_tokens=outward,
    )
