"""A sound card and a room in simulated time: runs the real engine faster than real time.

    program's playback ─► speaker's buffer ─► room ─┐
    `say` ──────────────────────────────────────────┴► microphone's buffer ─► program's capture

Everything from the callbacks up is the program's own code. A `Stall` delays the callbacks like a
busy machine: the speaker runs dry and the microphone overflows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import talkers
from numpy.typing import NDArray
from sound_measures import LONG_TEXT
from user_speech import LEVEL, spoken

from voicechat.audio import engine
from voicechat.audio.devices import (
    buffer_sizing,
    device_list,
    speaker_change,
    speaker_parking,
    stream_supervisor,
    streams,
)
from voicechat.audio.messages import AudioEvent, AudioSettings
from voicechat.core.effects import EndItem, Play, ResumePlayback
from voicechat.core.inputs import LocalSpeech, PlaybackFinished
from voicechat.speech.pcm import Resampler, amplitude
from voicechat.system.flush_to_zero import set_flush_to_zero

RATE = 16_000
SPEAKER_RATE = 24_000
STEP_MS = 10
STEP = RATE * STEP_MS // 1000
Sound = NDArray[np.int16]


class Stall(NamedTuple):
    """From `at` on the program, or only one side of it, is stalled for `seconds`."""

    at: float
    seconds: float
    side: str = "both"


class Runaway(NamedTuple):
    """From `at` on the speaker takes `blocks` in a ms each and drops them.

    Seen when PulseAudio started a stream on a remapped sink of a busy machine: 430 callbacks in
    480 ms, each with a latency of 0.
    """

    at: float
    blocks: int = 430
    flags: bool = False
    """True if each callback also has the flag of an underflow."""
    pause_steps: int = 0
    """Steps of 10 ms after which it takes nothing for 6 ms; 0 for never."""


@dataclass(frozen=True)
class Room:
    """The echo path from the speaker to the microphone."""

    delay_ms: float = 60.0
    gain_db: float = -12.0
    drift_ppm: float = 0.0
    """How much faster the speaker's clock runs than the microphone's."""
    jump_ms: float = 0.0
    jump_at: float = 0.0
    noise: float = 8.0
    reverberates: bool = True
    rt60_s: float = 0.0
    """Time in which the reflections fade by 60 dB; 0 for those of a small room."""
    clips_at: float = 0.0
    """Level to which the speaker saturates; 0 for none."""


class SimulatedCard:
    """Replaces sounddevice and the clock; `run` advances time."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        room: Room,
        stalls: Iterable[Stall] = (),
        seconds: int = 400,
    ) -> None:
        self.room = room
        self.now = 1000.0
        self._began = self.now
        self._stalls = sorted(stalls)
        self._calm_at = max((stall.at + stall.seconds for stall in self._stalls), default=0.0)
        self._steps = 0
        self._outs: list[_Out] = []
        self.exclusive = False
        """True if the speaker takes one stream at a time."""
        self.opened = {"RawInputStream": 0, "RawOutputStream": 0}
        """Streams that a test counted."""
        self.runaways: list[Runaway] = []
        """What happens to the speaker, in this order."""
        self.latency_s = 0.0
        """What the speaker reports beyond the buffer; `Room.delay_ms` should include it."""
        self.refusals: list[type[Exception]] = []
        """What the next openings of the speaker raise, in this order; see `Hang`."""
        self._in: _In | None = None
        self._played: NDArray[np.float32] = np.zeros((seconds + 1) * RATE, np.float32)
        self._played_to = 0
        self._voice: NDArray[np.float32] = np.zeros((seconds + 1) * RATE, np.float32)
        chance = np.random.default_rng(7)
        self._tail: NDArray[np.float32] = np.ones(1, np.float32)
        if room.reverberates:
            count = int(0.08 * RATE)
            fading = np.exp(-np.arange(count) / (0.012 * RATE)) * 0.12
            self._tail = (chance.standard_normal(count) * fading).astype(np.float32)
        if room.rt60_s:
            count = int(0.35 * RATE)
            fading = np.exp(-6.9 * np.arange(count) / (room.rt60_s * RATE)) * 0.05
            self._tail = (chance.standard_normal(count) * fading).astype(np.float32)
        self._tail[0] = 1.0
        self._rest: NDArray[np.float32] = np.zeros(len(self._tail) - 1, np.float32)
        self._to_room = Resampler(SPEAKER_RATE, RATE)
        self._hiss = np.random.default_rng(1)
        self.events: list[tuple[float, AudioEvent]] = []
        self.paced = False
        """True to tick as the audio process does; False to tick every 10 ms."""
        self.ticks = 0
        self._due = 0.0
        self.heard: list[Sound] = []
        """Sound at the microphone, 10 ms each."""
        self.spoken: list[Sound] = []
        """Sound of the speaker, about 10 ms each at 24 kHz."""
        for module in (streams, stream_supervisor, speaker_change, engine):
            clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
            patch.setattr(module, "time", clock)
        for module in (stream_supervisor, speaker_change, speaker_parking, engine):
            patch.setattr(module, "BackgroundCall", lambda work: _AtOnce(work, self.now))
        patch.setattr(device_list, "library", lambda: self._library())
        patch.setattr(buffer_sizing, "is_overloaded", lambda: False)
        # The callbacks run in the thread of the test.
        patch.setattr(streams, "use_real_time", lambda: None)

    # ----------------------------------------------------------------- the test's side

    @property
    def elapsed(self) -> float:
        """Simulated seconds since the start."""
        return self.now - self._began

    def open(self, **settings: object) -> engine.Engine:
        """Return an engine with running streams."""
        opened = AudioSettings(**{"input_rate": RATE, **settings})  # type: ignore[arg-type]
        self.engine = engine.Engine(opened, self._emit, self._wake)
        self.engine.tick(self.now)
        return self.engine

    def _emit(self, event: AudioEvent) -> None:
        self.events.append((self.now, event))

    def _wake(self) -> None:
        self._due = self.now

    def of(self, kind: type[Any]) -> list[Any]:
        """Return every event of this kind so far."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def say(self, at: float, sound: Sound) -> None:
        """Add speech at the microphone, from `at` seconds on."""
        begin = int(at * RATE)
        self._voice[begin : begin + len(sound)] += sound

    def run(self, seconds: float, watch: Callable[[], bool] = lambda: False) -> bool:
        """Advance time until `watch` returns True; return whether it did."""
        set_flush_to_zero()  # as the audio process
        try:
            for _ in range(round(seconds * 1000 / STEP_MS)):
                self._step()
                if watch():
                    return True
            return False
        finally:
            set_flush_to_zero(False)

    # ----------------------------------------------------------------- time

    def _stalled(self, side: str) -> bool:
        if self.elapsed >= self._calm_at:
            return False
        return any(
            stall.at <= self.elapsed < stall.at + stall.seconds and stall.side in (side, "both")
            for stall in self._stalls
        )

    def _step(self) -> None:
        self._stream()
        if self._stalled("engine") or (self.paced and self.now < self._due):
            return
        self.ticks += 1
        self.engine.tick(self.now)
        if self.paced:
            self._due = self.now + self.engine.pause(self.now)

    def _sleep(self, seconds: float) -> None:
        """Advance only the streams."""
        for _ in range(round(seconds * 1000 / STEP_MS)):
            self._stream()

    def _stream(self) -> None:
        self.now += STEP_MS / 1000
        self._steps += 1
        if self._outs:
            self._hear(_mixed([out.play(self._steps) for out in self._outs]))
            if not self._stalled("speaker"):
                for out in self._outs:
                    out.fill()
        if self._in is not None:
            self._in.take(self._microphone())
            if not self._stalled("microphone"):
                self._in.give()

    def _hear(self, block: Sound) -> None:
        self.spoken.append(block)
        if limit := self.room.clips_at:
            block = (np.tanh(block / limit) * limit).astype(np.int16)
        dry = self._to_room.convert(block).astype(np.float32)
        if not len(dry):
            return
        wet = np.convolve(dry, self._tail)
        wet[: len(self._rest)] += self._rest
        keep, self._rest = wet[: len(dry)], wet[len(dry) :]
        self._played[self._played_to : self._played_to + len(keep)] = keep
        self._played_to += len(keep)

    def _microphone(self) -> Sound:
        end = self._steps * STEP
        delay_ms = self.room.delay_ms
        if self.room.jump_ms and self.elapsed >= self.room.jump_at:
            delay_ms += self.room.jump_ms
        spots = (np.arange(end - STEP, end) - delay_ms * RATE / 1000) * (
            1 + self.room.drift_ppm / 1e6
        )
        whole = np.floor(spots).astype(np.int64)
        part = (spots - whole).astype(np.float32)
        known = self._played
        echo = np.where(whole < 0, 0, known[whole] * (1 - part) + known[whole + 1] * part)
        near = echo * amplitude(self.room.gain_db) + self._voice[end - STEP : end]
        near = near + self._hiss.standard_normal(STEP) * self.room.noise
        block: Sound = near.clip(-32768, 32767).astype(np.int16)
        self.heard.append(block)
        return block

    # ----------------------------------------------------------------- PortAudio's side

    def _library(self) -> Any:
        device = {"name": "Room", "hostapi": 0, "default_samplerate": SPEAKER_RATE}
        both = {**device, "index": 0, "max_input_channels": 1, "max_output_channels": 1}
        return SimpleNamespace(
            query_hostapis=lambda: [{"name": "Simulated"}],
            query_devices=lambda kind=None: both if kind else [both],
            RawOutputStream=self._output,
            RawInputStream=lambda **how: _In(self, **how),
            PortAudioError=OSError,
            CallbackStop=_CallbackStop,
            _terminate=lambda: None,
            _initialize=lambda: None,
        )

    def _output(self, **how: Any) -> _Out:
        if self.refusals:
            raise self.refusals.pop(0)
        if self.exclusive and self._outs:
            raise OSError("Device unavailable")
        return _Out(self, **how)

    def attach(self, stream: _Stream, on: bool) -> None:
        """Start or stop a stream."""
        if isinstance(stream, _Out):
            if on:
                stream.played = stream.due(self._steps)
            self._outs = [out for out in self._outs if out is not stream] + [stream] * on
        elif isinstance(stream, _In):
            self._in = stream if on else None


def _mixed(blocks: list[Sound]) -> Sound:
    """Return the sum, as a sound server that plays several streams."""
    frames = max(map(len, blocks))
    total = np.zeros(frames, np.int32)
    for block in blocks:
        total[: len(block)] += block
    mixed: Sound = total.clip(-32768, 32767).astype(np.int16)
    return mixed


class Hang(Exception):
    """The device call never returns, as PortAudio's when its thread fails to start a stream."""


