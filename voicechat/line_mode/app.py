"""The line mode: a conversation without a screen.

`answer_lines` is a filter: a line of standard input is a turn or a command, its answer goes to
standard output, everything else to standard error. `converse` is for screen readers and dumb
terminals: what is said and what happens, one whole line each, with voice; lines typed are said or
commands.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, cast

from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.errors import ConnectError, VoicechatError
from voicechat.line_mode.approval_view import asked, lines
from voicechat.line_mode.line_input import typed_lines
from voicechat.line_mode.slash_commands import (
    HELP,
    QUIT,
    help_lines,
    is_command,
    known,
    obey,
)
from voicechat.recording.recorded_session import open_session
from voicechat.session.event_stream import Overflow
from voicechat.session.session import Session
from voicechat.session.updates import (
    UPDATES,
    Cleared,
    Link,
    LinkChanged,
    ModeChanged,
    Report,
    SoundChanged,
    Update,
)

WAITING_UPDATES = 20_000
"""Updates that may wait for a reader that is slow; the oldest are dropped."""

PATIENCE = 120.0
"""Seconds without any sign of life after which a turn counts as unanswered."""

_GOODBYE = 2.0


def answer_lines(options: Options, out: TextIO | None = None) -> int:
    """Answer every line of standard input; the exit code, 1 when a line got no answer."""
    return asyncio.run(live(Filter(open_session(options), out or sys.stdout)))


def converse(options: Options, out: TextIO | None = None) -> int:
    """Talk in lines until /quit or the end of input; the exit code."""
    echo = not sys.stdin.isatty()
    return asyncio.run(live(Chat(open_session(options), out or sys.stdout, echo=echo)))


def narrate(session: Session, out: TextIO | None = None) -> int:
    """Tell what happens in a session that goes on by itself, to its end; the exit code."""
    return asyncio.run(live(Narrator(session, out or sys.stdout)))


async def live(follower: Follower) -> int:
    """Run the session until the follower's work is done.

    The result is that of the work, or 128 + the number of the signal that ended it.

    Raises `VoicechatError` when the session cannot begin or go on.
    """
    ended_by: list[int] = []
    session = follower.session
    living = asyncio.create_task(session.run())
    working = asyncio.create_task(follower.work())
    following = asyncio.create_task(follower.follow())

    def end(number: int) -> None:
        ended_by.append(number)
        working.cancel()

    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                number = getattr(signal, name)
                loop.add_signal_handler(number, end, number)
    try:
        await asyncio.wait({living, working, following}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        session.close()
        if not working.done():
            working.cancel()
        await asyncio.wait({living, working}, timeout=_GOODBYE)
        living.cancel()
        following.cancel()
        failed = [_failure(task) for task in (following, living, working)]
        follower.hear_all()
    following_failed, *others = failed
    if following_failed is not None:
        raise following_failed
    if ended_by:
        return 128 + ended_by[0]
    for failure in others:
        if failure is not None:
            raise failure
    return 0 if working.cancelled() else working.result()


def _failure(task: asyncio.Task[Any]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


class Follower(ABC):
    """Subscriber of a session that writes lines; `work` says what it does meanwhile."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._updates = session.subscribe(
            "line mode", limit=WAITING_UPDATES, overflow=Overflow.DROP_OLDEST, wants=UPDATES
        )
        self._happened = asyncio.Event()

    @abstractmethod
    async def work(self) -> int:
        """Use the session; the exit code."""

    async def follow(self) -> None:
        """Hear every update until the session is over."""
        while await self._updates.wait():
            self.hear_all()

    def hear_all(self) -> None:
        """Hear the updates that wait, in order."""
        while (update := self._updates.take()) is not None:
            self._happened.set()
            self.hear(cast("Update", update))

    def hear(self, update: Update) -> None:
        """Take an update of the session."""

    async def until(self, condition: Callable[[], bool], patience: float | None = None) -> bool:
        """Wait until the condition holds; False after `patience` seconds without an update."""
        self.hear_all()
        while not condition():
            self._happened.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._happened.wait()
            except TimeoutError:
                return False
            self.hear_all()
        return True

    @property
    def online(self) -> bool:
        """True if the provider listens."""
        return self.session.link is Link.ONLINE

    def quiet(self) -> bool:
        """True if no one owes anything: the user may begin the next turn."""
        free = self.session.floor in {effects.Floor.IDLE, effects.Floor.LISTENING}
        return (
            free
            and not self.session.pending
            and not any(
                isinstance(entry, ToolCall) and not entry.state.final
                for entry in self.session.transcript.entries[-50:]
            )
        )


