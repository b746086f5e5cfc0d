"""Stretches of speech on their way to whoever writes them down, cut out of a stream of sound.

Silence is not sent. An utterance is kept until its text is final, so that it can be said again
on another connection: no word is lost with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from voicechat.core.settings import AudioFormat
from voicechat.core.turns import RecentIds

PREFIX_MS = 400.0
"""Sound from before the first word that goes with it."""

PAUSE_MS = 600
"""Silence that ends an utterance."""

LONG_MS = 20_000.0
"""An utterance that lasts longer ends at the next short pause,"""

LONGEST_MS = 50_000.0
"""and one that lasts even longer ends in the middle of a word."""


@dataclass(slots=True)
class Utterance:
    """One of them, and how much of it the present connection was told."""

    pcm: bytearray = field(default_factory=bytearray)
    over: bool = False
    sent: int = 0
    """Bytes that were sent."""
    committed: bool = False
    item_id: str = ""
    """What the provider calls it, once it has acknowledged the commit."""

    def again(self) -> None:
        """The connection knows nothing of it."""
        self.sent, self.committed, self.item_id = 0, False, ""


class Utterances:
    """Finds utterances in the sound and keeps those whose text is not final."""

    def __init__(self, form: AudioFormat) -> None:
        """`form` is that of the sound. Raises `ServerError` when speech cannot be detected."""
        from voicechat.speech.endpointing import Endpointer
        from voicechat.speech.formats import Format
        from voicechat.speech.pcm import Resampler
        from voicechat.speech.vad import VAD_RATE, detector

        self.waiting: list[Utterance] = []
        """In the order in which they were said; the last may still go on."""
        self._form = form
        self._texts = RecentIds()
        self._before = bytearray()
        self._clock_ms = 0.0
        self._decode = Format().decode
        self._resampler = Resampler(form.rate, VAD_RATE)
        self._endpointer = Endpointer(detector())
        self._endpointer.configure({"silence_duration_ms": PAUSE_MS})

    @property
    def speaking(self) -> bool:
        """True if an utterance goes on."""
        return bool(self.waiting) and not self.waiting[-1].over

    @property
    def unwritten(self) -> int:
        """How many utterances that are over have no final text yet."""
        return sum(each.over for each in self.waiting)

    def feed(self, pcm: bytes) -> None:
        """More sound."""
        from voicechat.speech.endpointing import SpeechStart

        self._clock_ms += self._form.ms(len(pcm))
        heard = self._resampler.convert(self._decode(pcm)).tobytes()
        changes = self._endpointer.feed(heard, self._clock_ms)
        if any(isinstance(change, SpeechStart) for change in changes) and not self.speaking:
            self.waiting.append(Utterance(bytearray(self._before)))
        if self.speaking:
            self.waiting[-1].pcm += pcm
            self._before.clear()
        else:
            self._before += pcm
            del self._before[: -int(PREFIX_MS / self._form.ms(2)) * 2]
        if any(not isinstance(change, SpeechStart) for change in changes) and self.speaking:
            self.end()
        elif self.speaking and self._endpointer.speaking and self._is_long():
            self.end()
            self.waiting.append(Utterance())

    def _is_long(self) -> bool:
        ms = self._form.ms(len(self.waiting[-1].pcm))
        return ms > LONGEST_MS or (ms > LONG_MS and self._endpointer.pausing)

    def end(self) -> None:
        """The utterance that goes on is over; one without sound never was."""
        if self.speaking:
            self.waiting[-1].over = True
            if not self.waiting[-1].pcm:
                self.waiting.pop()

    def again(self) -> None:
        """There is a new connection: everything that waits has to be said again."""
        for each in self.waiting:
            each.again()

    def acknowledged(self, item_id: str) -> None:
        """The provider has made the oldest committed utterance its item `item_id`."""
        for each in self._unnamed():
            each.item_id = item_id
            if item_id in self._texts:
                self.waiting.remove(each)
            return

    def refused(self) -> None:
        """The provider did not take the oldest committed utterance."""
        for each in self._unnamed():
            self.waiting.remove(each)
            return

    def written(self, item_id: str) -> None:
        """The text of an item is final."""
        self._texts.add(item_id)
        self.waiting = [each for each in self.waiting if each.item_id != item_id]

    def _unnamed(self) -> Iterator[Utterance]:
        return (each for each in list(self.waiting) if each.committed and not each.item_id)
