"""Two seconds with both devices open: what the microphone hears, and whether a chirp comes back.

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
from voicechat.speech.levels import dbfs, peak_dbfs

_SETTLE_S: Final = 0.3
_LISTEN_S: Final = 1.0
_WAIT_S: Final = 0.7
_BLOCK_MS: Final = 10
_LATENCY_MS: Final = 40
_TOO_FAST: Final = 1.8
"""Times as many frames as there should be: no clock keeps this time."""


class _Recorder:
    """The microphone's stream and its first seconds."""

    def __init__(self, device: Device, seconds: float) -> None:
        """Open it; raises NoSound."""
        self._seconds = seconds
        self.dropouts = 0
        self.frames = 0
        self._stream, self.rate = open_stream(
            "input", device, (24_000, 16_000), _BLOCK_MS, _LATENCY_MS, self._prepare
        )

    def _prepare(self, rate: int, channels: int) -> StreamCallback:
        heard = self.heard = np.zeros(int(rate * self._seconds), np.int16)
        stamps = self.stamps = CallbackTimes(rate)
        self.frames = self.given = 0

        def listen(taken: Any, frames: int, clock: Any, status: Any) -> None:
            block = np.frombuffer(taken, np.int16)[::channels]
            self.given += frames
            kept = min(frames, len(heard) - self.frames)
            heard[self.frames : self.frames + kept] = block[:kept]
            self.frames += kept
            stamps.note(time.monotonic(), self.frames)
            self.dropouts += bool(status.input_overflow)

        return listen

    def between(self, begin_s: float, end_s: float) -> np.ndarray[Any, np.dtype[np.int16]]:
        """What was heard from one moment of the recording to another, as far as it came."""
        return self.heard[int(begin_s * self.rate) : min(self.frames, int(end_s * self.rate))]


class _Player:
    """The speaker's stream: silence, the chirp if it is wanted, silence."""

    def __init__(self, device: Device, with_chirp: bool) -> None:
        """Open it; raises NoSound."""
        self._with_chirp = with_chirp
        self.dropouts = 0
        self._stream, self.rate = open_stream(
            "output", device, (24_000,), _BLOCK_MS, _LATENCY_MS, self._prepare
        )

    def _prepare(self, rate: int, channels: int) -> StreamCallback:
        sound = chirp(rate) if self._with_chirp else np.zeros(0, np.int16)
        begin = self.begin = int((_SETTLE_S + _LISTEN_S) * rate)
        score = np.zeros(int((_SETTLE_S + _LISTEN_S + CHIRP_S + _WAIT_S + 1.0) * rate), np.int16)
        score[begin : begin + len(sound)] = sound
        stamps = self.stamps = CallbackTimes(rate)
        self.frames = 0

        def speak(out: Any, frames: int, clock: Any, status: Any) -> None:
            stamps.note(time.monotonic(), self.frames)
            view = np.frombuffer(out, np.int16).reshape(frames, channels)
            view[:] = 0
            piece = score[self.frames : self.frames + frames]
            view[: len(piece)] = piece[:, None]
            self.frames += frames
            if self.frames > begin:
                self.dropouts += bool(status.output_underflow)

        return speak

    @property
    def has_chirped(self) -> bool:
        """Whether the whole chirp was taken."""
        return self._with_chirp and self.frames >= self.begin + int(CHIRP_S * self.rate)


def run_loopback_test(
    microphone: Device | NoSound, speaker: Device | NoSound, with_chirp: bool
) -> LoopbackResult:
    """Open what there is, listen for a second, then chirp. May hang; takes some two seconds."""
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
    most = _TOO_FAST * seconds
    unreal = [
        *(
            [_name(microphone, "input")]
            if recorder and recorder.given > most * recorder.rate
            else []
        ),
        *([_name(speaker, "output")] if player and player.frames > most * player.rate else []),
    ]
    listened = (
        recorder.between(_SETTLE_S, _SETTLE_S + _LISTEN_S) if recorder else np.zeros(0, np.int16)
    )
    trip_ms, gain_db = _round_trip(recorder, player)
    return LoopbackResult(
        microphone=_name(microphone, "input") if recorder else None,
        speaker=_name(speaker, "output") if player else None,
        problems=tuple(problems),
        input_rate=recorder.rate if recorder else 0,
        output_rate=player.rate if player else 0,
        level=dbfs(listened) if listened.size else None,
        peak=peak_dbfs(listened) if listened.size else None,
        chirped=player is not None and player.has_chirped,
        round_trip_ms=trip_ms,
        return_db=gain_db,
        dropouts=(recorder.dropouts if recorder else 0) + (player.dropouts if player else 0),
        unreal=tuple(dict.fromkeys(name for name in unreal if name)),
        stalled=player is not None and player.frames < seconds * player.rate / 2,
    )


def _round_trip(
    recorder: _Recorder | None, player: _Player | None
) -> tuple[float | None, float | None]:
    """Round trip in ms and gain in dB; None, None when nothing came back."""
    if not recorder or not player or not player.has_chirped or not recorder.frames:
        return None, None
    left = player.stamps.when(player.begin)
    # The chirp cannot return before it left; what was heard earlier is somebody else's sound.
    earliest = max(0, int((left - recorder.stamps.when(0)) * recorder.rate) - recorder.rate // 100)
    echo = find_chirp(recorder.heard[earliest : recorder.frames], recorder.rate)
    if echo is None:
        return None, None
    return (recorder.stamps.when(earliest + echo.frame) - left) * 1000, echo.gain_db


def _opened(device: Device | NoSound) -> Device:
    if isinstance(device, NoSound):
        raise device
    return device


def _name(device: Device | NoSound, kind: Kind) -> str | None:
    return title(device, kind) if isinstance(device, Device) else None
