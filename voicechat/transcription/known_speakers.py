"""Speakers of a recording that is transcribed in pieces: labels that stay the same.

A model that hears a sound of a speaker gives that speaker the name of the sound. All others get
letters that mean something in their piece only.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from string import ascii_uppercase
from typing import Final

from voicechat.core.recorded_speech import RecordedSpeech, TimedSegment, relabeled
from voicechat.providers.transcription_service import SpeakerReference
from voicechat.transcription.sound_pieces import RecordedPiece

MOST_SPEAKERS: Final = 4
"""Speakers that a model knows. Source: OpenAI API reference, "Create transcription"."""
LEAST_S, LONGEST_S = 2.0, 6.0
"""Seconds of the sound of a speaker. OpenAI takes up to 10 s."""

_SENT = "Speaker "
"""Begins the name that is sent: the model itself names speakers with letters."""
_APART = "-"
"""Between the number of a part and a label that is valid there only."""


class KnownSpeakers:
    """The speakers of one recording so far. Its pieces come in order."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        """Held while a piece is transcribed: the next one needs its speakers."""
        self._sounds: dict[str, bytes] = {}
        self._labels: set[str] = set()

    @property
    def references(self) -> tuple[SpeakerReference, ...]:
        """The speakers that a model can know again."""
        return tuple(SpeakerReference(_SENT + name, wav) for name, wav in self._sounds.items())

    def labeled(self, part: int, speech: RecordedSpeech) -> RecordedSpeech:
        """Return the transcript of a new piece, number `part` from 1, with the lasting labels."""
        if part == 1:
            return speech
        free = iter([each for each in ascii_uppercase if each not in self._labels])
        room = MOST_SPEAKERS - len(self._sounds)
        names: dict[str, str] = {}
        for sent in speech.speakers:
            known = sent.removeprefix(_SENT)
            if known in self._sounds and known != sent:
                names[sent] = known
            elif room > 0 and _longest(speech, sent) is not None:
                room -= 1
                names[sent] = next(free)
            else:
                names[sent] = f"{part}{_APART}{sent}"
        return relabeled(speech, names)

    def remember(self, piece: RecordedPiece, speech: RecordedSpeech) -> None:
        """Keep a sound of each speaker who is new in this piece."""
        for label in speech.speakers:
            self._labels.add(label)
            found = _longest(speech, label)
            is_lasting = _APART not in label and label not in self._sounds
            if found is not None and is_lasting and len(self._sounds) < MOST_SPEAKERS:
                middle_s = (found.start_s + found.end_s) / 2
                length_s = min(found.end_s - found.start_s, LONGEST_S)
                self._sounds[label] = piece.part(middle_s - length_s / 2, length_s)

    @staticmethod
    def checked(speech: RecordedSpeech) -> RecordedSpeech:
        """Return the whole transcript, with a warning if a label is valid in a part only."""
        apart = next((each for each in speech.speakers if _APART in each), None)
        if apart is None:
            return speech
        warning = (
            f"{apart} may be a speaker of another part: the model knows {MOST_SPEAKERS} speakers"
            f" again, each by {LEAST_S:g} s of speech."
        )
        return replace(speech, warnings=(*speech.warnings, warning))


def _longest(speech: RecordedSpeech, label: str) -> TimedSegment | None:
    """Return the longest speech of a speaker; None if it is too short to know the voice again."""
    own = (each for each in speech.segments if each.speaker == label)
    found = max(own, key=lambda each: each.end_s - each.start_s, default=None)
    return found if found is not None and found.end_s - found.start_s >= LEAST_S else None
