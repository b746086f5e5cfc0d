"""Microphone input: which blocks are sent, and what ends a turn.

Hands-free, everything is sent and the provider detects the turns. With push-to-talk, only audio
captured while the key is down is sent, and releasing the key ends the turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from voicechat.core import commands, effects, events, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.settings import Permission, SessionSettings, ToolSpec, TurnDetection
from voicechat.core.settings_updates import SettingsUpdates

MIN_TALK_MS = 150.0
"""Shortest push-to-talk turn; a shorter press is discarded.

At least this much audio must have been sent, too: providers refuse commits under 100 ms.
"""


KEPT_MS = 10_000.0
"""Milliseconds of audio kept while there is no connection; the oldest is dropped."""


class MicrophoneInput:
    """The microphone's path to the provider."""

    def __init__(
        self,
        buffer: EffectBuffer,
        settings: SessionSettings,
        *,
        hands_free: bool,
        updates: SettingsUpdates,
    ) -> None:
        self.hands_free = hands_free
        self.talking = False
        """The push-to-talk key is down."""
        self.sent_ms = 0.0
        """Milliseconds of audio sent on this connection (with push-to-talk: in this turn)."""
        self._buffer = buffer
        self._updates = updates
        self._settings = with_tools(settings, settings.tools)
        self._ms_per_byte = settings.input_format.decoded.ms(1)
        self._pressed_at = 0.0
        self._missed: deque[bytes] = deque()
        self._missed_ms = 0.0

    @property
    def settings(self) -> SessionSettings:
        """The effective settings: without hands-free there is no turn detection."""
        return self._settings if self.hands_free else replace(self._settings, turn_detection=None)

    @property
    def detection(self) -> TurnDetection:
        """The effective turn detection."""
        return self._settings.turn_detection if self.hands_free else None

    @property
    def transcribes(self) -> bool:
        """True if the user wants transcripts of speech."""
        return self._settings.transcription is not None

    def transcript(self, event: events.UserTranscript) -> events.UserTranscript:
        """Return a transcript, without the words if the user wants none.

        Some models transcribe the user's speech in any case.
        """
        return event if self.transcribes else replace(event, text="", tokens=(), error=None)

    def offer(self, tools: Iterable[ToolSpec]) -> bool:
        """Replace the offered tools; return False if nothing changes."""
        before, self._settings = self._settings, with_tools(self._settings, tools)
        return self._settings != before

    def connected(self) -> None:
        """Start a connection: send the audio that was kept without one."""
        self.sent_ms = 0.0
        self._buffer.do(effects.CloseMic(closed=not self.hands_free))
        missed = b"".join(self._missed)
        self.drop_kept()
        if missed and (command := self.block(inputs.MicBlock(missed))):
            self._buffer.send(command)

    def drop_kept(self) -> None:
        """Drop the audio that was kept without a connection."""
        self._missed.clear()
        self._missed_ms = 0.0

    def disconnected(self) -> None:
        """End a connection."""
        self.talking = False

    def block(self, event: inputs.MicBlock) -> commands.AppendAudio | None:
        """Process a block of the microphone; return the command that sends it, if it is sent now.

        Without a connection, hands-free blocks are kept for the next one.
        """
        if self._buffer.online and (self.hands_free or self.talking):
            self.sent_ms += len(event.pcm) * self._ms_per_byte
            return commands.AppendAudio(event.pcm)
        if self.hands_free and not self._buffer.online:
            self._missed.append(event.pcm)
            self._missed_ms += len(event.pcm) * self._ms_per_byte
            while self._missed_ms > KEPT_MS:
                self._missed_ms -= len(self._missed.popleft()) * self._ms_per_byte
        return None

    def press(self, now: float) -> None:
        """Start a push-to-talk turn at `now` (s)."""
        self.talking = True
        self._pressed_at = now
        self.sent_ms = 0.0
        self._buffer.send(commands.ClearAudio())
        self._buffer.do(effects.CloseMic(closed=False))

    def release(self, now: float) -> bool:
        """End a push-to-talk turn; return False if it was too short and was discarded."""
        self.talking = False
        self._buffer.do(effects.CloseMic(closed=True))
        if min(self.sent_ms, (now - self._pressed_at) * 1000) >= MIN_TALK_MS:
            self._buffer.send(commands.CommitAudio())
            return True
        self._buffer.send(commands.ClearAudio())
        is_short = (now - self._pressed_at) * 1000 < MIN_TALK_MS
        text = "That was too short to hear." if is_short else "Nothing was heard yet."
        self._buffer.do(effects.Notice(text, hint="Press the key and talk again."))
        return False

    def drop(self) -> None:
        """Discard the push-to-talk turn."""
        if self.talking:
            self.talking = False
            self._buffer.send(commands.ClearAudio())
            self._buffer.do(effects.CloseMic(closed=True))

    def configure(self, settings: SessionSettings) -> None:
        """Change the settings; audio formats and tools remain as they are."""
        self._settings = replace(
            settings,
            tools=self._settings.tools,
            input_format=self._settings.input_format,
            output_format=self._settings.output_format,
        )
        self._updates.send()

    def set_hands_free(self, on: bool) -> None:
        """Select whether turns end by turn detection or by push-to-talk."""
        self.talking = False
        self.hands_free = on
        self._updates.send()
        self._buffer.send(commands.ClearAudio())
        self._buffer.do(effects.CloseMic(closed=not on))


def with_tools(settings: SessionSettings, tools: Iterable[ToolSpec]) -> SessionSettings:
    """Return the settings with the tools that are not forbidden."""
    offered = (tool for tool in tools if tool.permission is not Permission.NEVER)
    return replace(settings, tools=tuple(offered))
