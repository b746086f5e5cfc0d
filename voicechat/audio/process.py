"""The audio process: the parent's handle `AudioProcess`, and the `main` of the child.

Standard input of the child carries the settings and then commands, standard output carries lists of
events; each message is a pickle. Closing a pipe ends the other side.

The process is expendable: when it dies, or its sound server hangs and it asks to be replaced,
another one is started with the same settings, and its items are reported as stopped. The same
happens, with other settings, when the user chooses other devices.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Final, cast

from voicechat.audio.devices.thread_priority import use_real_time
from voicechat.audio.messages import (
    AudioCommand,
    AudioEvent,
    AudioSettings,
    Levels,
    Mute,
    Opened,
    Played,
    Problem,
    Quit,
    UseDevices,
    Volume,
)
from voicechat.core.effects import CloseMic, EndItem, Play, StopPlayback
from voicechat.core.inputs import Heard, MicBlock, PlaybackFinished, PlaybackStopped
from voicechat.system.child_main import die_with_parent, ignore_interrupts, take_pipes
from voicechat.system.child_process import module_command, start_blocking, stop_blocking
from voicechat.system.flush_to_zero import set_flush_to_zero

if TYPE_CHECKING:
    from voicechat.audio.engine import Engine

    Inbox = queue.SimpleQueue[AudioCommand | None]
    """Commands for the loop; None only wakes it."""

REPLACE: Final = 75
"""Exit code: the sound server hangs; start another process."""
_MAX_COMMANDS: Final = 512
_MAX_EVENTS: Final = 2000
_UNREAD_S: Final = 2.0
_MAX_SOUND_BYTES: Final = 256 * 1024 * 1024
_RESTARTS_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
_STABLE_S: Final = 20.0
_HANG_PAUSE_S: Final = 0.5


def send(pipe: IO[bytes], message: object) -> None:
    """Send one message. Raises OSError or ValueError when the pipe is closed."""
    pickle.dump(message, pipe, pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def receive(pipe: IO[bytes]) -> object | None:
    """Wait for one message; None at the end of the pipe. The other side must be this program."""
    try:
        message: object = pickle.load(pipe)
    except (EOFError, pickle.UnpicklingError):
        return None
    return message


class AudioProcess:
    """Sound in a process of its own. `on_event` is called on a thread of this object.

    `on_event` must be quick and must not call `close`. Commands sent before the devices are open
    wait in the process. All methods may be called from any thread.
    """

    def __init__(self, settings: AudioSettings, on_event: Callable[[AudioEvent], None]) -> None:
        self._settings = settings
        self._on_event: Final = on_event
        self._commands: deque[AudioCommand] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._opened = False
        self._switching = False
        """True while a child ends because other devices are to open."""
        self._reported: dict[type, Opened | Problem] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._persistent: dict[type, AudioCommand] = {}
        self._playing: dict[str, float] = {}
        self._thread = threading.Thread(target=self._supervise, name="sound", daemon=True)

    def start(self) -> None:
        """Start the process and return at once. `Opened` follows, with any problem."""
        self._thread.start()

    def send(self, command: AudioCommand) -> None:
        """Queue a command. Never waits; with 256 MiB of sound queued the oldest is dropped."""
        if isinstance(command, UseDevices):
            self._use_devices(command)
            return
        with self._changed:
            if isinstance(command, Mute | CloseMic | Volume):
                self._persistent[type(command)] = command
            elif isinstance(command, Play | EndItem):
                self._playing.setdefault(command.item_id, 0.0)
            self._commands.append(command)
            self._waiting_bytes += _size(command)
            while self._waiting_bytes > _MAX_SOUND_BYTES:
                self._waiting_bytes -= _size(self._commands.popleft())
            self._changed.notify_all()

    def _use_devices(self, chosen: UseDevices) -> None:
        """Replace the child by one that opens these devices."""
        with self._changed:
            before = self._settings
            unchanged = {
                "input": before.input_device == chosen.input_device,
                "output": before.output_device == chosen.output_device,
            }
            self._settings = replace(
                before,
                input_device=chosen.input_device,
                output_device=chosen.output_device,
                preferred=tuple(kind for kind in before.preferred if unchanged[kind]),
            )
            self._switching = True
            child = self._child
        if child is not None:
            child.kill()

    def close(self, deadline: float = 1.5) -> None:
        """End the process: request it, then kill it before `deadline` seconds pass. Never hangs."""
        with self._changed:
            self._closing = True
            self._commands.append(Quit())
            self._changed.notify_all()
        child = self._child
        if child is not None:
            stop_blocking(child, deadline)
        if self._thread.is_alive():
            self._thread.join(0.2)

    # ----------------------------------------------------------------- the thread

    def _supervise(self) -> None:
        """Run and replace children. The thread that starts one must outlive it (PDEATHSIG)."""
        failures = 0
        while not self._closing:
            began = time.monotonic()
            code = self._run_child()
            if self._closing:
                return
            if self._switching:
                code = REPLACE
            stable = self._switching or time.monotonic() - began > _STABLE_S
            failures = 0 if stable else failures + 1
            self._report_loss(code, failures)
            if failures > len(_RESTARTS_S) and code != REPLACE:
                return
            with self._changed:
                pause = _RESTARTS_S[min(failures, len(_RESTARTS_S) - 1)]
                if code == REPLACE:
                    # The child has already waited for the server, so wait only a little more.
                    pause = min(pause, _HANG_PAUSE_S)
                self._changed.wait_for(lambda: self._closing, pause)

    def _run_child(self) -> int | None:
        """Run one child to its end; return its exit code, None if it did not start."""
        try:
            child = start_blocking(module_command("voicechat.audio.process"))
        except OSError as error:
            self._on_event(Opened(None, None, problem=f"Sound cannot start: {error}."))
            return None
        with self._changed:
            self._child, self._switching = child, False
        if self._closing:
            child.kill()
        assert child.stdin is not None
        assert child.stdout is not None
        writer = threading.Thread(
            target=self._write, args=(child, child.stdin), name="sound commands", daemon=True
        )
        writer.start()
        self._read(child.stdout)
        stop_blocking(child, 1.0)
        with self._changed:
            self._changed.notify_all()
        writer.join(1.0)
        child.stdout.close()
        with contextlib.suppress(OSError):
            child.stdin.close()
        return child.returncode

    def _read(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (events := receive(pipe)) is not None:
                for event in cast("list[AudioEvent]", events):
                    self._track_playing(event)
                    if self._is_new(event):
                        self._on_event(event)

    def _write(self, child: subprocess.Popen[bytes], pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            send(pipe, self._settings)
            for command in tuple(self._persistent.values()):
                send(pipe, command)
            while child.poll() is None:
                send(pipe, self._next(child))

    def _next(self, child: subprocess.Popen[bytes]) -> AudioCommand:
        with self._changed:
            self._changed.wait_for(lambda: self._commands or child.poll() is not None)
            if not self._commands:
                raise BrokenPipeError
            command = self._commands.popleft()
            self._waiting_bytes -= _size(command)
            return command

    def _is_new(self, event: object) -> bool:
        """Return False for a repeated report: each new process finds the same server hanging."""
        if isinstance(event, Opened | Problem):
            last = self._reported.get(type(event))
            self._reported[type(event)] = event
            if isinstance(event, Opened) and not event.problem:
                self._reported.clear()
            return event != last
        return True

    def _track_playing(self, event: object) -> None:
        """Remember what is playing, for the report if this process dies."""
        match event:
            case Opened():
                self._opened = True
            case Heard(item_id, heard_ms):
                if item_id in self._playing:
                    self._playing[item_id] = heard_ms
            case PlaybackFinished(item_id):
                self._playing.pop(item_id, None)
            case PlaybackStopped(heard_ms):
                for item_id in heard_ms:
                    self._playing.pop(item_id, None)

    def _report_loss(self, code: int | None, failures: int) -> None:
        """Report the end of a child and its items as stopped; drop the queued sound."""
        with self._changed:
            playing = dict(self._playing)
            self._playing.clear()
            self._commands = deque(c for c in self._commands if not _is_sound(c))
            self._waiting_bytes = 0
        if playing:
            self._on_event(PlaybackStopped(playing))
        if not self._opened and failures == 2:
            self._on_event(
                Opened(
                    None,
                    None,
                    problem="The sound process crashed twice.",
                    hint="Run voicechat doctor.",
                )
            )
        elif code != REPLACE and failures == 1 and self._opened:
            self._on_event(Problem("The sound process ended; it is being restarted.", ""))


def _size(command: AudioCommand) -> int:
    return len(command.pcm) if isinstance(command, Play) else 0


def _is_sound(command: AudioCommand) -> bool:
    return isinstance(command, Play | EndItem | StopPlayback)


# --------------------------------------------------------------------- the child


class EventWriter:
    """Queue of events to the parent, written by a thread so that the loop never waits.

    Holds at most 2000 events (over 20 s of sound); then the oldest sound, level or position is
    dropped.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._events: deque[AudioEvent] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._sending_since: float | None = None
        self.dropped = 0
        self.broken = False
        self.idle = threading.Event()
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def put(self, event: AudioEvent) -> None:
        if len(self._events) >= _MAX_EVENTS:
            self._drop_one()
        self.idle.clear()
        self._events.append(event)
        if self._wake.empty():
            self._wake.put(None)

    def is_unread(self, now: float) -> bool:
        """Return True if the parent has read nothing for two seconds, as when it is suspended."""
        since = self._sending_since
        return since is not None and now - since > _UNREAD_S

    def drop_captured(self) -> None:
        """Drop all captured sound that waits."""
        for event in list(self._events):
            if isinstance(event, MicBlock):
                with contextlib.suppress(ValueError):
                    self._events.remove(event)

    def _drop_one(self) -> None:
        for index, event in enumerate(self._events):
            if isinstance(event, MicBlock | Played | Levels | Heard):
                del self._events[index]
                self.dropped += 1
                return

    def _take(self) -> list[AudioEvent]:
        """Take all events: one message wakes the app once, however many were put together."""
        events: list[AudioEvent] = []
        with contextlib.suppress(IndexError):
            while True:
                events.append(self._events.popleft())
        return events

    def _run(self) -> None:
        try:
            while True:
                self._wake.get()
                while self._events:
                    self._sending_since = time.monotonic()
                    send(self._pipe, self._take())
                self._sending_since = None
                self.idle.set()
                if self._events:
                    self.idle.clear()
        except (OSError, ValueError):
            self.broken = True


