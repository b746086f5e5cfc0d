"""The child's side of `worker.py`: `python -m voicechat.server.engine_worker_main module:Class`.

A thread reads frames, so that a job can be taken back while it runs; the main thread runs the
jobs one by one. Standard output belongs to the frames alone: what libraries print goes to
standard error.
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

_JOBS = 8192


class Job:
    """One job: `cancelled` turns true when its result is no longer needed."""

    def __init__(self, number: int, out: _Out) -> None:
        self.number = number
        self.cancelled = False
        self._out = out

    def give(self, item: object) -> None:
        """Hand out one item of a stream."""
        self._out.send(self.number, "item", item)

    def announce(self, event: object) -> None:
        """Send the parent an unsolicited message."""
        self._out.send(self.number, "event", event)


class _Out:
    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe

    def send(self, number: int, kind: str, value: object) -> None:
        self._pipe.write(encode(number, kind, value))
        self._pipe.flush()


class _Desk:
    """The jobs sent and not yet done, in order. Bounded: a full desk lets the pipe fill up."""

    def __init__(self, out: _Out) -> None:
        self._out = out
        self._order: queue.Queue[tuple[Job, str, Any]] = queue.Queue(_JOBS)
        self._open: dict[int, Job] = {}

    def read(self, pipe: BinaryIO) -> None:
        """Take in frames until the parent closes the pipe, then end the process, whatever runs."""
        while (body := read_frame(pipe)) is not None:
            number, method, arguments = msgspec.msgpack.decode(body)
            if method:
                job = self._open[number] = Job(number, self._out)
                self._order.put((job, method, arguments))
            elif taken_back := self._open.get(number):
                taken_back.cancelled = True
        os._exit(0)

    def next(self) -> tuple[Job, str, Any]:
        """Wait for a job."""
        return self._order.get()

    def run(self, engine: object, job: Job, method: str, arguments: Any) -> None:
        """Do one job and send its answer, unless it was canceled."""
        if not job.cancelled:
            try:
                result = getattr(engine, method)(job, *arguments)
            except Exception as error:  # whatever an engine raises is the answer to its job
                self._out.send(job.number, "error", f"{type(error).__name__}: {error}")
            else:
                self._out.send(job.number, "done", result)
        self._open.pop(job.number, None)


def main() -> None:
    """Run the engine named on the command line until the parent goes."""
    ignore_interrupts()
    die_with_parent()
    incoming, outgoing = take_pipes()
    out = _Out(outgoing)
    desk = _Desk(out)
    threading.Thread(target=desk.read, args=(incoming,), daemon=True).start()
    opening, _, options = desk.next()
    module, _, name = sys.argv[1].partition(":")
    engine = getattr(importlib.import_module(module), name)(**options)
    out.send(opening.number, "ready", None)
    while True:
        desk.run(engine, *desk.next())


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # the reading thread forbids an ordinary exit of the interpreter
        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.flush()
        os._exit(1)
