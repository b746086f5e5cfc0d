"""The filter: one line of standard input is a turn or a command, and has one answer.

Answers go to standard output, everything else to standard error.
"""

from __future__ import annotations

import sys
from typing import TextIO

from voicechat.core import effects
from voicechat.core.intervention import is_told
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, entry_id
from voicechat.errors import VoicechatError
from voicechat.line_mode.approval_commands import deny_unattended
from voicechat.line_mode.line_client import TURN_TIMEOUT_S, LineClient
from voicechat.line_mode.line_input import typed_lines
from voicechat.line_mode.line_writer import LineWriter
from voicechat.line_mode.slash_commands import (
    QUIT,
    find_command,
    help_lines,
    is_command,
    run_command,
)
from voicechat.session.session import Session
from voicechat.session.updates import Cleared, HelpRequested, Link, LinkChanged, Report, Update

_CUT = "The answer is incomplete: it was cut off."


class Filter(LineClient):
    """One line in, one answer out."""

    runs_commands = True
    """False if a line that begins with a slash is text, too."""

    def __init__(self, session: Session, out: TextIO) -> None:
        self._out, self._messages = LineWriter(out), LineWriter(sys.stderr)
        super().__init__(session, self._messages)
        self._answered = {entry_id(entry) for entry in session.transcript.entries}
        self._problems: set[str] = set()  # printed since the last answer
        self._is_short, self._reports = False, list[str]()
        self._was_refused = False
        """True if a notice says why the last line gets no answer."""

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
        self._was_refused = False
        owed = True
        if self.runs_commands and is_command(line.lstrip()):
            command = find_command(line)
            owed = command is not None and command.starts_turn
            try:
                output = run_command(self.session, line, by_user=False) or ""
            except VoicechatError as error:
                self._tell(str(error))
                return False
            for sentence in output.splitlines():
                self._tell(sentence)
        else:
            self.session.type(line)
        await self.wait_until(self.is_idle, TURN_TIMEOUT_S)
        answers = self._new_answers() + self._reports
        self._reports.clear()
        if answers:
            self._problems.clear()
        if answers:
            self._out.write("".join(f"{answer}\n" for answer in answers))
        await self._out.drained()
        if owed and not answers and not self._was_refused:
            self._tell("A line got no answer.")
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
            reason = entry.error or ("" if entry.status is ItemStatus.COMPLETED else _CUT)
            self._is_short = self._is_short or bool(reason)
            if reason and reason not in self._problems:
                self._tell(reason)
            if entry.shown.strip():
                answers.append(entry.shown.strip())
        return answers

    def handle(self, update: Update) -> None:
        """Write problems to standard error."""
        match update:
            case effects.Notice(text, level, hint, pipe_hint):
                self._was_refused |= level is not effects.Level.INFO
                self._problems.add(text)
                self._tell(f"{text} {pipe_hint or hint}")
                self.session.dismiss_questions()
            case effects.AskApproval(call_id) if isinstance(
                call := self.session.transcript.get(call_id), ToolCall
            ):
                self._tell(f"The tool {call.name} may not run: no user is present to approve it.")
                deny_unattended(self.session, call)
            case effects.EntryChanged(key) if isinstance(
                item := self.session.transcript.get(key), Item
            ):
                is_new = item.role is Role.SYSTEM and key not in self._answered
                if is_new and not is_told(key):
                    self._answered.add(key)  # the text of a timer
                    self._tell(item.text)
            case LinkChanged(Link.RECONNECTING, text) if text not in {"", *self._problems}:
                self._problems.add(text)
                self._tell(text)
            case Cleared():
                self._answered = {entry_id(each) for each in self.session.transcript.entries}
            case Report(_, text):
                self._reports.append(text)
            case HelpRequested():
                for line in help_lines():
                    self._tell(line)

    def _tell(self, sentence: str) -> None:
        self._messages.write(f"voicechat: {sentence.rstrip()}\n")

    async def drained(self) -> None:
        """Wait until everything is written."""
        await self._out.drained()
        await self._messages.drained()


class SingleQuestion(Filter):
    """One question, one answer."""

    runs_commands = False

    def __init__(self, session: Session, out: TextIO, question: str) -> None:
        super().__init__(session, out)
        self._question = question

    async def run(self) -> int:
        """Ask; 1 when there is no answer."""
        await self.wait_until(lambda: self.is_online)
        await self.session.wait_for_tools()
        return 0 if await self._answer(self._question) else 1
