"""The packed dictionary against a plain one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicechat.server.tts.packed_dictionary import PackedDictionary

VALUES = st.one_of(st.text(), st.dictionaries(st.text(), st.one_of(st.none(), st.floats(0, 9))))


@given(st.dictionaries(st.text(), VALUES), st.lists(st.text()))
def test_it_answers_like_a_dict(entries: dict[str, object], others: list[str]) -> None:
    packed = PackedDictionary(entries)
    assert len(packed) == len(entries)
    for key in (*entries, *others):
        assert packed.get(key) == entries.get(key)
        assert packed.get(key, "other") == entries.get(key, "other")
