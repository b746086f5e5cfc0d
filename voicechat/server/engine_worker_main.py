"""The child's side of `engine_worker.py`.

    python -m voicechat.server.engine_worker_main module:Class

A thread reads frames, so that a job can be canceled while it runs. The main thread runs the jobs
one by one. Only frames go to standard output; output of libraries goes to standard error.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
import traceback
from typing import Any, BinaryIO

import msgspec

from voicechat.server.engine_worker import encode
from voicechat.system.child_main import die_with_parent, ignore_interrupts, take_pipes
from voicechat.system.frames import read_frame

_MAX_JOBS = 8192


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

    def send(self, number: int, kind: str, value: object) -> None:
        self._pipe.write(encode(number, kind, value))
        self._pipe.flush()


class _JobQueue:
    """The pending jobs in order, at most 8192. While it is full, the pipe from the parent fills."""

    def __init__(self, out: _Output) -> None:
        self._out = out
        self._queue: queue.Queue[tuple[Job, str, Any]] = queue.Queue(_MAX_JOBS)
        self._open: dict[int, Job] = {}

    def read(self, pipe: BinaryIO) -> None:
        """Read frames until the parent closes the pipe, then end the process at once."""
        while (body := read_frame(pipe)) is not None:
            number, method, arguments = msgspec.msgpack.decode(body)
            if method:
                job = self._open[number] = Job(number, self._out)
                self._queue.put((job, method, arguments))
            elif canceled := self._open.get(number):
                canceled.cancelled = True
        os._exit(0)

    def next(self) -> tuple[Job, str, Any]:
        """Wait for a job."""
        return self._queue.get()

    def run(self, engine: object, job: Job, method: str, arguments: Any) -> None:
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
    jobs = _JobQueue(out)
    threading.Thread(target=jobs.read, args=(incoming,), daemon=True).start()
    opening, _, options = jobs.next()
    module, _, name = sys.argv[1].partition(":")
    engine = getattr(importlib.import_module(module), name)(**options)
    out.send(opening.number, "ready", None)
    while True:
        jobs.run(engine, *jobs.next())


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # a normal exit would wait for the reading thread
        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.flush()
        os._exit(1)
