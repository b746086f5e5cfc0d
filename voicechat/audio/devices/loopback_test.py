"""Loopback test: open both devices for two seconds, measure the microphone, find a chirp.

0 s     0.3         1.3        1.6            2.3
settle  listen      chirp      wait for it    end
"""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from voicechat.audio.devices.chirp import CHIRP_S, CallbackTimes, chirp, find_chirp
from voicechat.audio.devices.device_list import (
    Device,
    Kind,
    NoSound,
    StreamCallback,
    open_stream,
    title,
)
from voicechat.audio.devices.device_probe import LoopbackResult
from voicechat.audio.devices.loudest_channel import LoudestChannel
from voicechat.speech.pcm import dbfs, peak_dbfs

_SETTLE_S: Final = 0.3
_LISTEN_S: Final = 1.0
_WAIT_S: Final = 0.7
_BLOCK_MS: Final = 10
_LATENCY_MS: Final = 40
_MAX_SPEED: Final = 1.8
"""Ratio of received to expected frames above which a device has no clock."""


class _Recorder:
    """Records the first seconds of the microphone."""

    def __init__(self, device: Device, seconds: float) -> None:
        """Open the device; raises NoSound."""
        self._seconds = seconds
        self.dropouts = 0
        self.frames = 0
        self._stream, self.rate = open_stream(
            "input", device, (24_000, 16_000), _BLOCK_MS, _LATENCY_MS, self._prepare
        )

    def _prepare(self, rate: int, channels: int) -> StreamCallback:
        recording = self.recording = np.zeros(int(rate * self._seconds), np.int16)
        callback_times = self.callback_times = CallbackTimes(rate)
        self.frames = self.received = 0
        loudest = LoudestChannel(channels, rate)

        def listen(taken: Any, frames: int, clock: Any, status: Any) -> None:
            block = loudest.take(np.frombuffer(taken, np.int16))
            self.received += frames
            count = min(frames, len(recording) - self.frames)
            recording[self.frames : self.frames + count] = block[:count]
            self.frames += count
            callback_times.record(time.monotonic(), self.frames)
            self.dropouts += bool(status.input_overflow)

        return listen

    def between(self, begin_s: float, end_s: float) -> np.ndarray[Any, np.dtype[np.int16]]:
        """Return the samples between two times of the recording, as far as they were received."""
        return self.recording[int(begin_s * self.rate) : min(self.frames, int(end_s * self.rate))]


class _Player:
    """Plays silence, an optional chirp, and silence."""

    def __init__(self, device: Device, with_chirp: bool) -> None:
        """Open the device; raises NoSound."""
        self._with_chirp = with_chirp
        self.dropouts = 0
        self._stream, self.rate = open_stream(
            "output", device, (24_000,), _BLOCK_MS, _LATENCY_MS, self._prepare
        )

    def _prepare(self, rate: int, channels: int) -> StreamCallback:
        sound = chirp(rate) if self._with_chirp else np.zeros(0, np.int16)
        begin = self.begin = int((_SETTLE_S + _LISTEN_S) * rate)
        output = np.zeros(int((_SETTLE_S + _LISTEN_S + CHIRP_S + _WAIT_S + 1.0) * rate), np.int16)
        output[begin : begin + len(sound)] = sound
        callback_times = self.callback_times = CallbackTimes(rate)
        self.frames = 0

        def speak(out: Any, frames: int, clock: Any, status: Any) -> None:
            callback_times.record(time.monotonic(), self.frames)
            view = np.frombuffer(out, np.int16).reshape(frames, channels)
            view[:] = 0
            piece = output[self.frames : self.frames + frames]
            view[: len(piece)] = piece[:, None]
            self.frames += frames
            if self.frames > begin:
                self.dropouts += bool(status.output_underflow)

        return speak

    @property
    def has_chirped(self) -> bool:
        """True if the device took the whole chirp."""
        return self._with_chirp and self.frames >= self.begin + int(CHIRP_S * self.rate)


def run_loopback_test(
    microphone: Device | NoSound, speaker: Device | NoSound, with_chirp: bool
) -> LoopbackResult:
    """Open the devices, listen for a second, then play a chirp. Takes two seconds; may hang."""
    problems: list[tuple[str, str]] = []
    seconds = _SETTLE_S + _LISTEN_S + (CHIRP_S + _WAIT_S if with_chirp else 0.0)
    recorder = player = None
    try:
        player = _Player(_opened(speaker), with_chirp)
    except NoSound as error:
        problems.append((error.problem, error.hint))
    try:
        recorder = _Recorder(_opened(microphone), seconds)
    except NoSound as error:
        problems.append((error.problem, error.hint))
    if recorder or player:
        time.sleep(seconds)
    clockless: list[str | None] = []
    if recorder and recorder.received > _MAX_SPEED * seconds * recorder.rate:
        clockless.append(_name(microphone, "input"))
    if player and player.frames > _MAX_SPEED * seconds * player.rate:
        clockless.append(_name(speaker, "output"))
    recorded = (
        recorder.between(_SETTLE_S, _SETTLE_S + _LISTEN_S) if recorder else np.zeros(0, np.int16)
    )
    round_trip_ms, gain_db = _round_trip(recorder, player)
    return LoopbackResult(
        microphone=_name(microphone, "input") if recorder else None,
        speaker=_name(speaker, "output") if player else None,
        problems=tuple(problems),
        input_rate=recorder.rate if recorder else 0,
        output_rate=player.rate if player else 0,
        level=dbfs(recorded) if recorded.size else None,
        peak=peak_dbfs(recorded) if recorded.size else None,
        chirped=player is not None and player.has_chirped,
        round_trip_ms=round_trip_ms,
        return_db=gain_db,
        dropouts=(recorder.dropouts if recorder else 0) + (player.dropouts if player else 0),
        clockless=tuple(dict.fromkeys(name for name in clockless if name)),
        stalled=player is not None and player.frames < seconds * player.rate / 2,
    )


def _round_trip(
    recorder: _Recorder | None, player: _Player | None
) -> tuple[float | None, float | None]:
    """Return the round trip in ms and its gain in dB; None, None without a detected chirp."""
    if not recorder or not player or not player.has_chirped or not recorder.frames:
        return None, None
    sent_at = player.callback_times.time_of(player.begin)
    # The chirp cannot return before it left, so earlier sound is something else.
    earliest = max(
        0,
        int((sent_at - recorder.callback_times.time_of(0)) * recorder.rate) - recorder.rate // 100,
    )
    echo = find_chirp(recorder.recording[earliest : recorder.frames], recorder.rate)
    if echo is None:
        return None, None
    return (recorder.callback_times.time_of(earliest + echo.frame) - sent_at) * 1000, echo.gain_db


def _opened(device: Device | NoSound) -> Device:
    if isinstance(device, NoSound):
        raise device
    return device


def _name(device: Device | NoSound, kind: Kind) -> str | None:
    return title(device, kind) if isinstance(device, Device) else None
