"""Times of written words in spoken sound."""

from hypothesis import given
from hypothesis import strategies as st

from voicechat.server.tts.word_timing import aligned, divided


def test_a_number_takes_its_spoken_words():
    assert aligned([1, 2, 1], [100, 300, 400, 500], ["at ", "10:30 ", "now"]) == [100, 400, 500]


def test_counts_that_do_not_add_up_are_estimated_from_letters():
    assert aligned([1, 1], [100, 200, 300, 400], ["ab ", "cd."]) == [200, 400]


def test_a_word_without_sound_ends_where_it_begins():
    assert aligned([0, 1, 0], [100], ["... ", "yes ", "*"]) == [0, 100, 100]


@given(st.lists(st.text(min_size=1), min_size=1), st.integers(0, 10_000))
def test_divided_words_cover_the_sound(words, samples):
    ends = divided(words, samples)
    assert ends == sorted(ends)
    assert ends[-1] == samples
