"""G.711, the sound of telephones: one byte per sample at 8 kHz, to PCM16 and back.

Source: ITU-T Recommendation G.711, tables 1 (A-law) and 2 (µ-law). Both directions are one
table look-up per sample.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

Law = Literal["pcmu", "pcma"]
"""µ-law (North America, Japan) or A-law (elsewhere)."""


def to_pcm16(sound: bytes, law: Law) -> bytes:
    """PCM16 little-endian of the same samples: two bytes for each one."""
    table = _expanded(law)
    return _little(array("h", [table[code] for code in sound])).tobytes()


def from_pcm16(pcm: bytes, law: Law) -> bytes:
    """One byte for each sample of PCM16 little-endian; `pcm` holds whole samples."""
    table = _compressed(law)
    return bytes([table[sample] for sample in _little(array("h", pcm))])


def _little(samples: array[int]) -> array[int]:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _expand_u(code: int) -> int:
    code ^= 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _expand_a(code: int) -> int:
    code ^= 0x55
    segment = code >> 4 & 7
    magnitude = ((code & 0x0F) << 4) + 8
    if segment:
        magnitude = magnitude + 0x100 << segment - 1
    return magnitude if code & 0x80 else -magnitude


_LAWS: dict[Law, Callable[[int], int]] = {"pcmu": _expand_u, "pcma": _expand_a}


@cache
def _expanded(law: Law) -> Sequence[int]:
    return [_LAWS[law](code) for code in range(256)]


@cache
def _compressed(law: Law) -> Sequence[int]:
    """The nearest code of every sample, at index `sample` (negative ones count from the end)."""
    codes = sorted(range(256), key=lambda code: (_expanded(law)[code], code))
    levels = [_expanded(law)[code] for code in codes]
    table = bytearray(65536)
    nearest = 0
    for sample in range(-32768, 32768):
        while nearest < 255 and abs(levels[nearest + 1] - sample) <= abs(levels[nearest] - sample):
            nearest += 1
        table[sample] = codes[nearest]
    return bytes(table)
