"""WebRTC's voice activity detector, from the package webrtcvad-wheels.

The package's own wrapper imports importlib.metadata for its version: 20 ms and 4 MB in every
process that listens.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import _webrtcvad

VoiceDetector = Callable[[int, bytes, int], bool]
"""Returns True if 10, 20 or 30 ms of PCM16 are voiced: the rate (8, 16, 32 or 48 kHz), the PCM and
its number of samples."""


def voice_detector(mode: int) -> VoiceDetector:
    """Return a detector for one stream; `mode` is its aggressiveness against noise, 0 to 3."""
    state = _webrtcvad.create()
    _webrtcvad.init(state)
    _webrtcvad.set_mode(state, mode)
    return partial(_webrtcvad.process, state)
