"""A microphone and a speaker in real time in the place of the audio process.

The speaker plays what is queued, 20 ms at a time, and reports positions as the audio process does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from voicechat.audio import messages as sound
from voicechat.core import effects, inputs
from voicechat.speech.pcm import Samples

BLOCK_S = 0.02
_START_BLOCKS = 5
"""Blocks that wait before an item starts to play."""


class LinkedSpeaker:
    """Pass `open` as `open_audio`. `heard` is everything that left the speaker."""

    def __init__(self) -> None:
        self.heard: list[Samples] = []
        self.stopped_at: list[float] = []
        """Times at which playback was stopped, on the loop's clock."""
        self.after_stop: list[str] = []
        """Items of which sound came after they were stopped."""
        self.news = asyncio.Event()
        self._stopped: set[str] = set()
        self._queued: dict[str, bytearray] = {}
        self._played: dict[str, int] = {}
        self._ended: set[str] = set()
        self._mic = bytearray()
        self._task: asyncio.Task[None] | None = None

    def open(
        self, settings: sound.AudioSettings, on_event: Callable[[sound.AudioEvent], None]
    ) -> LinkedSpeaker:
        """Start both."""
        self.rate, self._report = settings.output_rate, on_event
        self._size = int(self.rate * BLOCK_S) * 2
        self._task = asyncio.create_task(self._run())
        on_event(sound.Opened("microphone", "speaker"))
        return self

    async def close(self) -> None:
        """Stop both."""
        if self._task is not None:
            self._task.cancel()

    def send(self, command: sound.AudioCommand) -> None:
        """Take a command of the session."""
        match command:
            case effects.Play(item_id, pcm):
                self._queued.setdefault(item_id, bytearray()).extend(pcm)
                self.after_stop += [item_id] * (item_id in self._stopped)
            case effects.EndItem(item_id):
                self._ended.add(item_id)
            case effects.StopPlayback():
                heard = {item: self._ms(item) for item in self._queued}
                self._stopped |= {*self._queued}
                self._queued.clear()
                self.stopped_at.append(asyncio.get_running_loop().time())
                asyncio.get_running_loop().call_soon(self._report, inputs.PlaybackStopped(heard))

    def say(self, samples: Samples) -> None:
        """Speak into the microphone, from now on."""
        self._mic += samples.astype("<i2").tobytes()

    @property
    def busy(self) -> bool:
        """True while the user speaks into the microphone."""
        return bool(self._mic)

    def level(self, seconds: float) -> float:
        """Return the RMS of the last seconds that left the speaker."""
        count = max(1, round(seconds / BLOCK_S))
        wave = np.concatenate(self.heard[-count:]).astype(float)
        return float(np.sqrt((wave**2).mean()))

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the condition is true; it is checked every 20 ms."""
        async with asyncio.timeout(20):
            while not reached():
                self.news.clear()
                await self.news.wait()

    def _ms(self, item_id: str) -> float:
        return self._played.get(item_id, 0) / 2 / self.rate * 1000

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            block, self._mic = self._mic[: self._size], self._mic[self._size :]
            self._report(inputs.MicBlock(bytes(block.ljust(self._size, b"\0"))))
            self._play()
            self.news.set()
            due += BLOCK_S
            await asyncio.sleep(max(0.0, due - clock()))

    def _play(self) -> None:
        block = b""
        for item_id in list(self._queued):
            queue = self._queued[item_id]
            waits = item_id not in self._played and item_id not in self._ended
            if queue and not block and not (waits and len(queue) < _START_BLOCKS * self._size):
                block = bytes(queue[: self._size])
                del queue[: self._size]
                if item_id not in self._played:
                    self._report(inputs.PlaybackStarted(item_id))
                self._played[item_id] = self._played.get(item_id, 0) + len(block)
                if item_id in self._queued and len(self.heard) % 5 == 0:
                    self._report(inputs.Heard(item_id, self._ms(item_id)))
            elif not queue and item_id in self._ended:
                self._queued.pop(item_id, None)
                self._report(inputs.PlaybackFinished(item_id))
        self.heard.append(np.frombuffer(block.ljust(self._size, b"\0"), "<i2"))
