"""How much of a text counts as heard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicechat.core.text_alignment import TextAlignment, word_end


def in_step() -> TextAlignment:
    """Each word, then half a second of its sound, as the embedded voice sends them."""
    captions = TextAlignment()
    for word in ("one ", "two ", "three "):
        captions.add_text(word)
        captions.received_ms += 500
    return captions


def ahead() -> TextAlignment:
    """All the text at once, the sound later."""
    captions = TextAlignment()
    captions.add_text("one two three four five six seven eight nine ten eleven twelve")
    return captions


def test_a_word_in_step_is_heard_when_its_sound_begins() -> None:
    captions = in_step()
    assert captions.heard(0) == 0
    assert captions.heard(1) == len("one ")
    assert captions.heard(501) == len("one two ")
    assert captions.heard(1_500) == len("one two three ")


def test_a_text_that_runs_ahead_is_spread_over_its_sound() -> None:
    captions = ahead()
    captions.received_ms += 4_000
    captions.complete = True
    half = captions.heard(2_000)
    assert captions.text[:half].split()[-1] in {"six", "seven"}
    assert captions.heard(4_000) == len(captions.text)


def test_while_the_length_is_unknown_speech_is_taken_to_be_ordinary() -> None:
    captions = ahead()
    captions.received_ms += 200
    assert 0 < captions.heard(200) < 12


def test_a_text_that_was_mended_keeps_its_place() -> None:
    captions = in_step()
    captions.set_text("one two three four ")
    captions.complete = True
    assert captions.heard(1_500) == len("one two three four ")
    assert captions.text[: captions.heard(700)].rstrip() in {"one two", "one two three"}


def test_no_word_is_cut() -> None:
    assert word_end("one two", 1) == 3
    assert word_end("one two", 3) == 3
    assert word_end("one two", 4) == 4
    assert word_end("one two", 5) == 7
    assert word_end("one two", 99) == 7


@given(
    st.lists(
        st.one_of(st.text(alphabet="ab ", min_size=1, max_size=8), st.integers(1, 2_000)),
        max_size=20,
    ),
    st.booleans(),
    st.lists(st.floats(0, 50_000), max_size=8),
)
def test_what_is_heard_only_grows_and_never_exceeds_the_text(
    pieces: list[str | int], complete: bool, moments: list[float]
) -> None:
    captions = TextAlignment()
    for piece in pieces:
        if isinstance(piece, str):
            captions.add_text(piece)
        else:
            captions.received_ms += piece
    captions.complete = complete
    heard = [captions.heard(ms) for ms in sorted(moments)]
    assert heard == sorted(heard)
    assert all(0 <= position <= len(captions.text) for position in heard)
