"""Check that a real provider does what voicechat needs: `make smoke PROVIDER=openai`.

PROVIDER is openai, xai, google, gateway, local, azure/DEPLOYMENT, or any PROVIDER/MODEL. It costs
a few cents. One line for each step; ends with 0 when all passed, 1 when one did not, and 2 when
there is nothing to try it with.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from following import follow

from voicechat.config import loader
from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.errors import KeyMissing, UsageError, VoicechatError
from voicechat.session.session import Session
from voicechat.session.updates import Link, Update
from voicechat.transports.websocket import SocketConnection

PATIENCE_S = 60.0
"""Seconds for one step."""


class Failed(Exception):
    """A step failed; the message says what happened."""


class Smoke:
    """A typed conversation that tries one feature after the other and reports each."""

    def __init__(self, options: Options, write: Callable[[str], object]) -> None:
        """Raises as `Session` does. write: called with each line of the report."""
        self._session = Session(options)
        follow(self._session, self._listen)
        self._write = write
        self._news = asyncio.Event()
        self._notices: list[str] = []
        self._told: Callable[[], None] = lambda: None

    async def run(self) -> bool:
        """Try every step; return True if all passed."""
        living = asyncio.create_task(self._session.run())
        try:
            if not await self._try("connect", self._connect, living):
                return False
            steps = {
                "typed turn": self._typed_turn,
                "tool call": self._tool_call,
                "cancel mid-reply": self._cancel,
                "reconnect with history": self._reconnect,
            }
            return all([await self._try(name, step, living) for name, step in steps.items()])
        finally:
            self._session.close()
            with suppress(VoicechatError):
                await living

    async def _try(
        self, name: str, step: Callable[[], Awaitable[str]], living: asyncio.Task[None]
    ) -> bool:
        began = time.monotonic()
        self._notices.clear()
        trying = asyncio.ensure_future(step())
        await asyncio.wait(
            {trying, living}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        seconds = time.monotonic() - began
        try:
            if not trying.done():
                trying.cancel()
                if living.done():
                    await living
                raise Failed("not within a minute")
            said = trying.result()
        except (Failed, VoicechatError) as failure:
            notices = "; ".join(self._notices)
            self._write(f"FAILED  {name}: {failure}{f' ({notices})' if notices else ''}\n")
            return False
        self._write(f"passed  {name} in {seconds:.1f} s: {said}\n")
        return True

    def _listen(self, update: Update) -> None:
        if isinstance(update, effects.Notice):
            self._notices.append(update.text)
        self._told()
        self._news.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._news.clear()
            await self._news.wait()

    # ----------------------------------------------------------------- the steps

    async def _connect(self) -> str:
        await self._until(lambda: self._session.link is Link.ONLINE)
        return self._session.model

    async def _typed_turn(self) -> str:
        reply = await self._ask("Please remember that my favourite fruit is a pineapple.")
        return reply.text

    async def _tool_call(self) -> str:
        reply = await self._ask("What time is it in Tokyo right now?")
        calls = [e for e in self._session.transcript.entries if isinstance(e, ToolCall)]
        if not calls:
            raise Failed(f"no tool was called, but it said: {reply.text}")
        if calls[-1].state is not ToolState.DONE:
            raise Failed(f"the call ended as {calls[-1].state.value}")
        return f"{calls[-1].name} {calls[-1].arguments} -> {reply.text}"

    async def _cancel(self) -> str:
        begun = len(self._session.transcript.entries)
        cut: list[Item] = []

        def interrupt() -> None:
            replies = self._replies(begun)
            if replies and replies[-1].text and not cut:
                cut.append(replies[-1])
                self._session.interrupt()

        self._told = interrupt
        self._session.type("Tell me a long story of ten sentences about a lighthouse.")
        await self._until(lambda: bool(cut) and self._idle())
        self._told = lambda: None
        if cut[0].status is not ItemStatus.INTERRUPTED:
            raise Failed(f"the reply ended as {cut[0].status.value}")
        return f"{cut[0].text.strip()}…"

    async def _reconnect(self) -> str:
        connection = self._session._connections.connection
        if not isinstance(connection, SocketConnection):
            raise Failed("there was no connection to break")
        connection._socket.transport.abort()
        await self._until(lambda: self._session.link is Link.RECONNECTING)
        await self._until(lambda: self._session.link is Link.ONLINE)
        reply = await self._ask("What is my favourite fruit?")
        if "pineapple" not in reply.text.lower():
            raise Failed(f"it forgot what was said: {reply.text}")
        return reply.text

    async def _ask(self, text: str) -> Item:
        begun = len(self._session.transcript.entries)
        self._session.type(text)
        await self._until(lambda: bool(self._replies(begun)) and self._idle())
        reply = self._replies(begun)[-1]
        if reply.status is not ItemStatus.COMPLETED:
            raise Failed(f"the reply ended as {reply.status.value}: {reply.error or reply.text}")
        return reply

    def _replies(self, begun: int) -> list[Item]:
        entries = self._session.transcript.entries[begun:]
        return [e for e in entries if isinstance(e, Item) and e.role is Role.ASSISTANT]

    def _idle(self) -> bool:
        return self._session.floor is effects.Floor.IDLE


def main(arguments: list[str]) -> int:
    """Try the provider named in the arguments; return the exit code."""
    if len(arguments) != 1 or not arguments[0]:
        sys.stderr.write("Which provider? make smoke PROVIDER=openai\n")
        return 2
    try:
        options = loader.load({"model": arguments[0], "with_sound": False})
        with tempfile.TemporaryDirectory() as notes:
            # The embedded voice stores notes; keep them out of the user's own notebook.
            os.environ["XDG_DATA_HOME"] = notes
            return asyncio.run(_run(options))
    except (KeyMissing, UsageError) as unmet:
        sys.stderr.write(f"{unmet}\n")
        return 2


async def _run(options: Options) -> int:
    return 0 if await Smoke(options, sys.stdout.write).run() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
