"""The session's line to the audio process: events come over on the loop, in order, bounded.

The audio process is read on a thread of its own. `SoundLine` carries what it says over to the
event loop; when the loop is stalled for long, the oldest events are dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from voicechat.audio import messages as sound
from voicechat.audio.process import AudioProcess
from voicechat.core import effects, inputs

MAILBOX = 2_000
"""Events that may wait for the loop, about 30 s of them; the oldest are dropped."""


class SoundLine:
    """An audio process whose events arrive on the event loop."""

    def __init__(
        self, settings: sound.AudioSettings, on_event: Callable[[sound.AudioEvent], None]
    ) -> None:
        """Start the process. Call on the loop; `on_event` is called there for every event."""
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._mailbox: deque[sound.AudioEvent] = deque(maxlen=MAILBOX)
        self._process = AudioProcess(settings, self._deliver)
        self._process.start()

    def send(self, command: sound.AudioCommand) -> None:
        """Give the audio process a command; returns at once."""
        self._process.send(command)

    async def close(self) -> None:
        """End the process; a sound server that hangs does not hold this up."""
        await asyncio.to_thread(self._process.close)

    def _deliver(self, event: sound.AudioEvent) -> None:
        """Called on the reader's thread."""
        idle = not self._mailbox
        self._mailbox.append(event)
        if idle:
            with suppress(RuntimeError):  # the loop has ended: nobody listens any more
                self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        for _ in range(len(self._mailbox)):
            self._on_event(self._mailbox.popleft())
        if self._mailbox:
            self._loop.call_soon(self._empty)


def as_input(event: sound.AudioEvent) -> inputs.Input | None:
    """What the sound side says in the words of the conversation; None where it has none."""
    translate = _INPUTS.get(type(event))
    return None if translate is None else translate(event)


_INPUTS: Mapping[type, Callable[..., inputs.Input]] = {
    sound.Captured: lambda event: inputs.MicBlock(event.pcm),
    sound.SpeechHeard: lambda event: inputs.LocalSpeech(event.confirmed),
    sound.SpeechEnded: lambda event: inputs.LocalSpeechEnded(),
    sound.VoiceEnded: lambda event: inputs.VoiceEnded(event.at),
    sound.ItemStarted: lambda event: inputs.PlaybackStarted(event.item_id),
    sound.Progress: lambda event: inputs.Heard(event.item_id, event.heard_ms),
    sound.ItemFinished: lambda event: inputs.PlaybackFinished(event.item_id),
    sound.Stopped: lambda event: inputs.PlaybackStopped(event.heard_ms),
}


def as_command(effect: effects.Effect) -> sound.AudioCommand | None:
    """What an effect means for the sound side; None where it means nothing there."""
    translate = _COMMANDS.get(type(effect))
    return None if translate is None else translate(effect)


_COMMANDS: Mapping[type, Callable[..., sound.AudioCommand]] = {
    effects.Play: lambda effect: sound.Play(effect.item_id, effect.pcm),
    effects.EndItem: lambda effect: sound.EndItem(effect.item_id),
    effects.StopPlayback: lambda effect: sound.Stop(),
    effects.ResumePlayback: lambda effect: sound.Resume(),
    effects.CloseMic: lambda effect: sound.CloseMic(effect.closed),
}
