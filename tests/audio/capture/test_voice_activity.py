"""The end of speech."""

from __future__ import annotations

from voicechat.audio.capture.voice_activity import EndOfSpeech


def ends(frames: str) -> list[float]:
    """Return the reported ends for these frames ('#' voiced, '.' not), in frames of 10 ms."""
    lull = EndOfSpeech()
    reported = (lull.frame(frame == "#", number / 100) for number, frame in enumerate(frames, 1))
    return [round(at * 100) for at in reported if at is not None]


def test_speech_ended_where_its_last_voiced_frame_was() -> None:
    assert ends("." * 50 + "#" * 100 + "." * 60) == [150]


def test_a_short_gap_does_not_end_speech() -> None:
    assert ends("#" * 40 + "." * 15 + "#" * 40 + "." * 60) == [95]


def test_a_cough_is_not_speech() -> None:
    assert ends("." * 50 + "#" * 6 + "." * 100) == []


def test_each_end_is_reported_once() -> None:
    assert ends(("#" * 40 + "." * 60) * 3) == [40, 140, 240]