class Filter(Follower):
    """One line in, one answer out."""

    def __init__(self, session: Session, out: TextIO) -> None:
        super().__init__(session)
        self._out = out
        self._answered: set[str] = set()
        self._told: list[str] = []

    async def work(self) -> int:
        """Answer every line; 1 when a line got no answer or a command failed."""
        code = 0
        await self.until(lambda: self.online)
        await self.session.wait_for_tools()
        async for line in typed_lines():
            text = line.strip()
            if text in QUIT:
                break
            if text and not await self._answer(line):
                code = 1
        return code

    async def _answer(self, line: str) -> bool:
        await self.until(lambda: self.online and self.quiet(), PATIENCE)
        self._new_answers()
        owed = True
        if is_command(line.lstrip()):
            command = known(line)
            owed = command is not None and command.turn
            try:
                said = self._obey(line)
            except VoicechatError as error:
                _aside(str(error))
                return False
            for sentence in said.splitlines():
                _aside(sentence)
        else:
            self.session.type(line)
        await self.until(self.quiet, PATIENCE)
        answers = self._new_answers() + self._told
        self._told.clear()
        for answer in answers:
            self._out.write(f"{answer}\n")
        self._out.flush()
        if owed and not answers:
            _aside("A line got no answer.")
        return bool(answers) or not owed

    def _obey(self, line: str) -> str:
        if line.strip() == HELP:
            return "\n".join((*help_lines(), f"{QUIT[0]}: quit."))
        return obey(self.session, line, person=False) or ""

    def _new_answers(self) -> list[str]:
        """What the assistant said since the last call, and failures told to the user."""
        found = []
        for entry in self.session.transcript.entries:
            if not isinstance(entry, Item) or entry.role is not Role.ASSISTANT or entry.hidden:
                continue
            if entry.status is ItemStatus.IN_PROGRESS or entry.item_id in self._answered:
                continue
            self._answered.add(entry.item_id)
            if entry.error:
                _aside(entry.error)
            if entry.shown.strip():
                found.append(entry.shown.strip())
        return found

    def hear(self, update: Update) -> None:
        """Tell trouble on standard error."""
        match update:
            case effects.Notice(text, _, hint):
                _aside(f"{text} {hint}")
            case effects.AskApproval(call_id) if isinstance(
                call := self.session.transcript.get(call_id), ToolCall
            ):
                _aside(f"The tool {call.name} may not run: no user is present to approve it.")
                deny_unasked(self.session, call)
            case effects.EntryChanged(entry_id) if isinstance(
                item := self.session.transcript.get(entry_id), Item
            ):
                if item.role is Role.SYSTEM and entry_id not in self._answered:
                    self._answered.add(entry_id)  # a timer rang
                    _aside(item.text)
            case LinkChanged(Link.RECONNECTING, text) if text:
                _aside(text)
            case Report(_, text):
                self._told.append(text)


def deny_unasked(session: Session, call: ToolCall) -> None:
    """Deny a call: no one is there to be asked."""
    why = "No user is present to approve it."
    session.decide(call.call_id, call.arguments, inputs.Decision.DENY, why)


def _aside(sentence: str) -> None:
    sys.stderr.write(f"voicechat: {sentence.rstrip()}\n")


_FLOORS = {
    effects.Floor.LISTENING: "Listening.",
    effects.Floor.HEARING: "Hearing you.",
    effects.Floor.THINKING: "Thinking.",
    effects.Floor.SPEAKING: "Speaking.",
    effects.Floor.WORKING: "Working.",
}
_SPEAKERS = {Role.USER: "You", Role.ASSISTANT: "Assistant", Role.SYSTEM: "System"}
_ENDS = {
    ItemStatus.COMPLETED: "",
    ItemStatus.INTERRUPTED: " (interrupted)",
    ItemStatus.FAILED: " (failed)",
}
_TOOL_ENDS = {
    ToolState.RUNNING: "is running",
    ToolState.DONE: "is done",
    ToolState.FAILED: "failed",
    ToolState.DENIED: "was not allowed",
    ToolState.CANCELLED: "was cancelled",
}


