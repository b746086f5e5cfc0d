"""The filter: one line of standard input is a turn or a command, and has one answer.

Answers go to standard output, everything else to standard error.
"""

from __future__ import annotations

import sys
from typing import TextIO

from voicechat.core import effects
from voicechat.core.items import Item, ItemStatus, Role, ToolCall
from voicechat.errors import VoicechatError
from voicechat.line_mode.approval_commands import deny_unattended
from voicechat.line_mode.line_client import TURN_TIMEOUT_S, LineClient
from voicechat.line_mode.line_input import typed_lines
from voicechat.line_mode.slash_commands import (
    QUIT,
    find_command,
    help_lines,
    is_command,
    run_command,
)
from voicechat.session.session import Session
from voicechat.session.updates import HelpRequested, Link, LinkChanged, Report, Update

_CUT = "The answer is incomplete: it was cut off."


class Filter(LineClient):
    """One line in, one answer out."""

    def __init__(self, session: Session, out: TextIO) -> None:
        super().__init__(session)
        self._out = out
        self._answered: set[str] = set()
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
        if owed and not answers and not self._was_refused:
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
            reason = entry.error or ("" if entry.status is ItemStatus.COMPLETED else _CUT)
            self._is_short = self._is_short or bool(reason)
            if reason and reason not in self._problems:
                _print_message(reason)
            if entry.shown.strip():
                answers.append(entry.shown.strip())
        return answers

    def handle(self, update: Update) -> None:
        """Write problems to standard error."""
        match update:
            case effects.Notice(text, level, hint, pipe_hint):
                self._was_refused |= level is not effects.Level.INFO
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
