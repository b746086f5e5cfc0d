"""Smart Turn: the features of Whisper, and the path from sound to the model's answer."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_onnx import mean_model

from voicechat.speech.smart_turn import SmartTurn, log_mel

pytest.importorskip("onnxruntime")
SECONDS = np.arange(128_000) / 16_000


def tones() -> np.ndarray:
    """A tone of 440 Hz that grows over 8 s, and a weak one of 3 kHz."""
    return (
        np.sin(2 * np.pi * 440 * SECONDS) * SECONDS / 8 + 0.1 * np.sin(6_000 * np.pi * SECONDS)
    ).astype(np.float32)


def test_the_features_are_those_of_whisper() -> None:
    """The values are those of the feature extractor that Pipecat copied from Transformers."""
    found = log_mel(tones())
    assert (found.shape, found.dtype) == ((80, 800), np.float32)
    expected = {
        (0, 0): 0.3844, (0, 799): 0.8213, (11, 400): 1.6295, (12, 400): 1.4849,
        (59, 400): -0.2205, (30, 100): -0.2205, (79, 799): -0.1858, (11, 799): 1.7772,
    }  # fmt: skip
    values = {at: float(found[at]) for at in expected}
    assert values == pytest.approx(expected, abs=1e-3)


def test_silence_has_features() -> None:
    assert np.isfinite(log_mel(np.zeros(128_000, np.float32))).all()


@pytest.mark.parametrize("seconds", [0, 3, 8, 11])
def test_the_last_8_seconds_reach_the_model(tmp_path, seconds) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(mean_model("input_features", 80, 800))
    pcm = (np.resize(tones(), seconds * 16_000) * 20_000).astype("<i2")
    heard = np.zeros(128_000, np.float32)
    last = pcm[-128_000:] if seconds else pcm
    heard[128_000 - len(last) :] = last / np.float32(32768)
    found = SmartTurn(model).probability(pcm.tobytes())
    assert found == pytest.approx(float(log_mel(heard).mean()), abs=1e-4)


@pytest.mark.parametrize("content", [b"", b"no model", mean_model("other", 80, 800)])
def test_another_file_is_refused(tmp_path, content) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(RuntimeError, match=r"m\.onnx"):
        SmartTurn(tmp_path / "m.onnx")


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(RuntimeError, match=r"m\.onnx cannot be loaded"):
        SmartTurn(tmp_path / "m.onnx")