class Chat(Follower):
    """What is said and what happens, one whole line each."""

    def __init__(self, session: Session, out: TextIO, *, echo: bool = True) -> None:
        """`echo` false: a user types at the terminal, where their lines stand already.

        Without one, calls that ask are denied.
        """
        super().__init__(session)
        self._out = out
        self._echo = echo
        self._told: dict[str, object] = {}
        self._last = ""
        self._failed = False
        self._muted = session.muted

    async def work(self) -> int:
        """Say or carry out every typed line; ends with /quit or the end of input.

        The exit code is 1 when a command of a pipe failed; at a terminal the user saw that.
        """
        if not await self.until(lambda: self.online, PATIENCE):
            raise ConnectError("Could not connect.")
        self._say("Ready. Type a message, or /help.")
        async for line in typed_lines():
            goes_on = self._obey(line.strip())
            self.hear_all()
            if not goes_on:
                break
        else:
            await self.until(self.quiet, PATIENCE)
        return int(self._failed and self._echo)

    # ----------------------------------------------------------------- what is typed

    def _obey(self, line: str) -> bool:
        """Carry out one line; False when it says to leave."""
        session = self.session
        if not line:
            self._press_enter()
        elif line in QUIT:
            return False
        elif line == HELP:
            self._say("\n".join(help_lines()))
            self._say(f"{QUIT[0]}: quit. An empty line: talk (push-to-talk), or interrupt.")
        elif is_command(line):
            try:
                said = obey(session, line, person=not self._echo) or ""
            except VoicechatError as error:
                said = str(error)
                self._failed = True
            self.hear_all()
            self._say(said)
        else:
            session.type(line)
        return True

    def _press_enter(self) -> None:
        session = self.session
        if session.microphone is not None and not session.hands_free:
            session.talk(not session.talking)
        else:
            session.interrupt()

    # ----------------------------------------------------------------- what is told

    def hear(self, update: Update) -> None:
        """Tell what a user wants to know of an update."""
        match update:
            case effects.EntryChanged(entry_id):
                self._tell_entry(entry_id)
            case effects.AskApproval(call_id):
                self._ask(call_id)
            case effects.FloorChanged(floor) if floor in _FLOORS:
                self._say(_FLOORS[floor])
            case effects.Notice(text, _, hint):
                self._say(f"{text} {hint}")
            case LinkChanged(_, text) if text:
                self._say(text)
            case SoundChanged(_, _, problem, hint) if problem:
                self._say(f"{problem} {hint}")
            case ModeChanged(muted, _, talking):
                self._tell_mode(muted, talking)
            case Report(title, text):
                self._say(f"{title}: {text}")
            case Cleared():
                self._told.clear()
                self._say("A new conversation.")

    def _tell_mode(self, muted: bool, talking: bool) -> None:
        if muted != self._muted:
            self._muted = muted
            self._say("Muted." if muted else "Not muted.")
        elif talking:
            self._say("Talk now. An empty line ends your turn.")

    def _tell_entry(self, entry_id: str) -> None:
        entry = self.session.transcript.get(entry_id)
        if isinstance(entry, ToolCall):
            if entry.state is ToolState.ASKING:
                return
            words = _TOOL_ENDS.get(entry.state)
            if words and self._told.get(entry_id) is not entry.state:
                self._told[entry_id] = entry.state
                self._say(f"The tool {entry.name} {words}.")
        elif isinstance(entry, Item) and not entry.hidden:
            self._tell_item(entry)

    def _ask(self, call_id: str) -> None:
        """Tell a call that waits, whole; without anyone to type an answer it is denied."""
        call = self.session.transcript.get(call_id)
        if not isinstance(call, ToolCall):
            return
        shown, number = asked(call), call.number
        source = f" ({shown.source})" if shown.source else ""
        self._say(f"Allow the tool {shown.name}{source} to run? It would receive:")
        self._out.writelines(f"{line}\n" for line in lines(shown))
        if not self._echo:
            choices = [f"/allow {number}"]
            choices += [f"/allow {number} session"] if shown.lasting else []
            choices += [f"/always {number}"] if shown.forever else []
            self._say(f"Type {', '.join(choices)} or /deny {number}, with a reason if you like.")
        else:
            deny_unasked(self.session, call)

    def _tell_item(self, item: Item) -> None:
        end = _ENDS.get(item.status)
        typed = item.role is Role.USER and not item.spoken
        if end is None or item.item_id in self._told:
            return
        self._told[item.item_id] = item.status
        if item.picture is not None:
            self._say(f"Picture: {item.picture.caption}.")
        if typed and not self._echo:
            return
        if item.shown.strip() or item.error:
            self._say(f"{_SPEAKERS[item.role]}: {item.shown.strip()}{end} {item.error or ''}")

    def _say(self, line: str) -> None:
        line = line.rstrip()
        if line and line != self._last:
            self._last = line
            self._out.write(f"{line}\n")
            self._out.flush()


class Narrator(Chat):
    """Tells what happens in a session that goes on by itself."""

    async def work(self) -> int:
        """Wait until the session is over."""
        await self.until(lambda: False)
        return 0
