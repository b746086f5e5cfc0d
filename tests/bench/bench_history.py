"""The history: 10,000 conversations of 200 items, killed writers, and what recording costs."""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

sys.path.append(str(Path(__file__).parents[1] / "support"))
from figures import Figure, Table

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Item, Role, Transcript
from voicechat.history import database, history_calls
from voicechat.history.history_writer import HistoryWriter
from voicechat.history.migrations import TRIGGER_NAMES
from voicechat.session.conversation_log import ConversationLog
from voicechat.session.event_stream import EventStream
from voicechat.session.session import Session
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.transcript_view import TranscriptView

CONVERSATIONS, ITEMS = 10_000, 200
LETTERS = random.Random(3)
WORDS = ["".join(LETTERS.choices("etaoinshrdlu", k=LETTERS.randint(3, 9))) for _ in range(5_000)]
NEEDLE = "needle"


@contextmanager
def large_history(conversations: int) -> Iterator[Path]:
    """Fill a history in a private folder, which `history_calls` use meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voicechat" / "history.db"
        with closing(database.connect(path)) as connection:
            fill(connection, conversations)
        closing(database.connect(path)).thing.close()  # makes the index
        with mock.patch.dict(os.environ, {"XDG_STATE_HOME": folder}):
            yield path


def fill(connection: object, conversations: int) -> None:
    chance = random.Random(5)
    execute = connection.execute  # type: ignore[attr-defined]
    for name in TRIGGER_NAMES:
        execute(f"DROP TRIGGER {name}")
    execute("BEGIN")
    for number in range(conversations):
        execute(
            "INSERT INTO conversations VALUES (?, ?, ?, 0, ?, ?, 'openai/x', '', '{}', 100, NULL,"
            " NULL)",
            (number, f"c{number:07}", f"Talk {number}", number, number),
        )
        for at in range(ITEMS):
            # Common words occur in every tenth item, most words in few.
            words = [WORDS[int(5_000 * chance.random() ** 3)] for _ in range(12)]
            if number % 1_000 == 0 and at == 7:
                words.append(NEEDLE)
            execute(
                "INSERT INTO items VALUES (NULL, ?, ?, ?, 0, ?, ?, 'completed', 0, NULL, 0, 0,"
                " NULL, 0, NULL, NULL, '', '', '', NULL, '', NULL)",
                (number, str(at), at, ("user", "assistant")[at % 2], " ".join(words)),
            )
    execute("COMMIT")


def median_ms(act: Callable[[], object], trials: int) -> float:
    spent = []
    for _ in range(trials):
        began = time.perf_counter()
        act()
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent)


def large(effort: float) -> Iterator[Figure]:
    """Measure lists, searches and a resumed conversation, each with opening the file."""
    trials = max(3, int(9 * effort))
    with large_history(CONVERSATIONS) as path:
        size = path.stat().st_size / 1e6
        ms = median_ms(lambda: history_calls.find(""), trials)
        yield Figure(f"list of {CONVERSATIONS:,} × {ITEMS} items, ms", f"{ms:.1f}", "50", ms <= 50)
        searches = {
            "rare word": NEEDLE,
            "common word": WORDS[0],
            "two common words": f"{WORDS[0]} {WORDS[1]}",
            "first letters": WORDS[3][:3],
            "no match": "absentword",
        }
        for name, words in searches.items():
            ms = median_ms(lambda words=words: history_calls.find(words), trials)  # type: ignore[misc]
            yield Figure(f"search, {name}, ms", f"{ms:.1f}", "100", ms <= 100)
        ms = asyncio.run(drawn_ms())
        yield Figure("resume, drawn, ms", f"{ms:.0f}, {size:.0f} MB on disk", "500", ms <= 500)


async def drawn_ms() -> float:
    """Return the time from the key to the drawn conversation, without the connection."""
    session = Session(Options(with_sound=False))
    app = VoicechatApp(session)
    with mock.patch.object(VoicechatApp, "_start_session", return_value=None):
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause()
            began = time.perf_counter()
            session.continue_conversation(await asyncio.to_thread(history_calls.load))
            screen = app.screen
            assert isinstance(screen, ConversationScreen)
            await screen.flush()
            await pilot.pause()
            spent = (time.perf_counter() - began) * 1000
            assert screen.query_one(TranscriptView).draw_count >= ITEMS // 2
    return spent


class _Talk:
    model, voice, instructions, speaking_rate, with_sound = "openai/x", "", "", 1.0, True

    def __init__(self) -> None:
        self.transcript = Transcript()


def deltas(effort: float) -> Iterator[Figure]:
    """Measure what a delta costs the loop: publishing it, and the copy of a flush."""
    with tempfile.TemporaryDirectory() as folder:
        talk, stream = _Talk(), EventStream()
        for number in range(200):
            talk.transcript.add(Item(f"i{number}", Role.USER, "some words " * 20))
        writer = HistoryWriter(Path(folder) / "history.db")
        log = ConversationLog(talk, stream, writer, lambda *_: None)  # type: ignore[arg-type]
        item = Item("last", Role.ASSISTANT, spoken=True)
        talk.transcript.add(item)
        published, flushed = [], []
        for number in range(int(5_000 * effort)):
            item.text += "word "
            began = time.perf_counter()
            stream.publish(effects.EntryChanged("last"), began)
            published.append((time.perf_counter() - began) * 1000)
            if number % 8 == 0:
                began = time.perf_counter()
                log.flush()
                flushed.append((time.perf_counter() - began) * 1000)
        writer.close(10.0)
    worst = statistics.quantiles(flushed, n=100)[98]
    median = statistics.median(published) * 1000
    ours = f"{worst:.2f} (p99 of a copy), {median:.1f} µs to note a delta"
    yield Figure("a delta on the loop, ms", ours, "1", worst <= 1)


def kills(effort: float) -> Iterator[Figure]:
    """Kill writers at random moments, two at a time."""
    count = int(1_000 * effort)
    program = Path(__file__).parents[1] / "support" / "killed_writers.py"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(program), str(Path(folder) / "history.db"), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    ours = f"{len(found['missing'])} of {found['reported']:,}"
    yield Figure(f"turns lost in {count:,} kills", ours, "0", not found["missing"])


TABLE = Table("The history", {"large history": large, "deltas": deltas, "kills": kills})
