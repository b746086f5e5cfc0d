"""G.711 compared with the recommendation's tables, and with itself."""

from array import array
from itertools import pairwise

import numpy as np
import pytest

from voicechat.speech import g711

ALL = bytes(range(256))


def samples(pcm: bytes) -> list[int]:
    return [int.from_bytes(pcm[at : at + 2], "little", signed=True) for at in range(0, len(pcm), 2)]


@pytest.mark.parametrize(
    ("law", "code", "sample"),
    [
        ("pcmu", 0xFF, 0), ("pcmu", 0x7F, 0), ("pcmu", 0x80, 32124), ("pcmu", 0x00, -32124),
        ("pcmu", 0xFE, 8), ("pcmu", 0xEF, 132), ("pcmu", 0x6F, -132),
        ("pcma", 0xD5, 8), ("pcma", 0x55, -8), ("pcma", 0xAA, 32256), ("pcma", 0x2A, -32256),
        ("pcma", 0xC5, 264), ("pcma", 0x80, 5504),
    ],
)  # fmt: skip
def test_known_values(law, code, sample):
    assert samples(g711.to_pcm16(bytes([code]), law)) == [sample]


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_a_round_trip_changes_no_code(law):
    pcm = g711.to_pcm16(ALL, law)
    assert g711.to_pcm16(g711.from_pcm16(pcm, law), law) == pcm


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_every_sample_becomes_its_nearest_level(law):
    every = array("h", range(-32768, 32768))
    levels = samples(g711.to_pcm16(ALL, law))
    back = samples(g711.to_pcm16(g711.from_pcm16(every.tobytes(), law), law))
    for sample, level in list(zip(every, back, strict=True))[::97]:
        assert abs(level - sample) == min(abs(other - sample) for other in levels)


def test_empty_input_gives_empty_output():
    assert g711.to_pcm16(b"", "pcmu") == g711.from_pcm16(b"", "pcma") == b""


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_a_tie_between_two_levels_goes_up(law):
    every = list(range(-32768, 32768))
    levels = sorted(set(samples(g711.to_pcm16(ALL, law))))
    back = samples(g711.to_pcm16(g711.from_pcm16(array("h", every).tobytes(), law), law))
    ties = [(low + high) // 2 for low, high in pairwise(levels) if (low + high) % 2 == 0]
    above = [min(level for level in levels if level > tie) for tie in ties]
    assert [back[tie + 32768] for tie in ties] == above


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_a_tone_keeps_its_quality(law):
    tone = (20_000 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000)).astype("<i2")
    back = np.frombuffer(g711.to_pcm16(g711.from_pcm16(tone.tobytes(), law), law), "<i2")
    error = back.astype(np.float64) - tone
    assert 20 * np.log10(np.std(tone) / np.std(error)) > 35
