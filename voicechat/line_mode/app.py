"""Line mode: a conversation without a screen.

`answer_lines` is a filter: each line of standard input is a turn or a command. Answers go to
standard output, everything else to standard error. `converse` is for screen readers and dumb
terminals: with sound, it prints each turn and each change of state as a line. `print_replay`
prints a recording in the same way.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO, cast

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.errors import ConnectError, VoicechatError
from voicechat.line_mode.approval_commands import deny_unattended
from voicechat.line_mode.approval_view import approval_lines, approval_view
from voicechat.line_mode.line_input import typed_lines
from voicechat.line_mode.slash_commands import (
    QUIT,
    app_commands,
    find_command,
    help_lines,
    is_command,
    run_command,
)
from voicechat.recording.recorded_session import open_session
from voicechat.session.event_stream import Overflow
from voicechat.session.session import Session
from voicechat.session.updates import (
    UPDATES,
    Cleared,
    HelpRequested,
    Link,
    LinkChanged,
    ModeChanged,
    Report,
    SoundChanged,
    Update,
)
from voicechat.system import exit_deadline

MAX_UPDATES = 20_000
"""Maximum number of updates that wait for a slow reader; then the oldest are dropped."""

TURN_TIMEOUT_S = 120.0
"""Seconds without an update after which a turn counts as unanswered."""

_CLOSE_TIMEOUT_S = 2.0
_SOUND_TIMEOUT_S = 10.0
"""Longest wait for the microphone before the user may start."""


def answer_lines(options: Options, out: TextIO | None = None) -> int:
    """Answer every line of standard input; the exit code, 1 when a line got no answer."""
    return asyncio.run(run_client(Filter(open_session(options, app_commands), out or sys.stdout)))


def converse(options: Options, out: TextIO | None = None) -> int:
    """Talk in lines until /quit or the end of input; the exit code."""
    echo = not sys.stdin.isatty()
    session = open_session(options, app_commands)
    return asyncio.run(run_client(Chat(session, out or sys.stdout, echo=echo)))


def print_replay(session: Session, out: TextIO | None = None) -> int:
    """Print a replay to its end; the exit code."""
    return asyncio.run(run_client(ReplayPrinter(session, out or sys.stdout)))


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
        ended_by.append(number)
        client_run.cancel()

    exit_deadline.on_signals(("SIGTERM", "SIGHUP"), on_signal)
    try:
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

    def __init__(self, session: Session) -> None:
        self.session = session
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
            self.handle(cast("Update", update))

    def handle(self, update: Update) -> None:
        """Handle an update of the session."""

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


class Filter(LineClient):
    """One line in, one answer out."""

    def __init__(self, session: Session, out: TextIO) -> None:
        super().__init__(session)
        self._out = out
        self._answered: set[str] = set()
        self._problems: set[str] = set()  # printed since the last answer
        self._is_short, self._reports = False, list[str]()

    async def run(self) -> int:
        """Answer every line; 1 when a line got no answer or a command failed."""
        code = 0
        await self.wait_until(lambda: self.is_online)
        await self.session.wait_for_tools()
        async for line in typed_lines():
            if line.strip() in QUIT:
                break
            if line.strip() and not await self._answer(line):
                code = 1
        return code

    async def _answer(self, line: str) -> bool:
        await self.wait_until(lambda: self.is_online and self.is_idle(), TURN_TIMEOUT_S)
        self._new_answers()
        owed = True
        if is_command(line.lstrip()):
            command = find_command(line)
            owed = command is not None and command.starts_turn
            try:
                output = run_command(self.session, line, by_user=False) or ""
            except VoicechatError as error:
                _print_message(str(error))
                return False
            for sentence in output.splitlines():
                _print_message(sentence)
        else:
            self.session.type(line)
        await self.wait_until(self.is_idle, TURN_TIMEOUT_S)
        answers = self._new_answers() + self._reports
        self._reports.clear()
        if answers:
            self._problems.clear()
        self._out.write("".join(f"{answer}\n" for answer in answers))
        self._out.flush()
        if owed and not answers:
            _print_message("A line got no answer.")
        return (bool(answers) or not owed) and not self._is_short

    def _new_answers(self) -> list[str]:
        """The answers since the last call; errors go to standard error."""
        answers, self._is_short = [], False
        for entry in self.session.transcript.entries:
            if not isinstance(entry, Item) or entry.role is not Role.ASSISTANT or entry.hidden:
                continue
            if entry.status is ItemStatus.IN_PROGRESS or entry.item_id in self._answered:
                continue
            self._answered.add(entry.item_id)
            self._is_short = self._is_short or bool(entry.error)
            if entry.error and entry.error not in self._problems:
                _print_message(entry.error)
            if entry.shown.strip():
                answers.append(entry.shown.strip())
        return answers

    def handle(self, update: Update) -> None:
        """Write problems to standard error."""
        match update:
            case effects.Notice(text, _, hint, pipe_hint):
                self._problems.add(text)
                _print_message(f"{text} {pipe_hint or hint}")
                self.session.dismiss_questions()
            case effects.AskApproval(call_id) if isinstance(
                call := self.session.transcript.get(call_id), ToolCall
            ):
                _print_message(
                    f"The tool {call.name} may not run: no user is present to approve it."
                )
                deny_unattended(self.session, call)
            case effects.EntryChanged(entry_id) if isinstance(
                item := self.session.transcript.get(entry_id), Item
            ):
                if item.role is Role.SYSTEM and entry_id not in self._answered:
                    self._answered.add(entry_id)  # the text of a timer
                    _print_message(item.text)
            case LinkChanged(Link.RECONNECTING, text) if text not in {"", *self._problems}:
                self._problems.add(text)
                _print_message(text)
            case Report(_, text):
                self._reports.append(text)
            case HelpRequested():
                for line in help_lines():
                    _print_message(line)


def _print_message(sentence: str) -> None:
    sys.stderr.write(f"voicechat: {sentence.rstrip()}\n")


_FLOORS = {
    effects.Floor.LISTENING: "Listening.",
    effects.Floor.HEARING: "Hearing you.",
    effects.Floor.THINKING: "Thinking.",
    effects.Floor.SPEAKING: "Speaking.",
    effects.Floor.WORKING: "Working.",
}
_ROLE_NAMES = {Role.USER: "You", Role.ASSISTANT: "Assistant", Role.SYSTEM: "System"}
_STATUS_SUFFIXES = {
    ItemStatus.COMPLETED: "",
    ItemStatus.INTERRUPTED: " (interrupted)",
    ItemStatus.FAILED: " (failed)",
}
_TOOL_STATES = {
    ToolState.RUNNING: "is running",
    ToolState.DONE: "is done",
    ToolState.FAILED: "failed",
    ToolState.DENIED: "was not allowed",
    ToolState.CANCELLED: "was cancelled",
}
_EMPTY_LINE_HELP = (
    "An empty line, with push-to-talk: start or end your turn.",
    "An empty line, otherwise: stop speech, thinking and tools.",
)


class Chat(LineClient):
    """A conversation in which each turn and each change of state is printed as a line."""

    def __init__(self, session: Session, out: TextIO, *, echo: bool = True) -> None:
        """Print to `out`.

        echo: print the user's lines too, and deny calls that need approval. False for a user at a
        terminal, which shows the typed lines.
        """
        super().__init__(session)
        self._out = out
        self._echo = echo
        session.outlives_connections = not echo
        self._printed: dict[str, object] = {}
        self._last_line = ""
        self._failed = False
        self._sound_known = not session.with_sound or session.microphone is not None
        self._muted = session.muted
        self._talking = session.talking

    async def run(self) -> int:
        """Send or run every typed line; ends with /quit or the end of input.

        The exit code is 1 when a command of a pipe failed; at a terminal the user saw that.
        """
        if not await self.wait_until(lambda: self.is_online, TURN_TIMEOUT_S):
            raise ConnectError("Could not connect.")
        await self._wait_for_sound()
        self._print("Ready. Type a message, or /help.")
        async for line in typed_lines():
            # An empty line and /interrupt stop the answer to the line before.
            if self._echo and line.strip() not in {"", "/interrupt"}:
                await self._wait_for_answer()
            continues = self._run_line(line.strip())
            self.handle_updates()
            if not continues:
                break
        else:
            await self._wait_for_answer()
        return int(self._failed and self._echo)

    async def _wait_for_sound(self) -> None:
        """Wait until the microphone delivers, or is known to be missing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SOUND_TIMEOUT_S):
                await self.wait_until(lambda: self._sound_known)

    async def _wait_for_answer(self) -> None:
        """Wait for the answer to the lines before: a pipe writes the next line at once."""
        if not await self.wait_until(self._is_answered, TURN_TIMEOUT_S):
            self._print("A line got no answer.")

    def _is_answered(self) -> bool:
        return self.is_idle() or self.session.floor is effects.Floor.HEARING

    # ----------------------------------------------------------------- input

    def _run_line(self, line: str) -> bool:
        """Send or run one line; False when it quits."""
        session = self.session
        if not line:
            self._press_enter()
        elif line in QUIT:
            return False
        elif is_command(line):
            try:
                output = run_command(session, line, by_user=not self._echo) or ""
            except VoicechatError as error:
                output = str(error)
                self._failed = True
            else:
                self._muted = self.session.muted  # the output of the command reports it
            self.handle_updates()
            self._print(output)
        else:
            session.type(line)
        return True

    def _press_enter(self) -> None:
        session = self.session
        if session.microphone is not None and not session.hands_free:
            session.talk(not session.talking)
        else:
            session.interrupt()

    # ----------------------------------------------------------------- output

    def handle(self, update: Update) -> None:
        """Print an update."""
        if self._echo:
            self.session.dismiss_questions()
        match update:
            case effects.EntryChanged(entry_id):
                self._print_entry(entry_id)
            case effects.AskApproval(call_id):
                self._print_approval(call_id)
            case ModeChanged(muted, _, talking):
                self._print_mode(muted, talking)
            case Cleared():
                self._printed.clear()
            case SoundChanged(microphone) if not self._sound_known:
                self._sound_known = True
                if microphone is not None and self.session.floor is effects.Floor.LISTENING:
                    self._print(_FLOORS[effects.Floor.LISTENING])
        self._print(self._text(update))

    def _text(self, update: Update) -> str:
        """The text to print for an update that is complete in itself; empty for others."""
        match update:
            case effects.FloorChanged(floor):
                known = self._sound_known or floor is not effects.Floor.LISTENING
                spoken = self.session.with_sound or floor is not effects.Floor.SPEAKING
                return _FLOORS.get(floor, "") if known and spoken else ""
            case effects.Notice(text, _, hint, pipe_hint):
                return f"{text} {(self._echo and pipe_hint) or hint}"
            case LinkChanged(_, text):
                return text
            case SoundChanged(_, _, problem, hint) if problem:
                return f"{problem} {hint}"
            case Report(title, text):
                return f"{title}: {text}"
            case HelpRequested():
                return "\n".join((*help_lines(), *_EMPTY_LINE_HELP))
            case Cleared():
                return "A new conversation."
        return ""

    def _print_mode(self, muted: bool, talking: bool) -> None:
        if muted != self._muted:
            self._muted = muted
            self._print("Muted." if muted else "Not muted.")
        elif talking and not self._talking:
            self._print("Talk now. An empty line ends your turn.")
        self._talking = talking

    def _print_entry(self, entry_id: str) -> None:
        entry = self.session.transcript.get(entry_id)
        if isinstance(entry, ToolCall):
            if entry.state is ToolState.ASKING:
                return
            state_text = _TOOL_STATES.get(entry.state)
            if state_text and self._printed.get(entry_id) is not entry.state:
                self._printed[entry_id] = entry.state
                self._print(f"The tool {entry.name} {state_text}.")
        elif isinstance(entry, Item) and not entry.hidden:
            self._print_item(entry)

    def _print_approval(self, call_id: str) -> None:
        """Print a waiting call completely; deny it when no user can answer."""
        call = self.session.transcript.get(call_id)
        if not isinstance(call, ToolCall):
            return
        view, number = approval_view(call), call.number
        source = f" ({view.source})" if view.source else ""
        self._print(f"Allow the tool {view.name}{source} to run? It would receive:")
        self._out.writelines(f"{line}\n" for line in approval_lines(view))
        if not self._echo:
            choices = [f"/allow {number}"]
            choices += [f"/allow {number} session"] if view.allows_session else []
            choices += [f"/always {number}"] if view.allows_always else []
            self._print(f"Type {', '.join(choices)}, or /deny {number} with an optional reason.")
        else:
            deny_unattended(self.session, call)

    def _print_item(self, item: Item) -> None:
        suffix = _STATUS_SUFFIXES.get(item.status)
        is_typed = item.role is Role.USER and not item.spoken
        if suffix is None or item.item_id in self._printed:
            return
        self._printed[item.item_id] = item.status
        if item.unsent:
            self._print("There is no connection. The line is sent when it is back.")
        if item.picture is not None:
            self._print(f"Picture: {item.picture.caption}.")
        if is_typed and not self._echo:
            return
        if item.shown.strip() or item.error:
            self._print(
                f"{_ROLE_NAMES[item.role]}: {item.shown.strip()}{suffix} {item.error or ''}"
            )

    def _print(self, line: str) -> None:
        line = line.rstrip()
        if line and line != self._last_line:
            self._last_line = line
            self._out.write(f"{line}\n")
            self._out.flush()


class ReplayPrinter(Chat):
    """Printer of a replay."""

    async def run(self) -> int:
        """Wait until the session is over."""
        await self.wait_until(lambda: False)
        return 0
