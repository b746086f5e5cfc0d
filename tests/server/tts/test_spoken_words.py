"""Words, clauses and phoneme durations of the built-in voice, without its process."""

import numpy as np
from hostile_speech import HOSTILE

from voicechat.providers.catalog import LOCAL
from voicechat.server.tts.hibari_synthesizer import DURATIONS, _words
from voicechat.server.tts.hibari_tts import DEFAULT_VOICE, bundled_voice, clauses
from voicechat.server.tts.timed_model import timed_model


def test_the_catalog_lists_the_voice():
    assert LOCAL.voices == (DEFAULT_VOICE,)


def test_the_model_reports_the_duration_of_each_phoneme():
    """The name of the tensor belongs to the pinned version of the package."""
    model, timed = timed_model(bundled_voice().read_bytes(), DURATIONS)
    assert timed
    outputs = model.run(
        None, {"ids": np.array([[0, 50, 51, 52, 0]]), "speed": np.ones(1, np.float32)}
    )
    lengths, f0 = outputs[6], outputs[5][0]
    assert len(lengths) == 5
    # 25 ms steps: two of the frames of 12.5 ms that the model writes.
    assert sum(lengths) * 2 == len(f0)


def test_words_join_to_the_text():
    for text in HOSTILE:
        assert "".join(_words(text)) == text


def test_clauses_join_to_the_text_and_stay_short():
    for text in HOSTILE:
        parts = clauses(text)
        assert "".join(parts) == text
        assert all(0 < len(part) <= 240 for part in parts)
    assert clauses("One. Two? Three") == ["One. ", "Two? ", "Three"]
