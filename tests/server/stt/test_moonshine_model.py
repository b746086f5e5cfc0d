"""The limits of the recognition model, on the real model."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import soxr

from voicechat.server.stt.moonshine_model import MoonshineModel, Sound
from voicechat.server.stt.moonshine_stt import bundled_model
from voicechat.speech.vad import VAD_RATE

pytest.importorskip("onnxruntime")
FOLDER = bundled_model()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="moonshine-voice has no wheel here")


def reading() -> Sound:
    """The first 6 s of a reading of "A Tale of Two Cities" that the package has."""
    assert FOLDER is not None
    with wave.open(str(FOLDER.parent / "two_cities.wav")) as file:
        rate = file.getframerate()
        pcm = np.frombuffer(file.readframes(6 * rate), "<i2").astype(np.float32) / 32768
    return np.asarray(soxr.resample(pcm, rate, VAD_RATE), np.float32)


@pytest.fixture(scope="module")
def folder() -> Path:
    assert FOLDER is not None
    return FOLDER


def test_the_rate_of_tokens_limits_the_text(folder) -> None:
    sound = reading()
    model = MoonshineModel(folder)
    tokens = model.transcribe(model.encode(sound))
    assert "it was the worst of times" in model.text(tokens).lower()
    for per_second, most in ((13.0, None), (1.0, 6 + 4)):
        other = MoonshineModel(folder, per_second)
        assert other.transcribe(other.encode(sound)) == tokens[:most]


def test_a_model_without_masks_gets_none(folder, monkeypatch) -> None:
    model = MoonshineModel(folder)
    sound = reading()
    expected = model.transcribe(model.encode(sound))
    fed: list[set[str]] = []

    class Maskless:
        """The model, wrapped as one that has no inputs for masks."""

        def __init__(self, session, mask: str) -> None:
            self.session, self.mask = session, mask

        def run(self, names, feed):
            fed.append(set(feed))
            return self.session.run(names, feed | {self.mask: np.ones((1, len(sound)), np.int64)})

    monkeypatch.setattr(model, "_encoder", Maskless(model._encoder, "attention_mask"))
    monkeypatch.setattr(model, "_decoder", Maskless(model._decoder, "encoder_attention_mask"))
    monkeypatch.setattr(
        model, "_inputs", model._inputs - {"attention_mask", "encoder_attention_mask"}
    )
    assert model.transcribe(model.encode(sound)) == expected
    assert not any("attention_mask" in name for names in fed for name in names)
