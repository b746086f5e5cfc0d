"""The words of a recording, with their times, and how those of its pieces are joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from voicechat.core.items import Usage
from voicechat.core.transcript_events import Token

_PAUSE_S = 0.8
"""Seconds between two words that end a segment."""
_LONGEST_S = 7.0
"""Seconds after which a segment ends with the next word."""
_ENDS = (".", "?", "!", "…", "。", "？", "！")
_NO_SPACE_BEFORE = tuple(".,?!;:…%)]}。、，？！")


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word. Times are seconds from the start of the recording."""

    text: str
    start_s: float
    end_s: float
    speaker: str = ""
    """Name or label of the voice; empty if it is unknown."""


@dataclass(frozen=True, slots=True)
class TimedSegment:
    """A sentence or a part of one. Times are seconds from the start of the recording."""

    text: str
    start_s: float
    end_s: float
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class RecordedSpeech:
    """The transcript of a recording."""

    text: str = ""
    segments: tuple[TimedSegment, ...] = ()
    """In the order of their times; empty if the model gives none."""
    words: tuple[TimedWord, ...] = ()
    language: str = ""
    duration_s: float = 0.0
    """Length of the recording in seconds; 0 if it is unknown."""
    usage: Usage = field(default_factory=Usage)
    tokens: tuple[Token, ...] = ()
    """Log probability of each token; only on request."""
    warnings: tuple[str, ...] = ()
    """Sentences about settings that were not used, and about sound that is missing."""

    @property
    def speakers(self) -> tuple[str, ...]:
        """The voices in the order in which they first speak."""
        segments = (each.speaker for each in self.segments if each.speaker)
        words = (each.speaker for each in self.words if each.speaker)
        return tuple(dict.fromkeys([*segments, *words]))


def shifted(speech: RecordedSpeech, start_s: float) -> RecordedSpeech:
    """Return the transcript of a piece with the times of the recording that it begins at."""
    return replace(
        speech,
        segments=tuple(
            replace(each, start_s=each.start_s + start_s, end_s=each.end_s + start_s)
            for each in speech.segments
        ),
        words=tuple(
            replace(each, start_s=each.start_s + start_s, end_s=each.end_s + start_s)
            for each in speech.words
        ),
    )


def relabeled(speech: RecordedSpeech, labels: Mapping[str, str]) -> RecordedSpeech:
    """Return a transcript with other labels of the speakers; one that is missing stays."""
    return replace(
        speech,
        segments=tuple(
            replace(each, speaker=labels.get(each.speaker, each.speaker))
            for each in speech.segments
        ),
        words=tuple(
            replace(each, speaker=labels.get(each.speaker, each.speaker)) for each in speech.words
        ),
    )


def within(speech: RecordedSpeech, seconds: float) -> RecordedSpeech:
    """Return the transcript of a piece with every time inside the piece.

    Models place the last words of a piece up to half a minute behind its end.
    """

    def inside(time_s: float) -> float:
        return min(max(time_s, 0.0), seconds)

    return replace(
        speech,
        segments=tuple(
            replace(each, start_s=inside(each.start_s), end_s=inside(each.end_s))
            for each in speech.segments
        ),
        words=tuple(
            replace(each, start_s=inside(each.start_s), end_s=inside(each.end_s))
            for each in speech.words
        ),
    )


def joined(pieces: Sequence[RecordedSpeech]) -> RecordedSpeech:
    """Join the transcripts of the pieces of a recording, which are in order."""
    languages = [each.language for each in pieces if each.language]
    return RecordedSpeech(
        text=" ".join(each.text.strip() for each in pieces if each.text.strip()),
        segments=tuple(segment for each in pieces for segment in each.segments),
        words=tuple(word for each in pieces for word in each.words),
        language=max(languages, key=languages.count, default=""),
        duration_s=sum(each.duration_s for each in pieces),
        usage=reduce(Usage.__add__, (each.usage for each in pieces), Usage()),
        tokens=tuple(token for each in pieces for token in each.tokens),
        warnings=tuple(dict.fromkeys(text for each in pieces for text in each.warnings)),
    )


def segments_of(words: Iterable[TimedWord]) -> tuple[TimedSegment, ...]:
    """Return segments made of words: they end with a sentence, a pause or another speaker."""
    found: list[TimedSegment] = []
    open_words: list[TimedWord] = []

    def end() -> None:
        if open_words:
            first, last = open_words[0], open_words[-1]
            text = text_of(word.text for word in open_words)
            found.append(TimedSegment(text, first.start_s, last.end_s, first.speaker))
            open_words.clear()

    for word in words:
        if open_words and _is_apart(open_words, word):
            end()
        open_words.append(word)
    end()
    return tuple(found)


def _is_apart(before: Sequence[TimedWord], word: TimedWord) -> bool:
    last = before[-1]
    return (
        word.speaker != last.speaker
        or word.start_s - last.end_s > _PAUSE_S
        or last.text.rstrip().endswith(_ENDS)
        or word.end_s - before[0].start_s > _LONGEST_S
    )


def text_of(words: Iterable[str]) -> str:
    """Return words as a text; punctuation that is a word of its own follows without a space."""
    text = ""
    for word in map(str.strip, words):
        text += word if not text or word.startswith(_NO_SPACE_BEFORE) else f" {word}"
    return text
