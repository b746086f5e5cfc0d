"""G.711, the telephone codec: one byte per sample at 8 kHz, to PCM16 and back.

Source: ITU-T Recommendation G.711, tables 1 (A-law) and 2 (µ-law). Both directions are one table
lookup per sample, without numpy, so that a codec can import this module at no cost.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from functools import cache
from typing import Literal

Law = Literal["pcmu", "pcma"]
"""µ-law (North America, Japan) or A-law (elsewhere)."""


def to_pcm16(sound: bytes, law: Law) -> bytes:
    """Expand G.711 bytes to PCM16 little-endian, two bytes per sample."""
    low, high = _expansion(law)
    pcm = bytearray(2 * len(sound))
    pcm[::2], pcm[1::2] = sound.translate(low), sound.translate(high)
    return bytes(pcm)


def from_pcm16(pcm: bytes, law: Law) -> bytes:
    """Compress whole samples of PCM16 little-endian to the nearest G.711 codes."""
    samples = array("H", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes(map(_compression(law).__getitem__, samples))


def _mu_law_level(code: int) -> int:
    code ^= 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _a_law_level(code: int) -> int:
    code ^= 0x55
    segment = code >> 4 & 7
    magnitude = ((code & 0x0F) << 4) + 8
    if segment:
        magnitude = magnitude + 0x100 << segment - 1
    return magnitude if code & 0x80 else -magnitude


_LEVELS: dict[Law, Callable[[int], int]] = {"pcmu": _mu_law_level, "pcma": _a_law_level}


@cache
def _expansion(law: Law) -> tuple[bytes, bytes]:
    """Return the low and the high byte of each code's level."""
    levels = [_LEVELS[law](code) & 0xFFFF for code in range(256)]
    return bytes(level & 0xFF for level in levels), bytes(level >> 8 for level in levels)


@cache
def _compression(law: Law) -> bytes:
    """Return the nearest code of every sample, at the sample's unsigned 16-bit value."""
    codes = {_LEVELS[law](code): code for code in range(256)}
    levels = sorted(codes)
    table = bytearray()
    for level, above in zip(levels, [*levels[1:], 0x10000], strict=True):
        # The first sample that is at least as near to the level above: a tie goes up.
        edge = min((level + above + 1) // 2, 0x8000)
        table += bytes((codes[level],)) * (edge + 0x8000 - len(table))
    return bytes(table[0x8000:] + table[:0x8000])