class _CallbackStop(Exception):
    """The callback ends its stream."""


class _AtOnce:
    """A `BackgroundCall` that takes no time, unless it hangs."""

    def __init__(self, work: Callable[[], Any], now: float) -> None:
        self.began = now
        self.done = True
        self.result = self.error = None
        try:
            self.result = work()
        except device_list.NoSound as error:
            self.error = error
        except Hang:
            self.done = False


class _Stream:
    def __init__(self, card: SimulatedCard, **how: Any) -> None:
        self._card = card
        self._callback = how["callback"]
        self._rate: int = how["samplerate"]
        self._block: int = how["blocksize"]
        least = 3 * self._block / self._rate
        self.latency = least if how["latency"] == "low" else max(least, how["latency"])
        self._fifo: NDArray[np.int16] = np.empty(0, np.int16)
        self._flag = False

    def start(self) -> None:
        self._card.attach(self, True)

    def abort(self) -> None:
        self._fifo = self._fifo[:0]
        self._card.attach(self, False)

    def close(self) -> None:
        self._card.attach(self, False)


class _Out(_Stream):
    played = _latest = 0

    def due(self, steps: int) -> int:
        """Return the frames counted by the speaker's clock until then."""
        pace = 1 + self._card.room.drift_ppm / 1e6
        return int(steps * STEP_MS * self._rate * pace / 1000)

    def play(self, steps: int) -> Sound:
        """Return the next 10 ms that leave the speaker, padded with silence."""
        frames = self.due(steps) - self.played
        self.played += frames
        self._latest = frames
        block, self._fifo = self._fifo[:frames], self._fifo[frames:]
        self._flag |= len(block) < frames
        return np.concatenate((block, np.zeros(frames - len(block), np.int16)))

    def fill(self) -> None:
        """Call the program for as much as the buffer takes, at the time there was space for it."""
        most, now = self.latency * self._rate, self._card.now
        if self._card.runaways and self._card.elapsed >= self._card.runaways[0].at:
            self._run_away(now)
            return
        while (room := most - self._block - len(self._fifo)) >= 0:
            self._card.now = now - min(room, self._latest) / self._rate
            self._fifo = np.concatenate((self._fifo, self._call()))
        self._card.now = now

    def _run_away(self, now: float) -> None:
        """Take a block in a ms each, and drop them."""
        this = self._card.runaways.pop(0)
        self._fifo = self._fifo[:0]
        step = this.blocks // STEP_MS
        pauses = this.pause_steps > 0 and step % this.pause_steps == 0
        for before_ms in reversed(range(min(this.blocks, STEP_MS - 6 * pauses))):
            self._card.now = now - before_ms / 1000
            self._flag = this.flags
            self._call()
        self._card.now = now
        if this.blocks > STEP_MS:
            self._card.runaways.insert(0, this._replace(blocks=this.blocks - STEP_MS))

    def _call(self) -> Sound:
        """Call the program for a block."""
        out = np.zeros(self._block, np.int16)
        ahead = len(self._fifo) / self._rate + self._card.latency_s
        clock = SimpleNamespace(outputBufferDacTime=self._card.now + ahead)
        clock.currentTime = self._card.now
        flags = SimpleNamespace(output_underflow=self._flag)
        self._flag = False
        try:
            self._callback(out, self._block, clock, flags)
        except _CallbackStop:
            self.abort()
        return out


