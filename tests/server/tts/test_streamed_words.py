"""Estimated word times."""

import numpy as np
import pytest

from voicechat.server.tts.streamed_words import (
    SpeakingPace,
    StreamedWords,
    split_words,
    spread_words,
)

TEXTS = ["", " ", "\n", "one", " It is half past nine. ", "naïve 😀 四五\n\nsix", "a " * 50]


def joined(pieces):
    return "".join(piece.text for piece in pieces), b"".join(piece.pcm for piece in pieces)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_and_sound_join_to_what_was_given(text):
    sound = np.arange(10_007, dtype=np.int16)
    assert "".join(split_words(text)) == text
    assert joined(spread_words(text, sound)) == (text, sound.tobytes() if text else b"")
    words = StreamedWords(text, SpeakingPace(24_000))
    pieces = []
    for start in range(0, len(sound), 480):
        pieces += words.add(sound[start : start + 480])
    pieces += words.finish()
    assert joined(pieces) == (text, sound.tobytes() if text else b"")


def test_words_get_sound_by_their_letters():
    pieces = spread_words("a bcde fg", np.zeros(900, np.int16))
    assert [(piece.text, len(piece.pcm) // 2) for piece in pieces] == [
        ("a ", 200),
        ("bcde ", 500),
        ("fg", 200),
    ]


def test_words_arrive_while_the_sound_still_comes_and_the_last_one_waits():
    pace = SpeakingPace(1_000)
    words = StreamedWords("ab cd ef", pace)
    assert [piece.text for piece in words.add(np.zeros(180, np.int16))] == ["ab "]
    assert [piece.text for piece in words.add(np.zeros(1_000, np.int16))] == ["cd "]
    (last,) = words.finish()
    assert (last.text, len(last.pcm) // 2) == ("ef", 820)


def test_sound_that_ends_early_is_divided_among_the_rest():
    words = StreamedWords("ab cd ef", SpeakingPace(1_000))
    assert [piece.text for piece in words.add(np.zeros(250, np.int16))] == ["ab "]
    rest = list(words.finish())
    assert [piece.text for piece in rest] == ["cd ", "ef"]
    assert [len(piece.pcm) // 2 for piece in rest] == [42, 28]


def test_the_pace_follows_the_voice():
    pace = SpeakingPace(1_000)
    assert pace.samples_per_letter == 60
    for _ in range(12):
        list(StreamedWords("abcde", pace).add(np.zeros(1, np.int16)))
        pace.learn(5, 500)
    assert pace.samples_per_letter == pytest.approx(100, abs=0.1)
    pace.learn(0, 0)
    assert pace.samples_per_letter == pytest.approx(100, abs=0.1)
