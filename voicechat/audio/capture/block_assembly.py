"""Blocks for the provider, assembled from processed frames, with the pre-roll."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from voicechat.audio.capture.far_end import SampleQueue
from voicechat.audio.capture.voice_activity import RATE
from voicechat.audio.messages import AudioSettings
from voicechat.core.inputs import MicBlock
from voicechat.speech.pcm import Resampler, Samples

_PREROLL_MS: Final = 300
_QUIET_BLOCKS: Final = 10
"""Blocks delivered together while it is quiet."""


class BlockAssembly:
    """Converts frames at 16 kHz to the provider's rate and cuts them into blocks."""

    def __init__(self, settings: AudioSettings) -> None:
        self._block: Final = settings.input_rate * settings.block_ms // 1000
        self._rate: Final = settings.input_rate
        self._preroll: deque[MicBlock] = deque(maxlen=max(1, _PREROLL_MS // settings.block_ms))
        self._resampler: Final = Resampler(RATE, settings.input_rate)
        self.restart()

    def restart(self) -> None:
        """Drop what is not yet a block."""
        self._frames: list[Samples] = []
        self._ready = SampleQueue()

    def drop_preroll(self) -> None:
        """Drop the sound before the microphone opens, because its stream has a gap there."""
        self._preroll.clear()

    def add(self, frames: Iterable[Samples]) -> None:
        """Append processed sound at 16 kHz, each a whole number of frames."""
        self._frames.extend(frames)

    def blocks(
        self, last_at: float, *, quiet: bool, muted: bool, closed: bool
    ) -> Iterator[MicBlock]:
        """Yield the finished blocks; `last_at` is the time of the newest sample.

        While it is quiet several blocks go together, because each costs the whole path to the
        provider. A closed microphone yields nothing; once it opens, the last 300 ms come first.
        """
        if self._frames:
            self._ready.put(self._resampler.convert(np.concatenate(self._frames)))
            self._frames.clear()
        size = self._block
        if quiet and not closed:
            size *= _QUIET_BLOCKS
        while (block := self._ready.take(size)) is not None:
            at = last_at - len(self._ready) / self._rate
            mic_block = MicBlock(bytes(2 * size) if muted else block.tobytes(), at)
            if closed:
                self._preroll.append(mic_block)
                continue
            while self._preroll:
                yield self._preroll.popleft()
            yield mic_block
