"""The row that registers a command, and the options and messages that commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import typer

from voicechat.config.options import SETTINGS
from voicechat.core.text import clean

Text = str | None
"""Value of an option with a text; None when it was not typed."""

CONSOLE: Any = typer.Option("--console", help="Show the frames of the connection.")
JSON: Any = typer.Option("--json", help="Print JSON.")


class CommandEntry(NamedTuple):
    """A command of `voicechat`."""

    rank: int
    """Position in the list of commands; the lowest comes first."""
    name: str
    summary: str
    """Line in the list of commands."""
    run: Callable[..., int] | typer.Typer
    """The function that runs it, or a group of commands."""


def flag(name: str) -> Any:
    """The option that sets this setting."""
    setting = SETTINGS[name]
    text = setting.flag_help or setting.help
    return typer.Option(setting.flag, metavar=setting.metavar or None, help=text)


def say(sentence: str) -> None:
    """Write a message for the user to standard error, without control characters."""
    typer.echo(f"voicechat: {clean(sentence)}", err=True)
