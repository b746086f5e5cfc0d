"""Kokoro, a model with many voices: natural, and about forty times the work of hibari.

It takes the phonemes and the ids of hibari, which was trained on its sound, and reports durations
in the same steps. Source: hexgrad/Kokoro-82M, and the inputs of the model of kokoro-onnx.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voicechat.server.tts.timed_model import timed_model

STYLES = "voices-v1.0.bin"
"""File next to the model: for each voice, a style for each number of phonemes."""
DURATIONS = "/encoder/Round_output_0"
"""Name of the tensor with the duration of each phoneme."""


def is_kokoro(file: Path) -> bool:
    """Return True if the file of a voice is a Kokoro model."""
    return file.name.startswith("kokoro")


class KokoroModel:
    """The model and the styles of its voices. About 350 MB of memory."""

    def __init__(self, file: Path) -> None:
        """Load the files. Raises OSError, ValueError or an exception of onnxruntime."""
        self._session, self._timed = timed_model(file.read_bytes(), DURATIONS)
        with np.load(file.with_name(STYLES)) as styles:
            self._styles = {name: styles[name] for name in styles.files if name[:1] in "ab"}

    def sound(
        self, ids: list[int], voice: str, speed: float
    ) -> tuple[NDArray[np.float32], Sequence[float] | None]:
        """Return the sound at 24 kHz, and the 25 ms steps that each phoneme lasts.

        ids: the phonemes with the pauses around them.
        Raises KeyError when the file has no such voice.
        """
        styles = self._styles[voice]
        style = styles[min(len(ids) - 2, len(styles) - 1)]
        feed = {"tokens": np.array([ids]), "style": style, "speed": np.array([speed], np.float32)}
        outputs = self._session.run(None, feed)
        return outputs[0], outputs[1][0] if self._timed else None
