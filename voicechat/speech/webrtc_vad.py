"""WebRTC's voice activity detector, from the package webrtcvad-wheels.

The package's own wrapper imports importlib.metadata for its version: 20 ms and 4 MB in every
process that listens.
"""

from __future__ import annotations

import _webrtcvad


class Vad:
    """A detector with the state of one sound stream."""

    def __init__(self, mode: int) -> None:
        """Create a detector; `mode` is its aggressiveness against noise, 0 to 3."""
        self._state = _webrtcvad.create()
        _webrtcvad.init(self._state)
        _webrtcvad.set_mode(self._state, mode)

    def is_speech(self, pcm: bytes, rate: int) -> bool:
        """Return True if 10, 20 or 30 ms of PCM16 at 8, 16, 32 or 48 kHz are voiced."""
        return bool(_webrtcvad.process(self._state, rate, pcm, len(pcm) // 2))
