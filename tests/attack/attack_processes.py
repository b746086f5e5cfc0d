"""Waves against the processes: kills at random moments, and two instances on the same folders."""

from __future__ import annotations

import asyncio
import ctypes
import json
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
from attack_log import AttackLog
from hostile_wire import KEY
from on_terminal import OnTerminal, ended
from processes import descendants
from victim_environment import victim_environment, victim_folder

_PR_SET_CHILD_SUBREAPER = 36
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGABRT", "SIGSEGV", "SIGQUIT", "SIGSTOP")
END_S = 20.0
"""Seconds in which every process ends after a kill."""

PLUGIN = '''
import subprocess, time
from voicechat.tools import tool

@tool(permission="auto")
def bedroom_lights(on: bool) -> str:
    """Turn the bedroom lights on or off."""
    subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; sleep 600; sleep 600"])
    time.sleep(600)
'''
"""A tool that never ends, with a child that ignores signals."""


class KeyWatch:
    """Looks for the planted key in command lines all the time, and in files and streams at last."""

    def __init__(self, log: AttackLog) -> None:
        self._log = log
        self._ended = threading.Event()
        self._seen: set[str] = set()

    def __enter__(self) -> KeyWatch:
        if sys.platform == "linux":  # orphans become children of this process
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._ended.set()
        self._thread.join(5)

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            for process in descendants():
                with suppress(psutil.Error):
                    self._seen.add(" ".join(process.cmdline()))

    def search_files(self) -> None:
        """Report every place with the key."""
        log = self._log
        log.counts["command lines searched"] += len(self._seen)
        for line in self._seen:
            if KEY in line:
                log.fault(f"a key is in a command line: {line[:100]}")
        for path in log.folders[0].rglob("*"):
            if path.is_file() and not path.is_symlink():
                log.counts["files searched"] += 1
                if KEY.encode() in path.read_bytes():
                    log.fault(f"a key is in the file {path.name}")
                if path.name == "stalls.log":
                    self._read_stalls(path.read_text("utf-8"))
        log.counts["streams searched"] += len(log.streams)
        for stream in log.streams:
            if KEY.encode() in stream:
                log.fault("a key is in what a program printed")

    def _read_stalls(self, text: str) -> None:
        """Note the stalls that a program logged. Imports on a busy machine are among them."""
        self._log.notes += [f"a program logged: {line[20:270]}" for line in text.splitlines()]


def left_running(log: AttackLog) -> None:
    """Report and end every process that the waves left."""
    for process in ended(sorted(descendants(), key=lambda each: each.pid), END_S):
        with suppress(psutil.Error):
            log.fault(f"{' '.join(process.cmdline())[:150]} still runs")
            process.kill()


def _prepare(folder: Path) -> None:
    tools = folder / "CONFIG" / "voicechat" / "tools"
    tools.mkdir(parents=True, mode=0o700)
    tools.parent.chmod(0o700)
    (tools / "lights.py").write_text(PLUGIN, "utf-8")
    (tools / "lights.py").chmod(0o600)


def _words(choose: Random) -> str:
    return " ".join(choose.choice(("bread", "paper", "candle", "ladder")) for _ in "12")


def _kept(folder: Path) -> set[str]:
    """Return the notes on the disk, also of damaged files."""
    kept: set[str] = set()
    for path in (folder / "DATA" / "voicechat").glob("notebook*.json"):
        with suppress(ValueError):
            kept |= {_plain(note) for note in json.loads(path.read_text("utf-8"))["notes"]}
    return kept


def _plain(note: str) -> str:
    return " ".join(re.findall(r"\w+", note.lower()))


_NOTED = re.compile(r"Noted: ([\w\s]+?)\.")


def _check_notes(log: AttackLog, folder: Path, printed: str) -> None:
    noted = {_plain(text) for text in _NOTED.findall(printed)}
    log.counts["notes confirmed"] += len(noted)
    kept = _kept(folder)
    # A terminal wraps and scrolls, so a note may be seen in part.
    lost = [note for note in noted if not any(each.startswith(note) for each in kept)]
    if lost:
        log.fault(f"lost notes: {lost[:5]}")


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        one = psutil.Process(pid)
        return [one, *one.children(recursive=True)]
    return []


def _kill_one(log: AttackLog, choose: Random, family: list[psutil.Process]) -> str:
    """Send a random signal to one of the processes; return the signal and the process."""
    name = choose.choice(SIGNALS)
    what = f"{name} to none"
    with suppress(psutil.Error, IndexError):
        process = choose.choice(family)
        what = f"{name} to {' '.join(process.cmdline())[-80:]} ({family.index(process)})"
        for _ in range(choose.choice((1, 1, 3))):
            process.send_signal(getattr(signal, name))
        if name == "SIGSTOP":
            time.sleep(0.3)
            # The guardian stops with the app, as one job.
            for one in {process, family[0]}:
                one.send_signal(signal.SIGCONT)
        log.counts["signals sent"] += 1
    return what


