"""An engine with faults, for the tests of the worker."""

import os
import sys
import threading
import time
from typing import Any


class Faulty:
    """Methods with one fault each, or with none."""

    def __init__(self, greeting: str = "hello", fails: bool = False) -> None:
        if fails:
            raise OSError("no such model")
        self.greeting = greeting

    def greet(self, job: Any, name: str) -> str:
        sys.stdout.write("a library prints on standard output\n")
        return f"{self.greeting} {name}"

    def count(self, job: Any, to: int) -> None:
        for number in range(to):
            job.send_item(number)

    def announce(self, job: Any, word: str) -> None:
        job.send_event(word)

    def raises(self, job: Any) -> None:
        raise ValueError("not like this")

    def crash(self, job: Any) -> None:
        os.write(2, b"the last words\n")
        os._exit(3)

    def babble(self, job: Any) -> None:
        os.write(job._out._pipe.fileno(), b"\xff\xff\xff\xff and more")
        time.sleep(60)

    def until_cancelled(self, job: Any) -> str:
        while not job.cancelled:
            job.send_item("still here")
            time.sleep(0.002)
        return "stopped"

    def deaf(self, job: Any) -> None:
        time.sleep(60)

    def environment(self, job: Any) -> list[str]:
        return sorted(os.environ)


class Meeting:
    """An engine whose part answers when two of its jobs run at the same time."""

    def __init__(self) -> None:
        self.part = self
        self._barrier = threading.Barrier(2, timeout=20)

    def meet(self, job: Any) -> int:
        return self._barrier.wait()
