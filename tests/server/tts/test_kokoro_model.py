"""Kokoro on a tiny model whose sound is the style that it gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_onnx import style_model

from voicechat.server.tts.hibari_synthesizer import HibariSynthesizer
from voicechat.server.tts.kokoro_model import STYLES, KokoroModel

pytest.importorskip("onnxruntime")
pytest.importorskip("hibari")
VOICES = ("af_heart", "bm_lewis")


def style(voice: int, phonemes: int) -> float:
    """The value of a style in the file of the test."""
    return 0.1 * voice + 0.001 * phonemes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model file with the styles of two English voices and a Japanese one next to it."""
    made = tmp_path / "kokoro.onnx"
    made.write_bytes(style_model())
    ramp = np.linspace(0, 1, 256, dtype=np.float32)
    styles = {
        name: np.stack([(ramp * style(number, count))[None] for count in range(510)])
        for number, name in enumerate((*VOICES, "jf_alpha"))
    }
    with (tmp_path / STYLES).open("wb") as written:
        np.savez(written, allow_pickle=False, **styles)
    return made


@pytest.mark.parametrize(("number", "voice"), enumerate(VOICES))
def test_the_style_belongs_to_the_voice_and_the_number_of_phonemes(file, number, voice) -> None:
    model = KokoroModel(file)
    for count in (1, 30, 509, 600):
        sound, steps = model.sound([0] + [50] * count + [0], voice, 1.0)
        assert steps is None
        assert sound.max() == pytest.approx(style(number, min(count, 509)), rel=1e-4)


def test_only_english_voices_are_loaded(file) -> None:
    with pytest.raises(KeyError):
        KokoroModel(file).sound([0, 50, 0], "jf_alpha", 1.0)


def test_words_come_with_their_sound(file) -> None:
    voices = HibariSynthesizer(dict.fromkeys(VOICES, str(file)))
    for voice in VOICES:
        words = list(voices._spoken("Good morning, Ada.", voice, 1.0))
        assert [word for word, _ in words] == ["Good ", "morning, ", "Ada."]
        assert sum(len(sound) for _, sound in words) == 256
        assert all(len(sound) for _, sound in words)


def test_pickled_styles_are_refused(file) -> None:
    with file.with_name(STYLES).open("wb") as written:
        np.savez(written, af_heart=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        KokoroModel(file)
