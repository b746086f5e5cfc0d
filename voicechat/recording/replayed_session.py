"""Plays a recording back: `voicechat replay DIR`.

`Replay` has the face of a `Session`, so the same screen and the same line mode show it. What was
recorded goes through a `Conversation` again, at its own times, and comes to the same transcript,
floor and cuts. There is no provider, no tool runs, and no microphone is listened to.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from voicechat.core import effects, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.items import Item, ItemStatus, Role, Usage
from voicechat.core.settings import SessionSettings
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.recording import folder_format, stereo_wav
from voicechat.session.event_stream import EventStream
from voicechat.session.updates import (
    Cleared,
    LevelsChanged,
    Link,
    LinkChanged,
    ModeChanged,
    ModelChanged,
    SoundChanged,
)
from voicechat.session.view import SessionView

if TYPE_CHECKING:
    from voicechat.recording.player import Loudspeaker

SPEEDS = (0.1, 1000.0)
"""The slowest and the fastest replay, as multiples of the time it took."""

_AT_ONCE = 64
_TOLD = frozenset(
    {
        effects.EntryChanged,
        effects.EntryRemoved,
        effects.FloorChanged,
        effects.AskApproval,
        effects.TurnMeasured,
        effects.UsageChanged,
    }
)
"""Effects that are news for a screen; the others would have moved a provider or the sound."""


class Replay(SessionView):
    """A recorded session that happens again. Use it where a `Session` is shown.

    Raises `UsageError` when the folder holds no recording that can be read. `speed` is within
    `SPEEDS`. With `stay` the end waits for `close` (and can be gone back from); else `run` ends.
    All methods are to be called on the event loop.
    """

    def __init__(
        self, folder: Path, *, speed: float = 1.0, aloud: bool = True, stay: bool = False
    ) -> None:
        self._stream = EventStream()
        self._silent = False
        """Going back in time: what happened is not published again."""
        self.speed = speed
        self.paused = False
        self.volume = 100
        self._heading, self._moments = folder_format.read(folder)
        self._wav = folder / folder_format.SOUND
        self._name = clean(str(folder / folder_format.EVENTS))
        self._rate: int | None = None
        """Of the sound; None where there is none to be heard."""
        if aloud and self._heading.with_sound:
            with suppress(FileNotFoundError):
                self._rate = stereo_wav.rate_of(self._wav)
        self._stay = stay
        self._closing = asyncio.Event()
        self._changed = asyncio.Event()
        self._loudspeaker: Loudspeaker | None = None
        self._from = 0.0
        self._since = time.monotonic()
        self._begin()

    def _begin(self) -> None:
        """Everything as before the first moment."""
        heading = self._heading
        self.link = Link.CONNECTING
        self.muted = False
        self.model = self.voice = ""
        self.microphone: str | None = None
        self.speaker: str | None = None
        self._next = 0
        self._used = Usage()
        """By the conversations before this one."""
        self._conversation = self._new_conversation(heading.hands_free)

    def _new_conversation(self, hands_free: bool) -> Conversation:
        heading = self._heading
        settings = SessionSettings(
            output="audio" if heading.with_sound else "text",
            turn_detection=heading.turn_detection,
            input_format=heading.input_format,
            output_format=heading.output_format,
        )
        return Conversation(
            settings, heading.can, hands_free=hands_free, speaker=heading.with_sound
        )

    # ----------------------------------------------------------------- what can be read

    @property
    def with_sound(self) -> bool:
        """True if the recorded session had microphone and speaker."""
        return self._heading.with_sound

    @property
    def usage(self) -> Usage:
        """Everything used until now."""
        return self._used + self._conversation.meter.total

    @property
    def length(self) -> float:
        """Seconds from the first moment to the last."""
        return self._moments[-1].at if self._moments else 0.0

    @property
    def position(self) -> float:
        """Seconds of the recording that have passed."""
        passed = 0.0 if self.paused else (time.monotonic() - self._since) * self.speed
        return min(self._from + passed, self.length)

    @property
    def over(self) -> bool:
        """True if the last moment was shown."""
        return self._next >= len(self._moments)

    # ----------------------------------------------------------------- what the user does

    def pause(self) -> None:
        """Stand still, or go on."""
        self._set_clock(self.position)
        self.paused = not self.paused
        self._moved()

    def seek(self, seconds: float) -> None:
        """Go on or back by so many seconds."""
        wanted = min(max(0.0, self.position + seconds), self.length)
        if seconds < 0:
            self._silent = True
            self._begin()
            self._catch_up(wanted)
            self._silent = False
            self._publish(Cleared())
            self._publish(LinkChanged(self.link))
        self._set_clock(wanted)
        self._moved()

    def go_at(self, speed: float) -> None:
        """Go on at another speed, within `SPEEDS`."""
        self._set_clock(self.position)
        self.speed = speed
        if self._loudspeaker is not None:
            self._loudspeaker.set_speed(speed)
        self._moved()

    def close(self) -> None:
        """End; `run` returns soon after."""
        self._closing.set()

    def set_volume(self, percent: int) -> None:
        """How loud the recording is, 0 to 100."""
        self.volume = percent
        if self._loudspeaker is not None:
            self._loudspeaker.set_volume(percent)

    # ----------------------------------------------------------------- time goes by

    async def run(self) -> None:
        """Show everything in its time, until the end or `close`.

        Raises `UsageError` for what cannot have happened.
        """
        self._set_clock(0.0)
        if self._rate is not None:
            from voicechat.recording.player import Loudspeaker

            self._loudspeaker = Loudspeaker(self._wav, self._rate, self.speed, self._no_sound)
        try:
            async with asyncio.TaskGroup() as tasks:
                playing = tasks.create_task(self._play())
                sounding = tasks.create_task(self._sound())
                closing = tasks.create_task(self._closing.wait())
                await asyncio.wait({playing, closing}, return_when=asyncio.FIRST_COMPLETED)
                for task in (playing, sounding, closing):
                    task.cancel()
        except* UsageError as group:
            raise group.exceptions[0] from None
        finally:
            if self._loudspeaker is not None:
                await self._loudspeaker.close()

    async def _play(self) -> None:
        if self._loudspeaker is not None:
            await self._loudspeaker.ready()
            self._set_clock(self._from)
        while True:
            self._changed.clear()
            if not self.paused:
                self._catch_up(self.position, _AT_ONCE)
            if self.over:
                self._end_open_answers()
                self.link = Link.OFFLINE
                self._publish(LinkChanged(self.link, "The recording has ended."))
                if not self._stay:
                    return
            await self._until_due()

    async def _until_due(self) -> None:
        """Wait for the next moment, or until the user moved."""
        wait = None
        if not (self.paused or self.over):
            wait = max(0.0, (self._moments[self._next].at - self.position) / self.speed)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._changed.wait()

    async def _sound(self) -> None:
        if self._loudspeaker is not None:
            await self._loudspeaker.ready()
        while self._loudspeaker is not None:
            if not self.paused:
                self._loudspeaker.follow(self.position)
            await asyncio.sleep(0.05)

    def _no_sound(self, problem: str) -> None:
        self._publish(effects.Notice(f"The recording is shown without sound: {problem}"))

    def _set_clock(self, position: float) -> None:
        self._from, self._since = position, time.monotonic()

    def _moved(self) -> None:
        if self._loudspeaker is not None:
            self._loudspeaker.hush()
        self._changed.set()

    # ----------------------------------------------------------------- what happened

    def _catch_up(self, until: float, most: int | None = None) -> None:
        """Show what happened until then, `most` moments of it."""
        end = len(self._moments) if most is None else min(len(self._moments), self._next + most)
        while self._next < end and self._moments[self._next].at <= until:
            moment = self._moments[self._next]
            self._next += 1
            try:
                self._show(moment.whole(), moment.at)
            except (ArithmeticError, LookupError, TypeError, ValueError):
                # Well-formed, but nothing that can happen in a conversation.
                raise UsageError(
                    f"{self._name}:{self._next + 1} does not follow from the events before it."
                ) from None

    def _show(self, happening: folder_format.Happening, at: float) -> None:
        match happening:
            case ModelChanged(model, voice):
                self.model, self.voice = model, voice
            case LinkChanged(link):
                self.link = link
            case SoundChanged(microphone, speaker):
                self.microphone, self.speaker = microphone, speaker
            case ModeChanged(muted):
                self.muted = muted
            case Cleared():
                self._used += self._conversation.meter.total
                self._conversation = self._new_conversation(self.hands_free)
            case LevelsChanged():
                self.loudness = happening
            case effects.Notice():
                pass
            case _:
                self._live(happening, at)
                return
        self._publish(happening)

    def _live(self, happening: events.Event | inputs.Input, at: float) -> None:
        for effect in self._conversation.handle(happening, at):
            kind = type(effect)
            if kind in _TOLD or (kind is effects.Notice and self._heading.recording == 1):
                self._publish(effect)

    def _end_open_answers(self) -> None:
        """Show answers that the recording cuts off, such as one of a killed program, whole."""
        received = {
            entry.item_id: entry.received_ms
            for entry in self.transcript.entries
            if isinstance(entry, Item)
            and entry.role is Role.ASSISTANT
            and entry.status is ItemStatus.IN_PROGRESS
        }
        if received:
            for last in (
                inputs.Disconnected(), inputs.Interrupt(), inputs.PlaybackStopped(received)
            ):  # fmt: skip
                self._live(last, self.length)

    def _publish(self, event: object) -> None:
        if not self._silent:
            self._stream.publish(event, time.monotonic())