class _In(_Stream):
    def take(self, block: Sound) -> None:
        """Capture 10 ms; what exceeds the buffer is lost."""
        room = int(max(self.latency, 0.04) * self._rate)
        self._flag |= len(self._fifo) + len(block) > room
        self._fifo = np.concatenate((self._fifo, block))[-room:]

    def give(self) -> None:
        """Hand the captured blocks to the program."""
        while len(self._fifo) >= self._block:
            block, self._fifo = self._fifo[: self._block], self._fifo[self._block :]
            clock = SimpleNamespace(currentTime=self._card.now)
            clock.inputBufferAdcTime = self._card.now - (len(block) + len(self._fifo)) / self._rate
            flags = SimpleNamespace(input_overflow=self._flag)
            self._flag = False
            self._callback(block, self._block, clock, flags)


def formant_voice() -> Sound:
    """Return 10 s of a voice synthesized from formants, at the rate and level of `spoken`."""
    wide = talkers.talker(3, 10.0)
    level = (wide * (LEVEL / np.std(wide))).clip(-32768, 32767).astype(np.int16)
    return Resampler(talkers.RATE, SPEAKER_RATE).convert(level)


def speak(card: SimulatedCard, seconds: float, voice: Sound | None = None) -> list[bool]:
    """Play responses for `seconds`; return for each speech event whether it was confirmed.

    voice: at 24 kHz; by default the built-in voice speaks LONG_TEXT.
    """
    pcm = (spoken(LONG_TEXT) if voice is None else voice).tobytes()
    heard: list[bool] = []
    seen = 0

    def over() -> bool:
        nonlocal seen
        new, seen = card.events[seen:], len(card.events)
        for _, event in new:
            if isinstance(event, LocalSpeech):
                heard.append(event.confirmed)
                if event.confirmed:
                    card.engine.command(ResumePlayback())
        return any(isinstance(event, PlaybackFinished) for _, event in new)

    number = 0
    while card.elapsed < seconds:
        number += 1
        card.engine.command(Play(f"v{number}", pcm))
        card.engine.command(EndItem(f"v{number}"))
        assert card.run(60, over), "the reply came to its end"
    return heard
