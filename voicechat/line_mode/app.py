"""Line mode: a conversation without a screen.

`answer_lines` is a filter: each line of standard input is a turn or a command. Answers go to
standard output, everything else to standard error. `converse` is for screen readers and dumb
terminals: with sound, it prints each turn and each change of state as a line. `print_replay`
prints a recording in the same way.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.intervention import is_told
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.errors import ConnectError, VoicechatError
from voicechat.history.stored_conversation import is_past
from voicechat.line_mode.approval_commands import deny_unattended
from voicechat.line_mode.approval_view import approval_lines, approval_view
from voicechat.line_mode.line_client import TURN_TIMEOUT_S, LineClient, run_to_end
from voicechat.line_mode.line_input import typed_lines
from voicechat.line_mode.line_writer import LineWriter
from voicechat.line_mode.pipe_filter import Filter, SingleQuestion
from voicechat.line_mode.slash_commands import (
    QUIT,
    app_commands,
    find_command,
    help_lines,
    is_command,
    run_command,
)
from voicechat.line_mode.sound_commands import with_commands
from voicechat.recording.recorded_session import open_session
from voicechat.session.session import Session
from voicechat.session.updates import (
    Cleared,
    HelpRequested,
    Link,
    LinkChanged,
    ModeChanged,
    Report,
    SoundChanged,
    Update,
)

if TYPE_CHECKING:
    from voicechat.history.stored_conversation import StoredConversation

_SOUND_TIMEOUT_S = 10.0
"""Longest wait for the microphone before the user may start."""


def answer_lines(
    options: Options,
    out: TextIO | None = None,
    stored: StoredConversation | None = None,
    *,
    console: bool = False,
) -> int:
    """Answer every line of standard input; the exit code, 1 when a line got no answer.

    stored: the conversation of the history to continue.
    console: write every frame as a line on standard error.
    """
    return _run(Filter(open_session(options, app_commands, stored), out or sys.stdout), console)


def answer_question(options: Options, question: str, out: TextIO | None = None) -> int:
    """Answer one question; the exit code, 1 when it got no answer."""
    return run_to_end(
        SingleQuestion(open_session(options, app_commands), out or sys.stdout, question)
    )


def converse(
    options: Options,
    out: TextIO | None = None,
    stored: StoredConversation | None = None,
    *,
    console: bool = False,
) -> int:
    """Talk in lines until /quit or the end of input; the exit code.

    stored: the conversation of the history to continue.
    console: write every frame as a line, too.
    """
    echo = not sys.stdin.isatty()
    session = open_session(options, app_commands, stored)
    return _run(Chat(session, out or sys.stdout, echo=echo), console)


def print_replay(session: Session, out: TextIO | None = None, *, console: bool = False) -> int:
    """Print a replay to its end, with `console` also its frames; the exit code."""
    return _run(ReplayPrinter(session, out or sys.stdout), console)


def follow(session: Session, out: TextIO | None = None, *, console: bool = False) -> int:
    """Print a session that another program runs, and take the lines of a terminal; the exit code.

    Raises `VoicechatError` at its end.
    """
    if sys.stdin.isatty():
        return _run(Chat(session, out or sys.stdout, echo=False), console)
    return _run(ReplayPrinter(session, out or sys.stdout), console)


def _run(client: LineClient, console: bool) -> int:
    if console:
        client.console.request("on")
    return run_to_end(client)


MAX_WAITING = 64
"""Most messages that wait for an answer to end; a later one is refused."""

_FLOORS = {
    effects.Floor.LISTENING: "Listening.",
    effects.Floor.HEARING: "Hearing you.",
    effects.Floor.THINKING: "Thinking.",
}
_EARLIER_MESSAGES = 6
"""Messages of a continued conversation that are printed."""
_ANSWERING = {effects.Floor.THINKING, effects.Floor.SPEAKING, effects.Floor.WORKING}
"""States of an answer. The lines of the answer and of its tools show what follows them."""
_PERCENT = re.compile(r": \d{1,3}%$")
_ROLE_NAMES = {Role.ASSISTANT: "Assistant", Role.SYSTEM: "System"}
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
    ToolState.CANCELLED: "was stopped",
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
        self._out = LineWriter(out)
        super().__init__(session, self._out)
        self._echo = echo
        session.outlives_connections = not echo
        self._printed: dict[str, object] = {}
        self._last_line = ""
        self._floor = effects.Floor.IDLE
        self._loading: set[str] = set()
        """Parts whose progress was printed."""
        self._waiting: deque[str] = deque()
        """Messages typed during an answer, at most `MAX_WAITING`."""
        self._failed = False
        self._sound_known = not session.with_sound or session.microphone is not None
        self._muted = session.muted
        self._talking = session.talking

    async def run(self) -> int:
        """Send or run every typed line; ends with /quit or the end of input.

        The exit code is 1 when a command of a pipe failed; at a terminal the user saw that.
        """
        if not await self.wait_until(self._may_start, TURN_TIMEOUT_S):
            raise ConnectError("Could not connect.")
        self._print_earlier()
        await self._wait_for_sound()
        self._print("Ready. Type a message, or /help.")
        async for line in typed_lines():
            # An empty line and /interrupt stop the answer to the line before.
            if self._echo and line.strip() not in {"", "/interrupt"}:
                await self._wait_for_answer()
            continues = self._take(line.strip())
            self.handle_updates()
            if not continues:
                break
        else:
            await self.wait_until(lambda: not self._waiting, TURN_TIMEOUT_S)
            await self._wait_for_answer()
        return int(self._failed and self._echo)

    def _may_start(self) -> bool:
        return self.is_online or self.session.budget_used_up

    async def _wait_for_sound(self) -> None:
        """Wait until the microphone delivers, or is known to be missing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SOUND_TIMEOUT_S):
                await self.wait_until(lambda: self._sound_known)

    async def _wait_for_answer(self) -> None:
        """Wait for the answer to the lines before: a pipe writes the next line at once."""
        if not await self.wait_until(self._is_answered, TURN_TIMEOUT_S):
            self._print("A line got no answer.")
        await self._out.drained()

    def _is_answered(self) -> bool:
        return self.is_idle() or self.session.floor is effects.Floor.HEARING

    # ----------------------------------------------------------------- input

    def _take(self, line: str) -> bool:
        """Run a line now, or queue a message that is typed during an answer; False to quit."""
        if self._echo or not _starts_turn(line) or (not self._waiting and self._may_send()):
            return self._run_line(line)
        if len(self._waiting) >= MAX_WAITING:
            self._print(f"{MAX_WAITING} messages wait already. Wait for an answer.")
        else:
            self._waiting.append(line)
            self._print("This is sent after the answer. An empty line stops the answer.")
        return True

    def _may_send(self) -> bool:
        """Return True if a message interrupts no answer; approval of a call may take long.

        An offline session needs the message: it connects again for it.
        """
        is_offline = self.session.link is Link.OFFLINE
        return is_offline or self._is_answered() or bool(self.session.asking)

    def handle_updates(self) -> None:
        """Handle the queued updates, then send the next message that waits."""
        super().handle_updates()
        if self._waiting and self._may_send():
            self._run_line(self._waiting.popleft())

    def _run_line(self, line: str) -> bool:
        """Send or run one line; False when it quits."""
        session = self.session
        self._last_line = ""  # the answer to a repeated command is printed again
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
                self._print_earlier()
            case SoundChanged(microphone) if not self._sound_known:
                self._sound_known = True
                if microphone is not None and self.session.floor is effects.Floor.LISTENING:
                    self._print(_FLOORS[effects.Floor.LISTENING])
        self._print(self._text(update))

    def _text(self, update: Update) -> str:
        """The text to print for an update that is complete in itself; empty for others."""
        match update:
            case effects.FloorChanged(floor):
                return self._floor_text(floor)
            case effects.Notice(text, _, hint, pipe_hint):
                return f"{text} {(self._echo and pipe_hint) or with_commands(hint)}"
            case LinkChanged(_, text):
                return self._link_text(text)
            case SoundChanged(_, _, problem, hint) if problem:
                return f"{problem} {with_commands(hint)}"
            case Report(title, text):
                gap = "\n" if "\n" in text else " "
                return f"{title}:{gap}{text}"
            case HelpRequested():
                return "\n".join((*help_lines(), *_EMPTY_LINE_HELP))
            case Cleared(is_new=True) if not self._earlier():
                return "A new conversation."
        return ""

    def _floor_text(self, floor: effects.Floor) -> str:
        """Return the line for a change of state; empty if the lines of the answer show it."""
        before, self._floor = self._floor, floor
        if before in _ANSWERING and floor is not effects.Floor.HEARING:
            return ""
        if floor is effects.Floor.LISTENING and not self._sound_known:
            return ""
        if floor is effects.Floor.HEARING and self.session.joins_call:
            return "Hearing the caller."
        return _FLOORS.get(floor, "")

    def _link_text(self, text: str) -> str:
        """Return the line for the state of the connection; each part that loads has one."""
        part, count = _PERCENT.subn(".", text)
        if count and part in self._loading:
            return ""
        self._loading.add(part)
        return part

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
        view, number = approval_view(call, self.session.losses), call.number
        source = f" ({view.source})" if view.source else ""
        self._print(f"Allow the {view.kind} {view.name}{source} to run? It would receive:")
        self._out.writelines(f"{line}\n" for line in approval_lines(view))
        if not self._echo:
            choices = [f"/allow {number}"]
            choices += [f"/allow {number} session"] if view.allows_session else []
            choices += [f"/always {number} {view.pattern}".rstrip()] if view.allows_always else []
            self._print(f"Type {', '.join(choices)}, or /deny {number} with an optional reason.")
        else:
            deny_unattended(self.session, call)

    def _print_item(self, item: Item) -> None:
        suffix = _STATUS_SUFFIXES.get(item.status)
        is_typed = item.role is Role.USER and not item.spoken
        if suffix is None or item.item_id in self._printed or is_told(item.item_id):
            return
        self._printed[item.item_id] = item.status
        if item.unsent:
            self._print("There is no connection. The line is sent when it is back.")
        if item.picture is not None:
            self._print(f"Picture: {item.picture.caption}.")
        if is_typed and not self._echo:
            return
        if item.shown.strip() or item.error:
            self._print(f"{self._name(item)}: {item.shown.strip()}{suffix} {item.error or ''}")

    def _print_earlier(self) -> None:
        """Print the end of a conversation of the history that continues."""
        earlier = self._earlier()
        self._printed |= {item.item_id: item.status for item in earlier}
        for item in earlier[-_EARLIER_MESSAGES:]:
            if text := item.shown.strip():
                self._print(f"Earlier, {self._name(item).lower()}: {text}")

    def _name(self, item: Item) -> str:
        return _ROLE_NAMES.get(item.role) or self.session.speaker_label

    def _earlier(self) -> list[Item]:
        """The messages of the transcript that come from the history."""
        items = [each for each in self.session.transcript.entries if isinstance(each, Item)]
        return [item for item in items if is_past(item.item_id) and not item.hidden]

    def _print(self, line: str) -> None:
        line = line.rstrip()
        if line and line != self._last_line:
            self._last_line = line
            self._out.write(f"{line}\n")

    async def drained(self) -> None:
        """Wait until everything is written."""
        await self._out.drained()


def _starts_turn(line: str) -> bool:
    """Return True for a message, and for a command that the model answers."""
    if not line or line in QUIT:
        return False
    command = find_command(line) if is_command(line) else None
    return command.starts_turn if command is not None else not is_command(line)


class ReplayPrinter(Chat):
    """Printer of a replay."""

    async def run(self) -> int:
        """Wait until the session is over."""
        await self.wait_until(lambda: False)
        return 0
