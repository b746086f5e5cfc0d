"""Transcription events: the user's speech as text. These are events like those in `events`."""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.core.items import Usage


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of transcribed text and its log probability (natural logarithm)."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """The user's words: an addition or, with `replace`, all of them so far.

    `final` is true once per item, also if it could not be transcribed (`error` set); `text` is then
    the whole text.
    """

    item_id: str
    text: str
    final: bool = False
    replace: bool = False
    error: str | None = None
    usage: Usage | None = None
    tokens: tuple[Token, ...] = ()
    """Confidence per token; only on request."""
    languages: tuple[str, ...] = ()
    """Detected languages, if the transcriber reports them."""


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A segment of an item in which one person speaks; several make up its text."""

    item_id: str
    text: str
    speaker: str
    """The provider's label of the voice, the same within one session."""
    start_s: float
    """Seconds from the start of the item's audio."""
    end_s: float
