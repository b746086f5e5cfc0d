"""`voicechat ask`: one question, one answer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from voicechat.cli.command import SHOW_CODE, CommandEntry, Text, flag, load_options, print_program
from voicechat.errors import UsageError

_LONGEST = 1 << 20
"""Characters of a question."""


def ask(
    context: typer.Context,
    question: Annotated[
        list[str],
        typer.Argument(metavar="QUESTION", help="The question; - reads it from standard input."),
    ],
    model: Annotated[Text, flag("model")] = None,
    instructions: Annotated[Text, flag("instructions")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    chat_url: Annotated[Text, flag("chat_url")] = None,
    chat_model: Annotated[Text, flag("chat_model")] = None,
    local_chat: Annotated[bool, flag("local_chat")] = False,
    budget: Annotated[Text, flag("budget")] = None,
    show_code: Annotated[bool, SHOW_CODE] = False,
) -> int:
    """Answer one question in text, and exit.

    Tools run as in a pipe: those that need your approval are refused. To ask about a text, type
    voicechat ask "Summarize this:" - < FILE. The exit code is 1 without an answer.
    """
    from voicechat.config.options import typed

    flags = {**typed(context.params), "with_sound": False}
    text = _question(question)
    if show_code:
        return print_program(flags, text)
    options = load_options(flags)
    from voicechat.line_mode.app import answer_question

    return answer_question(options, text)


COMMAND = CommandEntry(8, "ask", "Answer one question, and exit.", ask)


def _question(words: list[str]) -> str:
    """The words, with standard input in the place of -. Raises `UsageError`."""
    if words.count("-") > 1:
        raise UsageError("Standard input can be read only once.", "Write - once.")
    parts = [sys.stdin.read(_LONGEST + 1) if word == "-" else word for word in words]
    text = " ".join(part.strip() for part in parts).strip()
    if not text:
        raise UsageError("The question is empty.", 'Type: voicechat ask "what time is it"')
    if len(text) > _LONGEST:
        raise UsageError("The question is longer than 1 MB.")
    return text
