"""Plays speech while it arrives, through the audio process of conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial

from voicechat.audio import messages as sound
from voicechat.config import remembered_devices
from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.errors import SoundError
from voicechat.providers.speech_service import SPEECH_RATE
from voicechat.session.audio_link import OpenAudio, SoundLine, cleaned
from voicechat.synthesis.speech_text import CHARACTERS_PER_SECOND

AHEAD_S = 300.0
"""Seconds of sound that may wait for the speaker; then the next request waits."""
AHEAD_CHARACTERS = 1_000
"""Characters that may be sent to a socket before they are heard; then the text waits."""
STALL_S = 15.0
"""Seconds without progress of the speaker after which it counts as broken."""
_ITEM = "speech"
_BLOCK = 2 * SPEECH_RATE // 5
"""Bytes of one message to the audio process: 200 ms."""


class SpeechPlayer:
    """The speaker. Make it on the event loop, and close it at the end."""

    def __init__(self, options: Options, open_audio: OpenAudio = SoundLine) -> None:
        """Open the speaker named in the options."""
        self.heard_s = 0.0
        """Seconds of sound that were heard."""
        self._sent = 0
        """Bytes of sound in the queue of the audio process and before."""
        self._changed = asyncio.Event()
        self.on_heard: Callable[[], object] = lambda: None
        """Called when more was heard."""
        self._is_finished = False
        self._failure: SoundError | None = None
        self._opened = partial(remembered_devices.remember, options, ("output",))
        settings = sound.AudioSettings(
            output_device=options.output_device,
            preferred=options.remembered_devices,
            listen=False,
            output_rate=SPEECH_RATE,
            echo_cancel=False,
            barge_in="off",
        )
        self._line = open_audio(settings, self._on_event)

    def _on_event(self, event: sound.AudioEvent) -> None:
        match event:
            case inputs.Heard(_, heard_ms):
                self.heard_s = heard_ms / 1000
                self.on_heard()
            case inputs.PlaybackFinished() | inputs.PlaybackStopped():
                self._is_finished = True
            case sound.Opened(output_name=None):
                told = cleaned(event)
                assert isinstance(told, sound.Opened)
                hint = f"{told.hint} To write a file, add --out FILE.".strip()
                self._failure = SoundError(told.problem or "There is no speaker.", hint)
            case sound.Opened():
                self._failure = None
                with suppress(OSError):
                    self._opened()
            case _:
                return
        self._changed.set()

    async def play(self, speech: AsyncIterator[bytes]) -> None:
        """Play PCM16 mono at 24 kHz to its end. Raises `SoundError` without a speaker."""
        async for pcm in speech:
            for start in range(0, len(pcm), _BLOCK):
                block = pcm[start : start + _BLOCK]
                self._line.send(effects.Play(_ITEM, block))
            self._sent += len(pcm)
            self._check()
            while self._sent / (2 * SPEECH_RATE) - self.heard_s > AHEAD_S:
                await self._progress()
        if self._sent:
            self._line.send(effects.EndItem(_ITEM))
            while not self._is_finished:
                await self._progress()

    async def wait_for_text(self, characters: int) -> None:
        """Wait until the text after these characters is due, so that no sound piles up."""
        while characters - self.heard_s * CHARACTERS_PER_SECOND > AHEAD_CHARACTERS:
            self._changed.clear()
            await self._changed.wait()

    async def _progress(self) -> None:
        """Wait until more was heard."""
        self._changed.clear()
        self._check()
        try:
            async with asyncio.timeout(STALL_S):
                await self._changed.wait()
        except TimeoutError:
            raise SoundError("The speaker plays nothing.", "Run voicechat doctor.") from None
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Fade out at once."""
        self._line.send(effects.StopPlayback())

    async def close(self) -> None:
        """End the audio process."""
        await self._line.close()
