"""An audio process on a virtual card, with its events recorded."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from voicechat.audio.devices.device_list import Kind
from voicechat.audio.messages import AudioEvent, AudioSettings, Levels, Opened, Switched, Underrun
from voicechat.audio.process import AudioProcess
from voicechat.core.inputs import Heard, MicBlock

E = TypeVar("E")

PATIENCE_S = 12.0


def poll(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true; AssertionError if it stays false."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, "the condition stayed false"
        time.sleep(0.01)


class Rig:
    """An audio process; `events` has all events so far with their arrival times."""

    def __init__(self, settings: AudioSettings) -> None:
        self._arrivals: queue.Queue[tuple[float, AudioEvent]] = queue.Queue()
        self.events: list[tuple[float, AudioEvent]] = []
        self.process = AudioProcess(settings, self._arrive)
        self.send = self.process.send

    def _arrive(self, event: AudioEvent) -> None:
        self._arrivals.put((time.monotonic(), event))

    def wait(
        self,
        kind: type[E],
        suits: Callable[[E], bool] = lambda _: True,
        patience: float = PATIENCE_S,
    ) -> E:
        """Return the next matching event of this kind; AssertionError if none comes."""
        for event in self._arriving(patience):
            if isinstance(event, kind) and suits(event):
                return event
        raise AssertionError(f"no {kind.__name__}; had {self._news()}")

    def _news(self) -> Sequence[object]:
        """Return the last events that do not come all the time."""
        return [e for _, e in self.events if not isinstance(e, (MicBlock, Levels, Heard))][-12:]

    def seen(self, kind: type[E], suits: Callable[[E], bool] = lambda _: True) -> E:
        """Return the first matching event so far, or wait for it."""
        earlier = (event for event in self.of(kind) if suits(event))
        return next(earlier, None) or self.wait(kind, suits)

    def collect(self, seconds: float) -> list[AudioEvent]:
        """Return all events within this time."""
        return list(self._arriving(seconds))

    def _arriving(self, seconds: float) -> Iterator[AudioEvent]:
        """Yield the events within this time, as they arrive."""
        give_up = time.monotonic() + seconds
        while (left := give_up - time.monotonic()) > 0:
            try:
                at, event = self._arrivals.get(timeout=left)
            except queue.Empty:
                return
            self.events.append((at, event))
            yield event

    def follow(self, kind: Kind, suits: Callable[[str], bool]) -> None:
        """Wait until a device is reported for this side: the server moved the stream to it, or it
        was opened.
        """

        def reported(event: object) -> bool:
            match event:
                case Switched(moved, name):
                    return moved == kind and suits(name)
                case Opened(input_name, output_name):
                    opened = input_name if kind == "input" else output_name
                    return opened is not None and suits(opened)
            return False

        self.wait(object, reported)

    def of(self, kind: type[E]) -> list[E]:
        """Return every event of this kind so far."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def dropped(self) -> Underrun:
        """Return what the device reported as dropped; a busy machine reports its losses."""
        return (self.of(Underrun) or [Underrun(0, 0.0)])[-1]

    def within(self, milliseconds: float) -> float:
        """Return a tolerance in ms, widened by the reported losses, counted in blocks."""
        return milliseconds + 1.5 * self.dropped().lost_ms

    def open(self) -> Opened:
        """Start, and wait until the streams run."""
        self.process.start()
        return self.wait(Opened)


def child_of(rig: Rig) -> psutil.Process:
    """Return the audio process."""
    child = rig.process._child
    assert child is not None
    return psutil.Process(child.pid)


def spans(side: NDArray[np.int16], level: int = 200, gap_ms: float = 15) -> list[tuple[int, int]]:
    """Return the sounding parts of one side as (begin, end) frames; joins gaps below `gap_ms`."""
    loud = np.flatnonzero(np.abs(side.astype(np.int32)) > level)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > gap_ms * 48)
    begins = [loud[0], *loud[breaks + 1]]
    ends = [*loud[breaks], loud[-1]]
    return [(int(b), int(e) + 1) for b, e in zip(begins, ends, strict=True)]


def milliseconds(found: list[tuple[int, int]]) -> float:
    """Return the total length of the parts in ms."""
    return sum(end - begin for begin, end in found) / 48
