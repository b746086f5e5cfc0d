"""The audio process: `python -m voicechat.audio.worker_main`, started by `AudioProcess`.

Standard input carries the settings and then commands, standard output carries events; each message
is a frame (`system.frames`) with a pickle in it. Closing a pipe ends the other side.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import queue
import sys
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING, Final

from voicechat.audio.messages import (
    AudioCommand,
    AudioEvent,
    AudioSettings,
    Levels,
    Opened,
    Played,
    Problem,
    Quit,
)
from voicechat.core.inputs import Heard, MicBlock
from voicechat.system.child_main import die_with_parent, ignore_interrupts, take_pipes
from voicechat.system.frames import read_frame, write_frame

if TYPE_CHECKING:
    from voicechat.audio.engine import Engine

REPLACE: Final = 75
"""Exit code: the sound server hangs; start another process."""
_INBOX: Final = 512
_OUTBOX: Final = 2000


def send(pipe: IO[bytes], message: object) -> None:
    """Send one message. Raises OSError or ValueError when the other side is gone."""
    write_frame(pipe, pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def receive(pipe: IO[bytes]) -> object | None:
    """Wait for one message from the other half of this program; None at the end."""
    body = read_frame(pipe)
    return None if body is None else pickle.loads(body)


class EventWriter:
    """Queue of events to the parent, written by a thread so that the loop never waits.

    Holds at most 2000 events (over 20 s of sound); then the oldest sound, level or position is
    dropped.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._events: deque[AudioEvent] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.dropped = 0
        self.broken = False
        self.idle = threading.Event()
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def put(self, event: AudioEvent) -> None:
        if len(self._events) >= _OUTBOX:
            self._drop_one()
        self.idle.clear()
        self._events.append(event)
        if self._wake.empty():
            self._wake.put(None)

    def _drop_one(self) -> None:
        for index, event in enumerate(self._events):
            if isinstance(event, MicBlock | Played | Levels | Heard):
                del self._events[index]
                self.dropped += 1
                return

    def _run(self) -> None:
        try:
            while True:
                self._wake.get()
                while self._events:
                    send(self._pipe, self._events.popleft())
                self.idle.set()
                if self._events:
                    self.idle.clear()
        except (OSError, ValueError):
            self.broken = True


def main() -> int:
    """Run until the parent quits or ends; return the exit code."""
    _detach()
    commands, events = take_pipes(prints=None)  # PortAudio and ALSA print
    settings = receive(commands)
    if not isinstance(settings, AudioSettings):
        return 2
    inbox: queue.SimpleQueue[AudioCommand] = queue.SimpleQueue()
    outbox = EventWriter(events)
    threading.Thread(target=_receive, args=(commands, inbox), name="commands", daemon=True).start()
    sys.setswitchinterval(0.001)
    try:
        return _loop(settings, inbox, outbox)
    except Exception as error:
        outbox.put(Problem(f"The audio process failed: {type(error).__name__}: {error}"))
        return 1
    finally:
        outbox.idle.wait(0.2)


def _loop(
    settings: AudioSettings, inbox: queue.SimpleQueue[AudioCommand], outbox: EventWriter
) -> int:
    try:
        from voicechat.audio.engine import Engine
    except ImportError as error:
        outbox.put(Opened(None, None, problem=f"Sound cannot start: {error}.", hint=""))
        while not isinstance(inbox.get(), Quit):
            pass
        return 0
    engine = Engine(settings, outbox.put)
    gc.collect()
    gc.freeze()
    while not engine.over and not outbox.broken:
        _run_commands(engine, inbox)
        engine.tick(time.monotonic())
        if engine.hung:
            return REPLACE
    engine.close()
    return 0


def _run_commands(engine: Engine, inbox: queue.SimpleQueue[AudioCommand]) -> None:
    """Wait for commands until a tick is due, and run up to 64 of them."""
    try:
        command = inbox.get(timeout=engine.pause(time.monotonic()))
        for _ in range(64):
            engine.command(command)
            command = inbox.get_nowait()
        engine.command(command)
    except queue.Empty:
        return


def _receive(pipe: IO[bytes], inbox: queue.SimpleQueue[AudioCommand]) -> None:
    """Read commands; when many wait for the loop, the rest waits in the pipe."""
    try:
        while (command := receive(pipe)) is not None:
            while inbox.qsize() >= _INBOX:
                time.sleep(0.005)
            inbox.put(command)  # type: ignore[arg-type]
    except (OSError, ValueError, EOFError, pickle.UnpicklingError):
        pass
    inbox.put(Quit())


def _detach() -> None:
    """Die with the parent, leave Ctrl-C to it, and run at the highest priority allowed."""
    ignore_interrupts()
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    die_with_parent()


if __name__ == "__main__":
    # A normal exit would wait for daemon threads that hang in the sound library.
    os._exit(main())
