"""Questions in lines on the terminal, for people and screen readers."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

import typer

from voicechat.core.text import clean
from voicechat.system.terminal_guard import is_dumb
from voicechat.system.text_table import shortened

_WIDTH = 79
_MOST_SHOWN = 20
"""Rows of a list that are shown; the rest can be typed by name."""
METER_CELLS = 20
_QUIETEST_DB, _LOUDEST_DB = -60.0, 0.0


def tell(*lines: str) -> None:
    """Print lines without control characters; a long one continues on the next line."""
    for line in lines:
        text = clean(line)
        indent = " " * (len(text) - len(text.lstrip()) + 2)
        parts = textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False)
        sys.stdout.write("\n".join(parts) + "\n")
    sys.stdout.flush()


def ask(question: str) -> str:
    """Ask and return the answer without spaces around it. Raises `typer.Abort` at the end."""
    sys.stdout.write(f"{clean(question)} ")
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        sys.stdout.write("\n")
        raise typer.Abort
    return line.strip()


def agree(question: str, default: bool = True) -> bool:
    """Ask a question that Enter, y or n answers."""
    while True:
        answer = ask(f"{question} {'[Y/n]' if default else '[y/N]'}").lower()
        if not answer:
            return default
        if answer in {"y", "yes", "n", "no"}:
            return answer.startswith("y")
        tell("Type y or n.")


def choose(question: str, rows: Sequence[str], default: int = 0) -> int:
    """Show numbered rows and return the index of the chosen one; Enter chooses the default."""
    tell("", question)
    tell(*(f"  {place:>2}  {row}" for place, row in enumerate(rows[:_MOST_SHOWN], 1)))
    if len(rows) > _MOST_SHOWN:
        tell(f"      and {len(rows) - _MOST_SHOWN} more; type a name")
    names = [row.lower() for row in rows]
    while True:
        answer = ask(f"Number [{default + 1}]:").lower()
        if not answer:
            return default
        if answer.isdecimal() and 1 <= int(answer) <= len(rows):
            return int(answer) - 1
        if answer in names:
            return names.index(answer)
        tell(f"Type a number from 1 to {len(rows)}, or Enter for {default + 1}.")


def meter(level: float) -> str:
    """Return a level in dBFS as a bar with its number."""
    share = (level - _QUIETEST_DB) / (_LOUDEST_DB - _QUIETEST_DB)
    full = round(min(max(share, 0.0), 1.0) * METER_CELLS)
    return f"{'▮' * full}{'▯' * (METER_CELLS - full)} {max(level, -100.0):4.0f} dB"


def redraw(line: str) -> None:
    """Replace the current line of the terminal; a dumb one shows nothing."""
    if not is_dumb():
        sys.stdout.write(f"\r\x1b[K{shortened(clean(line), _WIDTH)}")
        sys.stdout.flush()
