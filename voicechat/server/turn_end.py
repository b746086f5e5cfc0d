"""The end of a turn by its sound, for a chat model: a second opinion on a text that looks complete.

A rule about the text alone ends a turn too early when the user pauses after a sentence. Smart Turn
hears whether the voice has come to an end.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicechat.speech.smart_turn import SmartTurn

SILENCE_MS = 200.0
"""Silence that the model needs after the speech, in ms."""
SOUND_BYTES = 8 * 16_000 * 2
"""The last 8 s of a turn, as PCM16 mono at 16 kHz; the model hears no more."""
_THRESHOLD = 0.8
_DEADLINE_S = 2.0

_log = logging.getLogger(__name__)


class TurnEnd:
    """Smart Turn for all connections of a server, loaded at its first use.

    file: the model. A file that cannot be used is reported once; the text alone decides then.
    """

    def __init__(self, file: Path) -> None:
        self._file: Path | None = file
        self._model: SmartTurn | None = None
        self._lock = asyncio.Lock()

    async def is_end(self, pcm: bytes) -> bool:
        """Return True if the turn ends with this sound, PCM16 mono at 16 kHz with its pause."""
        async with self._lock:
            if self._file is None:
                return True
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    return await asyncio.to_thread(self._probability, pcm) > _THRESHOLD
            except TimeoutError:
                return False
            except (ImportError, RuntimeError) as error:
                _log.warning("The end-of-turn model is not used: %s", error)
                self._file = None
                return True

    def _probability(self, pcm: bytes) -> float:
        from voicechat.speech.smart_turn import SmartTurn

        if self._model is None:
            assert self._file is not None
            self._model = SmartTurn(self._file)
        return self._model.probability(pcm)
