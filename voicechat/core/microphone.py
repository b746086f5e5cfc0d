"""Microphone input: when it is sent, and who ends a turn.

Hands-free, everything is sent and the provider finds the turns. With push-to-talk only what is
said while the key is down is sent, and letting go ends the turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from voicechat.core import commands, effects, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.settings import Permission, SessionSettings, ToolSpec, TurnDetection

MIN_TALK_MS = 150.0
"""Push-to-talk shorter than this is a slip, whatever was heard before the key went down.

So much must have been sent, too: providers refuse commits under 100 ms.
"""


KEPT_MS = 10_000.0
"""Milliseconds of speech kept while a lost connection is restored; the oldest is dropped."""


class MicrophoneInput:
    """The microphone's path to the provider."""

    def __init__(
        self, buffer: EffectBuffer, settings: SessionSettings, *, hands_free: bool
    ) -> None:
        self.hands_free = hands_free
        self.talking = False
        """Push-to-talk is down."""
        self.sent_ms = 0.0
        """Sound sent on this connection (with push-to-talk: in this turn)."""
        self._buffer = buffer
        self._settings = with_tools(settings, settings.tools)
        self._ms_per_byte = settings.input_format.decoded.ms(1)
        self._pressed_at = 0.0
        self._keeps = False
        self._missed: deque[bytes] = deque()
        self._missed_ms = 0.0

    @property
    def settings(self) -> SessionSettings:
        """The session's settings in force: without hands-free there is no turn detection."""
        return self._settings if self.hands_free else replace(self._settings, turn_detection=None)

    @property
    def detection(self) -> TurnDetection:
        """The turn detection in force."""
        return self._settings.turn_detection if self.hands_free else None

    def offer(self, tools: Iterable[ToolSpec]) -> bool:
        """The tools to ask for from now on; False when that changes nothing."""
        before, self._settings = self._settings, with_tools(self._settings, tools)
        return self._settings != before

    def connected(self) -> None:
        """Start a connection: send the speech that was kept while there was none."""
        self.sent_ms = 0.0
        self._buffer.do(effects.CloseMic(closed=not self.hands_free))
        missed = b"".join(self._missed)
        self._missed.clear()
        self._missed_ms = 0.0
        if missed and (command := self.block(inputs.MicBlock(missed))):
            self._buffer.send(command)

    def disconnected(self) -> None:
        """The connection is gone: what is said from now on is kept for the next one."""
        self.talking = False
        self._keeps = True

    def block(self, event: inputs.MicBlock) -> commands.AppendAudio | None:
        """Take a block from the microphone; returns the command that sends it, if it is sent now.

        While a lost connection is restored, hands-free blocks are kept for the next connection.
        """
        if self._buffer.online and (self.hands_free or self.talking):
            self.sent_ms += len(event.pcm) * self._ms_per_byte
            return commands.AppendAudio(event.pcm)
        if self._keeps and self.hands_free and not self._buffer.online:
            self._missed.append(event.pcm)
            self._missed_ms += len(event.pcm) * self._ms_per_byte
            while self._missed_ms > KEPT_MS:
                self._missed_ms -= len(self._missed.popleft()) * self._ms_per_byte
        return None

    def press(self, now: float) -> None:
        """Push-to-talk goes down at `now` (s)."""
        self.talking = True
        self._pressed_at = now
        self.sent_ms = 0.0
        self._buffer.send(commands.ClearAudio())
        self._buffer.do(effects.CloseMic(closed=False))

    def release(self, now: float) -> bool:
        """Push-to-talk comes up. True when a turn was committed, False when it was a slip."""
        self.talking = False
        self._buffer.do(effects.CloseMic(closed=True))
        if min(self.sent_ms, (now - self._pressed_at) * 1000) >= MIN_TALK_MS:
            self._buffer.send(commands.CommitAudio())
            return True
        self._buffer.send(commands.ClearAudio())
        self._buffer.do(
            effects.Notice("That was too short to hear.", hint="Talk, then press the key again.")
        )
        return False

    def drop(self) -> None:
        """Something overtook push-to-talk: nothing of it is committed."""
        if self.talking:
            self.talking = False
            self._buffer.send(commands.ClearAudio())
            self._buffer.do(effects.CloseMic(closed=True))

    def configure(self, settings: SessionSettings) -> None:
        """Ask for other settings; the formats of sound and the tools stay as they are."""
        self._settings = replace(
            settings,
            tools=self._settings.tools,
            input_format=self._settings.input_format,
            output_format=self._settings.output_format,
        )
        self._buffer.send(commands.UpdateSession(self.settings))

    def set_hands_free(self, on: bool) -> None:
        """Choose who ends the user's turns."""
        self.talking = False
        self.hands_free = on
        self._buffer.send(commands.UpdateSession(self.settings))
        self._buffer.send(commands.ClearAudio())
        self._buffer.do(effects.CloseMic(closed=not on))


def with_tools(settings: SessionSettings, tools: Iterable[ToolSpec]) -> SessionSettings:
    """The settings with those of the tools that may be used at all."""
    offered = (tool for tool in tools if tool.permission is not Permission.NEVER)
    return replace(settings, tools=tuple(offered))
