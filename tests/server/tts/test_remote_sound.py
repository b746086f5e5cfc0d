"""WAV headers and sound formats of remote voices."""

import io
import struct
import wave

import numpy as np
import pytest

from voicechat.errors import SessionLost
from voicechat.server.tts.remote_sound import MonoConverter, SoundFormat, read_wav_header


def wav(samples, rate=22_050, channels=1):
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return content.getvalue()


def test_a_header_is_read_as_soon_as_it_is_complete():
    content = wav([1, 2, 3])
    for length in range(44):
        assert read_wav_header(content[:length]) is None
    header = read_wav_header(content)
    assert (header.format, header.start, header.size) == (SoundFormat(22_050, 2, 1), 44, 6)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_stream_has_no_size(size):
    content = wav([1, 2, 3])
    streamed = content[:4] + struct.pack("<I", size) + content[8:40] + struct.pack("<I", size)
    assert read_wav_header(streamed).size is None


def test_chunks_before_the_sound_are_skipped():
    content = wav([1, 2, 3], 24_000, 1)
    extra = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    header = read_wav_header(content[:12] + extra + content[12:])
    assert (header.format.rate, header.start) == (24_000, 58)


@pytest.mark.parametrize(
    "content",
    [
        b"ID3\x03\x00\x00\x00\x00\x00\x00",
        b"\xff\xfb\x90\x00",
        b"OggS",
        b"{}",
        b"RIFF\0\0\0\0AVI LIST",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 3, 1, 8000, 1, 1, 32),
        b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f" + bytes(70_000),
    ],
)
def test_other_content_is_refused(content):
    with pytest.raises(ValueError, match=r"WAV|format|encoding|sound"):
        read_wav_header(content)


def test_channels_are_mixed_and_bytes_may_end_anywhere():
    stereo = np.array([[100, 300], [-200, 0], [8, 8]], "<i2").tobytes()
    converter = MonoConverter(SoundFormat(24_000, 2, 2), 24_000, "The voice")
    parts = [converter.convert(stereo[start : start + 1]) for start in range(len(stereo))]
    assert np.concatenate(parts).tolist() == [200, -100, 8]


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_the_length_in_seconds_stays(rate):
    converter = MonoConverter(SoundFormat(rate), 24_000, "The voice")
    made = len(converter.convert(bytes(2 * rate))) + len(converter.finish())
    assert abs(made - 24_000) <= 1


@pytest.mark.parametrize(
    "source",
    [
        SoundFormat(24_000, 1),
        SoundFormat(24_000, 4),
        SoundFormat(24_000, 2, 0),
        SoundFormat(24_000, 2, 9),
        SoundFormat(1),
        SoundFormat(10**9),
    ],
)
def test_formats_that_cannot_be_played(source):
    with pytest.raises(SessionLost, match="The voice sends sound that cannot be played"):
        MonoConverter(source, 24_000, "The voice")
