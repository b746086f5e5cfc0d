"""Texts that sound almost like a text."""

from voicechat.server.stt.phonetic_neighbors import SoundAlikes, distance

ENTRIES = """\
seven S EH V AH N
salmon S AE M AH N
list L IH S T
lists L IH S T S
to T UW
to(2) T AH
""".splitlines()


def test_words_of_the_same_sound_cost_nothing_and_kin_cost_half():
    assert distance(("T", "UW"), ("T", "UW")) == 0
    assert distance(("T", "UW"), ("T", "AH")) == 0.5
    assert distance(("T", "UW"), ("T",)) == 1


def test_a_misheard_word_is_exchanged():
    alikes = SoundAlikes(ENTRIES)
    assert "quarter to seven" in alikes.variants("quarter to salmon", 10)
    assert alikes.variants("read my lists", 10) == ["read my list"]


def test_unknown_words_have_no_likes():
    assert SoundAlikes(ENTRIES).variants("blorp", 10) == []
    assert SoundAlikes(()).variants("list", 10) == []
