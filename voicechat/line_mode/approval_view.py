"""View of a tool call that waits for approval: its complete arguments and warnings about them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from voicechat.core.confusables import remarks
from voicechat.core.items import ToolCall
from voicechat.core.text import clean
from voicechat.tools.question import Question
from voicechat.tools.registry import BUILT_IN

__all__ = [
    "MAX_FIELDS",
    "MAX_INDENTATION_RATIO",
    "MAX_INDENTED_LINES",
    "ApprovalView",
    "Question",
    "Waiting",
    "approval_lines",
    "approval_view",
    "question_view",
]

Waiting = ToolCall | Question
"""What waits for the user's decision."""

MAX_FIELDS = 40
"""Maximum number of arguments that are shown one by one; more are shown as raw text."""

MAX_INDENTATION_RATIO = 8
"""Maximum growth of a value by indentation; above it, the value is shown in one line."""

MAX_INDENTED_LINES = 200
"""Maximum number of lines of an indented value; above it, the value is shown in one line."""


_QUIT = "/quit"
_APP_TOOL = "control_app_with_approval"
"""The built-in tool that runs slash commands."""


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """The parts of a call that are shown before the user decides."""

    name: str
    """The name of the tool, or the slash command that it runs."""
    source: str
    fields: tuple[tuple[str, str], ...]
    """Name and text of each argument; an empty name stands for the raw text of all of them."""
    remarks: tuple[str, ...]
    """Sentences about what is hard to see in the arguments."""
    allows_session: bool
    """True if the approval may apply to later calls of this session."""
    allows_always: bool
    """True if the approval may be stored."""
    pattern: str = ""
    """Pattern of the calls that a stored approval covers; empty for all calls of the tool."""

    @property
    def kind(self) -> str:
        """The kind of what runs: tool, or command."""
        return "command" if self.name.startswith("/") else "tool"


def approval_view(call: ToolCall, losses: str = "") -> ApprovalView:
    """Make the view of a call. `losses` says what the end of the session loses."""
    fields, duplicates = _fields(call.arguments)
    found = [call.remark] if call.remark else []
    found += [f"“{name}” appears twice; the last value counts." for name in duplicates]
    for text in (call.name, *(each for field in fields for each in field)):
        found += remarks(text)
    name, fields = _as_command(call, fields) or (call.name, fields)
    found += [losses] if losses and name == _QUIT else []
    return ApprovalView(
        name=name,
        source=f"{call.server}, run by the provider" if call.server else call.source,
        fields=fields,
        remarks=tuple(dict.fromkeys(found)),
        allows_session=not call.asks_always,
        allows_always=bool(call.pattern) or (not call.asks_always and not call.server),
        pattern=call.pattern,
    )


def _as_command(
    call: ToolCall, fields: tuple[tuple[str, str], ...]
) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Return the slash command that the call runs, and what it does; None for other calls."""
    from voicechat.line_mode.slash_commands import COMMANDS

    values = dict(fields)
    command = COMMANDS.get(f"/{values.get('command', '')}")
    if call.name != _APP_TOOL or call.source != BUILT_IN or call.server or command is None:
        return None
    if not values.keys() <= {"command", "argument"}:
        return None
    argument = values.get("argument", "")
    shown = (("argument", argument),) if argument else ()
    return f"/{values['command']}", (("effect", command.summary), *shown)


def question_view(question: Question) -> ApprovalView:
    """Make the view of a question of an MCP server: its message, its page and its fields."""
    fields = [("", question.message)]
    fields += [("web page", question.url)] if question.url else []
    fields += [(each.name, each.shown) for each in question.fields]
    found = [question.remark] if question.remark else []
    found += [each for field in fields for text in field for each in remarks(text)]
    return ApprovalView(
        name=question.source,
        source="",
        fields=tuple(fields),
        remarks=tuple(dict.fromkeys(found)),
        allows_session=False,
        allows_always=False,
    )


def approval_lines(view: ApprovalView) -> list[str]:
    """The arguments and the remarks as lines; each begins with `|` or `!`."""
    lines = []
    for name, text in view.fields:
        lines.append(f"| {_one_line(name)}:" if name else "| raw text:")
        lines += [f"|   {line}" for line in text.split("\n")]
    if not view.fields:
        lines.append("| no arguments")
    remark_lines = [line for remark in view.remarks for line in remark.split("\n")]
    return lines + [f"! {line}" for line in remark_lines]


def _fields(arguments: str) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Name and text of every argument; and the names that appear twice."""
    duplicates: list[str] = []

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        names = Counter(name for name, _ in found)
        duplicates.extend(sorted(name for name, times in names.items() if times > 1))
        return dict(found)

    try:
        values = json.loads(arguments or "{}", object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or duplicates or "" in values or len(values) > MAX_FIELDS:
        return (("", arguments),), duplicates
    return tuple((name, _text(value)) for name, value in values.items()), duplicates


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    short = json.dumps(value, ensure_ascii=False)
    long = json.dumps(value, ensure_ascii=False, indent=2) if value else short
    # Deep nesting would be mostly indentation.
    fits = len(long) <= MAX_INDENTATION_RATIO * len(short) and long.count("\n") < MAX_INDENTED_LINES
    return clean(long if fits else short)


def _one_line(name: str) -> str:
    return name if name.isprintable() else repr(name)
