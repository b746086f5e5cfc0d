"""Text to speech of a provider: its limits, its requests and how its answers are read.

This module sends nothing. A provider speaks a text over HTTP, one request for each piece of the
text, or over a socket that takes the text as it is written. Readers turn both kinds of answers
into `SpeechEvent`s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from voicechat.core.items import Usage
from voicechat.errors import Secret
from voicechat.providers.json_fields import as_text, base64_bytes, count, fields, message
from voicechat.providers.rest import HttpRequest
from voicechat.system.dial_target import DialTarget

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
"""A format of a file with speech. `pcm` is PCM16 mono at `SPEECH_RATE` without a header, `opus` an
Ogg file and `aac` an ADTS stream."""

SPEECH_FORMATS: tuple[SpeechFormat, ...] = get_args(SpeechFormat)

SPEECH_RATE = 24_000
"""Sample rate in Hz of PCM and WAV."""

MEDIA_TYPES: Mapping[SpeechFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": f"audio/pcm;rate={SPEECH_RATE}",
}

_RATE = re.compile(r"\brate=(\d{4,6})\b")
_LONGEST_LINE = 16 << 20
"""Bytes of one line of an event stream; it holds some seconds of sound in base64."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A text to speak and how to speak it. None leaves the choice to the provider."""

    model: str
    """Without the provider's name."""
    format: SpeechFormat = "pcm"
    voice: str | None = None
    speed: float | None = None
    instructions: str | None = None
    language: str | None = None
    key: Secret | None = None
    base_url: str | None = None
    """Root of the provider's API; None for its public address."""
    options: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
    """The settings of the provider, such as the tags of the gateway."""
    environ: Mapping[str, str | Secret] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class SpeechAudio:
    """The next bytes of the sound, in the requested format."""

    data: bytes = field(repr=False)
    rate: int = SPEECH_RATE
    """Sample rate in Hz of PCM without a header."""


@dataclass(frozen=True, slots=True)
class SpeechUsage:
    """What the provider bills for a text."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class SpeechWarning:
    """A sentence about a setting that the provider does not use."""

    text: str


@dataclass(frozen=True, slots=True)
class SpeechFailed:
    """The provider failed; no more sound follows."""

    reason: str
    """Its clean message; empty if there is none."""


SpeechEvent = SpeechAudio | SpeechUsage | SpeechWarning | SpeechFailed


class SpeechReader(Protocol):
    """Reads one answer."""

    finished: bool
    """True once the answer is known to be complete. An answer that ends before it was cut off."""

    def read(self, piece: bytes) -> Iterable[SpeechEvent]:
        """Read the next bytes of the body."""
        ...


class SpeechDialog(Protocol):
    """Both directions of one socket: writes the client's frames and reads the provider's."""

    finished: bool
    """True once all sound has arrived."""

    @property
    def target(self) -> DialTarget:
        """How to dial the socket."""
        ...

    def start(self) -> list[str]:
        """Return the first frames."""
        ...

    def text(self, delta: str) -> list[str]:
        """Return the frames for more text."""
        ...

    def end(self) -> list[str]:
        """Return the frames after the last text."""
        ...

    def read(self, frame: str | bytes) -> Iterable[SpeechEvent]:
        """Read a frame of the provider."""
        ...


@dataclass(frozen=True, slots=True)
class SpeechService:
    """Text to speech of one provider."""

    models: tuple[str, ...]
    """The default first. Other names are accepted."""
    request: Callable[[SpeechRequest, str], HttpRequest]
    """Builds the request that speaks a text."""
    reader: Callable[[SpeechRequest, str], SpeechReader]
    """Returns the reader of an answer with this `Content-Type`, in lower case."""
    voices: tuple[str, ...] = ()
    """All voices; empty if the provider has more than are known."""
    formats: tuple[SpeechFormat, ...] = SPEECH_FORMATS
    sound: Callable[[SpeechRequest], SpeechFormat] = lambda _: "pcm"
    """Returns the format to request for sound that is played or joined: `pcm` or `wav`."""
    most_characters: int = 4_000
    """Longest text of one request."""
    speeds: tuple[float, float] | None = None
    """Range of speeds; None if it has no speed."""
    takes_instructions: Callable[[str], bool] = lambda _: False
    """Returns True if this model follows instructions."""
    takes_language: bool = False
    dialog: Callable[[SpeechRequest], SpeechDialog] | None = None
    """Returns a dialog over a socket; None if the provider has no such socket."""
    dialog_s: float = math.inf
    """Seconds after which a socket takes no more text; the rest goes to another one."""
    bills_characters: Callable[[str], bool] = lambda _: False
    """Returns True if this model bills each character of the text. They count as tokens."""
    own_model: str = ""
    """Default model at an address of the user's own; empty for the usual one."""


