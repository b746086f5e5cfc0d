"""When a voice counts as ended."""

from __future__ import annotations

from voicechat.audio.capture.voice_activity import EndOfSpeech


def ends(frames: str) -> list[float]:
    """What is told of these frames ('#' voiced, '.' not), 10 ms each, in whole frames."""
    lull = EndOfSpeech()
    told = (lull.frame(frame == "#", number / 100) for number, frame in enumerate(frames, 1))
    return [round(at * 100) for at in told if at is not None]


def test_speech_ended_where_its_last_voiced_frame_was() -> None:
    assert ends("." * 50 + "#" * 100 + "." * 60) == [150]


def test_a_short_gap_is_none() -> None:
    assert ends("#" * 40 + "." * 15 + "#" * 40 + "." * 60) == [95]


def test_a_cough_is_no_speech() -> None:
    assert ends("." * 50 + "#" * 6 + "." * 100) == []


def test_each_end_is_told_once() -> None:
    assert ends(("#" * 40 + "." * 60) * 3) == [40, 140, 240]
