"""Writers of the history that are killed at random moments.

    python killed_writers.py FILE KILLS

Two writers at a time save turns and report each one once it is saved. They are killed a
few turns later. Prints, as JSON, the number of reported turns, and those that the file has not.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

from voicechat.history import database
from voicechat.history.history_rows import ConversationRow, ItemRow
from voicechat.history.history_writer import HistoryWriter

MOST_TURNS, MORE_S = 6, 0.015
"""A writer is killed after fewer turns than these, and a random part of these seconds."""


def write_turns(path: Path, name: str, report: int) -> None:
    """Save one turn after the other, and report the number of each that is saved."""
    writer = HistoryWriter(path)
    number = 0
    while True:
        number += 1
        at = float(number)
        writer.put(
            ConversationRow(name, "A title", at, at, "local/built-in", turns=number),
            ItemRow(name, f"user_{number}", at, at, "user", f"question number {number}"),
            ItemRow(name, f"reply_{number}", at + 0.5, at, "assistant", f"answer {number} " * 9),
        )
        if not writer.wait_saved(30.0):
            os._exit(1)
        os.write(report, f"{number}\n".encode())


def started(path: Path, name: str) -> tuple[int, int]:
    """Start a writer; return its process and the pipe with its reports."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        write_turns(path, name, writing)
    os.close(writing)
    return process, reading


def last_report(reading: int, least: int, more_s: float) -> int:
    """Read reports until there are `least`, and then for `more_s`; return the last one."""
    received = b""
    while _number(received) < least:
        received += os.read(reading, 65_536)
    deadline = time.monotonic() + more_s
    while (left := deadline - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            received += os.read(reading, 65_536)
    return _number(received)


def _number(received: bytes) -> int:
    whole = received.rpartition(b"\n")[0]
    return int(whole.rpartition(b"\n")[2] or 0)


def missing(path: Path, reported: dict[str, int]) -> list[str]:
    """Return the reported turns that are not complete in the file, and faults of the file."""
    with closing(database.connect(path)) as connection:
        faults = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        if database.has_full_text(connection):
            connection.execute("INSERT INTO items_text (items_text) VALUES ('integrity-check')")
        for name, last in reported.items():
            found = {
                row[0]
                for row in connection.execute(
                    "SELECT entry_id FROM items JOIN conversations"
                    " ON items.conversation = conversations.number WHERE id = ?",
                    (name,),
                )
            }
            wanted = [
                f"{kind}_{number}" for number in range(1, last + 1) for kind in ("user", "reply")
            ]
            faults += [f"{name} {each}" for each in wanted if each not in found]
    return faults


def main() -> None:
    path, kills = Path(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(7)
    reported: dict[str, int] = {}
    for pair in range(0, kills, 2):
        names = [f"writer{pair + each}" for each in range(2)]
        running = [(name, *started(path, name)) for name in names]
        for name, process, reading in running:
            least, more_s = chance.randrange(MOST_TURNS), chance.uniform(0.0, MORE_S)
            reported[name] = last_report(reading, least, more_s)
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            rest = os.read(reading, 65_536)
            reported[name] = max(reported[name], _number(rest))
            os.close(reading)
    lost = missing(path, reported)
    sys.stdout.write(json.dumps({"reported": sum(reported.values()), "missing": lost}))


if __name__ == "__main__":
    main()
