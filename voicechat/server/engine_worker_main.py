"""The child's side of `engine_worker.py`.

    python -m voicechat.server.engine_worker_main module:Class

A thread reads frames, so that a job can be canceled while it runs. The jobs of one lane run one
by one: the method "name" runs on the main thread, "part.name" on the thread of that part of the
engine, "part#1.name" on another thread of the same part. Only frames go to standard output; output
of libraries goes to standard error.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
import traceback
from typing import Any, BinaryIO, NoReturn

import msgspec

from voicechat.server.worker_frames import encode
from voicechat.system.child_main import die_with_parent, ignore_interrupts, take_pipes
from voicechat.system.frames import read_frame

_MAX_JOBS = 8192

# Threads of numpy's library wait for each other longer than they compute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class Job:
    """One job. `cancelled` becomes true when its result is no longer needed."""

    def __init__(self, number: int, out: _Output) -> None:
        self.number = number
        self.cancelled = False
        self._out = out

    def send_item(self, item: object) -> None:
        """Send one item of a stream to the parent."""
        self._out.send(self.number, "item", item)

    def send_event(self, event: object) -> None:
        """Send the parent an event that answers no job."""
        self._out.send(self.number, "event", event)


class _Output:
    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, number: int, kind: str, value: object) -> None:
        body = encode(number, kind, value)
        with self._lock:
            self._pipe.write(body)
            self._pipe.flush()


class _Lane:
    """The pending jobs of one part in order, at most 8192. A full lane stops the pipe."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[Job, str, Any]] = queue.Queue(_MAX_JOBS)

    def add(self, job: Job, method: str, arguments: Any) -> None:
        """Add a job. Waits while the lane is full."""
        self._queue.put((job, method, arguments))

    def next(self) -> tuple[Job, str, Any]:
        """Wait for a job."""
        return self._queue.get()


class _Jobs:
    """The lanes of one engine, and the jobs that can be canceled."""

    def __init__(self, out: _Output) -> None:
        self.main = _Lane()
        self._out = out
        self._lanes: dict[str, _Lane] = {"": self.main}
        self._engine: object = None
        self._open: dict[int, Job] = {}

    def read(self, pipe: BinaryIO) -> None:
        """Read frames until the parent closes the pipe, then end the process at once."""
        while (body := read_frame(pipe)) is not None:
            number, method, arguments = msgspec.msgpack.decode(body)
            if method:
                job = self._open[number] = Job(number, self._out)
                part, _, name = method.rpartition(".")
                self._lane(part).add(job, name, arguments)
            elif canceled := self._open.get(number):
                canceled.cancelled = True
        os._exit(0)

    def _lane(self, part: str) -> _Lane:
        if part not in self._lanes:
            lane = self._lanes[part] = _Lane()
            engine = getattr(self._engine, part.partition("#")[0], None)
            threading.Thread(target=self._work, args=(lane, engine), daemon=True).start()
        return self._lanes[part]

    def open(self, engine: object) -> None:
        """Set the engine; the lanes of its parts start on demand."""
        self._engine = engine

    def run(self) -> NoReturn:
        """Run the jobs of the main lane on this thread."""
        self._work(self.main, self._engine)

    def _work(self, lane: _Lane, engine: object) -> NoReturn:
        while True:
            self._run(engine, *lane.next())

    def _run(self, engine: object, job: Job, method: str, arguments: Any) -> None:
        """Run one job and send its result, unless it was canceled."""
        if not job.cancelled:
            try:
                result = getattr(engine, method)(job, *arguments)
            except Exception as error:  # any error of the engine is the result of the job
                self._out.send(job.number, "error", f"{type(error).__name__}: {error}")
            else:
                self._out.send(job.number, "done", result)
        self._open.pop(job.number, None)


def main() -> None:
    """Run the engine named on the command line until the parent ends."""
    ignore_interrupts()
    die_with_parent()
    incoming, outgoing = take_pipes()
    out = _Output(outgoing)
    jobs = _Jobs(out)
    threading.Thread(target=jobs.read, args=(incoming,), daemon=True).start()
    opening, _, options = jobs.main.next()
    module, _, name = sys.argv[1].partition(":")
    engine = getattr(importlib.import_module(module), name)(**options)
    jobs.open(engine)
    out.send(opening.number, "ready", None)
    jobs.run()


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # a normal exit would wait for the reading thread
        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.flush()
        os._exit(1)
