"""Phonetic neighbors of a text."""

from voicechat.server.stt.phonetic_neighbors import PhoneticNeighbors, distance

ENTRIES = """\
seven S EH V AH N
salmon S AE M AH N
list L IH S T
lists L IH S T S
to T UW
to(2) T AH
""".splitlines()


def test_equal_sounds_cost_nothing_and_related_ones_half():
    assert distance(("T", "UW"), ("T", "UW")) == 0
    assert distance(("T", "UW"), ("T", "AH")) == 0.5
    assert distance(("T", "UW"), ("T",)) == 1


def test_a_misrecognized_word_is_replaced():
    alikes = PhoneticNeighbors(ENTRIES)
    assert "quarter to seven" in alikes.variants("quarter to salmon", 10)
    assert alikes.variants("read my lists", 10) == ["read my list"]


def test_unknown_words_have_no_neighbors():
    assert PhoneticNeighbors(ENTRIES).variants("blorp", 10) == []
    assert PhoneticNeighbors(()).variants("list", 10) == []
