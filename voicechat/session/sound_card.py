"""Sound cards made of Python objects, instead of the machine's microphone and speaker.

`SoundCardProtocol` describes an object that plays and captures audio: a telephone line, a file, a
test. `CardLink` connects such an object to a session, with the interface of the link to the audio
process. `PcmCard` is the card of `audio=None`: it exchanges PCM with the program.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from voicechat.audio import messages as sound
from voicechat.core import effects, inputs
from voicechat.core.text import clean
from voicechat.errors import SoundError
from voicechat.session.client_checks import check_loop, check_pcm, check_position

BLOCK_MS = 100
"""Longest block of captured audio that is sent to the provider at once."""


class SoundCardProtocol(Protocol):
    """An object in place of microphone and speaker; exported as `voicechat.SoundCard`.

    All methods are called on the event loop and must not block. Audio is PCM16, mono,
    little-endian, in bytes.
    """

    def open(self, line: CardLine) -> None:
        """Start. Keep `line`: the card reports through it. Called again when the rates change."""
        ...

    def play(self, item_id: str, pcm: bytes) -> None:
        """Queue audio of a message at `line.output_rate`, after the audio queued before."""
        ...

    def end_item(self, item_id: str) -> None:
        """The message has no more audio. Call `line.finished(item_id)` after its last sample."""
        ...

    def stop(self) -> Mapping[str, float]:
        """Stop playing and drop all queued audio (barge-in).

        Returns the milliseconds played of each message that was playing or queued.
        """
        ...

    async def close(self) -> None:
        """Release all resources. Called once for each `open`."""
        ...


class CardLine(Protocol):
    """The session's side of a card, to which the card reports. Call it on the event loop."""

    @property
    def input_rate(self) -> int:
        """Sample rate in Hz of the audio passed to `captured`."""
        ...

    @property
    def output_rate(self) -> int:
        """Sample rate in Hz of the audio passed to `play`."""
        ...

    def captured(self, pcm: bytes) -> None:
        """Report audio of the microphone. It is ignored while the microphone is muted or closed."""
        ...

    def played(self, item_id: str, ms: float) -> None:
        """Report that `ms` milliseconds of a message were played, about every 100 ms."""
        ...

    def finished(self, item_id: str) -> None:
        """Report that the last sample of an ended message was played."""
        ...


class CardLink:
    """Connects a `SoundCardProtocol` to a session: commands become calls, reports become events.

    An exception in a method of the card becomes a `SoundError`, which ends the session; one in
    `close` goes to the exception handler of the event loop.
    """

    def __init__(
        self,
        card: SoundCardProtocol,
        settings: sound.AudioSettings,
        on_event: Callable[[sound.AudioEvent], None],
    ) -> None:
        """Open the card. Call on the loop; `on_event` is called there, never from inside `send`."""
        self.input_rate, self.output_rate = settings.input_rate, settings.output_rate
        self._card = card
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._started: set[str] = set()
        self._muted = False
        self._mic_closed = False
        self._open = True
        name = type(card).__name__
        self._report(sound.Opened(name, name, echo="off"))
        with self._calling("open"):
            card.open(self)

    def send(self, command: sound.AudioCommand) -> None:
        """Execute a command of the session. The card's owner controls volume and earcons."""
        match command:
            case effects.Play(item_id, pcm):
                with self._calling("play"):
                    self._card.play(item_id, pcm)
            case effects.EndItem(item_id):
                with self._calling("end_item"):
                    self._card.end_item(item_id)
            case effects.StopPlayback():
                self._started.clear()
                with self._calling("stop"):
                    self._report(inputs.PlaybackStopped(dict(self._card.stop())))
            case sound.Mute(on):
                self._muted = on
            case effects.CloseMic(on):
                self._mic_closed = on
            case _:
                pass

    async def close(self) -> None:
        """Close the card."""
        self._open = False
        try:
            closing = self._card.close()
            if inspect.isawaitable(closing):
                await closing
        except Exception as error:  # the rest of the session must still be closed
            failure = self._failure("close", error)
            self._loop.call_exception_handler({"message": str(failure), "exception": error})

    @property
    def listening(self) -> bool:
        """True if captured audio reaches the session."""
        return self._open and not self._mic_closed

    def captured(self, pcm: bytes) -> None:
        """Report audio of the microphone."""
        check_loop(self._loop)
        check_pcm("pcm", pcm)
        if not self.listening:
            return
        step = self.input_rate * BLOCK_MS // 1000 * 2
        for start in range(0, len(pcm), step):
            block = pcm[start : start + step]
            heard = bytes(len(block)) if self._muted else block
            self._on_event(inputs.MicBlock(heard, time.monotonic()))

    def played(self, item_id: str, ms: float) -> None:
        """Report the playout position of a message."""
        check_position(ms)
        if item_id not in self._started:
            self._started.add(item_id)
            self._report(inputs.PlaybackStarted(item_id))
        self._report(inputs.Heard(item_id, ms))

    def finished(self, item_id: str) -> None:
        """Report the end of a message."""
        self._started.discard(item_id)
        self._report(inputs.PlaybackFinished(item_id))

    @contextmanager
    def _calling(self, method: str) -> Iterator[None]:
        """Turn an exception of the card into a `SoundError`."""
        try:
            yield
        except Exception as error:
            raise self._failure(method, error) from error

    def _failure(self, method: str, error: Exception) -> SoundError:
        reason = f"{type(error).__name__}: {clean(str(error))}"
        return SoundError(f"{type(self._card).__name__}.{method} failed: {reason}.")

    def _report(self, event: sound.AudioEvent) -> None:
        check_loop(self._loop)
        # Deferred: a card may report from inside a command, and the session is not reentrant.
        self._loop.call_soon(self._deliver, event)

    def _deliver(self, event: sound.AudioEvent) -> None:
        if self._open:
            self._on_event(event)


