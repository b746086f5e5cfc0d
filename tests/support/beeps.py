"""Recordings of beeps, which the scripted recognizers hear as words: the pitch names the word."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 16_000
LENGTH_S = 0.3
_LOWEST, _STEP, _WORDS = 300, 50, 100
_FRAME = RATE // 50
_LOUD = 0.02


class Beep(NamedTuple):
    """A word that was heard. Times are seconds."""

    word: str
    start: float
    end: float


def word(number: int) -> str:
    """Return the word of a beep."""
    return f"w{number % _WORDS:02}"


def beeps(starts: Sequence[float], seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    """Return a recording in which beep number n begins at second `starts[n]`."""
    sound = np.zeros(round(seconds * rate), np.float32)
    time = np.arange(round(LENGTH_S * rate)) / rate
    for number, start in enumerate(starts):
        pitch = _LOWEST + number % _WORDS * _STEP
        first = round(start * rate)
        sound[first : first + time.size] = 0.5 * np.sin(2 * np.pi * pitch * time)
    return sound


def encoded(sound: NDArray[np.float32], form: str, rate: int = RATE, subtype: str = "") -> bytes:
    """Return a recording as the content of a file. form: WAV, FLAC, MP3 or OGG."""
    content = io.BytesIO()
    soundfile.write(content, sound, rate, format=form, subtype=subtype or None)
    return content.getvalue()


def media(sound: NDArray[np.float32], form: str, codec: str, rate: int = 48_000) -> bytes:
    """Return a recording as the content of a file made by FFmpeg, such as mp4 with aac."""
    import av

    content = io.BytesIO()
    with av.open(content, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        pcm = (sound * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, "mono", rate)
        fifo = av.AudioFifo()
        for each in [*resampler.resample(frame), *resampler.resample(None)]:
            fifo.write(each)
        while (part := fifo.read(stream.frame_size or 960, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return content.getvalue()


def heard(content: bytes) -> tuple[list[Beep], float]:
    """Return the beeps in a file, and its length in seconds. Raises `ValueError`."""
    try:
        sound, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(str(error)) from None
    mono = sound.mean(axis=1)
    size = rate // 50
    frames = mono[: mono.size // size * size].reshape(-1, size)
    loud = np.concatenate([[False], np.abs(frames).max(axis=1, initial=0) > _LOUD, [False]])
    edges = np.flatnonzero(np.diff(loud.astype(np.int8)))
    found = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        part = frames[begin:end].ravel()
        spectrum = np.abs(np.fft.rfft(part * np.hanning(part.size)))
        pitch = float(np.argmax(spectrum)) * rate / part.size
        number = round((pitch - _LOWEST) / _STEP)
        found.append(Beep(word(number), begin / 50, end / 50))
    return found, mono.size / rate
