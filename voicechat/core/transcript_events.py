"""Transcription events: the user's speech as text. These are events like those in `events`."""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.core.items import Usage


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text and the natural logarithm of how likely the transcriber found it."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """The user's words: more of them, or with `replace` all of them so far.

    `final` is true once per item, also when it could not be transcribed (`error` set); `text` is
    then the whole text.
    """

    item_id: str
    text: str
    final: bool = False
    replace: bool = False
    error: str | None = None
    usage: Usage | None = None
    tokens: tuple[Token, ...] = ()
    """Confidence of the transcriber; only on request."""
    languages: tuple[str, ...] = ()
    """The languages it heard, where it says so."""


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A stretch of an item in which one person spoke; several make up its text."""

    item_id: str
    text: str
    speaker: str
    """The provider's name for the voice, the same within one session."""
    start_s: float
    """Seconds from the beginning of the item's sound."""
    end_s: float
