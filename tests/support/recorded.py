"""Recordings for tests: a heading, blocks of sound, and the position of a sound."""

from __future__ import annotations

from voicechat.core.settings import AudioFormat, Capabilities, SemanticVad
from voicechat.recording import folder_format

RATE = 24_000


BLOCK = RATE // 50


def heading(with_sound: bool = True, input_rate: int = RATE) -> folder_format.Heading:
    return folder_format.Heading(
        recording=folder_format.FORMAT,
        voicechat="0",
        started="2026-01-01T00:00:00+00:00",
        with_sound=with_sound,
        hands_free=with_sound,
        input_format=AudioFormat(rate=input_rate),
        output_format=AudioFormat(rate=RATE),
        can=Capabilities(),
        semantic_vad=SemanticVad(),
    )


def block(value: int, count: int = BLOCK) -> bytes:
    return value.to_bytes(2, "little", signed=True) * count


def span(side: bytes, value: int) -> list[float]:
    """The times in seconds of the first and the last sample with this value."""
    sample = value.to_bytes(2, "little", signed=True)
    found = [i for i in range(0, len(side), 2) if side[i : i + 2] == sample]
    return [found[0] / 2 / RATE, (found[-1] / 2 + 1) / RATE] if found else []