class WholeBody:
    """An answer whose body is the sound. HTTP itself tells that it was cut off."""

    def __init__(self, media_type: str) -> None:
        self.finished = True
        self._rate = rate_in(media_type)

    def read(self, piece: bytes) -> Iterable[SpeechEvent]:
        """Return the bytes as they are."""
        return [SpeechAudio(piece, self._rate)]


class JsonBody:
    """An answer that is one JSON object; `read_object` finds the events in it."""

    def __init__(self, read_object: Callable[[dict[str, object]], Iterable[SpeechEvent]]) -> None:
        self.finished = False
        self._read_object = read_object
        self._body = bytearray()

    def read(self, piece: bytes) -> Iterable[SpeechEvent]:
        """Return the events of the object when it is complete."""
        self._body += piece
        if not self._body[-64:].rstrip().endswith(b"}"):
            return []
        found = message(bytes(self._body))
        if found is None:
            return []
        self.finished = True
        return list(self._read_object(found))


class ServerSentEvents:
    """An answer of server-sent events (WHATWG HTML, "Server-sent events"), one JSON object each.

    `read_event` returns the events of an object, and True if it is the last one.
    """

    def __init__(
        self, read_event: Callable[[dict[str, object]], tuple[Iterable[SpeechEvent], bool]]
    ) -> None:
        self.finished = False
        self._read_event = read_event
        self._rest = bytearray()
        """The line that is not complete."""

    def read(self, piece: bytes) -> Iterable[SpeechEvent]:
        """Yield the events of complete lines."""
        first, *more = piece.split(b"\n")
        self._rest += first
        lines = []
        if more:
            lines = [bytes(self._rest), *more[:-1]]
            self._rest = bytearray(more[-1])
        if len(self._rest) > _LONGEST_LINE:
            yield SpeechFailed("It sent a line that is too long.")
            return
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[len(b"data:") :].strip()
            found = message(data)
            if found is not None:
                events, is_last = self._read_event(found)
                yield from events
                self.finished = self.finished or is_last


def rate_in(media_type: str) -> int:
    """Return the sample rate that a media type names, such as audio/L16;rate=16000."""
    found = _RATE.search(media_type)
    return int(found[1]) if found else SPEECH_RATE


def at_rate(pcm: bytes, rate: int) -> bytes:
    """Return PCM16 mono at `SPEECH_RATE` as PCM16 at `rate` Hz, without half a frame at its end."""
    pcm = pcm[: len(pcm) // 2 * 2]
    if rate == SPEECH_RATE:
        return pcm
    import numpy as np

    from voicechat.speech.pcm import Resampler

    resampler = Resampler(SPEECH_RATE, rate)
    sound = resampler.convert(np.frombuffer(pcm, np.int16))
    return sound.tobytes() + resampler.finish().tobytes()


def audio_in(value: object, rate: int = SPEECH_RATE) -> Iterable[SpeechEvent]:
    """Return the sound in a field with base64; a failure if it is none."""
    data = base64_bytes(value)
    if data is None:
        return [SpeechFailed("It sent sound that is not base64.")]
    return [SpeechAudio(data, rate)] if data else []


def failure_in(value: object) -> SpeechFailed:
    """Return the failure that an error of a provider describes."""
    text = as_text(fields(value).get("message")) or as_text(value)
    return SpeechFailed(text or as_text(fields(value).get("code")))


def token_usage(value: object, inward: str, outward: str) -> list[SpeechEvent]:
    """Return the usage in an object with tokens of text and of sound; none if it has none."""
    found = fields(value)
    text, sound = count(found.get(inward)), count(found.get(outward))
    if not (text or sound):
        return []
    return [
        SpeechUsage(
            Usage(
                total_tokens=text + sound,
                input_tokens=text,
                input_text_tokens=text,
                output_tokens=sound,
                output_audio_tokens=sound,
            )
        )
    ]


def character_usage(characters: int) -> Usage:
    """Return the usage of a model that bills characters: each counts as a token of text."""
    return Usage(total_tokens=characters, input_tokens=characters, input_text_tokens=characters)