def _end(log: AttackLog, family: list[psutil.Process], what: str) -> None:
    for process in ended(family, END_S):
        with suppress(psutil.Error):
            log.fault(f"{what}: {' '.join(process.cmdline())[:150]} still runs")
            process.kill()


async def attack_kills(log: AttackLog, choose: Random, most: int) -> None:
    """Kill processes of so many programs, in a pipe or on a terminal."""
    for _ in range(most):
        if log.is_over:
            return
        folder = victim_folder(log)
        _prepare(folder)
        on = choose.choice((_kill_on_terminal, _kill_in_pipe))
        await asyncio.to_thread(on, log, choose, folder)


_LIGHTS = "turn on the bedroom lights\n"


def _kill_in_pipe(log: AttackLog, choose: Random, folder: Path) -> None:
    program = _Piped(log, folder)
    program.say(*(f"take a note: {_words(choose)} {n} {choose.randrange(999)}" for n in range(40)))
    if choose.random() < 0.3:
        program.say(_LIGHTS.strip())
    time.sleep(choose.uniform(0.0, 1.5))
    family = _family(program.pid)
    name = _kill_one(log, choose, family)
    if choose.random() < 0.5:
        time.sleep(choose.uniform(0.0, 0.5))
        family = list({*family, *_family(program.pid)})
    program.end(choose)
    _end(log, family, f"a pipe after {name}")
    _check_notes(log, folder, program.printed)


class _Piped:
    """`voicechat --text` in a pipe."""

    def __init__(self, log: AttackLog, folder: Path) -> None:
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "voicechat", "--text", "--model", "local"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=victim_environment(log, folder),
        )
        self.pid = self._process.pid
        self.printed = ""

    def say(self, *lines: str) -> None:
        """Send lines, as far as the program still reads."""
        assert self._process.stdin is not None
        with suppress(OSError):
            for line in lines:
                self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def end(self, choose: Random) -> None:
        """Close the input, and read the output to its end."""
        try:
            printed, _ = self._process.communicate(timeout=choose.uniform(1, 4))
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                printed, _ = self._process.communicate(timeout=END_S)
            except subprocess.TimeoutExpired:
                self._log.fault("a pipe did not end after SIGTERM")
                self._process.kill()
                printed, _ = self._process.communicate()
        self._log.streams.append(printed)
        self.printed = printed.decode(errors="replace")


def _kill_on_terminal(log: AttackLog, choose: Random, folder: Path) -> None:
    environ = victim_environment(log, folder)
    terminal = OnTerminal(folder, "--text", "--model", "local", environ=environ)
    seen = name = ""
    try:
        if choose.random() < 0.8:
            terminal.until(lambda: "online" in terminal.reading, 20)
        for number in range(choose.randrange(4)):
            terminal.type(f"take a note: {_words(choose)} {number}\n")
        if choose.random() < 0.5:
            terminal.type(_LIGHTS)
        time.sleep(choose.uniform(0.0, 1.0))
        family = terminal.family()
        seen = terminal.reading
        name = _kill_one(log, choose, family)
        terminal.until(lambda: not terminal.guardian.is_running(), choose.uniform(0.2, 1.5))
        seen += " . " + terminal.reading
        if not terminal.until(lambda: terminal._ended, 0.1):
            family = list({*family, *_family(terminal.guardian.pid)})
            terminal.guardian.send_signal(signal.SIGTERM)
        terminal.code(END_S)
        if not terminal.is_sane():
            log.fault(f"{name} left the terminal changed")
        _end(log, family, f"a terminal after {name}")
    except AssertionError as error:
        log.fault(f"a terminal after {name}: {error}"[:400])
    finally:
        log.streams.append(terminal.raw)
        terminal.close()
    _check_notes(log, folder, seen)


async def attack_instances(log: AttackLog, choose: Random, most: int) -> None:
    """Run two or three instances on the same folders, some of which are killed."""
    for _ in range(most):
        folder = victim_folder(log)
        _prepare(folder)
        await asyncio.to_thread(_instances, log, choose, folder)


def _instances(log: AttackLog, choose: Random, folder: Path) -> None:
    programs = [_Piped(log, folder) for _ in range(choose.choice((2, 3)))]
    for number, program in enumerate(programs):
        lines = (f"take a note: {_words(choose)} {number} {n}" for n in range(50))
        program.say(*lines)
    families = [_family(program.pid) for program in programs]
    if choose.random() < 0.6:
        time.sleep(choose.uniform(0.3, 1.5))
        families = [_family(program.pid) for program in programs]
        _kill_one(log, choose, families[0])
    for program in programs:
        program.end(choose)
    for family in families:
        _end(log, family, "an instance")
    _check_notes(log, folder, "\n".join(program.printed for program in programs))
