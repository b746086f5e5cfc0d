"""How much of a text counts as heard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicechat.core.text_alignment import TextAlignment, word_end


def in_step() -> TextAlignment:
    """Return an alignment with half a second of audio after each word, like the embedded voice."""
    captions = TextAlignment()
    for word in ("one ", "two ", "three "):
        captions.add_text(word)
        captions.received_ms += 500
    return captions


def ahead() -> TextAlignment:
    """Return an alignment with all of its text and no audio yet."""
    captions = TextAlignment()
    captions.add_text("one two three four five six seven eight nine ten eleven twelve")
    return captions


def test_a_word_in_step_is_heard_when_its_audio_starts() -> None:
    captions = in_step()
    assert captions.heard(0) == 0
    assert captions.heard(1) == len("one ")
    assert captions.heard(501) == len("one two ")
    assert captions.heard(1_500) == len("one two three ")


def test_a_text_that_runs_ahead_is_spread_over_its_audio() -> None:
    captions = ahead()
    captions.received_ms += 4_000
    captions.complete = True
    half = captions.heard(2_000)
    assert captions.text[:half].split()[-1] in {"six", "seven"}
    assert captions.heard(4_000) == len(captions.text)


def test_an_unknown_length_assumes_typical_speech() -> None:
    captions = ahead()
    captions.received_ms += 200
    assert 0 < captions.heard(200) < 12


def test_a_corrected_text_keeps_its_position() -> None:
    captions = in_step()
    captions.set_text("one two three four ")
    captions.complete = True
    assert captions.heard(1_500) == len("one two three four ")
    assert captions.text[: captions.heard(700)].rstrip() in {"one two", "one two three"}


def test_positions_are_word_ends() -> None:
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
def test_positions_only_grow_and_never_exceed_the_text(
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