def main() -> int:
    """Run until the parent quits or ends; return the exit code."""
    gc.disable()  # until everything is imported
    # Before numpy is imported: the other threads of its BLAS only spin here.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    _detach()
    commands, events = take_pipes(prints=None)  # PortAudio and ALSA print
    settings = receive(commands)
    if not isinstance(settings, AudioSettings):
        return 2
    inbox: Inbox = queue.SimpleQueue()
    outbox = EventWriter(events)
    threading.Thread(
        target=receive_commands, args=(commands, inbox), name="commands", daemon=True
    ).start()
    sys.setswitchinterval(0.001)
    try:
        return _loop(settings, inbox, outbox)
    except Exception as error:
        outbox.put(Problem(f"The audio process failed: {type(error).__name__}: {error}"))
        return 1
    finally:
        outbox.idle.wait(0.2)


def _loop(settings: AudioSettings, inbox: Inbox, outbox: EventWriter) -> int:
    try:
        from voicechat.audio.engine import Engine
    except ImportError as error:
        outbox.put(Opened(None, None, problem=f"Sound cannot start: {error}.", hint=""))
        while not isinstance(inbox.get(), Quit):
            pass
        return 0
    set_flush_to_zero()
    engine = Engine(settings, outbox.put, lambda: inbox.put(None))
    gc.collect()
    gc.freeze()
    gc.enable()
    while not engine.finished and not outbox.broken:
        _run_commands(engine, inbox)
        engine.unheard = outbox.is_unread(time.monotonic())
        if engine.unheard:
            outbox.drop_captured()
        engine.tick(time.monotonic())
        if engine.hung:
            return REPLACE
    engine.close()
    return 0


def _run_commands(engine: Engine, inbox: Inbox) -> None:
    """Wait for commands until a tick is due, and run up to 64 of them."""
    try:
        command = inbox.get(timeout=engine.pause(time.monotonic()))
        for left in reversed(range(64)):
            if command is not None:
                engine.command(command)
            if left:
                command = inbox.get_nowait()
    except queue.Empty:
        return


def receive_commands(pipe: IO[bytes], inbox: Inbox) -> None:
    """Read commands; when many wait for the loop, the rest waits in the pipe."""
    try:
        while (command := receive(pipe)) is not None:
            while inbox.qsize() >= _MAX_COMMANDS:
                time.sleep(0.005)
            inbox.put(cast("AudioCommand", command))
    except (OSError, ValueError):
        pass
    inbox.put(Quit())


def _detach() -> None:
    """End with the parent, ignore Ctrl-C, and run at the highest priority allowed."""
    ignore_interrupts()
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    use_real_time()
    die_with_parent()


if __name__ == "__main__":
    # A normal exit would wait for daemon threads that hang in the sound library.
    os._exit(main())