@dataclass(slots=True)
class _Playout:
    """Playout state of one message."""

    received_ms: float = 0.0
    played_ms: float = 0.0
    ended: bool = False


class PcmCard:
    """Passes audio to a program as PCM, and counts what was played.

    Audio counts as played when the program has consumed it, or when the program reports it.
    """

    def __init__(self, give: Callable[[str, bytes, int], None], drop: Callable[[], None]) -> None:
        """Create a card. `give` gets item id, PCM and rate of each piece; `drop` discards them."""
        self._give = give
        self._drop = drop
        self._line: CardLine | None = None
        self._items: dict[str, _Playout] = {}

    def open(self, line: CardLine) -> None:
        """Start."""
        self._line = line

    def play(self, item_id: str, pcm: bytes) -> None:
        """Pass audio of a message to the program."""
        assert self._line is not None
        rate = self._line.output_rate
        self._items.setdefault(item_id, _Playout()).received_ms += len(pcm) * 500 / rate
        self._give(item_id, pcm, rate)

    def end_item(self, item_id: str) -> None:
        """Note that the message has no more audio."""
        self._items.setdefault(item_id, _Playout()).ended = True
        self._finish(item_id)

    def stop(self) -> Mapping[str, float]:
        """Discard the audio that was not consumed; return the positions."""
        self._drop()
        heard = {item_id: item.played_ms for item_id, item in self._items.items()}
        self._items.clear()
        return heard

    async def close(self) -> None:
        """Discard all state."""
        self._items.clear()

    def captured(self, pcm: bytes) -> None:
        """Use audio of the program as microphone input."""
        if self._line is not None:
            self._line.captured(pcm)

    def consumed(self, item_id: str, ms: float) -> None:
        """Add `ms` milliseconds to the position of a message."""
        item = self._items.get(item_id)
        if item is not None:
            self.played(item_id, item.played_ms + ms)

    def played(self, item_id: str, ms: float) -> None:
        """Set the position of a message to `ms` milliseconds; a position never decreases."""
        item = self._items.get(item_id)
        if item is None or self._line is None:
            return
        item.played_ms = max(item.played_ms, min(ms, item.received_ms))
        self._line.played(item_id, item.played_ms)
        self._finish(item_id)

    def _finish(self, item_id: str) -> None:
        item = self._items[item_id]
        if item.ended and item.played_ms >= item.received_ms - 1 and self._line is not None:
            del self._items[item_id]
            self._line.finished(item_id)
