"""A speaker without a microphone in simulated time, at any rates and with slow device calls.

Keeps every frame that reaches the speaker, and the positions where the device was closed or
emptied: a cut there is the device's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from simulated_card import Room, SimulatedCard, Sound, Stall

from voicechat.audio import engine
from voicechat.audio.devices import device_list, speaker_change, stream_supervisor


class SimulatedSpeaker(SimulatedCard):
    """`lags`: for each device call, the steps until it runs and until it is reported done."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        rate: int,
        device_rate: int,
        latency_ms: int,
        stalls: Iterable[Stall] = (),
        lags: Iterable[tuple[int, int]] = (),
    ) -> None:
        super().__init__(patch, Room(reverberates=False), stalls, seconds=1)
        self.device_rate = device_rate
        self.cuts: list[int] = []
        self._lags = deque(lags)
        self._working: list[_Lagging] = []
        for module in (stream_supervisor, speaker_change, engine):
            patch.setattr(module, "BackgroundCall", self._work)
        self.open(listen=False, output_rate=rate, latency_ms=latency_ms, barge_in="off")
        self.run(0.02)

    @property
    def playback(self) -> Any:
        """Return the engine's playback."""
        return self.engine._playback

    def interrupt(self) -> None:
        """Do what the engine does on confirmed speech."""
        self.playback.hold()
        self.engine._discard_large_buffer()

    def move(self, device_rate: int) -> None:
        """Switch the system's default device."""
        self.device_rate = device_rate
        self.engine._streams.reopen(frozenset(("output",)))

    @property
    def sound(self) -> Sound:
        """Return everything that left the speaker."""
        return np.concatenate(self.spoken)

    def click(self, pitch: float) -> float:
        """Return the loudest click in dBFS after playing only a tone of this pitch at one rate.

        A tone is predicted from its last two samples; the residue is the click.
        """
        wave = self.sound.astype(np.float64)
        turn = 2 * np.cos(2 * np.pi * pitch / self.device_rate)
        rest = np.abs(wave[2:] - turn * wave[1:-1] + wave[:-2])
        for cut in self.cuts:
            rest[max(0, cut - 2) : cut] = 0
        return 20 * float(np.log10(rest.max() / 32768 + 1e-9))

    # ----------------------------------------------------------------- in place of the card's

    def attach(self, stream: Any, on: bool) -> None:
        """Start a stream, or record the cut where it stopped."""
        if not on:
            self.cuts.append(sum(map(len, self.spoken)))
        super().attach(stream, on)

    def _work(self, work: Callable[[], Any]) -> _Lagging:
        lagging = _Lagging(work, self.now, *(self._lags.popleft() if self._lags else (0, 0)))
        self._working.append(lagging)
        return lagging

    def _step(self) -> None:
        for work in self._working:
            work.step()
        self._working = [work for work in self._working if not work.done]
        super()._step()

    def _hear(self, block: Sound) -> None:
        self.spoken.append(block)

    def _library(self) -> Any:
        library = super()._library()
        device = {"name": "Room", "hostapi": 0, "default_samplerate": self.device_rate}
        both = {**device, "index": 0, "max_input_channels": 1, "max_output_channels": 1}
        library.query_devices = lambda kind=None: both if kind else [both]
        at_any_rate = library.RawOutputStream

        def at_its_own(**how: Any) -> Any:
            if how["samplerate"] != self.device_rate:
                raise OSError("Invalid sample rate")
            return at_any_rate(**how)

        return SimpleNamespace(**{**vars(library), "RawOutputStream": at_its_own})


class _Lagging:
    """A `BackgroundCall` that runs some steps later, and is reported done after more steps."""

    error = None

    def __init__(self, work: Callable[[], Any], now: float, begins: int, tells: int) -> None:
        self._work, self._begins, self._tells = work, begins, begins + tells
        self._age = 0
        self._made: Any = None
        self.began = now
        self.result: Any = None
        self.done = False

    def step(self) -> None:
        """Advance by 10 ms."""
        if self._age == self._begins:
            with suppress(device_list.NoSound):
                self._made = self._work()
        if self._age == self._tells:
            self.result, self.done = self._made, True
        self._age += 1
