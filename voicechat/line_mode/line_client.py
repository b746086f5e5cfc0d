"""A client of a session that reads and writes lines, and the loop that runs it."""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

from voicechat.core import effects
from voicechat.core.items import ToolCall
from voicechat.line_mode.console_lines import ConsoleLines
from voicechat.line_mode.line_writer import LineWriter
from voicechat.session.event_stream import Overflow
from voicechat.session.session import Session
from voicechat.session.updates import UPDATES, ConsoleRequested, Link, Update
from voicechat.system import exit_deadline
from voicechat.system.loop_watch import stalls_logged

MAX_UPDATES = 20_000
"""Maximum number of updates that wait for a slow reader; then the oldest are dropped."""

TURN_TIMEOUT_S = 120.0
"""Seconds without an update after which a turn counts as unanswered."""

_CLOSE_TIMEOUT_S = 2.0


def run_to_end(client: LineClient) -> int:
    """Run a session until its client returns, and tell what its end loses; see `run_client`."""
    try:
        return exit_deadline.run(run_client(client))
    finally:
        if client.session.losses:
            sys.stderr.write(f"voicechat: {client.session.losses}\n")


async def run_client(client: LineClient) -> int:
    """Run a session until its client returns.

    Returns the exit code of the client, or 128 + the number of the signal that ended it. Raises
    `VoicechatError` when the session cannot begin or continue.
    """
    ended_by: list[int] = []
    session = client.session
    session_run = asyncio.create_task(session.run())
    client_run = asyncio.create_task(client.run())
    receiving = asyncio.create_task(client.receive_updates())

    def on_signal(number: int) -> None:
        if not ended_by:
            client_run.cancel()
        ended_by.append(number)

    exit_deadline.on_signals(exit_deadline.ENDING, on_signal)
    try:
        with stalls_logged():
            await asyncio.wait(
                {session_run, client_run, receiving}, return_when=asyncio.FIRST_COMPLETED
            )
    finally:
        session.close()
        if not client_run.done():
            client_run.cancel()
        await asyncio.wait({session_run, client_run}, timeout=_CLOSE_TIMEOUT_S)
        session_run.cancel()
        receiving.cancel()
        ended = (receiving, session_run, client_run)
        failures = [t.exception() if t.done() and not t.cancelled() else None for t in ended]
        client.handle_updates()
    if not ended_by:
        await client.drained()
    receiving_failure, *others = failures
    if receiving_failure is not None:
        raise receiving_failure
    if ended_by:
        return 128 + ended_by[0]
    for failure in others:
        if failure is not None:
            raise failure
    return 0 if client_run.cancelled() else client_run.result()


class LineClient(ABC):
    """Client of a session that reads and writes lines; `run` is its main program."""

    def __init__(self, session: Session, console_out: LineWriter | None = None) -> None:
        """Print the event console, if it is opened, to `console_out`; None is standard error."""
        self.session = session
        self.console = ConsoleLines(session, console_out or LineWriter(sys.stderr))
        self._updates = session.subscribe(
            "line mode", limit=MAX_UPDATES, overflow=Overflow.DROP_OLDEST, wants=UPDATES
        )
        self._changed = asyncio.Event()

    @abstractmethod
    async def run(self) -> int:
        """Use the session; the exit code."""

    async def receive_updates(self) -> None:
        """Handle every update until the session is over."""
        while await self._updates.wait():
            self.handle_updates()

    def handle_updates(self) -> None:
        """Handle the queued updates in order."""
        while (update := self._updates.take()) is not None:
            self._changed.set()
            if isinstance(update, ConsoleRequested):
                self.console.request(update.text)
            self.handle(cast("Update", update))
        self.console.print_waiting()

    def handle(self, update: Update) -> None:
        """Handle an update of the session."""

    async def drained(self) -> None:
        """Wait until everything is written."""

    async def wait_until(
        self, condition: Callable[[], bool], timeout_s: float | None = None
    ) -> bool:
        """Wait until the condition holds; False after `timeout_s` seconds without an update."""
        self.handle_updates()
        while not condition():
            self._changed.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                return False
            self.handle_updates()
        return True

    @property
    def is_online(self) -> bool:
        """True while the session is connected to its provider."""
        return self.session.link is Link.ONLINE

    def is_idle(self) -> bool:
        """Return True when no response, input or tool is pending, so that a turn may begin."""
        free = self.session.floor in {effects.Floor.IDLE, effects.Floor.LISTENING}
        return (
            free
            and not self.session.pending
            and not any(
                isinstance(entry, ToolCall) and not entry.state.final
                for entry in self.session.transcript.entries[-50:]
            )
        )
