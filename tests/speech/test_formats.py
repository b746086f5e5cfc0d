"""Audio formats of the wire against known values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.speech.formats import Format

# Code to level, from the tables of ITU-T G.711 scaled to 16 bits.
_MU = {0x00: -32124, 0x80: 32124, 0x7F: 0, 0xFF: 0, 0x0F: -16764, 0xF0: 120}
_A = {0x55: -8, 0xD5: 8, 0x2A: -32256, 0xAA: 32256, 0x00: -5504, 0x80: 5504}


@pytest.mark.parametrize(("kind", "levels"), [("audio/pcmu", _MU), ("audio/pcma", _A)])
def test_g711_levels(kind: str, levels: dict[int, int]) -> None:
    form = Format(kind)
    assert form.decode(bytes(levels)).tolist() == list(levels.values())


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_a_g711_round_trip_is_close(kind: str) -> None:
    form = Format(kind)
    samples = np.arange(-32_768, 32_768, dtype=np.int16)
    back = form.decode(form.encode(samples)).astype(int)
    error = np.abs(back - samples)
    assert (error <= np.abs(samples.astype(int)) / 30 + 8).all()
    codes = bytes(code for code in range(256) if code != 0x7F)
    assert form.decode(form.encode(form.decode(codes))).tolist() == form.decode(codes).tolist()


@given(st.binary(max_size=64))
def test_pcm_is_little_endian_whole_samples(sound: bytes) -> None:
    form = Format()
    whole = sound[: len(sound) // 2 * 2]
    assert form.encode(form.decode(sound)) == whole
