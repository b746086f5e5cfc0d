"""Replay of a recording: `voicechat replay DIR`.

`Replay` has the interface of a `Session`, so the same screen and line mode show it. It passes the
recorded events to a `Conversation` at their original times, which gives the same transcript, floor
and truncations. It uses no provider and no microphone, and runs no tools.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from voicechat.core import effects, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.items import Item, ItemStatus, Role, Usage
from voicechat.core.settings import SessionSettings
from voicechat.core.text import clean
from voicechat.errors import UsageError, first_error
from voicechat.recording import folder_format, stereo_wav
from voicechat.recording.recorded_frames import load_frames
from voicechat.session.event_stream import EventStream, RawFrame
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
    from voicechat.recording.player import RecordingPlayer

SPEEDS = (0.1, 1000.0)
"""The slowest and the fastest speed, as multiples of the original."""

_BATCH = 64
_PUBLISHED_EFFECTS = frozenset(
    {
        effects.EntryChanged,
        effects.EntryRemoved,
        effects.FloorChanged,
        effects.AskApproval,
        effects.TurnMeasured,
        effects.UsageChanged,
    }
)
"""Effects that subscribers receive; the others are for a provider or the audio process."""


class Replay(SessionView):
    """A recorded session that is played back. Show it like a `Session`.

    `speed` is within `SPEEDS`. With `wait_at_end`, `run` waits for `close` at the end of the
    recording, so that the user can go back; otherwise it returns there. Raises `UsageError` when
    the folder contains no readable recording. Call all methods on the event loop.
    """

    def __init__(
        self,
        folder: Path,
        *,
        speed: float = 1.0,
        play_sound: bool = True,
        wait_at_end: bool = False,
    ) -> None:
        self._stream = EventStream()
        self._suppressed = False
        """True during a seek backward, when events are not published again."""
        self.speed = speed
        self.paused = False
        self.volume = 100
        self._heading, self._timeline = folder_format.read(folder)
        self._folder = folder
        self._wav = folder / folder_format.SOUND
        self._frames: list[RawFrame] | None = None
        """Frames of the recording, once a console wants them."""
        self._next_frame = 0
        self._events_path = clean(str(folder / folder_format.EVENTS))
        self._rate: int | None = None
        """Frames of sound a second; None without sound."""
        if play_sound and self._heading.with_sound:
            with suppress(FileNotFoundError):
                self._rate = stereo_wav.read_rate(self._wav)
        self._wait_at_end = wait_at_end
        self._closing = asyncio.Event()
        self._wake_up = asyncio.Event()
        self._player: RecordingPlayer | None = None
        self._clock_position = 0.0
        self._clock_started_at = time.monotonic()
        self._reset()

    def _reset(self) -> None:
        """Restore the state before the first event."""
        heading = self._heading
        self.link = Link.CONNECTING
        self.muted = False
        self.model = self.voice = ""
        self.microphone: str | None = None
        self.speaker: str | None = None
        self._next = 0
        self._used = Usage()
        """Usage of the earlier conversations of the recording."""
        self._floors: list[tuple[object, float]] = []
        """Changes of the floor until now, with their times."""
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

    # ----------------------------------------------------------------- state

    @property
    def with_sound(self) -> bool:
        """True if the recorded session had microphone and speaker."""
        return self._heading.with_sound

    @property
    def usage(self) -> Usage:
        """Usage until now."""
        return self._used + self._conversation.meter.total

    @property
    def length(self) -> float:
        """Seconds from the start to the last event."""
        return self._timeline[-1].at if self._timeline else 0.0

    @property
    def position(self) -> float:
        """Seconds from the start of the recording."""
        passed = 0.0 if self.paused else (time.monotonic() - self._clock_started_at) * self.speed
        return min(self._clock_position + passed, self.length)

    @property
    def is_over(self) -> bool:
        """True if the last event was published."""
        return self._next >= len(self._timeline)

    # ----------------------------------------------------------------- actions of the user

    def pause(self) -> None:
        """Pause, or resume."""
        self._set_clock(self.position)
        self.paused = not self.paused
        self._position_changed()

    def seek(self, seconds: float) -> None:
        """Move by this many seconds; negative moves back."""
        target = min(max(0.0, self.position + seconds), self.length)
        if seconds < 0:
            self._suppressed = True
            self._reset()
            self._catch_up(target)
            self._suppressed = False
            self._publish(Cleared())
            self._publish(LinkChanged(self.link))
        self._set_clock(target)
        self._position_changed()

    def set_speed(self, speed: float) -> None:
        """Set the speed, within `SPEEDS`."""
        self._set_clock(self.position)
        self.speed = speed
        if self._player is not None:
            self._player.set_speed(speed)
        self._position_changed()

    def close(self) -> None:
        """End the replay; `run` returns soon after."""
        self._closing.set()

    def set_volume(self, percent: int) -> None:
        """Set the playback volume, 0 to 100."""
        self.volume = percent
        if self._player is not None:
            self._player.set_volume(percent)

    # ----------------------------------------------------------------- playback

    async def run(self) -> None:
        """Publish every event at its time, until the end or `close`.

        Raises `UsageError` for an event that is impossible after the events before it.
        """
        failure: UsageError | None = None
        self._set_clock(0.0)
        if self._rate is not None:
            from voicechat.recording.player import RecordingPlayer

            self._player = RecordingPlayer(self._wav, self._rate, self.speed, self._report_no_sound)
        try:
            async with asyncio.TaskGroup() as tasks:
                playing = tasks.create_task(self._play_events())
                playing_sound = tasks.create_task(self._play_sound())
                closing = tasks.create_task(self._closing.wait())
                await asyncio.wait({playing, closing}, return_when=asyncio.FIRST_COMPLETED)
                for task in (playing, playing_sound, closing):
                    task.cancel()
        except* UsageError as group:
            failure = first_error(group)
        finally:
            if self._player is not None:
                await self._player.close()
        if failure is not None:
            raise failure

    async def _play_events(self) -> None:
        if self._player is not None:
            await self._player.wait_until_open()
            self._set_clock(self._clock_position)
        while True:
            self._wake_up.clear()
            if not self.paused:
                self._catch_up(self.position, _BATCH)
            if self.is_over:
                self._publish_frames(float("inf"))
                self._end_open_answers()
                self.link = Link.OFFLINE
                self._publish(LinkChanged(self.link, "The recording has ended."))
                if not self._wait_at_end:
                    return
            await self._wait_until_due()

    async def _wait_until_due(self) -> None:
        """Wait until the next event is due, or until the position or the speed changes."""
        wait = None
        if not (self.paused or self.is_over):
            wait = max(0.0, (self._timeline[self._next].at - self.position) / self.speed)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake_up.wait()

    async def _play_sound(self) -> None:
        if self._player is not None:
            await self._player.wait_until_open()
        while self._player is not None:
            if not self.paused:
                self._player.queue_until(self.position)
            await asyncio.sleep(0.05)

    def _report_no_sound(self, problem: str) -> None:
        self._publish(effects.Notice(f"The recording plays without sound: {problem}"))

    def _set_clock(self, position: float) -> None:
        self._clock_position, self._clock_started_at = position, time.monotonic()

    def _position_changed(self) -> None:
        if self._player is not None:
            self._player.stop_playback()
        self._wake_up.set()

    # ----------------------------------------------------------------- events

    def _catch_up(self, until: float, limit: int | None = None) -> None:
        """Apply the events up to `until` (s), at most `limit` of them."""
        end = len(self._timeline) if limit is None else min(len(self._timeline), self._next + limit)
        while self._next < end and self._timeline[self._next].at <= until:
            timed = self._timeline[self._next]
            self._publish_frames(timed.at)
            self._next += 1
            try:
                self._apply(timed.with_silence(), timed.at)
            except (ArithmeticError, LookupError, TypeError, ValueError):
                # A well-formed event that is impossible at this point of the conversation.
                where = f"{self._events_path}:{self._next + 1}"
                raise UsageError(f"{where} does not follow from the events before it.") from None

    def _apply(self, event: folder_format.RecordedEvent, at: float) -> None:
        match event:
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
                self.loudness = event
            case effects.Notice():
                pass
            case _:
                self._replay_event(event, at)
                return
        self._publish(event)

    def _replay_event(self, event: events.Event | inputs.Input, at: float) -> None:
        if isinstance(event, events.Event):
            self._publish(event, at)
        for effect in self._conversation.handle(event, at):
            kind = type(effect)
            if isinstance(effect, effects.FloorChanged):
                self._floors.append((effect, at))
            if kind in _PUBLISHED_EFFECTS or (
                kind is effects.Notice and self._heading.recording == 1
            ):
                self._publish(effect, at)

    def _end_open_answers(self) -> None:
        """Show the complete text of answers that the end of the recording cuts off."""
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
                self._replay_event(last, self.length)

    def _publish(self, event: object, at: float | None = None) -> None:
        """Publish an event of the recording's time `at` (s), or of now."""
        if not self._suppressed:
            self._stream.publish(event, self.position if at is None else at)

    # ----------------------------------------------------------------- frames

    def past_frames(self) -> Sequence[tuple[object, float]]:
        """Return frames, events and changes of the floor until now, with their times (s)."""
        if self._frames is None:
            self._frames = load_frames(self._folder, self._timeline)
        until = self._timeline[self._next - 1].at if self._next else 0.0
        until = float("inf") if self.is_over else until
        self._next_frame = bisect_right(self._frames, until, key=lambda frame: frame.at)
        past = [(timed.event, timed.at) for timed in self._timeline[: self._next]]
        frames = [(frame, frame.at) for frame in self._frames[: self._next_frame]]
        return sorted((*frames, *past, *self._floors), key=lambda timed: timed[1])

    def _publish_frames(self, until: float) -> None:
        """Publish the frames up to `until` (s), after `past_frames` returned those before."""
        frames = self._frames or ()
        while self._next_frame < len(frames) and frames[self._next_frame].at <= until:
            frame = frames[self._next_frame]
            self._next_frame += 1
            self._publish(frame, frame.at)
