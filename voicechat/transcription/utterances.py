"""Utterances: the parts of a stream of sound that contain speech, until their text is final.

Silence is not sent. An utterance is kept until its text is final, so that it can be sent again on
a new connection. A lost connection therefore loses no speech.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicechat.core.settings import AudioFormat
from voicechat.core.turns import RecentIds

if TYPE_CHECKING:
    from voicechat.speech.vad import Detector

PREFIX_MS = 400.0
"""Milliseconds of sound before the detected start that belong to an utterance."""

PAUSE_MS = 600
"""Milliseconds of silence that end an utterance."""

LONG_UTTERANCE_MS = 20_000.0
"""Milliseconds after which an utterance ends at the next short pause."""

MAX_UTTERANCE_MS = 50_000.0
"""Milliseconds after which an utterance ends even within a word."""


@dataclass(slots=True)
class Utterance:
    """The sound of one utterance, and how much of it the current connection received."""

    pcm: bytearray = field(default_factory=bytearray)
    is_over: bool = False
    sent: int = 0
    """Number of bytes sent on the current connection."""
    committed: bool = False
    item_id: str = ""
    """Id of its item at the provider; empty until the provider acknowledges the commit."""

    def reset_sent(self) -> None:
        """Mark it as not sent, for a new connection."""
        self.sent, self.committed, self.item_id = 0, False, ""


class Utterances:
    """Detector of utterances in a stream of sound; keeps those whose text is not final."""

    def __init__(self, audio_format: AudioFormat, detector: Detector | None = None) -> None:
        """Detect speech in sound of this format.

        detector: None loads the best one. Raises `ServerError` without any.
        """
        from voicechat.local_models.installed_model import detector_file
        from voicechat.speech import vad
        from voicechat.speech.endpointing import Endpointer

        self.waiting: list[Utterance] = []
        """The utterances without a final text, oldest first; the last may be in progress."""
        self._audio_format = audio_format
        self._finished_ids = RecentIds()
        self._prefix = bytearray()
        self._clock_ms = 0.0
        self._at_detector_rate = _converter(audio_format.rate)
        self._endpointer = Endpointer(detector or vad.detector(detector_file("vad")))
        self._endpointer.configure({"silence_duration_ms": PAUSE_MS})

    @property
    def speaking(self) -> bool:
        """True while an utterance is in progress."""
        return bool(self.waiting) and not self.waiting[-1].is_over

    @property
    def untranscribed(self) -> int:
        """Number of ended utterances without a final text."""
        return sum(utterance.is_over for utterance in self.waiting)

    def add(self, pcm: bytes) -> None:
        """Add sound in the format of the source."""
        from voicechat.speech.endpointing import SpeechStart

        self._clock_ms += self._audio_format.ms(len(pcm))
        changes = self._endpointer.feed(self._at_detector_rate(pcm), self._clock_ms)
        if any(isinstance(change, SpeechStart) for change in changes) and not self.speaking:
            self.waiting.append(Utterance(bytearray(self._prefix)))
        if self.speaking:
            self.waiting[-1].pcm += pcm
            self._prefix.clear()
        else:
            self._prefix += pcm
            del self._prefix[: -int(PREFIX_MS / self._audio_format.ms(2)) * 2]
        if any(not isinstance(change, SpeechStart) for change in changes) and self.speaking:
            self.end_utterance()
        elif self.speaking and self._endpointer.speaking and self._is_long():
            self.end_utterance()
            self.waiting.append(Utterance())

    def _is_long(self) -> bool:
        ms = self._audio_format.ms(len(self.waiting[-1].pcm))
        return ms > MAX_UTTERANCE_MS or (ms > LONG_UTTERANCE_MS and self._endpointer.pausing)

    def end_utterance(self) -> None:
        """End the utterance in progress; one without sound is removed."""
        if self.speaking:
            self.waiting[-1].is_over = True
            if not self.waiting[-1].pcm:
                self.waiting.pop()

    def reset_sent(self) -> None:
        """Mark all utterances as not sent, for a new connection."""
        for utterance in self.waiting:
            utterance.reset_sent()

    def drop_unsent(self) -> None:
        """Remove every utterance of which nothing was sent."""
        self.waiting = [utterance for utterance in self.waiting if utterance.sent]

    def acknowledge(self, item_id: str) -> None:
        """Record that the provider made the item `item_id` of the oldest committed utterance."""
        for utterance in self._unacknowledged():
            utterance.item_id = item_id
            if item_id in self._finished_ids:
                self.waiting.remove(utterance)
            return

    def reject(self) -> None:
        """Remove the oldest committed utterance, which the provider rejected."""
        for utterance in self._unacknowledged():
            self.waiting.remove(utterance)
            return

    def finish(self, item_id: str) -> None:
        """Remove the utterance of an item whose text is final."""
        self._finished_ids.add(item_id)
        self.waiting = [utterance for utterance in self.waiting if utterance.item_id != item_id]

    def _unacknowledged(self) -> Iterator[Utterance]:
        return (
            utterance
            for utterance in list(self.waiting)
            if utterance.committed and not utterance.item_id
        )


def _converter(rate: int) -> Callable[[bytes], bytes]:
    """Return how to convert PCM16 at `rate` Hz for a detector; without numpy if it is the same."""
    from voicechat.speech.vad import VAD_RATE

    if rate == VAD_RATE:
        return lambda pcm: pcm
    from voicechat.speech.formats import Format
    from voicechat.speech.pcm import Resampler

    decode, resampler = Format().decode, Resampler(rate, VAD_RATE)
    return lambda pcm: resampler.convert(decode(pcm)).tobytes()
