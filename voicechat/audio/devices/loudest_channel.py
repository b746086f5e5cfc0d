"""The channel of a microphone to listen to: the loudest one."""

from __future__ import annotations

from typing import Final

import numpy as np

from voicechat.speech.pcm import Samples

_RATIO: Final = 2.0
_DECAY: Final = 0.135
"""Share of a level that is left after a second of silence."""
_FLOOR: Final = 64.0
"""Range in PCM16 steps below which a channel counts as silent."""


class LoudestChannel:
    """Selects one channel of interleaved sound. Callback side.

    Another channel is selected when it is 6 dB louder than the current one has been lately, so the
    selection does not move within a word.
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._channels: Final = channels
        self._rate: Final = rate
        self._levels = np.zeros(channels, np.float32)
        self.channel = 0
        """Number of the selected channel, from 0."""

    def take(self, interleaved: Samples) -> Samples:
        """Return the selected channel of int16 of shape (frames * channels,)."""
        if self._channels == 1:
            return interleaved
        frames = interleaved.reshape(-1, self._channels)
        levels = frames.max(axis=0).astype(np.float32) - frames.min(axis=0)
        earlier = self._levels * _DECAY ** (len(frames) / self._rate)
        np.maximum(levels, earlier, out=self._levels)
        loudest = int(self._levels.argmax())
        if self._levels[loudest] > _RATIO * self._levels[self.channel] + _FLOOR:
            self.channel = loudest
        selected: Samples = frames[:, self.channel]
        return selected
