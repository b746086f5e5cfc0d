"""An engine with faults, for the tests of the worker."""

import os
import sys
import time


class Faulty:
    def __init__(self, greeting="hello", fails=False):
        if fails:
            raise OSError("no such model")
        self.greeting = greeting

    def greet(self, job, name):
        sys.stdout.write("a library prints on standard output\n")
        return f"{self.greeting} {name}"

    def count(self, job, to):
        for number in range(to):
            job.give(number)

    def announce(self, job, word):
        job.announce(word)

    def raises(self, job):
        raise ValueError("not like this")

    def crash(self, job):
        os.write(2, b"the last words\n")
        os._exit(3)

    def babble(self, job):
        os.write(job._out._pipe.fileno(), b"\xff\xff\xff\xff and more")
        time.sleep(60)

    def until_cancelled(self, job):
        while not job.cancelled:
            job.give("still here")
            time.sleep(0.002)
        return "stopped"

    def deaf(self, job):
        time.sleep(60)

    def environment(self, job):
        return sorted(os.environ)
