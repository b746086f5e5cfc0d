"""Decide if a turn is the echo of the assistant's own voice.

A turn that stops a reply contains, if it is an echo, the words that the speaker played shortly
before. One or two words that ask for nothing are also taken for an echo when they begin with the
reply, because an echo canceller that has not adapted yet leaves the most at that time, or in the
last word before a pause, whose echo may arrive when nothing plays over it. They need not be as
similar either: the recognizer invents words for the rest of an echo. A turn without any words
stopped the reply for nothing. How long the detection and the stop took does not count: a busy
machine takes longer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from voicechat.server.assistant.numerals import cardinal_words, number
from voicechat.server.realtime.item_store import StoredItem

PLAYED_MS, LATE_MS = 2_500.0, 300.0
"""An echo has words that end in this time before the reply stopped, or shortly after."""
ONSET_MS = 300.0
"""A short turn that begins this soon after a reply is its echo."""
DETECTION_MS = 300.0
"""Time from the begin of a turn to the stop, if it was not measured."""
_SHORT_TURN = 2
"""Most words of a turn that may be the echo of other words."""
_PAUSES = frozenset(".,;:!?…")
_ALIKE, _SHORT_ALIKE = 0.8, 0.65
"""How similar an echo is to what was played, from 0 to 1; and an echo of one or two words."""
_COMMANDS = frozenset(
    {
        "stop", "wait", "cancel", "quiet", "enough", "pause", "no", "yes", "okay",
        "ok", "hello", "hold on", "shut up", "be quiet", "stop it", "stop that",
        "never mind", "thank you",
    }
)  # fmt: skip
"""Short turns that always count."""
_NUMBER = re.compile(r"(?<![\w.,])(?P<whole>[0-9]{1,9})(?:\.(?P<digits>[0-9]{1,6}))?(?![0-9])")


class SpokenOver:
    """A reply that the user's speech may have stopped. Times are on the clock of the input."""

    def __init__(self, reply: StoredItem, began_ms: float) -> None:
        self.reply: Final = reply
        self._began_ms = began_ms
        self._detection_ms: float | None = None

    def note_stop(self, clock_ms: float) -> None:
        """Note how much sound of the speech came until the client stopped the reply."""
        if self._detection_ms is None and self.reply.heard_ms is not None:
            self._detection_ms = clock_ms - self._began_ms

    def is_echo(self, text: str, *, request: bool) -> bool:
        """Return True if the speech is an echo; False if the reply was not stopped."""
        heard_ms, words = self.reply.heard_ms, self.reply.timed_words()
        detection_ms = DETECTION_MS if self._detection_ms is None else self._detection_ms
        return heard_ms is not None and is_echo(
            text, words, heard_ms, request=request, detection_ms=detection_ms
        )


def is_echo(
    text: str,
    words: Sequence[tuple[str, float]],
    heard_ms: float,
    *,
    request: bool,
    detection_ms: float = DETECTION_MS,
) -> bool:
    """Return True if the text of a turn is an echo of the reply that it stopped.

    words: each word of the reply with the time in ms at which its sound and a pause after it end.
    heard_ms: how much of the reply was played. request: the text asks for something.
    detection_ms: sound of the turn until the reply stopped.
    """
    said = _plain(text)
    if not said:
        return True
    if " ".join(said) in _COMMANDS:
        return False
    began_ms = heard_ms - detection_ms
    begin = min(heard_ms - PLAYED_MS, began_ms - PLAYED_MS + DETECTION_MS)
    end = heard_ms + LATE_MS
    starts = [0.0, *(at for _, at in words)]
    spans = [(word, start, at) for start, (word, at) in zip(starts, words, strict=False)]
    played = [
        plain
        for word, start, at in spans
        if begin <= at and (at <= end or start < heard_ms)
        for plain in _plain(word)
    ]
    is_short = not request and len(said) <= _SHORT_TURN
    if _contains(played, said, _SHORT_ALIKE if is_short else _ALIKE):
        return True
    if not is_short:
        return False
    in_last_word = any(start <= began_ms <= at and _is_last(word) for word, start, at in spans)
    return began_ms <= ONSET_MS or in_last_word


def _is_last(word: str) -> bool:
    """Return True for a word before a pause."""
    return word.rstrip("\"'”’) \n")[-1:] in _PAUSES


def _contains(played: list[str], said: list[str], alike: float) -> bool:
    """Return True if a run of the played words is similar enough and has the same numbers."""
    runs = (
        played[at : at + count]
        for count in range(max(len(said) - 1, 1), len(said) + 2)
        for at in range(len(played) - count + 1)
    )
    return any(_numbers(said) <= _numbers(run) and _likeness(run, said) >= alike for run in runs)


def _likeness(one: list[str], other: list[str]) -> float:
    return SequenceMatcher(None, " ".join(one), " ".join(other), autojunk=False).ratio()


def _numbers(words: list[str]) -> set[str]:
    return {word for word in words if word not in ("a", "an") and number([word]) is not None}


def _plain(text: str) -> list[str]:
    """Return the words in lower case, without punctuation; numbers in words, as they sound."""
    text = _NUMBER.sub(_in_words, text.lower())
    kept = "".join(letter if letter.isalnum() or letter == "'" else " " for letter in text)
    return kept.split()


def _in_words(found: re.Match[str]) -> str:
    whole, digits = found["whole"], found["digits"] or ""
    if len(whole) == 4 and "1100" <= whole < "2100" and not digits:  # a year
        parts = [whole[:2], whole[2:].removeprefix("0") or "hundred"]
    else:
        parts = [whole, *(["point", *digits] if digits else [])]
    return " ".join(cardinal_words(int(one)) if one.isdecimal() else one for one in parts)
